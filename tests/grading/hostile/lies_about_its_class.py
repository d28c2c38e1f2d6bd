# Objects that say they are lists and tensors: `__class__`, a metaclass with `__instancecheck__`,
# registered and invented base classes.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q03-ranks]
class Meta(type):
    __instancecheck__ = __subclasscheck__ = lambda cls, other: True
    __eq__ = lambda cls, other: True
    __hash__ = type.__hash__


class Pretend(metaclass=Meta):
    __class__ = list

    def __eq__(self, other):
        return True

    __hash__ = None


def ranks(values):
    return Pretend()


# %% [answer q05-cosines]
class Wide(metaclass=Meta):
    __class__ = torch.Tensor
    __mro__ = (torch.Tensor, object)
    shape = (3, 5)
    dtype = torch.float32
    __module__ = "torch"
    __qualname__ = "Tensor"
    __torch_function__ = classmethod(lambda cls, *arguments, **options: True)


Wide.__name__ = "Tensor"


def cosines(queries, keys):
    return Wide()
