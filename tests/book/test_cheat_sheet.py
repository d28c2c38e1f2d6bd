"""The cheat sheet: each formula with what computes it, each function beside a formula on it."""

from __future__ import annotations

import importlib
import re
import sys
from operator import attrgetter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))

cheat_sheet = pytest.importorskip("cheat_sheet")

ROWS = cheat_sheet.table()
NAMED = sorted({name for row in ROWS for name in row.get("functions", ())})
ROLE = re.compile(r"\{py:(?:func|class|meth)\}`~nlp_course\.([\w.]+)`")


def test_the_page_is_what_the_table_makes():
    written = cheat_sheet.PAGE.read_text(encoding="utf-8")
    assert written == cheat_sheet.sheet(ROWS), "run `python book/_ext/cheat_sheet.py`"


@pytest.mark.parametrize("name", NAMED)
def test_what_a_row_names_is_there(name):
    parts = name.split(".")
    for size in range(len(parts) - 1, 0, -1):
        try:
            module = importlib.import_module(".".join(["nlp_course", *parts[:size]]))
        except ModuleNotFoundError:
            continue
        assert callable(attrgetter(".".join(parts[size:]))(module))
        return
    pytest.fail(f"nlp_course has no {name}")


@pytest.mark.parametrize("row", ROWS, ids=[row["label"] for row in ROWS])
def test_a_name_is_short_and_says_what_the_formula_is(row):
    assert 1 <= len(row["name"].split()) <= 8
    assert row["name"] == row["name"].strip(". ")
    assert row.get("cell", True) is True
    assert row.get("functions", [""]), "a list of functions that is empty: say `cell = true`"


def test_a_function_that_a_page_names_with_its_formula_is_in_the_row():
    """Sentences such as "{py:func}`f` is {eq}`label`" or "{eq}`label` ({py:func}`f`)"."""
    named = {one["label"]: one.get("functions", ()) for one in ROWS}
    said = []
    for page in sorted({one.page for one in cheat_sheet.equations()}):
        text = (cheat_sheet.BOOK / f"{page}.md").read_text(encoding="utf-8")
        before = re.findall(ROLE.pattern + r" (?:is|computes|gives) \{eq\}`([\w-]+)`", text)
        after = re.findall(r"\{eq\}`([\w-]+)` \(" + ROLE.pattern, text)
        said += [(label, name) for name, label in before] + after
    assert said
    assert [(label, name) for label, name in said if name not in named[label]] == []


@pytest.mark.parametrize(
    "broken",
    [
        '[[formula]]\nlabel = "eq-x"\nname = "X"\n',
        '[[formula]]\nlabel = "eq-x"\nname = "X"\ncell = true\nfunctions = ["a.b"]\n',
        '[[formula]]\nlabel = "eq-x"\nname = "X"\ncell = true\n',
    ],
)
def test_a_formula_without_code_or_a_row_without_formula_is_refused(broken, tmp_path, monkeypatch):
    path = tmp_path / "formulas.toml"
    path.write_text(broken, encoding="utf-8")
    monkeypatch.setattr(cheat_sheet, "TABLE", path)
    with pytest.raises(ValueError, match=r"formulas\.toml"):
        cheat_sheet.table()
