"""Positions: what each depends on, beside Hugging Face's, and beyond any length."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="torch is not installed")

from nlp_course.positions import (  # noqa: E402
    ALiBi,
    Learned,
    Position,
    RelativeBias,
    Rotary,
    Sinusoidal,
    alibi_slopes,
    angles,
    distances,
    frequencies,
    relative_buckets,
    sinusoids,
)

TABLE = 1e-5  # sines and cosines are kept in single precision


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_close(found, expected, tolerance=1e-10):
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def hugging_face(module):
    """A module of Hugging Face's models, where that library is installed."""
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    assert transformers
    return __import__(f"transformers.models.{module}", fromlist=["_"])


# Sinusoids


def test_sinusoids_worked_by_hand():
    # d = 4: the waves have 1 and 10000^{−1/2} = 1/100 radian a place.
    expected = [math.sin(3), math.cos(3), math.sin(0.03), math.cos(0.03)]
    torch.testing.assert_close(sinusoids(4, 4)[3], torch.tensor(expected))
    assert sinusoids(1, 4).tolist() == [[0, 1, 0, 1]]


@pytest.mark.parametrize("dimension", [2, 8, 64])
def test_every_sinusoidal_vector_has_squared_length_d_over_2(dimension):
    squared = sinusoids(300, dimension).square().sum(dim=1)
    assert_close(squared, torch.full((300,), dimension / 2), TABLE)


@pytest.mark.parametrize("k", [0, 1, 7, 50])
def test_a_step_of_k_places_is_one_rotation_wherever_it_begins(k):
    """P_{p+k} = R_k P_p for all p: what R_k is, the first places tell, and it holds for all."""
    P = sinusoids(200, 8).double()
    R = torch.linalg.lstsq(P[:100], P[k : 100 + k]).solution.T
    assert_close(R @ R.T, torch.eye(8).double(), 1e-3)
    assert_close(torch.linalg.det(R), torch.tensor(1.0).double(), 1e-3)
    assert_close(P[: 200 - k] @ R.T, P[k:], 1e-3)


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 200))
def test_dot_products_of_sinusoids_depend_on_the_distance_alone(p, distance, shift):
    P = sinusoids(601, 16).double()
    first, second = P[p] @ P[p + distance], P[p + shift] @ P[p + shift + distance]
    assert_close(first, second, 1e-5)
    # cos a cos b + sin a sin b = cos (a − b), for each wave.
    assert_close(first, (distance * frequencies(16)).cos().sum(), 1e-5)


def test_sinusoidal_scales_vectors_by_the_square_root_of_d_and_adds_waves():
    x = numbers(2, 5, 8).float()
    torch.testing.assert_close(Sinusoidal(8).add(x), 8**0.5 * x + sinusoids(5, 8))
    torch.testing.assert_close(Sinusoidal(8).add(x, 7), 8**0.5 * x + sinusoids(12, 8)[7:])


# Rotary


@given(
    m=st.integers(0, 300), n=st.integers(0, 300), shift=st.integers(0, 300), seed=st.integers(0, 99)
)
def test_a_rotated_query_and_key_have_a_dot_product_of_their_distance_alone(m, n, shift, seed):
    rotary, q, k = Rotary(8), numbers(1, 8, seed=seed), numbers(1, 8, seed=seed + 1)

    def score(m, n):
        return (rotary.rotate(q, m) * rotary.rotate(k, n)).sum()

    assert_close(score(m, n), score(m + shift, n + shift), TABLE)


def test_a_rotation_turns_complex_numbers_by_their_angles():
    """(x_i, x_{i + size/2}) as a complex number, times exp (i p ω_i)."""
    x = numbers(2, 3, 10, 8)
    turned = Rotary(8).rotate(x, 5)
    z = torch.complex(x[..., :4], x[..., 4:]) * torch.exp(1j * angles(torch.arange(5, 15), 8))
    assert_close(turned, torch.cat([z.real, z.imag], dim=-1), TABLE)


@given(st.integers(0, 2000), st.integers(1, 5), st.integers(0, 99))
def test_rotations_keep_lengths_and_place_0_keeps_all(start, time, seed):
    x = numbers(2, time, 6, seed=seed)
    turned = Rotary(6).rotate(x, start)
    assert_close(turned.norm(dim=-1), x.norm(dim=-1), TABLE)
    assert Rotary(6).rotate(x)[:, 0].equal(x[:, 0])


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_what_is_rotated_keeps_its_precision(dtype):
    rotary, x = Rotary(6), numbers(2, 5, 6).to(dtype)
    assert rotary.rotate(x).dtype == dtype
    assert rotary.to(dtype).rotate(torch.cat([x] * 9, dim=1)).dtype == dtype
    assert Sinusoidal(6).to(dtype).add(x).dtype == dtype


