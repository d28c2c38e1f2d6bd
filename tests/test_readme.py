"""The README and its neighbours: what they point at is there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(r"\]\((?!https?:)(?P<path>[^)#]+)")


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_relative_links_and_pictures_are_there(name: str):
    text = (ROOT / name).read_text(encoding="utf-8")
    missing = [link["path"] for link in LINK.finditer(text) if not (ROOT / link["path"]).exists()]
    assert not missing


def test_make_targets_that_are_named_are_there():
    named = set()
    for name in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        named |= set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", text, flags=re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert {one or other for one, other in named} <= targets
    assert ("course", "") in named


def test_the_citation_names_this_version_and_address():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    page = (ROOT / "book" / "bibliography.md").read_text(encoding="utf-8")
    assert citation["version"] == project["version"]
    assert citation["title"] == config["title"]
    assert citation["repository-code"] == config["repository"]["url"]
    for said in (citation["title"], citation["version"], citation["url"]):
        assert said in page
