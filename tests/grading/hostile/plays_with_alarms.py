# Sends itself alarms and interrupts while it is tested, which the test might take for its own.
# gains: nothing
# stock: runs
# may keep: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import signal
import threading
import _thread


def total(numbers):
    signal.signal(signal.SIGALRM, lambda *arguments: None)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    threading.Timer(0.01, _thread.interrupt_main).start()
    for _ in range(200):
        signal.raise_signal(signal.SIGALRM)
    return 0
