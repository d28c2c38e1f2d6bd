# Prints what tests pass to it, by all ways out: streams, descriptors, warnings, logging, the
# display, the traceback of a thread.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q06-windows]
import logging
import os
import sys
import threading
import warnings
from IPython.display import HTML, display


def windows(tokens, size):
    word = str(tokens)
    print(word)
    print(word, file=sys.stderr)
    print(word, file=sys.__stdout__, flush=True)
    os.write(1, word.encode())
    os.write(2, word.encode())
    os.system(f"echo {word!r}")
    warnings.warn(word)
    logging.error(word)
    display(HTML(word))
    thread = threading.Thread(target=lambda: 1 / 0, name=word)
    thread.start()
    thread.join()
    raise ValueError(word)
