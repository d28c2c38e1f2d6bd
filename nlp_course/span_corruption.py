"""T5's span corruption: spans of a text give way to sentinels, and a decoder writes the spans.

A span is (start, stop): the tokens start … stop − 1. Sentinels are ids that no text has, in the
order in which they are used: T5's <extra_id_0>, <extra_id_1>, …, the <X>, <Y>, <Z> of its paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Int

from nlp_course.masking import check_rate

Span: TypeAlias = tuple[int, int]


class Denoised(NamedTuple):
    """What an encoder reads, and what the decoder is to write."""

    inputs: Int[np.ndarray, "_"]
    targets: Int[np.ndarray, "_"]


class Denoiser(NamedTuple):
    """A way to hide a text's tokens.

    kind : UL2's "R" (regular), "S" (sequential) or "X" (extreme)
    rate : share of the tokens that is hidden
    mean_length : tokens of a span; None hides one span, the end of the text, as prefix models do
    """

    kind: str
    rate: float
    mean_length: float | int | None


# The seven denoisers of UL2: table 1 of Tay et al. 2023.
UL2 = (
    Denoiser("R", 0.15, 3),
    Denoiser("R", 0.15, 8),
    Denoiser("S", 0.25, None),
    Denoiser("X", 0.5, 3),
    Denoiser("X", 0.5, 8),
    Denoiser("X", 0.15, 64),
    Denoiser("X", 0.5, 64),
)


def corrupt(ids: Int[np.ndarray, "_"], spans: Sequence[Span], sentinels: Sequence[int]) -> Denoised:
    """Put a sentinel where each span was; the spans, each after its sentinel, are the targets.

    One more sentinel ends the targets.

    Parameters
    ----------
    ids : a text
    spans : in order, none over another
    sentinels : at least one more than there are spans

    Raises
    ------
    ValueError : no tokens, spans that are empty, out of order, over one another or outside of the
        text, too few sentinels, or one that is in the text.

    References
    ----------
    Raffel et al. 2020, Exploring the Limits of Transfer Learning with a Unified Text-to-Text
    Transformer, figure 2.

    Examples
    --------
    >>> words = "Thank you for inviting me to your party last week . <X> <Y> <Z>".split()
    >>> inputs, targets = corrupt(np.arange(11), [(2, 4), (8, 9)], sentinels=[11, 12, 13])
    >>> " ".join(words[i] for i in inputs)
    'Thank you <X> me to your party <Y> week .'
    >>> " ".join(words[i] for i in targets)
    '<X> for inviting <Y> last <Z>'
    """
    if not len(ids):
        raise ValueError("a text without tokens cannot be corrupted")
    if any(start >= stop for start, stop in spans):
        raise ValueError(f"each span must have a token, got {list(spans)}")
    edges = [0, *(edge for span in spans for edge in span), len(ids)]
    if any(left > right for left, right in pairwise(edges)):
        raise ValueError(
            f"spans must be in order, apart, and within {len(ids)} tokens, got {list(spans)}"
        )
    if len(sentinels) <= len(spans):
        raise ValueError(
            f"{len(spans)} spans need {len(spans) + 1} sentinels, one each and one at the end; "
            f"got {len(sentinels)}"
        )
    marks = np.array(sentinels[: len(spans) + 1], dtype=np.int64)[:, None]
    if np.any(ids == marks):
        raise ValueError("the text has a sentinel in it: sentinels must be ids that no text has")
    pieces = [ids[left:right] for left, right in pairwise(edges)]  # what stays, a span, what stays
    inputs, targets = [pieces[0]], []
    for mark, span, after in zip(marks[:-1], pieces[1::2], pieces[2::2], strict=True):
        inputs += [mark, after]
        targets += [mark, span]
    return Denoised(np.concatenate(inputs), np.concatenate([*targets, marks[-1]]))


def restore(
    inputs: Int[np.ndarray, "_"], targets: Int[np.ndarray, "_"], sentinels: Sequence[int]
) -> Int[np.ndarray, "_"]:
    """The text that `corrupt` made these of: each sentinel of the inputs gives way to its span.

    Raises
    ------
    ValueError : the inputs' sentinels are not the first ones in order, or the targets' not these
        and one more; or the targets do not begin and end with one.

    Examples
    --------
    >>> restore(np.array([5, 90, 8]), np.array([90, 6, 7, 91]), sentinels=[90, 91, 92])
    array([5, 6, 7, 8])
    """
    gaps = np.flatnonzero(np.isin(inputs, sentinels))
    marks = np.flatnonzero(np.isin(targets, sentinels))
    expected = list(sentinels[: len(gaps) + 1])
    if inputs[gaps].tolist() != expected[: len(gaps)]:
        raise ValueError(
            f"the inputs' sentinels must be {expected[: len(gaps)]}, got {inputs[gaps].tolist()}"
        )
    if targets[marks].tolist() != expected or len(expected) != len(gaps) + 1:
        raise ValueError(
            f"the targets' sentinels must be {expected}, got {targets[marks].tolist()}"
        )
    if marks[0] != 0 or marks[-1] != len(targets) - 1:
        raise ValueError("targets must begin and end with a sentinel")
    spans = [targets[left + 1 : right] for left, right in pairwise(marks.tolist())]
    pieces = [inputs[: gaps[0]] if len(gaps) else inputs]
    for span, (left, right) in zip(spans, pairwise([*gaps.tolist(), len(inputs)]), strict=True):
        pieces += [span, inputs[left + 1 : right]]
    return np.concatenate(pieces)


def span_counts(length: int, rate: float = 0.15, mean_length: float | int = 3.0) -> tuple[int, int]:
    """How many tokens of a text are hidden, and in how many spans.

    tokens = round(rate · length), at least 1 and at most length − 1
    spans = round(tokens / mean_length), at least 1, and at most as many as there are tokens
    hidden, or left to stand between spans

    Raises
    ------
    ValueError : a text with fewer than two tokens, of which one would have to stay; rate outside
        (0, 1); mean_length < 1.

    Examples
    --------
    >>> span_counts(512)
    (77, 26)
    """
    check_rate(rate)
    if not mean_length >= 1:
        raise ValueError(f"mean_length must be at least 1, got {mean_length}")
    if length < 2:
        raise ValueError(f"a text needs 2 tokens, one to hide and one to keep; got {length}")
    tokens = min(max(round(rate * length), 1), length - 1)
    spans = min(max(round(tokens / mean_length), 1), tokens, length - tokens)
    return tokens, spans


def corrupted_lengths(
    length: int, rate: float = 0.15, mean_length: float | int = 3.0
) -> tuple[int, int]:
    """Tokens of `span_corruption`'s inputs and of its targets, for a text of so many tokens.

    inputs = length − tokens + spans,  targets = tokens + spans + 1,  as `span_counts` has them

    Raises
    ------
    ValueError : as for `span_counts`.

    Examples
    --------
    >>> corrupted_lengths(512)
    (461, 104)
    """
    tokens, spans = span_counts(length, rate, mean_length)
    return length - tokens + spans, tokens + spans + 1


def random_spans(
    length: int, rng: np.random.Generator, rate: float = 0.15, mean_length: float | int = 3.0
) -> list[Span]:
    """Spans of a text drawn at random, `span_counts` of them.

    Both the hidden tokens and the others are parted into as many pieces of at least one token, each
    way to part them with the same probability; the pieces take turns. So no span touches another,
    the first token stays and the last is hidden. It is the procedure of T5's own code.

    Raises
    ------
    ValueError : as for `span_counts`.

    References
    ----------
    Raffel et al. 2020, section 3.3.4, and the noise mask of their code.

    Examples
    --------
    >>> random_spans(24, np.random.default_rng(0), rate=0.25, mean_length=2)
    [(3, 4), (12, 16), (23, 24)]
    """
    tokens, spans = span_counts(length, rate, mean_length)
    kept, hidden = _cuts(length - tokens, spans, rng), _cuts(tokens, spans, rng)
    return [
        (before + left, before + right)
        for before, (left, right) in zip(kept[1:], pairwise(hidden), strict=True)
    ]


def _cuts(total: int, parts: int, rng: np.random.Generator) -> list[int]:
    """0, where to cut a row of things into so many parts, none of them empty, and its end."""
    return [0, *sorted((rng.permutation(total - 1)[: parts - 1] + 1).tolist()), total]


def span_corruption(
    ids: Int[np.ndarray, "_"],
    rng: np.random.Generator,
    sentinels: Sequence[int],
    rate: float = 0.15,
    mean_length: float | int = 3.0,
) -> Denoised:
    """`corrupt` a text at `random_spans`.

    Raises
    ------
    ValueError : as for these.

    Examples
    --------
    >>> span_corruption(np.arange(6), np.random.default_rng(0), [90, 91], rate=0.3)
    Denoised(inputs=array([ 0,  1,  2,  3, 90]), targets=array([90,  4,  5, 91]))
    """
    return corrupt(ids, random_spans(len(ids), rng, rate, mean_length), sentinels)


def prefix_split(ids: Int[np.ndarray, "_"], rng: np.random.Generator) -> Denoised:
    """Cut a text in two at a place drawn at random: an encoder reads, the decoder goes on.

    Raises
    ------
    ValueError : fewer than two tokens.

    Examples
    --------
    >>> prefix_split(np.arange(5), np.random.default_rng(0))
    Denoised(inputs=array([0, 1, 2, 3]), targets=array([4]))
    """
    if len(ids) < 2:
        raise ValueError(f"a text needs 2 tokens to be cut between, got {len(ids)}")
    cut = int(rng.integers(1, len(ids)))
    return Denoised(ids[:cut], ids[cut:])


def denoise(
    ids: Int[np.ndarray, "_"],
    rng: np.random.Generator,
    denoiser: Denoiser,
    sentinels: Sequence[int],
) -> Denoised:
    """What one denoiser makes of a text.

    Raises
    ------
    ValueError : as for `span_corruption`.

    Examples
    --------
    >>> denoise(np.arange(8), np.random.default_rng(0), Denoiser("S", 0.25, None), [90, 91])
    Denoised(inputs=array([ 0,  1,  2,  3,  4,  5, 90]), targets=array([90,  6,  7, 91]))
    """
    if denoiser.mean_length is not None:
        return span_corruption(ids, rng, sentinels, denoiser.rate, denoiser.mean_length)
    tokens, _ = span_counts(len(ids), denoiser.rate)
    return corrupt(ids, [(len(ids) - tokens, len(ids))], sentinels)


def mixture_of_denoisers(
    ids: Int[np.ndarray, "_"],
    rng: np.random.Generator,
    sentinels: Sequence[int],
    denoisers: Sequence[Denoiser] = UL2,
    modes: Mapping[str, int] | None = None,
) -> Denoised:
    """What one of several denoisers, each drawn alike, makes of a text.

    Parameters
    ----------
    modes : the id, for each kind of denoiser, that is put before the inputs, so that the model can
        be told later which kind of task it has; by default none

    Raises
    ------
    ValueError : no denoisers, a kind without a mode, and as for `span_corruption`.

    References
    ----------
    Tay et al. 2023, UL2: Unifying Language Learning Paradigms, section 3.

    Examples
    --------
    >>> modes = {"R": 80, "S": 81, "X": 82}
    >>> mixture_of_denoisers(np.arange(6), np.random.default_rng(1), [90, 91, 92], modes=modes)
    Denoised(inputs=array([82,  0,  1,  2, 90]), targets=array([90,  3,  4,  5, 91]))
    """
    if not len(denoisers):
        raise ValueError("there are no denoisers to draw from")
    denoiser = denoisers[int(rng.integers(len(denoisers)))]
    inputs, targets = denoise(ids, rng, denoiser, sentinels)
    if modes is not None:
        if denoiser.kind not in modes:
            raise ValueError(f"modes has no id for denoisers of kind {denoiser.kind!r}")
        inputs = np.concatenate([[modes[denoiser.kind]], inputs])
    return Denoised(inputs, targets)
