# Answers an object whose array lies, as it says, at address 8, and a tensor and array that end
# before they begin.
# gains: nothing
# stock: runs
# may keep: q02-mean
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q04-softmax]
class Nowhere:
    __array_interface__ = {"shape": (2,), "typestr": "<f8", "version": 3, "data": (8, False)}


def softmax(scores):
    return Nowhere()


# %% [answer q05-cosines]
def cosines(queries, keys):
    return torch.empty(1).as_strided((2, 2), (0, 0))


# %% [answer q03-ranks]
def ranks(values):
    return np.lib.stride_tricks.as_strided(np.zeros(1), (3,), (1 << 30,))
