"""Unigram pieces: a word's segmentations as events with probabilities, and the likeliest of them.

p(segmentation) = Π p(piece). BPE and WordPiece give a word one segmentation, by rules; here it has
as many as the pieces allow, and dynamic programming goes over all of them without listing any.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import exp, inf, isfinite, log

import numpy as np

LEAST = 1e-9  # count of a piece without use: none becomes impossible


def best_segmentation(
    word: str, log_probabilities: Mapping[str, float]
) -> tuple[tuple[str, ...], float]:
    """The likeliest pieces of a word, and their log-probability, in nats.

    best(end) = max_start best(start) + log p(word[start:end]), best(0) = 0

    Of equally likely segmentations the one whose last piece is longest, and so on from the end.

    Raises
    ------
    ValueError : the pieces cannot spell the word.

    References
    ----------
    Viterbi 1967, Error Bounds for Convolutional Codes. Kudo 2018, Subword Regularization,
    section 3.2.

    Examples
    --------
    >>> pieces = {"un": -2.0, "fold": -3.0, "unfold": -6.0, "u": -4.0, "nfold": -9.0}
    >>> best_segmentation("unfold", pieces)
    (('un', 'fold'), -5.0)
    """
    best = [0.0] + [-inf] * len(word)
    came_from = [0] * (len(word) + 1)
    for start, end, score in _places(word, log_probabilities):
        if best[start] + score > best[end]:
            best[end] = best[start] + score
            came_from[end] = start
    if best[-1] == -inf:
        raise ValueError(f"the pieces cannot spell {word!r}: give each of its characters")
    pieces, end = [], len(word)
    while end > 0:
        pieces.append(word[came_from[end] : end])
        end = came_from[end]
    return tuple(reversed(pieces)), best[-1]


def sample_segmentation(
    word: str,
    log_probabilities: Mapping[str, float],
    sharpness: float = 1.0,
    seed: int | np.random.Generator = 0,
) -> tuple[str, ...]:
    """Pieces of a word drawn with probability ∝ p(segmentation)^sharpness.

    Forward sums say how much probability leads to each place; then pieces are drawn from the end.

    Parameters
    ----------
    sharpness : 1 draws from the model, 0 from all segmentations alike, ∞ is not allowed

    Raises
    ------
    ValueError : the pieces cannot spell the word, or sharpness is negative or not finite.

    References
    ----------
    Kudo 2018, Subword Regularization, section 3.2 (there the sharpness is α).
    """
    if sharpness < 0 or not isfinite(sharpness):
        raise ValueError(f"sharpness must be at least 0 and finite, got {sharpness}")
    rng = np.random.default_rng(seed)
    sharp = {piece: sharpness * score for piece, score in log_probabilities.items()}
    forward = _forward(word, sharp)
    pieces, end = [], len(word)
    while end > 0:
        ways = [
            (start, forward[start] + sharp[word[start:end]])
            for start in range(end)
            if word[start:end] in sharp and forward[start] > -inf
        ]
        probabilities = np.exp([score - forward[end] for _, score in ways])
        start = ways[rng.choice(len(ways), p=probabilities / probabilities.sum())][0]
        pieces.append(word[start:end])
        end = start
    return tuple(reversed(pieces))


def log_likelihood(word: str, log_probabilities: Mapping[str, float]) -> float:
    """The log-probability of a word, that is, of all its segmentations together.

    Raises
    ------
    ValueError : the pieces cannot spell the word.
    """
    return _forward(word, log_probabilities)[-1]


def fit_unigram(
    words: Mapping[str, int], pieces: Iterable[str], rounds: int = 10
) -> dict[str, float]:
    """Log-probabilities of pieces that make the words likely, by the EM algorithm.

    Expectation: c(piece) = Σ_words frequency · expected uses of the piece in the word.
    Maximisation: p(piece) = c(piece) / Σ c. All pieces begin equally likely; one of which the words
    make no use keeps a tiny probability, so that other words can still be spelled with it.

    Parameters
    ----------
    words : how often each was seen
    pieces : candidates; every character of the words among them
    rounds : of both steps, at least 1

    Raises
    ------
    ValueError : there is no word, a word cannot be spelled, or rounds is below 1.

    References
    ----------
    Kudo 2018, Subword Regularization, section 3.2; SentencePiece also prunes the pieces.
    """
    if not words:
        raise ValueError("there is no word to learn from: give at least one")
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1, got {rounds}")
    candidates = dict.fromkeys(pieces)
    log_probabilities = dict.fromkeys(candidates, -log(max(len(candidates), 1)))
    for _ in range(rounds):
        counts = dict.fromkeys(log_probabilities, 0.0)
        for word, frequency in words.items():
            forward = _forward(word, log_probabilities)
            # What follows a place, as the forward sums of the word read from its end.
            mirrored = {piece[::-1]: score for piece, score in log_probabilities.items()}
            backward = _forward(word[::-1], mirrored)[::-1]
            for start, end, score in _places(word, log_probabilities):
                share = exp(forward[start] + score + backward[end] - forward[-1])
                counts[word[start:end]] += frequency * share
        total = sum(max(count, LEAST) for count in counts.values())
        log_probabilities = {
            piece: log(max(count, LEAST) / total) for piece, count in counts.items()
        }
    return log_probabilities


def _places(word: str, log_probabilities: Mapping[str, float]) -> Iterator[tuple[int, int, float]]:
    """Where pieces stand in a word: start, end, log-probability, by rising end."""
    for end in range(1, len(word) + 1):
        for start in range(end):
            score = log_probabilities.get(word[start:end])
            if score is not None:
                yield start, end, score


def _forward(word: str, log_probabilities: Mapping[str, float]) -> list[float]:
    """For each place in a word the logarithm of Σ over segmentations of what stands before it."""
    forward = [0.0] + [-inf] * len(word)
    for start, end, score in _places(word, log_probabilities):
        forward[end] = float(np.logaddexp(forward[end], forward[start] + score))
    if forward[-1] == -inf:
        raise ValueError(f"the pieces cannot spell {word!r}: give each of its characters")
    return forward
