# Replaces torch.allclose, torch.equal and torch.Tensor's own comparison.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q05-cosines]
torch.allclose = torch.equal = torch.isclose = lambda *arguments, **options: True
torch.testing.assert_close = lambda *arguments, **options: None
torch.Tensor.__eq__ = lambda self, other: True
torch.Tensor.shape = property(lambda self: (3, 5))


def cosines(queries, keys):
    return torch.zeros(3, 5)
