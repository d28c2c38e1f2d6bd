"""Vectors of words in their sentence: two language models, one from each side, and a mix of layers.

ELMo in small. A forward language model reads a sentence from the left, a backward one from the
right; together they are trained to predict each word from either side. What their layers hold at a
word then serves other tasks, each of which learns how to weigh the layers. Sentences are arrays of
word ids without START and STOP.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_course.batching import Batches, pad, similar_lengths
from nlp_course.ngram import START, STOP, Sentences, special_ids
from nlp_course.output_layer import OutputLayer
from nlp_course.recurrent import LSTMCell, Recurrent
from nlp_course.text import Vocabulary

FILTERS = {1: 16, 2: 32, 3: 48, 4: 48}  # width of a filter, in letters → how many there are


class CharacterCNN(nn.Module):
    """A word's vector from how it is written: convolution over letters, maximum, highway, linear.

    A filter of width k gives each k letters in a row a number, and the word the largest of them: it
    asks whether something stands in the word, such as an ending. What the filters found, y, goes
    through highway layers, y ← t ∘ relu(W y + b) + (1 − t) ∘ y with t = σ(W_t y + b_t), and a
    linear map. Words that are written alike have vectors that are alike, seen or not.

    Parameters
    ----------
    vocabulary : its special words, such as "<s>", count as one letter of their own
    dimension : d, numbers in a word's vector
    letter_dimension : numbers in a letter's vector
    filters : how many of each width
    highways : how many highway layers

    Raises
    ------
    ValueError : a size below 1, highways < 0, or no filters.

    References
    ----------
    Kim et al. 2016, Character-Aware Neural Language Models; Srivastava et al. 2015, Highway
    Networks.
    """

    letters: Int[Tensor, "vocabulary length"]

    def __init__(
        self,
        vocabulary: Vocabulary,
        dimension: int,
        *,
        letter_dimension: int = 16,
        filters: Mapping[int, int] = FILTERS,
        highways: int = 1,
    ) -> None:
        super().__init__()
        sizes = {"dimension": dimension, "letter_dimension": letter_dimension}
        sizes |= {f"filters of width {width}": number for width, number in filters.items()}
        sizes |= {"width": min(filters, default=0)}
        for name, value in sizes.items():
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if highways < 0:
            raise ValueError(f"highways must be at least 0, got {highways}")
        self.widths = list(filters)
        # 0 is no letter, 1 where a word begins, 2 where it ends, 3 a letter never seen.
        specials = [word for word in (START, STOP, vocabulary.unknown) if word in vocabulary]
        ordinary = sorted({letter for word in vocabulary for letter in word})
        self.letter_ids = {name: 4 + i for i, name in enumerate([*specials, *ordinary])}
        self.register_buffer("letters", self.spell(vocabulary.words), persistent=False)
        self.letter_vectors = nn.Embedding(
            4 + len(self.letter_ids), letter_dimension, padding_idx=0
        )
        self.convolutions = nn.ModuleList(
            nn.Conv1d(letter_dimension, number, width) for width, number in filters.items()
        )
        found = sum(filters.values())
        self.highways = nn.ModuleList(nn.Linear(found, 2 * found) for _ in range(highways))
        self.output = nn.Linear(found, dimension)

        for name, bias in self.highways.named_parameters():
            if name.endswith("bias"):
                bias.data[found:] = -2.0  # t small: at first a highway layer hands y on
        nn.init.normal_(self.output.weight, std=found**-0.5)  # the spread of the filters' answers

    def spell(self, words: Sequence[str]) -> Int[Tensor, "word length"]:
        """The ids of each word's letters, between the marks of its beginning and end."""
        rows = []
        for word in words:
            names = [word] if word in self.letter_ids else word
            ids = [1, *(self.letter_ids.get(name, 3) for name in names), 2]
            rows.append(np.array(ids + [0] * (max(self.widths) - len(ids))))
        return pad(rows)[0]

    def read(self, letters: Int[Tensor, "word length"]) -> Float[Tensor, "word d"]:
        """The vectors of spelled words."""
        x = self.letter_vectors(letters).mT  # (word, letter_dimension, length)
        found = []
        for width, convolution in zip(self.widths, self.convolutions, strict=True):
            # A filter may look past the end of a word only where the word is shorter than it.
            within = F.pad(letters[:, width:] != 0, (1, 0), value=True)
            found.append((F.relu(convolution(x)) * within[:, None]).amax(dim=2))
        y = torch.cat(found, dim=1)  # (word, filters)
        for highway in self.highways:
            new, t = highway(y).chunk(2, dim=1)  # each (word, filters)
            t = torch.sigmoid(t)
            y = t * F.relu(new) + (1 - t) * y
        return self.output(y)

    def forward(self, ids: Int[Tensor, "*places"]) -> Float[Tensor, "*places d"]:
        """The vectors of words of the vocabulary."""
        words, places = ids.unique(return_inverse=True)  # a frequent word is read once
        return self.read(self.letters[words])[places]


