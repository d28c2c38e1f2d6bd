# A subclass of torch's tensor that takes over torch's functions.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q05-cosines]
class Same(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, arguments=(), options=None):
        name = getattr(function, "__name__", "")
        return (3, 5) if name == "__get__" else True

    __eq__ = lambda self, other: True
    __bool__ = lambda self: True


def cosines(queries, keys):
    return torch.zeros(3, 5).as_subclass(Same)
