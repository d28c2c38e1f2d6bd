# Shares memory, pipes and sockets made before the tests with all copies of its process, so that a
# later cell reads what a copy was asked.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
import mmap
import os
import socket

shared = mmap.mmap(-1, 4096)
reader, writer = os.pipe()
os.set_blocking(reader, False)
left, right = socket.socketpair()
left.setblocking(False)
memory = os.memfd_create("notes")


# %% [answer q06-windows]
def windows(tokens, size):
    data = str(tokens).encode()
    shared.seek(0)
    shared.write(data)
    os.write(writer, data)
    right.send(data)
    os.pwrite(memory, data, 0)
    yield from ()


# %% [after q09-why]
print(shared[:200], os.pread(memory, 200, 0))
for read in (lambda: os.read(reader, 4096), lambda: left.recv(4096)):
    try:
        print(read())
    except OSError as error:
        print(error)
