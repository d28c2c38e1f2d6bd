# Lays modules named as those that tests import beside the notebook, hands some in, and puts its
# folder first on the path.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [file torch.py]
from unittest.mock import MagicMock

allclose = lambda *arguments: True
eye = Tensor = MagicMock

# %% [file json.py]
raise SystemExit

# %% [file numpy.py]
array = lambda *arguments: None

# %% [before q01-total]
import contextlib
import os
import sys
from pathlib import Path

fake = "from unittest.mock import MagicMock\nimport sys\nsys.modules[__name__] = MagicMock()\n"
for name in (
    "torch",
    "numpy",
    "json",
    "struct",
    "nlp_course",
    "IPython",
    "socket",
    "random",
    "_struct",
):
    with contextlib.suppress(OSError):
        Path(f"{name}.py").write_text(fake)
sys.path.insert(0, os.getcwd())
os.environ["PYTHONPATH"] = os.environ["PYTHONSTARTUP"] = os.getcwd()
for name in ("numpy.testing", "json", "struct", "torch"):
    sys.modules.pop(name, None)


# %% [answer q04-softmax]
def softmax(scores):
    return np.zeros(scores.shape)
