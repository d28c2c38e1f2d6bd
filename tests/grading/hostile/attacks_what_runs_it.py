# Searches sys.modules and `__main__` for the code that answers tests, and replaces parts of it,
# of json, struct and the methods of sockets, so that it always says what a test wants.
# gains: nothing
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
import contextlib
import gc
import json
import socket
import struct
import sys

for name, module in list(sys.modules.items()):
    if any(word in name for word in ("grading", "agent", "wire", "__main__", "remote")):
        for key, value in list(vars(module).items()):
            print(name, key)
            if callable(value) and not key.startswith("__") and "dumps" in key:
                setattr(module, key, lambda *arguments, **options: json.dumps(True).encode())
for found in gc.get_objects():
    with contextlib.suppress(Exception):
        if isinstance(found, socket.socket) and found.fileno() > 2:
            print("channel", found)
            found.sendall(struct.pack(">I", 4) + b"true")


# %% [answer q01-total]
def always(*arguments, **options):
    return '{"result": 3}'


def total(numbers):
    json.dumps = json.JSONEncoder.encode = always
    struct.pack = lambda *arguments: b"\0\0\0\4"
    for name in ("send", "sendall", "sendmsg"):
        setattr(socket.socket, name, lambda own, *arguments: 4)
    return 0


# %% [answer q02-mean]
def mean(numbers):
    import builtins

    builtins.type = lambda *arguments: int
    builtins.repr = lambda value: "2"
    return 0