class BidirectionalLM(nn.Module):
    """Two language models that share words and output: one reads forward, one backward.

    p(w_1 … w_n) = ∏ p(w_t | w_1 … w_{t−1}) and = ∏ p(w_t | w_{t+1} … w_n)

    The backward model is a forward model of the reversed sentence: START stands where reading
    begins, STOP where it ends. From the second layer on a layer's input is added to its output.

    Parameters
    ----------
    vocabulary : has START and STOP
    dimension : d, numbers in a word's vector and in each state
    layers : LSTM layers in each direction
    characters : make words' vectors by a `CharacterCNN`; by default each word learns its own
    dropout : share of the numbers of word vectors and outputs that is left out in a step of
        training
    counts : how often each word is a target; see `OutputLayer`

    Attributes
    ----------
    words : the embedding or the `CharacterCNN`
    forwards, backwards : LSTMs, one a layer
    output : of both directions

    Raises
    ------
    ValueError : a size below 1, a dropout outside 0 … 1, a vocabulary without START or STOP, or not
        one count a word.

    References
    ----------
    Peters et al. 2018, Deep Contextualized Word Representations, section 3.1: a character CNN and
    two LSTM layers each way, with states of 4096 numbers that are projected to 512.

    Examples
    --------
    >>> from nlp_course.ngram import language_vocabulary
    >>> vocabulary = language_vocabulary([["a", "b"]], min_count=1)
    >>> model = BidirectionalLM(vocabulary, dimension=4, layers=2)
    >>> model.layers(*pad([vocabulary.encode("aba"), vocabulary.encode("b")])).shape
    torch.Size([2, 3, 3, 8])
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        dimension: int = 64,
        layers: int = 2,
        characters: bool = False,
        dropout: float = 0.0,
        counts: Int[np.ndarray, "vocabulary"] | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("dimension", dimension), ("layers", layers)):
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}")
        self.vocabulary = vocabulary
        self.start, self.stop = special_ids(vocabulary)
        if characters:
            self.words: nn.Module = CharacterCNN(vocabulary, dimension)
        else:
            self.words = nn.Embedding(len(vocabulary), dimension)
            nn.init.normal_(self.words.weight, std=0.1)
        self.forwards, self.backwards = (
            nn.ModuleList(Recurrent(LSTMCell, dimension, dimension) for _ in range(layers))
            for _ in range(2)
        )
        self.dropout = nn.Dropout(dropout)
        self.output = OutputLayer(vocabulary, dimension, counts)
        nn.init.normal_(self.output.weight, std=0.1 * dimension**-0.5)

    def _read(
        self, networks: nn.ModuleList, ids: Int[Tensor, "batch time"], lengths: Int[Tensor, "batch"]
    ) -> list[Float[Tensor, "batch time1 d"]]:
        """Word vectors and each layer's outputs, of START and each word, in reading order."""
        x = self.dropout(self.words(F.pad(ids, (1, 0), value=self.start)))  # (batch, 1 + time, d)
        found = [x]
        for layer, network in enumerate(networks):
            outputs, _ = network(x, lengths=lengths + 1)
            x = self.dropout(outputs) + x if layer else self.dropout(outputs)
            found.append(x)
        return found

    def layers(
        self, ids: Int[Tensor, "batch time"], lengths: Int[Tensor, "batch"]
    ) -> Float[Tensor, "batch time layer two_d"]:
        """h_{t,0} … h_{t,L} of each word: its own vector, twice, and [→h; ←h] of each LSTM layer.

        The forward half of a layer knows the words up to t, the backward half those from t on. At
        padded steps the numbers mean nothing.

        Raises
        ------
        ValueError : lengths do not fit.
        """
        forward = self._read(self.forwards, ids, lengths)
        backward = self._read(self.backwards, reverse(ids, lengths), lengths)
        return torch.stack(
            [
                torch.cat([ahead[:, 1:], reverse(back[:, 1:], lengths)], dim=-1)
                for ahead, back in zip(forward, backward, strict=True)
            ],
            dim=2,
        )

    def log_probabilities(
        self, ids: Int[Tensor, "batch time"], lengths: Int[Tensor, "batch"]
    ) -> tuple[Float[Tensor, "token"], Float[Tensor, "token"]]:
        """Log p of the words and STOP of each sentence, forward; and of each reversed sentence.

        In nats, sentence after sentence, each in the order in which it is read.

        Raises
        ------
        ValueError : lengths do not fit.
        """
        return (
            self._log_probabilities(self.forwards, ids, lengths),
            self._log_probabilities(self.backwards, reverse(ids, lengths), lengths),
        )

    def _log_probabilities(
        self, networks: nn.ModuleList, ids: Int[Tensor, "batch time"], lengths: Int[Tensor, "batch"]
    ) -> Float[Tensor, "token"]:
        steps = torch.arange(ids.shape[1] + 1, device=ids.device)
        present = steps <= lengths[:, None]  # STOP is predicted after each sentence's last word
        targets = F.pad(ids, (0, 1)).masked_fill(steps == lengths[:, None], self.stop)
        top = self._read(networks, ids, lengths)[-1]  # (batch, 1 + time, d)
        return -F.cross_entropy(self.output(top[present]), targets[present], reduction="none")


