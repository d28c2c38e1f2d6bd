"""Readers in headless Chromium: they search, change the theme, move a slider, press the Tab key."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = sorted(path.stem for path in (ROOT / "book").glob("[0-9][0-9]-*.md"))
COLAB = "https://colab.research.google.com/github/"


@pytest.fixture(scope="module")
def used(browse: Callable[..., Any]) -> dict[str, Any]:
    """What came of each use; the script's names are the keys."""
    return browse("use.mjs")


def test_search_finds_the_chapter_and_opens_it(used):
    pages = [href.split("#")[0] for href in used["search"]["found"]]
    assert "04-word2vec.html" in pages[:3]
    assert used["search"]["opened"].startswith("4 · word2vec")


def test_the_theme_switches_and_the_next_page_remembers(used):
    first, *rest = used["theme"]
    assert (first["mode"], first["theme"]) == ("auto", "dark")  # what the system asks for
    for chosen, remembered in zip(rest[::2], rest[1::2], strict=True):
        assert chosen == remembered
    assert {state["mode"] for state in rest} == {"light", "dark", "auto"}
    grounds = {(state["theme"], state["ground"]) for state in used["theme"]}
    assert len(grounds) == len({ground for _theme, ground in grounds}) == 2


def test_a_slider_moves_by_mouse_and_by_keyboard(used):
    first, dragged, home, right, left = used["widget"]["seen"]
    assert home == left == first
    assert len({first, dragged, right}) == 3
    label, value = used["widget"]["said"]
    assert label
    assert value


def test_formulas_are_drawn_for_eyes_and_written_for_ears(used):
    formulas = used["formulas"]
    assert formulas["set"] == formulas["spoken"] == formulas["hidden"] > 100
    assert formulas["high"] > 10
    assert formulas["stops"] == 0


def test_a_choice_of_the_quiz_says_whether_it_is_right_and_why(used):
    quiz = used["answers"]["quiz"]
    assert sum(said.startswith("✓") for said in quiz) == 1
    assert all(re.match(r"(✓ Right\.|✗ Not so\.) \w+ \w+", said) for said in quiz)


def test_answers_and_hidden_code_fold_out(used):
    states = used["answers"]["states"]
    assert [state["shown"] for state in states] == [False, True, False]
    assert [state["expanded"] for state in states] == ["false", "true", "false"]
    assert used["answers"]["code"]


def test_code_is_copied_by_keyboard(used):
    assert used["copy"]["copied"].strip() == used["copy"]["code"].strip() != ""


def test_the_colab_button_opens_its_menu_by_keyboard(used):
    assert used["colab"].endswith("/notebooks/04-word2vec.ipynb")


@pytest.mark.parametrize("page", CHAPTERS)
def test_links_to_colab_lead_to_notebooks_that_are_there(built, page):
    text = (built / f"{page}.html").read_text(encoding="utf-8")
    links = BeautifulSoup(text, "lxml").find_all("a", href=re.compile(f"^{COLAB}"))
    # Owner, project, "blob" and the branch come before the notebook's place in the repository.
    paths = {link["href"].removeprefix(COLAB).split("/", 4)[4] for link in links}
    assert f"notebooks/{page}.ipynb" in paths
    assert [path for path in paths if not (ROOT / path).is_file()] == []


def test_the_contents_open_on_a_phone_by_keyboard_and_by_finger(used):
    closed, opened, closed_again = used["sidebar"]["states"]
    assert not closed["open"]
    assert not closed_again["open"]
    assert opened == {"open": True, "inside": True}
    assert used["sidebar"]["followed"].startswith("Glossary")


def test_the_first_key_skips_to_the_text(used):
    assert used["skip"] == {"text": "Skip to main content", "shown": True, "inside": True}


def test_the_tab_key_meets_everything_and_shows_where_it_is(used):
    for path, walk in used["tab"].items():
        assert walk["all"] > 60, path
        assert walk["unmet"] == [], path
        assert walk["bare"] == [], path


def test_nothing_is_lost_in_letters_twice_as_large(used):
    for path, seen in used["large"].items():
        assert seen == {"overflow": 0, "cut": []}, path


def test_nothing_moves_for_who_asks_for_stillness(used):
    assert used["still"]
    for path, moving in used["still"].items():
        assert moving == [], path


def test_words_written_from_right_to_left_are_set_so(used):
    cells = used["rightToLeft"]
    assert {cell["lang"] for cell in cells} == {"fa", "he"}
    for cell in cells:
        assert cell["dir"] == cell["direction"] == "rtl", cell
        assert cell["textAlign"] in {"right", "start", "-webkit-right"}, cell
        assert cell["inner"] < 24, cell


def test_no_use_upsets_the_console_or_the_server(used):
    assert used["errors"] == []
