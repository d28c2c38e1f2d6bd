# Takes memory at once, in one piece and in many (at most 8 GB).
# gains: nothing
# may keep: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q01-total]
def total(numbers):
    kept = []
    while len(kept) < 80:
        kept.append(bytearray(b"x") * (100 << 20))
    return 0


# %% [after q08-center]
kept = [bytearray(b"x") * (100 << 20) for _ in range(80)]