def test_rotations_are_those_of_hugging_faces_llama():
    llama = hugging_face("llama.modeling_llama")
    from transformers import LlamaConfig

    config = LlamaConfig(hidden_size=32, num_attention_heads=2, max_position_embeddings=600)
    query, key = numbers(2, 2, 600, 16).float(), numbers(2, 2, 600, 16, seed=1).float()
    places = torch.arange(600)[None]
    cosines, sines = llama.LlamaRotaryEmbedding(config)(query, places)
    theirs = llama.apply_rotary_pos_emb(query, key, cosines, sines)
    for ours, expected in zip(map(Rotary(16).rotate, (query, key)), theirs, strict=True):
        # Their angles are products in single precision: 600 radians have an error of 3 · 10⁻⁵.
        assert_close(ours, expected, 2e-4)
        assert_close(ours[:, :, :20], expected[:, :, :20], 1e-5)


# Relative buckets


@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize(
    ("buckets", "furthest"), [(32, 128), (32, 20), (8, 64), (4, 3), (64, 1000)]
)
def test_buckets_are_those_of_hugging_faces_t5(both, buckets, furthest):
    t5 = hugging_face("t5.modeling_t5")
    distance = torch.arange(-2000, 2001)
    expected = t5.T5Attention._relative_position_bucket(distance, both, buckets, furthest)
    assert relative_buckets(distance, buckets, furthest, both).equal(expected)


@given(
    buckets=st.integers(4, 64),
    furthest=st.integers(33, 500),
    both=st.booleans(),
    distance=st.integers(-3000, 3000),
)
def test_there_is_a_bucket_for_every_distance_and_further_ones_have_no_lower_number(
    buckets, furthest, both, distance
):
    further = torch.tensor([distance, distance + (1 if distance > 0 else -1)])
    near, far = relative_buckets(further, buckets, furthest, both).tolist()
    assert 0 <= near <= far < buckets
    if distance > 0 and not both:
        assert near == 0


def test_buckets_worked_by_hand():
    # 8 buckets of one direction: 0 to 3 alone, then 4–5.7, 5.7–8, 8–11.3, and all from 11.3 on,
    # four times as wide as the distance doubles twice up to 16.
    found = relative_buckets(-torch.arange(20), buckets=8, furthest=16, both=False).tolist()
    assert found == [0, 1, 2, 3, 4, 4, 5, 5, 6, 6, 6, 6, *[7] * 8]


def test_a_relative_bias_is_that_of_the_head_and_the_bucket():
    position = RelativeBias(3, buckets=8, furthest=16)
    bias = position.bias(4, 6)
    assert bias.shape == (3, 4, 6)
    for query in range(4):
        for key in range(6):
            bucket = relative_buckets(torch.tensor([key - (query + 2)]), 8, 16)
            assert bias[:, query, key].equal(position.biases[bucket[0]])


# ALiBi


@pytest.mark.parametrize("heads", range(1, 33))
def test_slopes_are_those_of_hugging_faces_bloom(heads):
    bloom = hugging_face("bloom.modeling_bloom")
    theirs = bloom.build_alibi_tensor(torch.ones(1, 7), heads, torch.float32)  # (heads, 1, 7)
    # Theirs is slope · place of the key: another number for a query's whole row of scores.
    torch.testing.assert_close(alibi_slopes(heads), theirs[:, 0, 1])
    shifts = ALiBi(heads).bias(1, 7)[:, 0] - theirs[:, 0]
    torch.testing.assert_close(shifts, shifts[:, :1].expand(heads, 7))


def test_slopes_of_8_heads_halve_from_one_half():
    assert alibi_slopes(8).tolist() == [2.0**-i for i in range(1, 9)]


@given(st.integers(1, 12), st.integers(1, 20))
def test_alibi_is_symmetric_0_at_home_and_falls_with_distance(heads, time):
    bias = ALiBi(heads).bias(time, time)
    assert bias.equal(bias.mT)
    assert not bias.diagonal(dim1=1, dim2=2).any()
    assert (bias[:, 0].diff(dim=1) < 0).all()


# All of them

DISTANCES = {"relative": RelativeBias(2), "relative one way": RelativeBias(2, both=False)}
DISTANCES["alibi"] = ALiBi(2)


