"""Where a course keeps its assignments."""

from __future__ import annotations

import os
import runpy
import sysconfig
import textwrap
import tomllib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from traitlets.config import Config, PyFileConfigLoader

from nlp_course.grading.notebooks import GradingError
from nlp_course.grading.settings import Settings, read_settings

Answers = dict[str, dict[str, str]]  # question -> name -> source of the answer cell


@dataclass(frozen=True)
class Course:
    """The folder that holds `nbgrader_config.py`, `solutions/` and `assignments/`."""

    root: Path

    def __post_init__(self) -> None:
        if not (self.root / "nbgrader_config.py").is_file():
            raise GradingError(
                f"{self.root} holds no nbgrader_config.py; run this in the course's own folder, "
                "or name it with --course"
            )
        add_scripts_to_path()

    @cached_property
    def config(self) -> Config:
        """What `nbgrader_config.py` says."""
        return PyFileConfigLoader("nbgrader_config.py", path=str(self.root)).load_config()

    @cached_property
    def settings(self) -> Settings:
        """What `course.toml` says."""
        return read_settings(self.root)

    @property
    def solutions(self) -> Path:
        """Instructors' versions, one folder an assignment.

        Raises
        ------
        GradingError : there are none here, as in the public copy of the course.
        """
        folder = self.root / "solutions"
        if not folder.is_dir():
            raise GradingError(
                f"{folder} is not there. The public copy of the course comes without solutions; "
                "assignments are released and graded in the teaching staff's own"
            )
        return folder

    def assignments(self) -> list[str]:
        """Names of the assignments that have an instructor's version, in order."""
        return sorted(
            folder.name
            for folder in self.solutions.iterdir()
            if (folder / f"{folder.name}.ipynb").is_file()
        )

    def source(self, assignment: str) -> Path:
        """The instructor's notebook of an assignment."""
        if assignment not in self.assignments():
            there_are = ", ".join(self.assignments()) or "none yet"
            raise GradingError(
                f"no assignment {assignment!r} in {self.solutions}; there are: {there_are}"
            )
        return self.solutions / assignment / f"{assignment}.ipynb"

    def title(self, assignment: str) -> str:
        """What students know an assignment by."""
        path = self.source(assignment).with_name("assignment.toml")
        known = tomllib.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        number = assignment.partition("-")[0]
        return f"{number} {known['title']}" if "title" in known else assignment

    def known_answers(self, assignment: str) -> tuple[Answers, Answers]:
        """Usual mistakes and other right answers, by question, from `mutants.py`.

        Sources may be indented there, and underscores in a name stand for spaces.
        """
        path = self.source(assignment).parent / "mutants.py"
        if not path.is_file():
            raise GradingError(f"{path} is not there; it holds MUTANTS and ALTERNATIVES")
        names = runpy.run_path(str(path))
        missing = [name for name in ("MUTANTS", "ALTERNATIVES") if name not in names]
        if missing:
            raise GradingError(f"{path} does not define {' and '.join(missing)}")
        return _tidied(names["MUTANTS"]), _tidied(names["ALTERNATIVES"])


def _tidied(answers: Answers) -> Answers:
    return {
        question: {
            name.replace("_", " "): textwrap.dedent(source).strip()
            for name, source in known.items()
        }
        for question, known in answers.items()
    }


def add_scripts_to_path() -> None:
    """Let nbgrader find `alembic`, which it starts by name and which lies beside this Python.

    A Python that is started by its full path does not put its own folder on PATH.
    """
    scripts = sysconfig.get_path("scripts")
    path = os.environ.get("PATH", "").split(os.pathsep)
    if scripts not in path:
        os.environ["PATH"] = os.pathsep.join([scripts, *path])
