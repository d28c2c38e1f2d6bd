"""Cards of terms, their index, and two languages written from the right, as a reader uses them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.browser

CHAPTER = "03-counting-contexts"  # its cards hold the most formulas


@pytest.fixture(scope="module")
def report(browse: Callable[..., dict]) -> dict:
    """What happened in headless Chromium."""
    return browse("visit_terms.mjs", f"{CHAPTER}.html")


def test_the_console_reports_no_error(report):
    assert [errors for name, errors in report.items() if name.startswith("errors") and errors] == []


def test_card_shows_under_the_pointer_and_stays_while_it_is_on_it(report):
    assert report["mouse"]["stays"] == 1
    # The term itself still leads to the glossary.
    assert f"{report['mouse']['target']} in the glossary" in report["mouse"]["text"]


def test_card_shows_by_keyboard_closes_by_escape_and_traps_no_focus(report):
    seen = report["keyboard"]
    assert " ".join(seen["text"].split()) == " ".join(seen["described"].split())
    assert seen["afterEscape"], "Escape moves the focus off the term"
    assert seen["inside"], "the Tab key does not lead from the term to its card"
    assert seen["still"] == 1, "the card closes as the focus enters it"
    assert seen["back"], "Escape in the card does not lead back to the term"
    assert seen["out"], "the Tab key does not lead out of the card"


def test_tap_shows_the_card_and_the_card_leads_to_the_glossary(report):
    assert report["touch"]["here"]


def test_every_card_fits_a_phone_and_can_be_read_in_both_themes(report):
    assert {card["theme"] for card in report["cards"]} == {"light", "dark"}
    assert len({card["text"] for card in report["cards"]}) == len(report["cards"]) / 2 > 10
    for card in report["cards"]:
        assert card["inside"], card
        assert not card["cut"], card
        assert card["overflow"] == 0, card
        assert card["contrast"] >= 4.5, card
        assert (card["ground"] > 0.5) == (card["theme"] == "light"), card


def test_formulas_of_cards_are_set_and_no_stops_of_the_tab_key(report):
    assert sum(card["formulas"] for card in report["cards"]) >= 6
    assert [card for card in report["cards"] if card["unset"] or card["stops"]] == []


def test_nothing_moves_for_who_asks_for_no_motion(report):
    # The theme's own parts do move: else this would prove nothing.
    assert report["motion"]["no-preference"] > 0
    assert report["motion"]["reduce"] == 0


def test_persian_and_hebrew_are_set_from_the_right_within_a_phone_s_width(report):
    seen = report["translations"]
    assert seen["cells"] > 500
    assert seen["wrong"] == []
    assert seen["narrow"] == []
    assert seen["scrolls"] == 0
    assert seen["overflow"] == 0


def test_letters_of_the_index_lead_to_their_terms_and_these_to_their_paragraphs(report):
    seen = report["index"]
    assert 0 <= seen["top"] < 200
    assert seen["overflow"] == 0
    assert seen["use"]["tag"] == "P"
    assert seen["use"]["terms"] > 0
