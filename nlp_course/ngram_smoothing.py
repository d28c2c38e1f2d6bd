"""What an n-gram model does about runs it never saw: mix the orders, or discount what it saw.

All work on the table of `nlp_course.ngram.count_ngrams`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Real

from nlp_course.ngram import NgramTable, Sentences, context_totals
from nlp_course.ngram_index import Level
from nlp_course.ngram_models import NgramModel, relative_counts

LEAST_WEIGHT = 1e-4


class FittedWeights(NamedTuple):
    """Weights of an interpolation, and how the held-out text's likelihood rose.

    weights : λ, a row a bucket; λ_1, of the longest context, first
    log_likelihoods : of the held-out text before each step and after the last, in nats a token
    """

    weights: Float[np.ndarray, "bucket order"]
    log_likelihoods: Float[np.ndarray, "step"]


class Interpolated(NgramModel):
    """A mixture of all orders: λ_1 q(w | u, v) + λ_2 q(w | v) + λ_3 q(w).

    The weights may depend on how often the context was seen. Where an order's context was never
    seen, its q is 0/0: its weight counts as 0, and the others are divided by their sum.

    Parameters
    ----------
    weights : λ, a row a bucket or one for all; λ_1, of the longest context, first
    edges : Π(u, v) is the first bucket if c(u, v) ≤ edges[0], the second up to edges[1], and so on;
        (0, 10) are the three buckets 0, 1 … 10, more

    Raises
    ------
    ValueError : weights are negative or do not sum to 1, or there are not as many as orders, or not
        one row more than edges; or edges do not rise.

    References
    ----------
    Jelinek and Mercer 1980, Interpolated Estimation of Markov Source Parameters from Sparse Data.
    """

    def __init__(
        self,
        table: NgramTable,
        weights: Sequence[float | int] | Sequence[Sequence[float | int]] | Real[np.ndarray, "..."],
        edges: Sequence[int] = (),
    ) -> None:
        super().__init__(table)
        self.weights = np.atleast_2d(np.asarray(weights, dtype=np.float64))
        self.edges = _rising(edges)
        needed = len(edges) + 1, table.order
        if self.weights.shape != needed:
            raise ValueError(
                f"{needed[0]} buckets of order {needed[1]} need weights of shape {needed}, "
                f"got {self.weights.shape}"
            )
        if not np.all(self.weights >= 0):
            raise ValueError(f"weights must be at least 0, got {self.weights.min()}")
        sums = self.weights.sum(axis=1)
        if not np.allclose(sums, 1, atol=1e-6):
            raise ValueError(f"the weights of a bucket must sum to 1, got {sums.tolist()}")

    def _estimate(self, levels: list[Level]) -> Float[np.ndarray, "*words"]:
        bucket = np.searchsorted(self.edges, levels[-1].total)
        mixture, used = np.zeros(levels[-1].run.shape), np.zeros(bucket.shape)
        for level, of_buckets in zip(levels[::-1], self.weights.T, strict=True):
            weight = np.where(level.total > 0, of_buckets[bucket], 0.0)
            mixture += weight * relative_counts(level)
            used += weight
        with np.errstate(invalid="ignore"):
            return np.asarray(mixture / used)


def fit_weights(
    table: NgramTable,
    held_out: Sentences,
    edges: Sequence[int] = (),
    iterations: int = 100,
    tolerance: float = 1e-6,
) -> FittedWeights:
    """Weights of `Interpolated` that make a held-out text most likely, by expectation–maximisation.

    E: r_tk = λ_k q_k(w_t) / Σ_j λ_j q_j(w_t), the share of order k in the probability of token t
    M: λ_k = (1/M) Σ_t r_tk

    over the orders whose context was seen. Where all were, M is the line above; where some were
    not, it is the maximum of the same expected likelihood: think of the longest context as being
    asked first and passing on to the next with probability 1 − μ_1, then μ_1 = λ_1 is the share of
    tokens at which it answered among those at which it was asked, μ_2 likewise, and
    λ_2 = (1 − μ_1) μ_2. No step lowers the likelihood.

    Parameters
    ----------
    held_out : text that was not counted in the table: on the counted text λ_1 = 1 is best
    edges : of the buckets, see `Interpolated`
    iterations : steps at most
    tolerance : stop when a step gains less, in nats a token

    Returns
    -------
    λ; a bucket that no held-out token falls in keeps equal weights. Where none of a bucket's tokens
    needed an order, EM drives its weight to 0, and a new token might be impossible; at the end no
    order that was asked keeps less than `LEAST_WEIGHT`.

    Raises
    ------
    ValueError : iterations < 1, edges do not rise, or a held-out token has probability 0 at every
        order, as unknown words have where training text has none.

    References
    ----------
    Dempster, Laird and Rubin 1977, Maximum Likelihood from Incomplete Data via the EM Algorithm.
    """
    if iterations < 1:
        raise ValueError(f"iterations must be at least 1, got {iterations}")
    levels = table.of_tokens(held_out)[::-1]  # the longest context first, as λ_1
    q = np.stack([relative_counts(level) for level in levels], axis=1)  # (token, order)
    seen = np.stack([level.total > 0 for level in levels], axis=1)  # (token, order)
    if not q.any(axis=1).all():
        raise ValueError(
            f"{np.sum(~q.any(axis=1))} held-out tokens have probability 0 at every order: encode "
            "both texts with a language_vocabulary of min_count at least 2, so that unknown words "
            "were seen"
        )
    bucket = np.searchsorted(_rising(edges), levels[0].total)  # (token,)
    weights = np.full((len(edges) + 1, table.order), 1 / table.order)
    likelihoods: list[float] = []
    for step in range(iterations + 1):
        prior = weights[bucket] * seen
        joint = prior / prior.sum(axis=1, keepdims=True) * q
        probability = joint.sum(axis=1, keepdims=True)
        likelihoods.append(float(np.log(probability).mean()))
        if step == iterations or (step and likelihoods[-1] - likelihoods[-2] < tolerance):
            break
        responsibility = joint / probability
        for number in np.unique(bucket):
            inside = bucket == number
            weights[number] = _most_likely_weights(responsibility[inside], seen[inside])
    for number in np.unique(bucket):
        asked = seen[bucket == number].any(axis=0)
        weights[number, asked] = np.maximum(weights[number, asked], LEAST_WEIGHT)
    return FittedWeights(weights / weights.sum(axis=1, keepdims=True), np.array(likelihoods))


def _most_likely_weights(
    responsibility: Float[np.ndarray, "token order"], seen: Bool[np.ndarray, "token order"]
) -> Float[np.ndarray, "order"]:
    """The M step of one bucket."""
    answered = responsibility.sum(axis=0)
    # An order is asked at a token when its context was seen and no longer one answered.
    from_here_on = np.cumsum(responsibility[:, ::-1], axis=1)[:, ::-1]
    asked = (from_here_on * seen).sum(axis=0)
    share = np.divide(answered, asked, out=np.zeros_like(asked), where=asked > 0)
    passed_on = np.cumprod(np.concatenate([[1.0], 1 - share[:-1]]))
    return np.asarray(share * passed_on)


def _rising(edges: Sequence[int]) -> Int[np.ndarray, "edge"]:
    if any(edge < 0 for edge in edges) or list(edges) != sorted(set(edges)):
        raise ValueError(f"edges must rise from 0 on, got {list(edges)}")
    return np.asarray(edges, dtype=np.int64)


class KneserNey(NgramModel):
    """Modified Kneser–Ney smoothing, interpolated.

    p(w | u, v) = (a(u, v, w) − D(a)) / a(u, v) + γ(u, v) p(w | v),  γ(u, v) = Σ_w D(a) / a(u, v)

    a is the count at the highest order; below it, the number of different words seen before the
    run; a run that begins with START has only START before it, and keeps its count. D takes three
    values an order, for a = 1, 2 and from 3 on. Below order 1 lies 1 / (V − 1): all words but START
    alike. The same numbers as KenLM's `lmplz`.

    `discounts`, (order, 4), has D by order and a. `kept` has (a − D) / a(context) of each row for
    the runs of 1 … n tokens, and last, for row −1, a 0. `backoff` has γ of each row for the
    contexts of 0 … n − 1 tokens, and last a 1: a context never seen passes everything on.

    Parameters
    ----------
    discounts : D for a = 1, 2, 3 and more, for all orders; None computes them for each order from
        n_1 … n_4, how many runs have a = 1 … 4: D_j = j − (j + 1) Y n_{j+1} / n_j,
        Y = n_1 / (n_1 + 2 n_2)

    Raises
    ------
    ValueError : the text is too small, or too regular, to have runs with a = 1, 2 and 3 at each
        order (discounts=(0.5, 1, 1.5) is what `lmplz --discount_fallback` then takes); or the
        discounts are not three numbers with 0 ≤ D_j ≤ j.

    References
    ----------
    Chen and Goodman 1998, An Empirical Study of Smoothing Techniques, section 4.1.6.
    Heafield et al. 2013, Scalable Modified Kneser-Ney Language Model Estimation.
    """

    def __init__(self, table: NgramTable, discounts: Sequence[float | int] | None = None) -> None:
        counts = _adjusted_counts(table)
        totals = context_totals(table.codes, counts, table.vocabulary_size)
        super().__init__(replace(table, counts=counts, totals=totals))
        self.discounts = np.stack(
            [_discounts(counts[k], k, discounts) for k in range(1, table.order + 1)]
        )
        shares = [_shares(self.table, k, self.discounts[k]) for k in range(table.order)]
        self.kept, self.backoff = zip(*shares, strict=True)

    def _estimate(self, levels: list[Level]) -> Float[np.ndarray, "*words"]:
        probability = np.full(levels[0].run.shape, 1 / (self.table.vocabulary_size - 1))
        for level, kept, backoff in zip(levels, self.kept, self.backoff, strict=True):
            probability = kept[level.run] + backoff[level.context] * probability
        return probability


def _adjusted_counts(table: NgramTable) -> tuple[Int[np.ndarray, "_"], ...]:
    """The a of every run: 0 where START stands twice, since (*, *, w) says no more than (*, w)."""
    size, order = table.vocabulary_size, table.order
    begins = [np.zeros(1, dtype=bool)]  # does the run begin with START?
    for k in range(1, order + 1):
        prefix, last = np.divmod(table.codes[k], size)
        begins.append(begins[-1][prefix] if k > 1 else last == table.start)
    twice = [
        begins[k] & begins[k - 1][table.suffixes[k]] if k > 1 else begins[k] & False
        for k in range(order + 1)
    ]
    adjusted = [table.counts[0]]
    for k in range(1, order):
        longer = table.suffixes[k + 1][~twice[k + 1]]
        words_before = np.bincount(longer, minlength=len(table.codes[k]))
        adjusted.append(np.where(begins[k], table.counts[k], words_before))
    adjusted.append(table.counts[order])
    return tuple(np.where(doubled, 0, a) for doubled, a in zip(twice, adjusted, strict=True))


def _discounts(
    adjusted: Int[np.ndarray, "_"], k: int, given: Sequence[float | int] | None
) -> Float[np.ndarray, "4"]:
    """D of order k for a = 0, 1, 2, 3 and more."""
    j = np.arange(4)
    if given is None:
        n = np.bincount(np.minimum(adjusted, 5), minlength=6).astype(np.float64)
        if not n[1:4].all():
            raise ValueError(
                f"discounts need runs of {k} tokens that count 1, 2 and 3, got "
                f"{n[1:4].astype(int).tolist()} of them: give more text, a lower order, or "
                "discounts=(0.5, 1, 1.5)"
            )
        y = n[1] / (n[1] + 2 * n[2])
        result = np.array([0, *(j[1:] - (j[1:] + 1) * y * n[2:5] / n[1:4])])
    else:
        if len(given) != 3:
            raise ValueError(f"discounts must be three, for counts 1, 2, 3 and more, got {given}")
        result = np.array([0, *given], dtype=np.float64)
    if not np.all((result >= 0) & (result <= j)):
        raise ValueError(
            f"the discounts of order {k} must lie in 0 … 1, 0 … 2 and 0 … 3, got "
            f"{result[1:].round(3).tolist()}: give discounts=(0.5, 1, 1.5)"
        )
    return result


def _shares(
    table: NgramTable, k: int, discounts: Float[np.ndarray, "4"]
) -> tuple[Float[np.ndarray, "_"], Float[np.ndarray, "_"]]:
    """Of what follows each context of k tokens, the shares that its runs keep; and what they lost.

    (a − D) / a(context) of each run, then 0; γ of each context, then 1.
    """
    adjusted, total = table.counts[k + 1], table.totals[k]
    context = table.codes[k + 1] // table.vocabulary_size
    taken = discounts[np.minimum(adjusted, 3)]
    kept = np.zeros(len(adjusted) + 1)
    np.divide(adjusted - taken, total[context], out=kept[:-1], where=adjusted > 0)
    lost = np.bincount(context, taken, minlength=len(total))
    gamma = np.ones(len(total) + 1)
    np.divide(lost, total, out=gamma[:-1], where=total > 0)
    return kept, gamma
