"""The feed-forward language model: embed the last words, one hidden layer, a softmax.

The model of Bengio et al. 2003. Each word of a fixed window has a vector, the same in every place;
the vectors side by side go through a hidden layer to scores for every word of the vocabulary.
Sentences are arrays of word ids without START and STOP, as in `nlp_course.ngram`.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_course.ngram import Sentences, special_ids, token_stream
from nlp_course.output_layer import OutputLayer, next_word_distribution
from nlp_course.text import Vocabulary

# Windows scored at once when nothing is learned: at 10,000 words, 40 MB of logits.
SCORED_AT_ONCE = 1024


def windows(
    sentences: Sentences, vocabulary: Vocabulary, window: int
) -> tuple[Int[Tensor, "token window"], Int[Tensor, "token"]]:
    """Every token of a text, STOP counted, with the words before it.

    Parameters
    ----------
    sentences : ids of words, an array a sentence, without START and STOP
    vocabulary : has START and STOP, as those of `ngram.language_vocabulary`
    window : words before a token; where a sentence has not so many, START stands for them

    Returns
    -------
    Contexts and targets; contexts do not cross sentences.

    Raises
    ------
    ValueError : window < 1, there is no sentence, the vocabulary lacks START or STOP, or an id is
        outside 0 … V − 1 or that of START or STOP.

    Examples
    --------
    >>> from nlp_course.ngram import language_vocabulary
    >>> vocabulary = language_vocabulary([["a", "b"]], min_count=1)
    >>> contexts, targets = windows([vocabulary.encode("ab")], vocabulary, window=2)
    >>> [vocabulary.decode(context) for context in contexts]
    [['<s>', '<s>'], ['<s>', 'a'], ['a', 'b']]
    >>> vocabulary.decode(targets)
    ['a', 'b', '</s>']
    """
    if window < 1:
        raise ValueError(f"window must be at least 1, got {window}")
    start, stop = special_ids(vocabulary)
    stream = token_stream(sentences, start, stop, len(vocabulary), starts=window)
    runs = np.lib.stride_tricks.sliding_window_view(stream, window + 1)
    # A run that ends in START spans two sentences, and START is never predicted.
    runs = runs[runs[:, -1] != start]  # (token, window + 1)
    return torch.from_numpy(runs[:, :-1].copy()), torch.from_numpy(runs[:, -1].copy())


def parameter_count(
    vocabulary_size: int, window: int, dimension: int, hidden: int, direct: bool = False
) -> int:
    """Numbers that a `FeedForwardLM` learns: V·d + m·(1 + n·d) + V·(1 + m), and V·n·d if direct.

    n is the window: it enters as a factor, in an n-gram model's table as an exponent.

    References
    ----------
    Bengio et al. 2003, A Neural Probabilistic Language Model, section 2, where the window is n − 1.

    Examples
    --------
    >>> parameter_count(10_000, window=4, dimension=60, hidden=50)
    1122050
    """
    inputs = window * dimension
    count = vocabulary_size * dimension + hidden * (1 + inputs) + vocabulary_size * (1 + hidden)
    return count + vocabulary_size * inputs * direct


class FeedForwardLM(nn.Module):
    """Bengio's model: the next word from the vectors of the last n words.

    x = [e(w_{t−n}); …; e(w_{t−1})],  p(w_t | …) = softmax(W_o tanh(W_h x + b_h) + b_o + W_x x)

    W_x, the direct connections, may be left out.

    Parameters
    ----------
    vocabulary : has START and STOP; START is never predicted
    window : n, words that are looked at
    dimension : d, numbers in a word's vector
    hidden : m, units of the hidden layer
    direct : connect the vectors with the scores, past the hidden layer, too
    dropout : share of the hidden units that is left out in a step of training
    counts : how often each word is a target; b_o then begins at log (c + 1), so that training
        begins at the frequencies of words instead of having to find them

    Attributes
    ----------
    embedding : W_e, (V, d)
    hidden : W_h, (m, n·d), and b_h
    output : W_o, (V, m), and b_o
    direct : W_x, (V, n·d), or None

    Raises
    ------
    ValueError : a size below 1, a dropout outside 0 … 1, a vocabulary without START or STOP, or not
        one count a word.

    Notes
    -----
    Initial weights: e ~ N(0, 0.1²), so short that a word is soon where its gradients pull it, even
    a rare one; W_h ~ N(0, 1/(n·d)), so that what goes into tanh has the spread of the vectors;
    W_o ~ N(0, 0.1²/m) and W_x = 0, so that the first predictions hardly differ from context to
    context; b_h = 0. They are drawn from torch's global generator: call `training.set_seed` first.

    References
    ----------
    Bengio et al. 2003, A Neural Probabilistic Language Model, eq. 1, where C = e, H = W_h, U = W_o,
    W = W_x.

    Examples
    --------
    >>> from nlp_course.ngram import language_vocabulary
    >>> vocabulary = language_vocabulary([["a", "b"]], min_count=1)
    >>> model = FeedForwardLM(vocabulary, window=2, dimension=3, hidden=4)
    >>> sum(parameter.numel() for parameter in model.parameters())
    68
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        window: int = 4,
        dimension: int = 60,
        hidden: int = 50,
        direct: bool = False,
        dropout: float = 0.0,
        counts: Int[np.ndarray, "vocabulary"] | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("window", window), ("dimension", dimension), ("hidden", hidden)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}")
        size = len(vocabulary)
        self.vocabulary, self.window = vocabulary, window
        self.start, self.stop = special_ids(vocabulary)
        self.embedding = nn.Embedding(size, dimension)
        self.hidden = nn.Linear(window * dimension, hidden)
        self.dropout = nn.Dropout(dropout)
        self.output = OutputLayer(vocabulary, hidden, counts)
        self.direct = nn.Linear(window * dimension, size, bias=False) if direct else None

        nn.init.normal_(self.embedding.weight, std=0.1)
        nn.init.normal_(self.hidden.weight, std=(window * dimension) ** -0.5)
        nn.init.normal_(self.output.weight, std=0.1 * hidden**-0.5)
        nn.init.zeros_(self.hidden.bias)
        if self.direct is not None:
            nn.init.zeros_(self.direct.weight)

    def logits(self, contexts: Int[Tensor, "*batch window"]) -> Float[Tensor, "*batch vocabulary"]:
        """Scores of every word after each window; START has −∞."""
        x = self.embedding(contexts).flatten(-2)  # (*batch, window · d)
        z = self.dropout(torch.tanh(self.hidden(x)))  # (*batch, m)
        scores = self.output(z)
        return scores if self.direct is None else scores + self.direct(x)

    def forward(
        self, ids: Int[Tensor, "batch time"], state: Int[Tensor, "batch window"] | None = None
    ) -> tuple[Float[Tensor, "batch time vocabulary"], Int[Tensor, "batch window"]]:
        """Logits of the token after each token: the course's interface of language models.

        Parameters
        ----------
        ids : START may come first or be left out; what follows a STOP is a new sentence
        state : the tokens before, a window of them, as returned; None where a sentence begins

        Returns
        -------
        Logits, and the state to go on with.
        """
        if state is None:
            state = ids.new_full((len(ids), self.window), self.start)
        stream = torch.cat([state, ids], dim=1)  # (batch, window + time)
        # The window that ends at each of the ids; the first is the state's own, already answered.
        runs = stream.unfold(1, self.window, 1)[:, 1:]  # (batch, time, window)
        edge = (runs == self.start) | (runs == self.stop)
        # Before the last START or STOP of a window there is another sentence.
        before = edge.flip(-1).cumsum(dim=-1).flip(-1) > 0
        contexts = runs.masked_fill(before, self.start)
        return self.logits(contexts), stream[:, -self.window :]

    @torch.no_grad()
    def log_probabilities(self, sentences: Sentences) -> Float[np.ndarray, "token"]:
        """The log p of each token of a text given those before it in its sentence, STOP counted.

        In nats, so `ngram.perplexity` takes them.

        Raises
        ------
        ValueError : as for `windows`.
        """
        device = self.embedding.weight.device
        was_training = self.training
        self.eval()
        parts = []
        contexts, targets = windows(sentences, self.vocabulary, self.window)
        for context, target in zip(
            contexts.split(SCORED_AT_ONCE), targets.split(SCORED_AT_ONCE), strict=True
        ):
            logits = self.logits(context.to(device))
            parts.append(-F.cross_entropy(logits, target.to(device), reduction="none").cpu())
        self.train(was_training)
        return torch.cat(parts).double().numpy()

    def distribution(self, words: Int[np.ndarray, "_"]) -> Float[np.ndarray, "vocabulary"]:
        """p(w | words) for every word of the vocabulary, STOP among them; START has 0.

        Parameters
        ----------
        words : ids of a sentence's first words; the last `window` of them matter
        """
        return next_word_distribution(self, self.start, words)


def next_word_loss(
    model: FeedForwardLM,
    batch: tuple[Int[Tensor, "token window"], Int[Tensor, "token"]],
) -> tuple[Float[Tensor, ""], int]:
    """−Σ_t log p(w_t | w_{t−n} … w_{t−1}) over some windows, and their number: for `training`."""
    contexts, targets = batch
    return F.cross_entropy(model.logits(contexts), targets, reduction="sum"), len(targets)
