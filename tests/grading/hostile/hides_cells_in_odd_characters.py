# Zero-width and right-to-left characters, form feeds and other line ends, in code and names.
# gains: nothing
# stock: runs
# keeps: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q01-total]
def ｔｏｔａｌ(numbers):
    "\u202edne‮ \u2066 \u200b​ looks like a comment \x0c"
    return 0


# total​_tests = 1

# %% [edit q01-total-tests]
# ‮ lautot tressa
assert total([1, 2]) == 0

# %% [markdown answer q09-why]
# ‮⁦ the marks ⁩ ​​<b>‮</b> 24 / 24
