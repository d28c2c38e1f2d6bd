"""The picture that other sites show beside a link to the book: `python book/_ext/card.py`.

It is committed as `book/static/card.png`, so that a build draws nothing for it.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import yaml
from matplotlib.patches import Rectangle

from nlp_course.plots import COLOURS, use_style
from pages import BOOK, ROOT

CARD = BOOK / "static" / "card.png"
WIDTH, HEIGHT, DPI = 1200, 630, 100  # what most sites ask for


def main() -> None:
    """Draw the logo's two vectors and right angle, large, beside title and subject."""
    title = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["title"]
    use_style()
    figure = plt.figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, layout="none")
    ax = figure.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(0, HEIGHT))
    ax.axis("off")
    start, one, other = (90, 200), (270, 430), (340, 265)
    for end in (one, other):
        ax.plot(*zip(start, end, strict=True), color=COLOURS["blue"], linewidth=9, linestyle="-")
    ax.plot(*start, "o", color=COLOURS["blue"], markersize=34)
    ax.plot(*one, "o", color=COLOURS["vermilion"], markersize=34)
    ax.add_patch(
        Rectangle((other[0] - 26, other[1] - 26), 52, 52, color=COLOURS["green"], zorder=3)
    )
    ax.text(430, 380, title, fontsize=34, fontweight="bold", color=COLOURS["blue"])
    ax.text(430, 300, "From counting words to aligning\nlanguage models", fontsize=28, va="center")
    ax.text(430, 200, "Read it · run it · hand it in", fontsize=22, color="#444444")
    figure.savefig(CARD, dpi=DPI, pil_kwargs={"optimize": True})


if __name__ == "__main__":
    main()
