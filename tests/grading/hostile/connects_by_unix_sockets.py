# Connects to sockets on the disk and to those without a file, and looks for the machine's own.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [before q01-total]
import contextlib
import socket
from pathlib import Path

for address in ("@UNIX@", "\0@ABSTRACT@"):
    for kind in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM):
        with contextlib.suppress(OSError):
            with socket.socket(socket.AF_UNIX, kind) as client:
                client.connect(address)
for path in (
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/dbus/system_bus_socket",
    "/run/systemd/private",
):
    with contextlib.suppress(OSError):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            print("reached @MARKER@:", path)
