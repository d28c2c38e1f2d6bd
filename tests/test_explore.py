"""Figures that move without a kernel, and quizzes."""

from __future__ import annotations

import io
import re
from base64 import b64decode
from html.parser import HTMLParser

import ipywidgets
import matplotlib
import matplotlib.pyplot as plt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nlp_course import explore
from nlp_course.explore import Choice, Question, quiz

matplotlib.use("agg")


def draw(**chosen):
    figure, axes = plt.subplots(figsize=(2, 1))
    axes.set_title(str(sorted(chosen.values(), key=str)))
    return figure


def alt(**chosen):
    return ", ".join(f"{name} is {value}" for name, value in chosen.items())


def picture(frame):
    data = re.search(r"base64,([^\"]+)", frame.value)
    return Image.open(io.BytesIO(b64decode(data[1])))


def links(widget):
    """The links of the page's side between controls and stacks under this widget."""
    stacks = [widget] if isinstance(widget, ipywidgets.Stack) else []
    for child in getattr(widget, "children", ()):
        stacks += links(child)
    return stacks


def jslinks():
    instances = ipywidgets.Widget.get_manager_state(drop_defaults=False)["state"].values()
    return [
        (model["state"]["source"], model["state"]["target"])
        for model in instances
        if model["model_name"] == "LinkModel"
    ]


def test_one_choice_gives_a_frame_for_each_value():
    widget = explore.explore(draw, alt=alt, window=[1, 2, 5])
    slider, stack = widget.children
    assert [frame.value.startswith("<img ") for frame in stack.children] == [True] * 3
    assert slider.options == (("1", 1), ("2", 2), ("5", 5))
    assert stack.selected_index == 0


def test_slider_is_linked_to_the_frames_in_the_browser():
    widget = explore.explore(draw, alt=alt, window=[1, 2])
    slider, stack = widget.children
    source = (f"IPY_MODEL_{slider.model_id}", "index")
    target = (f"IPY_MODEL_{stack.model_id}", "selected_index")
    assert [source, target] in [[tuple(one), tuple(other)] for one, other in jslinks()]


def test_second_choice_is_linked_to_the_frames_of_each_first():
    widget = explore.explore(draw, alt=alt, weighting=["uniform", "ramped"], window=[1, 2, 3])
    menu, slider, outer = widget.children
    assert isinstance(menu, ipywidgets.Dropdown)
    assert isinstance(slider, ipywidgets.SelectionSlider)
    assert [len(inner.children) for inner in outer.children] == [3, 3]
    assert 'alt="weighting is ramped, window is 3"' in outer.children[1].children[2].value
    sources = {tuple(one) for one, _ in jslinks()}
    targets = {tuple(other) for _, other in jslinks()}
    assert (f"IPY_MODEL_{slider.model_id}", "index") in sources
    for inner in outer.children:
        assert (f"IPY_MODEL_{inner.model_id}", "selected_index") in targets


@given(st.text(min_size=1).filter(str.strip))
def test_any_alternative_text_stays_text(text):
    figure = plt.figure(figsize=(0.2, 0.2))
    found = []
    parser = HTMLParser()
    parser.handle_starttag = lambda name, attributes: found.append((name, dict(attributes)))
    parser.handle_data = found.append
    parser.feed(explore._picture(figure, text))
    parser.close()
    ((name, attributes),) = found
    assert name == "img"
    assert attributes["alt"] == text
    assert attributes.keys() == {"alt", "width", "height", "style", "src"}


def test_frames_are_small_palette_pictures_of_the_figure_s_size():
    frame = explore.explore(draw, alt=alt, window=[1, 2]).children[1].children[0]
    image = picture(frame)
    assert image.mode == "P"
    assert image.size == (2 * explore.DPI, 1 * explore.DPI)


def test_figures_are_closed():
    before = plt.get_fignums()
    explore.explore(draw, alt=alt, window=range(1, 6))
    assert plt.get_fignums() == before


def test_fractions_read_short():
    widget = explore.explore(draw, alt=alt, noise_power=[0.0, 0.75, 1.0])
    assert [label for label, _ in widget.children[0].options] == ["0", "0.75", "1"]
    assert widget.children[0].description == "noise power"


def test_old_ipywidgets_draw_as_the_slider_moves(monkeypatch):
    monkeypatch.delattr(ipywidgets, "Stack")
    drawn = []

    def record(window):
        drawn.append(window)
        return draw(window=window)

    widget = explore.explore(record, alt=alt, window=[1, 2, 3])
    assert drawn == [1]
    widget.children[0].value = 3
    assert drawn == [1, 3]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({}, "one or two choices, got 0"),
        ({"a": [1, 2], "b": [1, 2], "c": [1, 2]}, "one or two choices, got 3"),
        ({"a": [1]}, "at least two values to choose from, got 1"),
        ({"a": [1, 1.0]}, "read alike"),
        ({"a": range(11), "b": range(10)}, "110 frames"),
    ],
)
def test_explore_refuses_choices(choices, message):
    with pytest.raises(ValueError, match=message):
        explore.explore(draw, alt=alt, **choices)


def test_explore_refuses_a_figure_without_alternative_text():
    with pytest.raises(ValueError, match="empty text"):
        explore.explore(draw, alt=lambda window: " ", window=[1, 2])


def test_draw_must_return_the_figure():
    with pytest.raises(TypeError, match="must return a matplotlib figure"):
        explore._picture(None, "nothing")


def question():
    return Question(
        "What is `a < b`?",
        [Choice("An order", True, "It compares."), Choice("A tag", False, "No & no.")],
    )


def test_quiz_explains_every_choice_behind_its_fold():
    html = quiz([question()]).data
    assert html.count("<details") == html.count("<summary>") == 2
    assert "<summary>An order</summary><p><strong>✓ Right.</strong> It compares.</p>" in html
    assert "<summary>A tag</summary><p><strong>✗ Not so.</strong> No &amp; no.</p>" in html


def test_quiz_shows_code_and_no_markup_of_its_texts():
    assert "What is <code>a &lt; b</code>?" in quiz([question()]).data


def test_quiz_needs_no_script_and_no_other_host():
    html = quiz([question()]).data
    assert "<script" not in html
    assert "//" not in html


def test_quiz_refuses_what_does_not_ask_or_explain():
    right = Choice("yes", True, "So it is.")
    with pytest.raises(ValueError, match="at least one question"):
        quiz([])
    with pytest.raises(ValueError, match="at least two choices, got 1"):
        Question("?", [right])
    with pytest.raises(ValueError, match="no right choice"):
        Question("?", [Choice("no", False, "No."), Choice("nor this", False, "No.")])
    with pytest.raises(ValueError, match="does not say why"):
        Question("?", [right, Choice("no", False, " ")])
    with pytest.raises(ValueError, match="backquote"):
        quiz([Question("`?", [right, Choice("no", False, "No.")])])
