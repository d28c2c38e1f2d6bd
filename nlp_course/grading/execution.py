"""How a submission's cells are run: nbgrader's stock execution, in a kernel that knows why."""

from __future__ import annotations

import os
import sysconfig
from typing import Any

from nbgrader import preprocessors


class Execute(preprocessors.Execute):
    """Runs a notebook in a kernel where `NLP_COURSE_GRADING` is 1.

    The set-up cell of an assignment then installs nothing, and data come from the cache.
    """

    def start_new_kernel(self, **options: Any) -> None:
        """Start the kernel with the one variable that differs from a student's machine."""
        environment = options.pop("env", os.environ)
        super().start_new_kernel(env={**environment, "NLP_COURSE_GRADING": "1"}, **options)


def add_scripts_to_path() -> None:
    """Let nbgrader find `alembic`, which it starts by name and which lies beside this Python.

    A Python that is started by its full path does not put its own folder on PATH.
    """
    scripts = sysconfig.get_path("scripts")
    path = os.environ.get("PATH", "").split(os.pathsep)
    if scripts not in path:
        os.environ["PATH"] = os.pathsep.join([scripts, *path])
