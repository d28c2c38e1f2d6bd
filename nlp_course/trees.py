"""Parse trees: how many a grammar gives a sentence, and a drawing of one.

Grammars and trees are NLTK's (`nltk.CFG`, `nltk.Tree`), and so is the parser that finds the trees.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from graphlib import CycleError, TopologicalSorter
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from nlp_course.plots import COLOURS

Grammar = Any  # nltk.grammar.CFG
Tree = Any  # nltk.tree.Tree


def count_parses(grammar: Grammar, tokens: Sequence[str]) -> int:
    """How many trees the grammar gives the sentence, without building one of them.

    ways(A, i, j) = Σ over rules A → B C … of Σ over the split points of the product of the parts'
    ways, where i and j are the ends of a run of words. Each is computed once, so the time grows
    with the cube of the sentence's length while the number of trees grows exponentially.

    Parameters
    ----------
    grammar : context-free; its start symbol is the sentence's
    tokens : at most a few hundred

    Returns
    -------
    The number; 0 where the grammar does not have the sentence.

    Raises
    ------
    ValueError : a rule has an empty right side, or rules with one symbol on the right go round in a
        circle (A → B, B → A), which would give infinitely many trees.

    References
    ----------
    Church and Patil 1982, Coping with Syntactic Ambiguity.

    Examples
    --------
    >>> from nltk import CFG
    >>> count_parses(CFG.fromstring("N -> N N | 'tea' | 'pot' | 'lid'"), ["tea", "pot", "lid"])
    2
    """
    units: dict[Any, set[Any]] = {}
    for rule in grammar.productions():
        if not rule.rhs():
            raise ValueError(f"the rule {rule} has an empty right side; only words fill a place")
        if len(rule.rhs()) == 1:
            units.setdefault(rule.lhs(), set()).add(rule.rhs()[0])
    try:
        TopologicalSorter(units).prepare()
    except CycleError as error:
        circle = " → ".join(map(str, reversed(error.args[1])))
        raise ValueError(f"rules go round in a circle: {circle}") from error
    words = tuple(tokens)

    @cache
    def of_symbol(symbol: Any, start: int, end: int) -> int:
        if isinstance(symbol, str):
            return int(end == start + 1 and words[start] == symbol)
        return sum(of_run(rule.rhs(), start, end) for rule in grammar.productions(lhs=symbol))

    @cache
    def of_run(symbols: tuple[Any, ...], start: int, end: int) -> int:
        first, *rest = symbols
        if not rest:
            return of_symbol(first, start, end)
        # Each symbol of the rest takes a word at least: spans shrink, so left recursion ends.
        return sum(
            of_symbol(first, start, middle) * of_run(tuple(rest), middle, end)
            for middle in range(start + 1, end - len(rest) + 1)
        )

    return of_symbol(grammar.start(), 0, len(words)) if words else 0


def draw_tree(tree: Tree, ax: Axes | None = None, marked: str | None = None) -> Axes:
    """A parse tree with its words on one line at the bottom, each node above its own.

    Parameters
    ----------
    tree : from a parser or `nltk.Tree.fromstring`
    ax : axes to draw in; None makes a figure
    marked : a label; phrases that have it are drawn in colour, framed, with thick lines

    Returns
    -------
    The axes, without frame and scale.

    Raises
    ------
    ValueError : the tree has no words.
    """
    leaves = tree.leaves()
    if not leaves:
        raise ValueError("the tree has no words to draw")
    axes = plt.subplots()[1] if ax is None else ax
    # Letters make the width: a long word needs more room than a short one, none less than three.
    widths = [max(len(str(leaf)), 3) + 1.5 for leaf in leaves]
    places = iter([sum(widths[:i]) + widths[i] / 2 for i in range(len(widths))])
    bottom = 1 - tree.height()

    def draw(node: Any, depth: int, inside: bool) -> float:
        """Draw what is below the node, then the node; returns its x."""
        if isinstance(node, str):
            x = next(places)
            axes.text(x, bottom, node, ha="center", va="center", style="italic", fontsize=14)
            return x
        coloured = inside or node.label() == marked
        colour = COLOURS["vermilion"] if coloured else "black"
        # All of a node's children first: its place is the middle of theirs.
        ends = [(draw(child, depth + 1, coloured), child) for child in node]
        x = (ends[0][0] + ends[-1][0]) / 2
        for below, child in ends:
            y = bottom if isinstance(child, str) else -(depth + 1)
            axes.plot(
                [x, below],
                [-depth - 0.22, y + 0.25],
                color=colour,
                linestyle="-",
                linewidth=2.2 if coloured else 1.2,
            )
        frame = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": colour}
        axes.text(
            x,
            -depth,
            node.label(),
            ha="center",
            va="center",
            color=colour,
            fontsize=13,
            bbox=frame if node.label() == marked else None,
        )
        return x

    draw(tree, 0, False)
    axes.set(xlim=(0, sum(widths)), ylim=(bottom - 0.4, 0.4))
    axes.axis("off")
    return axes
