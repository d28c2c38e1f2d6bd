"""Position: five ways to tell a transformer where its tokens stand, and one to tell it nothing.

Attention treats its tokens as a set. Order can enter in three places: added to the vectors before
the first layer, as a rotation of queries and keys, or as a bias on the scores. Each class here
overrides one of the three, so a model asks all of them of whatever it was given.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

BASE = 10_000.0  # the slowest wave is 2π · BASE^(1 − 2/size) places long


class Position(nn.Module):
    """No position at all; what the others override, one method each."""

    def add(
        self,
        x: Float[Tensor, "batch time d"],
        start: int = 0,  # noqa: ARG002  (others use it)
    ) -> Float[Tensor, "batch time d"]:
        """Vectors of tokens at the places start, start + 1, …, with their places in them."""
        return x

    def rotate(
        self,
        x: Float[Tensor, "*batch time size"],
        start: int = 0,  # noqa: ARG002
    ) -> Float[Tensor, "*batch time size"]:
        """Queries or keys at the places start, start + 1, …, turned by their places."""
        return x

    def bias(
        self,
        queries: int,  # noqa: ARG002
        keys: int,  # noqa: ARG002
    ) -> Float[Tensor, "heads {queries} {keys}"] | None:
        """What is added to the scores; the last query stands at the last key."""
        return None


def frequencies(size: int) -> Float[Tensor, "half"]:
    """ω_i = 10000^{−2i/size} for i = 0 … size/2 − 1, in radians a place.

    Raises
    ------
    ValueError : an odd size, or one below 2: the numbers go in pairs.
    """
    if size < 2 or size % 2:
        raise ValueError(f"the numbers of a vector go in pairs: {size} is not an even size above 0")
    return BASE ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)


def angles(places: Int[Tensor, "time"], size: int) -> Float[Tensor, "time half"]:
    """Angles p ω_i: how far each pair of numbers is turned at each place, in radians."""
    return places[:, None] * frequencies(size)


def sinusoids(length: int, dimension: int) -> Float[Tensor, "{length} {dimension}"]:
    """The sinusoidal encoding of the places 0 … length − 1.

    P_{p, 2i} = sin(p ω_i),  P_{p, 2i+1} = cos(p ω_i),  ω_i = 10000^{−2i/d}

    Raises
    ------
    ValueError : an odd dimension, or one below 2.

    References
    ----------
    Vaswani et al. 2017, Attention Is All You Need, section 3.5.

    Examples
    --------
    >>> sinusoids(2, 2)
    tensor([[0.0000, 1.0000],
            [0.8415, 0.5403]])
    """
    turned = angles(torch.arange(length), dimension)  # (length, d/2)
    return torch.stack([turned.sin(), turned.cos()], dim=-1).flatten(1).float()


class Sinusoidal(Position):
    """√d x_p + P_p: waves of fixed lengths, added; any length will do.

    √d makes up, in part, for word vectors that begin small, beside waves between −1 and 1.

    References
    ----------
    Vaswani et al. 2017, Attention Is All You Need, sections 3.4 and 3.5.
    """

    waves: Float[Tensor, "length d"]

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.register_buffer("waves", sinusoids(1, dimension), persistent=False)

    def add(
        self, x: Float[Tensor, "batch time d"], start: int = 0
    ) -> Float[Tensor, "batch time d"]:
        """√d x + P."""
        end, dimension = start + x.shape[1], x.shape[2]
        if end > len(self.waves):
            with torch.inference_mode(False):  # a table made inside could not be trained with
                self.waves = sinusoids(2 * end, dimension).to(x.device)
        return dimension**0.5 * x + self.waves[start:end].to(x.dtype)


class Learned(Position):
    """x_p + P_p with a learned vector a place: nothing is known of places beyond the length.

    Parameters
    ----------
    length : places there are vectors for
    dimension : numbers in each
    spread : standard deviation σ of initial numbers

    Attributes
    ----------
    vectors : P, (length, d); it begins as N(0, σ²)

    References
    ----------
    Gehring et al. 2017, Convolutional Sequence to Sequence Learning, section 3.1.
    """

    def __init__(self, length: int, dimension: int, spread: float = 0.02) -> None:
        super().__init__()
        if length < 1:
            raise ValueError(f"length must be at least 1, got {length}")
        self.vectors = nn.Parameter(torch.randn(length, dimension) * spread)

    def add(
        self, x: Float[Tensor, "batch time d"], start: int = 0
    ) -> Float[Tensor, "batch time d"]:
        """The sum x + P.

        Raises
        ------
        ValueError : more tokens than there are places.
        """
        end, length = start + x.shape[1], len(self.vectors)
        if end > length:
            raise ValueError(
                f"{end} tokens, but only {length} places have a learned vector: shorten the text, "
                f"or build the model with length={end}"
            )
        return x + self.vectors[start:end]


class Rotary(Position):
    """Queries and keys turned by angles in proportion to their places.

    The pair (x_i, x_{i + size/2}) at place p is turned by p ω_i. A query at place m and a key at
    place n then have a dot product that depends on m − n only.

    Parameters
    ----------
    size : numbers in a query or key of one head

    Raises
    ------
    ValueError : an odd size, or one below 2.

    References
    ----------
    Su et al. 2021, RoFormer: Enhanced Transformer with Rotary Position Embedding, eq. 15, where
    neighbours (x_{2i}, x_{2i+1}) are a pair. Which numbers pair up is a matter of naming: the
    weights that make queries and keys are learned.

    Examples
    --------
    >>> Rotary(2).rotate(torch.tensor([[1.0, 0.0], [1.0, 0.0]]))
    tensor([[1.0000, 0.0000],
            [0.5403, 0.8415]])
    """

    cosines: Float[Tensor, "length half"]
    sines: Float[Tensor, "length half"]

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("cosines", torch.ones(1, len(frequencies(size))), persistent=False)
        self.register_buffer("sines", torch.zeros(1, len(frequencies(size))), persistent=False)

    def rotate(
        self, x: Float[Tensor, "*batch time size"], start: int = 0
    ) -> Float[Tensor, "*batch time size"]:
        """Queries or keys with each pair of numbers turned."""
        end = start + x.shape[-2]
        if end > len(self.cosines):
            with torch.inference_mode(False):  # a table made inside could not be trained with
                turned = angles(torch.arange(2 * end), self.size)
                self.cosines = turned.cos().float().to(x.device)
                self.sines = turned.sin().float().to(x.device)
        cosines, sines = self.cosines[start:end].to(x.dtype), self.sines[start:end].to(x.dtype)
        first, second = x.chunk(2, dim=-1)  # each (*batch, time, size/2)
        return torch.cat(
            [first * cosines - second * sines, first * sines + second * cosines], dim=-1
        )


def distances(
    queries: int, keys: int, device: torch.device | str | None = None
) -> Int[Tensor, "{queries} {keys}"]:
    """Distances n − m of query place m and key place n: below 0 for what is before the query.

    The last query stands at the last key.

    Raises
    ------
    ValueError : more queries than keys.

    Examples
    --------
    >>> distances(2, 3).tolist()
    [[-1, 0, 1], [-2, -1, 0]]
    """
    if queries > keys:
        raise ValueError(f"{queries} queries stand at {queries} keys at least, got {keys}")
    places = torch.arange(keys, device=device)
    return places - places[keys - queries :, None]


def relative_buckets(
    distance: Int[Tensor, "*places"], buckets: int = 32, furthest: int = 128, both: bool = True
) -> Int[Tensor, "*places"]:
    """T5's bucket of each distance: one each for short ones, then wider and wider.

    Half of the buckets (of one direction) hold a single distance each. The others grow in
    proportion to the distance, up to `furthest`; all beyond share the last.

    Parameters
    ----------
    distance : key's place less query's
    buckets : how many there are
    furthest : from this distance on all is one bucket
    both : half of the buckets are for keys after the query; else such keys count as distance 0

    Raises
    ------
    ValueError : too few buckets, or `furthest` within those of a single distance.

    References
    ----------
    Raffel et al. 2020, Exploring the Limits of Transfer Learning with a Unified Text-to-Text
    Transformer, section 2.1.

    Examples
    --------
    >>> relative_buckets(torch.tensor([0, -1, -15, -16, -40, -500, 1])).tolist()
    [0, 1, 9, 10, 12, 15, 17]
    """
    ways = buckets // 2 if both else buckets  # of one direction
    single = ways // 2
    if single < 1:
        raise ValueError(f"buckets must be at least {4 if both else 2}, got {buckets}")
    if furthest <= single:
        raise ValueError(
            f"distances below {single} have a bucket each: furthest must be above, got {furthest}"
        )
    far = distance.abs() if both else (-distance).clamp(min=0)
    # log 0 is not needed: a distance below `single` is taken as it is.
    share = torch.log(far.clamp(min=1) / single) / math.log(furthest / single)
    wide = (single + (share * (ways - single)).long()).clamp(max=ways - 1)
    bucket = torch.where(far < single, far, wide)
    return bucket + (distance > 0) * ways if both else bucket


class RelativeBias(Position):
    """b_{h, bucket(n − m)} is added to a score: T5's position, learned for each head and bucket.

    Parameters
    ----------
    heads : each has its own biases
    buckets, furthest, both : as for `relative_buckets`

    Attributes
    ----------
    biases : b, (buckets, heads); it begins as N(0, 0.02²)

    References
    ----------
    Raffel et al. 2020, section 2.1; Shaw et al. 2018, Self-Attention with Relative Position
    Representations, for relative positions in attention.
    """

    def __init__(
        self, heads: int, buckets: int = 32, furthest: int = 128, both: bool = True
    ) -> None:
        super().__init__()
        if heads < 1:
            raise ValueError(f"heads must be at least 1, got {heads}")
        relative_buckets(torch.zeros(1, dtype=torch.long), buckets, furthest, both)  # checks them
        self.buckets, self.furthest, self.both = buckets, furthest, both
        self.biases = nn.Parameter(torch.randn(buckets, heads) * 0.02)

    def bias(self, queries: int, keys: int) -> Float[Tensor, "heads {queries} {keys}"]:
        """Biases of each head, query and key."""
        distance = distances(queries, keys, self.biases.device)
        bucket = relative_buckets(distance, self.buckets, self.furthest, self.both)
        return self.biases[bucket].permute(2, 0, 1)


def alibi_slopes(heads: int) -> Float[Tensor, "{heads}"]:
    """2^{−8/h}, 2^{−16/h}, …, 2^{−8}: how steeply each head's scores fall with distance.

    For a number of heads that is no power of two: those of the power of two below, then every
    second one of the power of two above.

    References
    ----------
    Press et al. 2022, Train Short, Test Long: Attention with Linear Biases Enables Input Length
    Extrapolation, section 3.

    Examples
    --------
    >>> alibi_slopes(4).tolist()
    [0.25, 0.0625, 0.015625, 0.00390625]
    """
    if heads < 1:
        raise ValueError(f"heads must be at least 1, got {heads}")
    power = 1 << (heads.bit_length() - 1)  # the largest power of two that is not above heads
    slopes = 2.0 ** (-8 / power * torch.arange(1, power + 1))
    between = 2.0 ** (-4 / power * torch.arange(1, 2 * power + 1, 2))
    return torch.cat([slopes, between[: heads - power]])


class ALiBi(Position):
    """−s_h |n − m| is added to a score: nothing is learned, and far keys count less.

    Parameters
    ----------
    heads : each has its own slope s_h, see `alibi_slopes`

    References
    ----------
    Press et al. 2022, section 3.
    """

    slopes: Float[Tensor, "heads"]

    def __init__(self, heads: int) -> None:
        super().__init__()
        self.register_buffer("slopes", alibi_slopes(heads), persistent=False)

    def bias(self, queries: int, keys: int) -> Float[Tensor, "heads {queries} {keys}"]:
        """−s_h |n − m| of each head, query and key."""
        return -self.slopes[:, None, None] * distances(queries, keys, self.slopes.device).abs()
