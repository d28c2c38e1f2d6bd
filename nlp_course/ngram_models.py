"""n-gram language models: estimators over the table of counts, and what can be asked of them.

`NgramModel` is what they share: log-probabilities of a text, the distribution of the next word, the
course's interface of language models, sampling. An estimator adds its formula. Those that mix the
orders or discount are in `nlp_course.ngram_smoothing`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeAlias

import numpy as np
from jaxtyping import Float, Int

from nlp_course.ngram import NgramTable, Sentences
from nlp_course.ngram_index import Level

Tensor: TypeAlias = Any  # torch.Tensor: counting alone does not need torch, so it is imported late


class UnseenContextError(ValueError):
    """No distribution: the context was never seen, and there is nothing to fall back on."""


class NgramScorer(ABC):
    """Scores for the next word, from a table of counts; see `NgramModel` where they sum to 1."""

    def __init__(self, table: NgramTable) -> None:
        self.table = table

    @abstractmethod
    def _estimate(self, levels: list[Level]) -> Float[np.ndarray, "*words"]:
        """The score of each word from what orders 1 … n know; NaN where it is not defined."""

    def log_scores(self, sentences: Sentences) -> Float[np.ndarray, "token"]:
        """Natural logarithm of the score of each token of a text, STOP counted.

        A token in a context without a distribution gets −∞: the context itself was impossible.

        Raises
        ------
        ValueError : there is no sentence, or an id outside 0 … V − 1 or of START or STOP.
        """
        scores = self._estimate(self.table.of_tokens(sentences))
        with np.errstate(divide="ignore"):
            return np.log(np.nan_to_num(scores, nan=0.0))

    def scores(self, words: Int[np.ndarray, "_"]) -> Float[np.ndarray, "vocabulary"]:
        """The score of every word of the vocabulary after a sentence's first words.

        Raises
        ------
        ValueError : an id outside 0 … V − 1.
        UnseenContextError : the estimator has no distribution in this context.
        """
        sentence = np.concatenate([[self.table.start], words])
        return self._after(self._history(sentence[None], None), places=1)[0, 0]

    def __call__(
        self,
        ids: Int[Tensor, "batch time"],
        state: Int[Tensor, "batch _"] | None = None,
    ) -> tuple[Float[Tensor, "batch time vocabulary"], Int[Tensor, "batch _"]]:
        """Logits of the token after each token: the course's interface of language models.

        Parameters
        ----------
        ids : START may come first or be left out; what follows a STOP is a new sentence
        state : the tokens before, n − 1 of them, as returned; None where a sentence begins

        Returns
        -------
        Natural logarithms of the scores, −∞ for START, and the state to go on with.

        Raises
        ------
        ValueError : an id outside 0 … V − 1.
        UnseenContextError : the estimator has no distribution in a context.
        """
        import torch

        before = None if state is None else state.cpu().numpy()
        stream = self._history(ids.cpu().numpy(), before)
        with np.errstate(divide="ignore"):
            logits = np.log(self._after(stream, places=ids.shape[1]))
        kept = torch.from_numpy(stream[:, ids.shape[1] :]).to(ids.device)
        return torch.from_numpy(logits).float().to(ids.device), kept

    def sample(
        self,
        prompt: Int[np.ndarray, "_"] | None = None,
        *,
        temperature: float | int = 1.0,
        max_length: int = 100,
        seed: int | np.random.Generator = 0,
    ) -> Int[np.ndarray, "_"]:
        """Draw a sentence, word after word, until STOP.

        A word is drawn with probability p^{1/T} / Z: near temperature T = 0 always the most likely
        one, at 1 as the model has it, above 1 more evenly.

        Parameters
        ----------
        prompt : the sentence's first words
        temperature : T; 0 takes the most likely word (greedy)
        max_length : words at most, the prompt's included
        seed : same seed, same sentence

        Returns
        -------
        The prompt and what was drawn, STOP with it; without STOP where max_length came first.

        Raises
        ------
        ValueError : temperature is negative or not finite, or max_length < 1.
        UnseenContextError : the estimator has no distribution after the prompt.
        """
        if not 0 <= temperature < np.inf:
            raise ValueError(f"temperature must be at least 0 and finite, got {temperature}")
        if max_length < 1:
            raise ValueError(f"max_length must be at least 1, got {max_length}")
        generator = np.random.default_rng(seed)
        words = [] if prompt is None else prompt.tolist()
        while len(words) < max_length and words[-1:] != [self.table.stop]:
            scores = self.scores(np.array(words, dtype=np.int64))
            if temperature == 0:
                words.append(int(scores.argmax()))
                continue
            # Divided by the largest first: a power of a small number could vanish.
            shares = (scores / scores.max()) ** (1 / temperature)
            words.append(int(generator.choice(len(shares), p=shares / shares.sum())))
        return np.array(words, dtype=np.int64)

    def _history(
        self, ids: Int[np.ndarray, "batch time"], before: Int[np.ndarray, "batch _"] | None
    ) -> Int[np.ndarray, "batch _"]:
        """The ids with the n − 1 tokens before them."""
        size = self.table.vocabulary_size
        if (outside := ids[(ids < 0) | (ids >= size)]).size:
            raise ValueError(f"ids must lie in 0 … {size - 1}, got {outside[0]}")
        if before is None:
            before = np.full((len(ids), self.table.order - 1), self.table.start)
        stream = np.concatenate([before, ids], axis=1).astype(np.int64)
        return np.where(stream == self.table.stop, self.table.start, stream)

    def _after(
        self, stream: Int[np.ndarray, "batch _"], places: int
    ) -> Float[np.ndarray, "batch places vocabulary"]:
        """Scores of all words after each of the last places."""
        batch, time = stream.shape
        contexts = [row[:, time - places :].ravel() for row in self.table.rows(stream)[:-1]]
        scores = self._estimate(self.table.of_contexts(contexts))
        undefined = np.isnan(scores).any(axis=1)
        if undefined.any():
            sequence, place = divmod(int(undefined.argmax()), places)
            words = stream[sequence, : time - places + place + 1][1 - self.table.order :]
            raise UnseenContextError(
                f"the ids {words.tolist()} were never seen one after the other, so what follows "
                "them is 0/0: use an estimator that falls back on shorter contexts"
            )
        scores[:, self.table.start] = 0.0
        return scores.reshape(batch, places, -1)


class NgramModel(NgramScorer):
    """A language model: in every context, the scores of all words sum to 1."""

    def log_probabilities(self, sentences: Sentences) -> Float[np.ndarray, "token"]:
        """The log p of each token of a text given those before it in its sentence, STOP counted.

        In nats, so `perplexity` takes them; −∞ where the model has probability 0.

        Raises
        ------
        ValueError : there is no sentence, or an id outside 0 … V − 1 or of START or STOP.
        """
        return self.log_scores(sentences)

    def distribution(self, words: Int[np.ndarray, "_"]) -> Float[np.ndarray, "vocabulary"]:
        """p(w | words) for every word of the vocabulary, STOP among them; START has 0.

        Parameters
        ----------
        words : ids of a sentence's first words; the last n − 1 matter

        Raises
        ------
        ValueError : an id outside 0 … V − 1.
        UnseenContextError : the model has no distribution in this context.
        """
        return self.scores(words)


class MaximumLikelihood(NgramModel):
    """Relative frequencies: q(w | u, v) = c(u, v, w) / c(u, v).

    In a context that was never seen this is 0/0: `distribution` raises `UnseenContextError`. A text
    that has such a context had probability 0 already, by the word that completed it, so its tokens
    get log-probability −∞ and the perplexity is ∞.

    Examples
    --------
    >>> from nlp_course import ngram
    >>> vocabulary = ngram.language_vocabulary([["a", "b"], ["a"]], min_count=1)
    >>> table = ngram.count_ngrams([vocabulary.encode("ab"), vocabulary.encode("a")], vocabulary, 2)
    >>> p = MaximumLikelihood(table).distribution(vocabulary.encode("a"))
    >>> p[vocabulary.id("b")].item()
    0.5
    """

    def _estimate(self, levels: list[Level]) -> Float[np.ndarray, "*words"]:
        longest = levels[-1]
        with np.errstate(invalid="ignore"):
            return np.asarray(longest.count / longest.total)


class AddK(NgramModel):
    """Every continuation counted k times more than seen: (c(u, v, w) + k) / (c(u, v) + k (V − 1)).

    V − 1 words can come next: all but START. k = 1 is Laplace's rule; k = 0 is maximum likelihood.

    Raises
    ------
    ValueError : k is negative or not finite.

    References
    ----------
    Lidstone 1920, Note on the General Case of the Bayes-Laplace Formula.
    """

    def __init__(self, table: NgramTable, k: float | int = 1.0) -> None:
        super().__init__(table)
        if not 0 <= k < np.inf:
            raise ValueError(f"k must be at least 0 and finite, got {k}")
        self.k = k

    def _estimate(self, levels: list[Level]) -> Float[np.ndarray, "*words"]:
        longest = levels[-1]
        continuations = self.table.vocabulary_size - 1
        with np.errstate(invalid="ignore"):
            return np.asarray((longest.count + self.k) / (longest.total + self.k * continuations))


class StupidBackoff(NgramScorer):
    """The longest context that saw the word: c(u, v, w) / c(u, v) if above 0, else α S(w | v).

    These are scores, not probabilities. Those of the words seen in a context sum to 1 already, and
    the others come on top; in a context never seen, all are α times those of a shorter one. So no
    perplexity can be taken of them.

    Raises
    ------
    ValueError : α is not above 0 and at most 1.

    References
    ----------
    Brants et al. 2007, Large Language Models in Machine Translation, eq. 5.
    """

    def __init__(self, table: NgramTable, alpha: float = 0.4) -> None:
        super().__init__(table)
        if not 0 < alpha <= 1:
            raise ValueError(f"alpha must be above 0 and at most 1, got {alpha}")
        self.alpha = alpha

    def _estimate(self, levels: list[Level]) -> Float[np.ndarray, "*words"]:
        score = relative_counts(levels[0])
        for level in levels[1:]:
            score = np.where(level.count > 0, relative_counts(level), self.alpha * score)
        return score


def relative_counts(level: Level) -> Float[np.ndarray, "*words"]:
    """c(context, w) / c(context), and 0 where the context was never seen."""
    return np.asarray(level.count / np.maximum(level.total, 1))