@pytest.mark.parametrize("name", DISTANCES)
@given(queries=st.integers(0, 5), before=st.integers(0, 5))
@settings(max_examples=20)
def test_biases_of_later_queries_are_the_last_rows_of_the_whole(name, queries, before):
    keys = queries + before
    whole = DISTANCES[name].bias(keys, keys)
    assert whole[:, before:].equal(DISTANCES[name].bias(queries, keys))
    # They depend on the distance only: down each diagonal they are the same.
    assert whole[:, 1:, 1:].equal(whole[:, :-1, :-1])


LEARNED = Learned(60, 8)
PLACED = {
    "sinusoidal": lambda: Sinusoidal(8).add,
    "learned": lambda: LEARNED.add,
    "rotary": lambda: Rotary(8).rotate,
}


@pytest.mark.parametrize("name", PLACED)
@given(start=st.integers(0, 40), time=st.integers(0, 20))
@settings(max_examples=20)
def test_a_text_from_a_place_on_is_a_slice_of_the_whole(name, start, time):
    """What the table held before does not matter."""
    x = numbers(2, 60, 8).float()
    whole, part = PLACED[name](), PLACED[name]()
    assert_close(part(x[:, start : start + time], start), whole(x)[:, start : start + time], 1e-6)


def test_each_enters_in_one_place_and_none_in_no_place():
    x = numbers(2, 5, 8).float()
    entries = {
        Position(): [],
        Sinusoidal(8): ["add"],
        Learned(5, 8): ["add"],
        Rotary(8): ["rotate"],
        RelativeBias(2): ["bias"],
        ALiBi(2): ["bias"],
    }
    for position, expected in entries.items():
        found = {
            "add": not position.add(x).equal(x),
            "rotate": not position.rotate(x).equal(x),
            "bias": position.bias(5, 5) is not None,
        }
        assert [name for name, enters in found.items() if enters] == expected


def test_learned_places_end_and_the_others_go_on():
    x = torch.zeros(1, 5000, 8)
    assert Sinusoidal(8).add(x).isfinite().all()
    assert Rotary(8).rotate(x, 100_000).isfinite().all()
    for position in (RelativeBias(2), ALiBi(2)):
        assert position.bias(1, 5000).shape == (2, 1, 5000)
    learned = Learned(10, 8)
    assert learned.add(x[:, :4], 6).isfinite().all()
    with pytest.raises(ValueError, match="11 tokens, but only 10 places have a learned vector"):
        learned.add(x[:, :5], 6)


def test_learned_vectors_begin_small():
    torch.manual_seed(0)
    assert Learned(100, 64).vectors.std().item() == pytest.approx(0.02, rel=0.05)
    assert RelativeBias(32, buckets=32).biases.std().item() == pytest.approx(0.02, rel=0.1)


@pytest.mark.parametrize("make", [lambda: Sinusoidal(8), lambda: Rotary(8)])
def test_tables_follow_the_device_are_not_saved_and_can_be_trained_with_after_inference(make):
    position = make()
    x = torch.ones(1, 5, 8, requires_grad=True)
    with torch.inference_mode():
        position.rotate(position.add(torch.ones(1, 5, 8)))
    position.rotate(position.add(x)).sum().backward()
    assert x.grad.isfinite().all()
    assert not position.state_dict()

    meta = position.to("meta")
    longer = meta.rotate(meta.add(torch.ones(1, 50, 8, device="meta")))
    assert longer.shape == (1, 50, 8)
    assert {buffer.device.type for buffer in meta.buffers()} == {"meta"}


@pytest.mark.parametrize("position", [RelativeBias(2), ALiBi(2)])
def test_biases_are_where_the_parameters_are(position):
    assert position.to("meta").bias(2, 3).device.type == "meta"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rotary(7), "7 is not an even size"),
        (lambda: Rotary(0), "0 is not an even size"),
        (lambda: Sinusoidal(5), "5 is not an even size"),
        (lambda: sinusoids(3, 1), "1 is not an even size"),
        (lambda: Learned(0, 8), "length must be at least 1, got 0"),
        (lambda: ALiBi(0), "heads must be at least 1, got 0"),
        (lambda: RelativeBias(0), "heads must be at least 1, got 0"),
        (lambda: RelativeBias(2, buckets=3), "buckets must be at least 4, got 3"),
        (lambda: RelativeBias(2, buckets=1, both=False), "buckets must be at least 2, got 1"),
        (lambda: RelativeBias(2, furthest=8), "distances below 8 have a bucket each"),
        (lambda: distances(3, 2), "3 queries stand at 3 keys at least, got 2"),
    ],
)
def test_a_position_that_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
