"""Figures, equations and exercises numbered within their chapter."""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def number_by_chapter(_app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Number figures, equations and exercises within their chapter: 3.1, 3.2 in 03-….md.

    Sphinx counts them through the book, so a chapter put in front would change all numbers.
    """
    env.course_sphinx_numbers = env.toc_fignumbers  # type: ignore[attr-defined]
    env.toc_fignumbers = {
        page: {kind: _in_chapter(page, numbers) for kind, numbers in kinds.items()}
        for page, kinds in env.toc_fignumbers.items()
    }
    return []


def _in_chapter(page: str, numbers: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    chapter = re.match(r"\d+", page)
    if chapter is None:
        return numbers
    return {name: (int(chapter[0]), count) for count, name in enumerate(numbers, start=1)}


def number_as_sphinx(_app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Give Sphinx its own numbers back: it writes the pages anew that have others than before."""
    env.toc_fignumbers = getattr(env, "course_sphinx_numbers", env.toc_fignumbers)
    return []


def setup(app: Sphinx) -> dict[str, Any]:
    # Sphinx numbers at the usual priority, 500.
    app.connect("env-get-updated", number_as_sphinx, priority=400)
    app.connect("env-get-updated", number_by_chapter, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True, "env_version": 1}
