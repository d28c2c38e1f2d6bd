"""Figures that move in a page without a kernel, and quizzes that explain every answer.

`explore` draws a figure once for every value of a choice and ties the pictures to a slider in the
reader's browser, so it moves in the published page as in a notebook. `quiz` is plain HTML: each
choice folds open to say why it is right or wrong.
"""

from __future__ import annotations

import io
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from math import prod
from typing import Any

import ipywidgets
import matplotlib.pyplot as plt
from IPython.display import HTML, display
from matplotlib.figure import Figure
from PIL import Image

MOST_FRAMES = 100
DPI = 150
# Flat colours and antialiased letters need no more, and the picture shrinks to a third.
PALETTE = 128


def explore(
    draw: Callable[..., Figure], *, alt: Callable[..., str], **choices: Sequence[Any]
) -> ipywidgets.Widget:
    """A figure with a slider or a menu for each choice.

    Every frame is drawn now, so that the figure moves where no Python runs. Where ipywidgets is
    older than 8 (Colab), a frame is drawn when the slider reaches it.

    Parameters
    ----------
    draw : makes the figure for one value of each choice: ``draw(window=2)``
    alt : says what that figure shows to someone who cannot see it: ``alt(window=2)``
    choices : one or two names with their values, in order. Numbers make a slider, texts a menu;
        the name labels it, with spaces for underscores.

    Returns
    -------
    The widget, to be the last line of a cell.

    Raises
    ------
    ValueError : no choice or more than two, fewer than two values, values that read alike, more
        than 100 frames, or an empty text alternative.
    TypeError : draw returns something else than a figure.
    """
    if not 1 <= len(choices) <= 2:
        raise ValueError(f"explore takes one or two choices, got {len(choices)}")
    options = {name: _options(name, values) for name, values in choices.items()}
    frames = prod(len(values) for values in options.values())
    if frames > MOST_FRAMES:
        raise ValueError(
            f"{frames} frames make a page too heavy, at most {MOST_FRAMES} are allowed: "
            f"give fewer values of {' or '.join(options)}"
        )

    def picture(**chosen: Any) -> str:
        return _picture(draw(**chosen), alt(**chosen))

    controls = {name: _control(name, values) for name, values in options.items()}
    if not hasattr(ipywidgets, "Stack"):
        return _live(picture, controls)
    return ipywidgets.VBox([*controls.values(), _stack(picture, options, controls)])


def _options(name: str, values: Sequence[Any]) -> dict[str, Any]:
    """What each value reads as, and the value."""
    labels = [f"{value:g}" if isinstance(value, float) else str(value) for value in values]
    if len(labels) < 2:
        raise ValueError(f"{name} needs at least two values to choose from, got {len(labels)}")
    if len(set(labels)) < len(labels):
        raise ValueError(f"{name} has values that read alike: {', '.join(labels)}")
    return dict(zip(labels, values, strict=True))


def _control(name: str, options: dict[str, Any]) -> ipywidgets.Widget:
    texts = all(isinstance(value, str) for value in options.values())
    kind = ipywidgets.Dropdown if texts else ipywidgets.SelectionSlider
    return kind(
        options=list(options.items()),
        description=name.replace("_", " "),
        style={"description_width": "initial"},
        layout={"width": "100%", "max_width": "30em"},
    )


def _stack(
    picture: Callable[..., str],
    options: dict[str, dict[str, Any]],
    controls: dict[str, ipywidgets.Widget],
    **chosen: Any,
) -> ipywidgets.Widget:
    """Frames for all values of the first choice that is still open, one of them shown."""
    if not options:
        return ipywidgets.HTML(picture(**chosen))
    (name, values), *rest = options.items()
    children = [
        _stack(picture, dict(rest), controls, **chosen, **{name: value})
        for value in values.values()
    ]
    stack = ipywidgets.Stack(children=children, selected_index=0)
    ipywidgets.jslink((controls[name], "index"), (stack, "selected_index"))
    return stack


def _live(picture: Callable[..., str], controls: dict[str, ipywidgets.Widget]) -> ipywidgets.Widget:
    def show(**chosen: Any) -> None:
        display(HTML(picture(**chosen)))

    return ipywidgets.VBox([*controls.values(), ipywidgets.interactive_output(show, controls)])


