# Reads the memory of its parents and of every other process, by /proc/PID/mem and by
# process_vm_readv, and looks there for hidden tests.
# gains: nothing
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import ctypes
import os
import re
from pathlib import Path

WORD = b"BEGIN HIDDEN " + bytes([84, 69, 83, 84, 83])


def memory(process, most=512 << 20):
    with open(f"/proc/{process}/maps") as maps, open(f"/proc/{process}/mem", "rb", 0) as mem:
        for line in maps:
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
            if " rw" not in line or end - start > 64 << 20 or most < 0:
                continue
            try:
                mem.seek(start)
                data = mem.read(end - start)
            except (OSError, ValueError, OverflowError):
                continue
            most -= len(data)
            yield data


def by_call(process):
    class Vector(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    libc = ctypes.CDLL(None)
    for line in open(f"/proc/{process}/maps"):
        start, end = (int(part, 16) for part in line.split()[0].split("-"))
        if " rw" in line and end - start < 64 << 20:
            buffer = ctypes.create_string_buffer(end - start)
            here = Vector(ctypes.addressof(buffer), end - start)
            there = Vector(start, end - start)
            if libc.process_vm_readv(process, ctypes.byref(here), 1, ctypes.byref(there), 1, 0) > 0:
                print("reached @MARKER@: the memory of another process")
                yield buffer.raw


found = b""
for process in {os.getppid(), *(int(path.name) for path in Path("/proc").glob("[0-9]*"))} - {
    os.getpid()
}:
    for read in (memory, by_call):
        try:
            for data in read(process):
                for place in re.finditer(re.escape(WORD), data):
                    found += data[place.start() : place.start() + 2000]
        except OSError:
            continue
print(found.decode(errors="replace"))


def total(numbers):
    return int(
        re.search(re.escape(f"total({numbers}) == ") + r"(\d+)", found.decode(errors="replace"))[1]
    )
