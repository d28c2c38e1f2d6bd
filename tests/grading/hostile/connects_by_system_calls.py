# Makes sockets without Python's help: by libc, by numbers of system calls, by io_uring, in a
# namespace of its own, and asks a name server.
# gains: nothing
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
import contextlib
import ctypes
import socket
import struct

libc = ctypes.CDLL(None, use_errno=True)
port = int("@TCP@")
address = struct.pack("=HH4s8x", 2, socket.htons(port), socket.inet_aton("127.0.0.1"))
for make in (
    lambda: libc.socket(2, 1, 0),
    lambda: libc.syscall(41, 2, 1, 0),
    lambda: libc.syscall(198, 2, 1, 0),
    lambda: libc.syscall(41 | 0x40000000, 2, 1, 0),
):
    number = make()
    if number >= 0:
        print("reached @MARKER@: socket", number, libc.connect(number, address, 16))
ring = libc.syscall(425, 8, ctypes.create_string_buffer(120))
if ring >= 0 or libc.unshare(0x10000000 | 0x40000000) == 0:
    print("reached @MARKER@: io_uring", ring, "or a namespace")
with contextlib.suppress(OSError):
    print(socket.getaddrinfo("localhost.localdomain.invalid", 80))