def _picture(figure: object, alt: str) -> str:
    """The figure as an HTML image with its text alternative; the figure is closed."""
    if not isinstance(figure, Figure):
        raise TypeError(f"draw must return a matplotlib figure, it returned {figure!r}")
    if not alt.strip():
        raise ValueError("alt returned an empty text: say what the figure shows")
    drawn, packed = io.BytesIO(), io.BytesIO()
    # Packed well below; here only to get the pixels.
    quick = {"compress_level": 0}
    figure.savefig(drawn, format="png", dpi=DPI, facecolor="white", pil_kwargs=quick)
    plt.close(figure)
    image = Image.open(drawn).convert("RGB")
    image.quantize(PALETTE, dither=Image.Dither.NONE).save(packed, "PNG", optimize=True)
    width, height = image.size
    return (
        f'<img alt="{escape(alt)}" width="{width}" height="{height}"'
        ' style="max-width:100%;height:auto;background:white"'
        f' src="data:image/png;base64,{b64encode(packed.getvalue()).decode()}">'
    )


@dataclass(frozen=True)
class Choice:
    """One answer to a quiz question.

    Parameters
    ----------
    text : the answer
    correct : whether it is right
    why : what the reader is told who opens it
    """

    text: str
    correct: bool
    why: str


@dataclass(frozen=True)
class Question:
    """A quiz question with its choices.

    Parameters
    ----------
    text : the question
    choices : two or more, at least one of them right

    Raises
    ------
    ValueError : fewer than two choices, none right, or one without its explanation.
    """

    text: str
    choices: Sequence[Choice]

    def __post_init__(self) -> None:
        if len(self.choices) < 2:
            raise ValueError(f"{self.text!r} needs at least two choices, got {len(self.choices)}")
        if not any(choice.correct for choice in self.choices):
            raise ValueError(f"{self.text!r} has no right choice")
        for choice in self.choices:
            if not choice.why.strip():
                raise ValueError(f"choice {choice.text!r} of {self.text!r} does not say why")


def quiz(questions: Sequence[Question]) -> HTML:
    """Questions whose choices fold open to say whether they are right, and why.

    Plain HTML: works in a page, in a notebook, by keyboard, and without scripts. Texts may hold
    `code` between backquotes; for mathematics write Unicode letters, which every notebook shows.

    Parameters
    ----------
    questions : in order

    Returns
    -------
    The quiz, to be the last line of a cell.

    Raises
    ------
    ValueError : there are no questions.
    """
    if not questions:
        raise ValueError("a quiz needs at least one question")
    items = "".join(f"<li>{_question(question)}</li>" for question in questions)
    return HTML(f'<div class="quiz">{STYLE}<ol>{items}</ol></div>')


# Colours that keep a contrast of 4.5 on white and on dark grey; the verdict is also a word.
STYLE = (
    "<style>"
    ".quiz details{border:1px solid #80808080;border-radius:6px;margin:.4em 0;padding:.4em .8em}"
    ".quiz summary{cursor:pointer}"
    ".quiz details[open]{border-left:6px solid #c2410c}"
    ".quiz details.right[open]{border-left-color:#15803d}"
    ".quiz p{margin:.4em 0 0}"
    ".quiz li{margin-bottom:1em}"
    "</style>"
)


def _question(question: Question) -> str:
    choices = "".join(
        f"<details{' class=right' if choice.correct else ''}>"
        f"<summary>{_marked(choice.text)}</summary>"
        f"<p><strong>{'✓ Right.' if choice.correct else '✗ Not so.'}</strong> "
        f"{_marked(choice.why)}</p></details>"
        for choice in question.choices
    )
    return f"{_marked(question.text)}{choices}"


def _marked(text: str) -> str:
    """Escaped, with what stands between backquotes as code."""
    parts = escape(text).split("`")
    if len(parts) % 2 == 0:
        raise ValueError(f"a backquote is not closed in {text!r}")
    return "".join(
        f"<code>{part}</code>" if number % 2 else part for number, part in enumerate(parts)
    )
