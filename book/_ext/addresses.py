"""Where the course is on the web: each address follows from the repository's in `_config.yml`."""

from __future__ import annotations

from typing import Any, NamedTuple

import yaml

from pages import ROOT


class Addresses(NamedTuple):
    """Addresses of the published course.

    repository : on GitHub
    branch : that of the sources
    notebook_branch : that of what is built for Colab to open
    """

    repository: str
    branch: str = "main"
    notebook_branch: str = "notebooks"

    @property
    def project(self) -> str:
        """The repository's owner and name, as in `owner/name`."""
        return "/".join(self.repository.removesuffix("/").split("/")[-2:])

    @property
    def site(self) -> str:
        """The published book: GitHub's Pages."""
        owner, name = self.project.split("/")
        return f"https://{owner}.github.io/{name}/"

    @property
    def files(self) -> str:
        """Below it lie the source files as they are, of all branches."""
        return f"https://raw.githubusercontent.com/{self.project}/"

    @property
    def colab(self) -> str:
        """Below it Colab opens the published notebooks."""
        return (
            f"https://colab.research.google.com/github/{self.project}/blob/{self.notebook_branch}/"
        )

    def assignment(self, name: str) -> str:
        """An assignment's notebook in Colab."""
        return f"{self.colab}assignments/{name}/{name}.ipynb"


def of(config: dict[str, Any]) -> Addresses:
    """The addresses that follow from a course's `_config.yml`."""
    repository = config["repository"]
    notebook_branch = config["sphinx"]["config"]["course_notebook_branch"]
    return Addresses(repository["url"], repository["branch"], notebook_branch)


def configured() -> Addresses:
    """The addresses that `_config.yml` says."""
    return of(yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8")))
