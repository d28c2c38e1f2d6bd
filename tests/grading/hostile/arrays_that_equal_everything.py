# A subclass of NumPy's array that takes over NumPy's functions and comparisons, and an object
# with `__array__` and `__array_ufunc__`.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q04-softmax]
class Same(np.ndarray):
    def __array_function__(self, function, types, arguments, options):
        return True

    def __array_ufunc__(self, function, method, *inputs, **options):
        return np.ones((2,), dtype=bool)

    __eq__ = lambda self, other: True


class Shifty:
    shape = (2,)
    dtype = np.dtype(float)
    __array_priority__ = 1e9

    def __array__(self, *arguments, **options):
        return np.zeros(2).view(Same)

    def __array_function__(self, *arguments):
        return True

    __array_ufunc__ = lambda self, *arguments, **options: True


def softmax(scores):
    return np.zeros(2).view(Same) if len(scores) == 2 else Shifty()
