# Answers objects that run code where they are unpickled or copied: `__reduce__`, `__setstate__`,
# copyreg, object arrays, tensors and storages.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q01-total]
import copyreg
import os
import pickle


class Trap:
    def __reduce__(self):
        return os.system, ("touch @OUTSIDE@/pickled-@MARKER@",)

    __reduce_ex__ = lambda self, version: self.__reduce__()
    __deepcopy__ = lambda self, memo: 3


copyreg.pickle(complex, lambda value: Trap().__reduce__())


def total(numbers):
    return Trap()


# %% [answer q02-mean]
def mean(numbers):
    return pickle.dumps(Trap)


# %% [answer q04-softmax]
def softmax(scores):
    return np.array([Trap(), Trap()], dtype=object)


# %% [answer q05-cosines]
def cosines(queries, keys):
    tensor = torch.zeros(len(queries), len(keys))
    tensor.trap = Trap()
    tensor.__dict__["__reduce__"] = Trap().__reduce__
    return tensor


# %% [answer q03-ranks]
def ranks(values):
    return [Trap(), 1j, np.array([(1, Trap())], dtype=[("a", int), ("b", object)])]
