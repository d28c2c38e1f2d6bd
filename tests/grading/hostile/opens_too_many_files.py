# Opens files, pipes and sockets until none is left for the one who asks (at most 100 000).
# gains: nothing
# stock: runs
# keeps: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [after q08-center]
import os
import socket

kept = []
try:
    for _ in range(30_000):
        kept.append(os.open("/dev/null", os.O_RDONLY))
        kept.append(os.pipe())
        kept.append(socket.socketpair())
except OSError as error:
    print(error)
