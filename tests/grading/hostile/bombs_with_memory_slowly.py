# Takes memory a little at a time, over seconds and in four processes (at most 8 GB).
# gains: nothing
# may keep: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [after q08-center]
import os
import time

children = [os.fork() for _ in range(2)]
kept = []
for _ in range(200):
    kept.append(bytearray(b"x") * (10 << 20))
    time.sleep(0.02)
if 0 in children:
    os._exit(0)
