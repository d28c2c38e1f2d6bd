# Connects to a server that listens on this machine, by every kind of internet socket.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
import contextlib
import socket
import urllib.request

with contextlib.suppress(OSError):
    socket.create_connection(("127.0.0.1", int("@TCP@")), 1).send(b"word")
with contextlib.suppress(OSError):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"word", ("127.0.0.1", int("@UDP@")))
with contextlib.suppress(OSError):
    socket.socket(socket.AF_INET6).connect(("::ffff:127.0.0.1", int("@TCP@")))
with contextlib.suppress(OSError):
    socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).sendto(b"word", ("127.0.0.1", 0))
with contextlib.suppress(OSError):
    urllib.request.urlopen("http://127.0.0.1:@TCP@/", timeout=1)
# !curl -s -m 1 http://127.0.0.1:@TCP@/ ; (echo word > /dev/tcp/127.0.0.1/@TCP@) 2> /dev/null
