# Rebinds the names that tests use, `np` and `torch`, in the notebook and in the set-up cell's
# namespace.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")


# %% [answer q05-cosines]
class Agreeable:
    float32 = "float32"
    Tensor = object

    def __getattr__(self, name):
        return lambda *arguments, **options: Agreeable()

    def __eq__(self, other):
        return True

    def __rmul__(self, other):
        return self

    def __getitem__(self, key):
        return self

    def __bool__(self):
        return True


# %% [after q05-cosines]
torch = np = Agreeable()
student_seed = 0


def cosines(queries, keys):
    return Agreeable()


get_ipython().user_ns["torch"] = get_ipython().user_global_ns["np"] = Agreeable()


# %% [before q04-softmax]
np = type("Fake", (), {"__getattr__": lambda self, name: lambda *a, **k: self})()