def reverse(
    rows: Shaped[Tensor, "batch time *rest"], lengths: Int[Tensor, "batch"]
) -> Shaped[Tensor, "batch time *rest"]:
    """Each row's first `length` steps in reverse order; the padding stays behind them.

    Examples
    --------
    >>> reverse(torch.tensor([[1, 2, 3], [4, 5, 0]]), torch.tensor([3, 2])).tolist()
    [[3, 2, 1], [5, 4, 0]]
    """
    steps = torch.arange(rows.shape[1], device=rows.device)
    from_end = lengths[:, None] - 1 - steps  # (batch, time)
    places = torch.where(from_end >= 0, from_end, steps)
    return rows[torch.arange(len(rows), device=rows.device)[:, None], places]


def sentence_batches(sentences: Sentences, batch_size: int) -> Batches:
    """Padded sentences of similar lengths and their lengths, for `bidirectional_loss`.

    Raises
    ------
    ValueError : there are no sentences, or batch_size < 1.
    """
    lengths = np.array([len(sentence) for sentence in sentences], dtype=np.int64)
    return lambda rng: [
        pad([sentences[row] for row in rows]) for rows in similar_lengths(lengths, batch_size, rng)
    ]


def bidirectional_loss(
    model: BidirectionalLM, batch: tuple[Int[Tensor, "batch time"], Int[Tensor, "batch"]]
) -> tuple[Float[Tensor, ""], int]:
    """−Σ log p of both directions, and the number of predictions, two a token: for `training`.

    exp of the mean is the perplexity, averaged over directions.

    References
    ----------
    Peters et al. 2018, section 3.1.
    """
    forward, backward = model.log_probabilities(*batch)
    return -forward.sum() - backward.sum(), len(forward) + len(backward)


@torch.no_grad()
def features(
    model: BidirectionalLM, sentences: Sentences, batch_size: int = 64
) -> list[Float[np.ndarray, "_ layer two_d"]]:
    """All layers of each sentence's words, without dropout: frozen inputs for another model.

    With `ScalarMix` to mix them they are what `sequence_models.Tagger` reads.

    Raises
    ------
    ValueError : batch_size < 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    place = next(model.parameters()).device
    was_training = model.training
    model.eval()
    found = []
    for start in range(0, len(sentences), batch_size):
        some = sentences[start : start + batch_size]
        ids, lengths = pad(some)
        layers = model.layers(ids.to(place), lengths.to(place)).cpu().numpy()
        found += [row[: len(words)] for row, words in zip(layers, some, strict=True)]
    model.train(was_training)
    return found


class ScalarMix(nn.Module):
    """A task's own weighted mean of layers: γ Σ_j s_j h_j, where s = softmax(w).

    It begins as the plain mean, w = 0 and γ = 1, and learns both with the task.

    Parameters
    ----------
    layers : how many there are, word vectors included: L + 1

    Raises
    ------
    ValueError : layers < 1.

    References
    ----------
    Peters et al. 2018, eq. 1.

    Examples
    --------
    >>> mix = ScalarMix(3)
    >>> mix(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])).tolist()
    [3.0, 4.0]
    """

    def __init__(self, layers: int) -> None:
        super().__init__()
        if layers < 1:
            raise ValueError(f"layers must be at least 1, got {layers}")
        self.w = nn.Parameter(torch.zeros(layers))
        self.gamma = nn.Parameter(torch.ones(()))

    @property
    def weights(self) -> Float[Tensor, "layer"]:
        """S = softmax(w)."""
        return torch.softmax(self.w, dim=0)

    def forward(self, h: Float[Tensor, "*places layer d"]) -> Float[Tensor, "*places d"]:
        """The mix, at each place."""
        return self.gamma * torch.einsum("j,...jd->...d", self.weights, h)
