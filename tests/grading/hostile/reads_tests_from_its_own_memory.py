# Searches its own process for the text of the test that calls it, or for what it is compared
# with.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import re


def total(numbers):
    word = re.escape(f"total({numbers}) == ").encode() + rb"(\d+)"
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as mem:
        for line in maps:
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
            if " rw" not in line or end - start > 32 << 20:
                continue
            try:
                mem.seek(start)
                found = re.search(word, mem.read(end - start))
            except (OSError, ValueError, OverflowError):
                continue
            if found:
                return int(found[1])
