# Puts its own modules into sys.modules, sys.meta_path and sys.path_hooks, for tests to import.
# gains: nothing
# stock: runs
# ruff: noqa
raise SystemExit("a hostile notebook: tests/grading/hostile/README.md")

# %% [answer q04-softmax]
import importlib.abc
import importlib.machinery
import sys
import types
from unittest.mock import MagicMock


class Everything(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return MagicMock(name=spec.name)

    def exec_module(self, module):
        module.allclose = lambda *arguments, **options: True


sys.meta_path.insert(0, Everything())
sys.path_hooks.insert(0, lambda path: Everything())
sys.path_importer_cache.clear()
fake = types.ModuleType("numpy.testing")
fake.assert_allclose = lambda *arguments, **options: None
sys.modules["numpy.testing"] = np.testing = fake


def softmax(scores):
    return np.zeros(2)
