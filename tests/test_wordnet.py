"""WordNet: similarities by hand on a small tree, beside NLTK's on the whole of it."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import numpy as np
import pytest

from nlp_course import wordnet as wn
from nlp_course.text import UnknownWordError


@dataclass(eq=False)
class Node:
    """As much of NLTK's synset as the module asks for."""

    label: str
    above: tuple[Node, ...] = ()
    instance_of: tuple[Node, ...] = ()
    below: list[Node] = field(default_factory=list)

    def __post_init__(self):
        for node in self.above:
            node.below.append(self)

    def hypernyms(self):
        return list(self.above)

    def instance_hypernyms(self):
        return list(self.instance_of)

    def hyponyms(self):
        return self.below


@pytest.fixture
def tree() -> dict[str, Node]:
    """thing > animal > (dog, cat); thing > tool > hammer; a puppy is a dog; Rex is an instance."""
    thing = Node("thing")
    animal, tool = Node("animal", (thing,)), Node("tool", (thing,))
    dog, cat, hammer = Node("dog", (animal,)), Node("cat", (animal,)), Node("hammer", (tool,))
    nodes = [thing, animal, tool, dog, cat, hammer, Node("puppy", (dog,))]
    nodes += [Node("rex", instance_of=(dog,)), Node("alone")]
    return {node.label: node for node in nodes}


@pytest.fixture(scope="module")
def reader():
    from nlp_course import data

    return data.load("wordnet").reader


def noun_senses(reader, number: int, seed: int = 0) -> list:
    words = sorted(word for word in reader.all_lemma_names("n") if word.isalpha())
    chosen = np.random.default_rng(seed).choice(len(words), number, replace=False)
    return [reader.synsets(words[i], "n")[0] for i in chosen]


def test_ancestors_and_depths_of_a_tree(tree):
    assert {node.label: steps for node, steps in wn.ancestors(tree["puppy"]).items()} == {
        "puppy": 0,
        "dog": 1,
        "animal": 2,
        "thing": 3,
    }
    assert [wn.depth(tree[name]) for name in ("thing", "animal", "puppy", "rex")] == [1, 2, 4, 4]


def test_the_shortest_way_up_counts_and_the_longest_depth():
    top = Node("top")
    long = Node("b", (Node("a", (top,)),))
    low = Node("low", (long, top))
    assert wn.ancestors(low)[top] == 1
    assert wn.depth(low) == 4


@pytest.mark.parametrize(
    ("first", "second", "path", "wu_palmer"),
    [
        ("dog", "dog", 1, 1),
        ("dog", "cat", 1 / 3, 2 * 2 / (3 + 3)),
        ("puppy", "cat", 1 / 4, 2 * 2 / (4 + 3)),
        ("puppy", "dog", 1 / 2, 2 * 3 / (4 + 3)),
        ("rex", "puppy", 1 / 3, 2 * 3 / (4 + 4)),
        ("dog", "hammer", 1 / 5, 2 * 1 / (3 + 3)),
        ("dog", "alone", 0, 0),
    ],
)
def test_similarities_by_hand(tree, first, second, path, wu_palmer):
    for a, b in ((first, second), (second, first)):
        assert wn.path_similarity(tree[a], tree[b]) == pytest.approx(path)
        assert wn.wu_palmer(tree[a], tree[b]) == pytest.approx(wu_palmer)


def test_in_a_tree_wu_palmer_is_the_dice_coefficient_of_ancestor_vectors(tree):
    names = ["dog", "cat", "puppy", "hammer", "thing"]
    columns, vectors = wn.ancestor_vectors([tree[name] for name in names])
    assert columns[0].label == "thing"
    assert vectors.sum(axis=1).tolist() == [wn.depth(tree[name]) for name in names]
    for i, first in enumerate(names):
        for j, second in enumerate(names):
            shared = vectors[i] @ vectors[j]
            dice = 2 * shared / (vectors[i].sum() + vectors[j].sum())
            assert dice == pytest.approx(wn.wu_palmer(tree[first], tree[second]))


def test_hyponym_paths_go_down_and_stop_at_leaves(tree):
    labels = lambda paths: [[node.label for node in path] for path in paths]  # noqa: E731
    assert labels(wn.hyponym_paths(tree["animal"], 1)) == [["animal", "dog"], ["animal", "cat"]]
    assert labels(wn.hyponym_paths(tree["animal"], 5)) == [
        ["animal", "dog", "puppy"],
        ["animal", "cat"],
    ]
    assert labels(wn.hyponym_paths(tree["puppy"])) == [["puppy"]]
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        wn.hyponym_paths(tree["dog"], 0)


def test_a_drawing_has_every_edge_once_and_no_two_nodes_in_one_place(tree):
    drawing = wn.draw_up([tree[name] for name in ("puppy", "cat", "hammer", "puppy")])
    labels = [node.label for node in drawing.nodes]
    assert sorted(labels) == ["animal", "cat", "dog", "hammer", "puppy", "thing", "tool"]
    assert {(labels[a], labels[b]) for a, b in drawing.edges} == {
        ("thing", "animal"),
        ("thing", "tool"),
        ("animal", "dog"),
        ("animal", "cat"),
        ("dog", "puppy"),
        ("tool", "hammer"),
    }
    places = drawing.places
    assert all(places[a, 1] > places[b, 1] for a, b in drawing.edges)
    for y in np.unique(places[:, 1]):
        row = np.sort(places[places[:, 1] == y, 0])
        assert np.all(np.diff(row) >= 1 - 1e-12)
    x = dict(zip(labels, places[:, 0], strict=True))
    assert x["thing"] == pytest.approx((x["animal"] + x["tool"]) / 2)
    assert x["dog"] < x["cat"] < x["hammer"]


def test_nodes_that_want_the_same_place_stand_side_by_side_around_it():
    top = Node("top")
    left, right = Node("left", (top,)), Node("right", (top,))
    drawing = wn.draw_up([Node("a", (left, right)), Node("b", (left, right))])
    place = {node.label: tuple(at) for node, at in zip(drawing.nodes, drawing.places, strict=True)}
    assert {place["left"], place["right"]} == {(0.0, -2.0), (1.0, -2.0)}
    assert place["top"] == (0.5, -1.0)
    assert {place["a"], place["b"]} == {(0.0, -3.0), (1.0, -3.0)}


def test_nothing_to_draw_is_an_error():
    for call in (wn.draw_up, wn.ancestor_vectors):
        with pytest.raises(ValueError, match="give at least one sense"):
            call([])


class SmallDictionary:
    """The part of NLTK's reader that `dictionary` asks, over a few definitions."""

    def __init__(self, definitions: dict[str, str]):
        self.definitions = definitions | {"Capital": "a size", "two_words": "a size"}

    def open(self, file):
        places = {word: f"{100 + i:08}" for i, word in enumerate(self.definitions)}
        lines = ["  1 The licence, in lines that begin with two spaces"]
        for word, place in places.items():
            if file == "index.noun":  # a word with two senses, and one pointer
                lines.append(f"{word} n 2 1 @ 2 0 {place} 99999999")
            else:
                definition = f'{self.definitions[word]}; "the bulk of the size"'
                lines.append(f"{place} 03 n 01 {word} 0 000 | {definition}")
        return io.StringIO("\n".join(lines))

    def morphy(self, token, pos):
        basic = token.removesuffix("s")
        return basic if basic in self.definitions else None


@pytest.mark.real_data
@pytest.mark.parametrize("pos", "nvar")
def test_first_definitions_are_those_that_nltk_reads(reader, pos):
    ours = wn._first_definitions(reader, pos)
    words = sorted(ours)
    drawn = [words[i] for i in np.random.default_rng(0).integers(len(words), size=300)]
    for word in drawn:
        theirs = reader.synsets(word, pos)
        # NLTK also takes "better" for "good"; the word's own senses come first in a few cases only.
        own = [sense for sense in theirs if word in {name.lower() for name in sense.lemma_names()}]
        # NLTK leaves whom an example is quoted from: "…; - John D.Rockefeller Jr".
        assert own[0].definition().startswith(ours[word].strip(" ;")), word


def test_a_dictionary_is_followed_round_its_shortest_circle():
    found = wn.dictionary(
        SmallDictionary(
            {
                "size": "the magnitude of something",
                "magnitude": "an extents or bulk",
                "extent": "a size, or a Size",
                "bulk": "an extent",
                "twin": "one of two twins",
                "end": "an unspoken gap",
                "of": "a size",
            }
        ),
        leave_out=["of"],
    )
    assert found.words == ("bulk", "end", "extent", "magnitude", "size", "twin")
    assert wn.definition_circle(found, "size") == ["size", "magnitude", "extent", "size"]
    assert wn.definition_circle(found, "extent") == ["extent", "size", "magnitude", "extent"]
    assert wn.definition_circle(found, "twin") == ["twin", "twin"]
    with pytest.raises(ValueError, match="no definition on the way from 'end' uses it"):
        wn.definition_circle(found, "end")
    with pytest.raises(UnknownWordError, match="'unicorn' is not among the 6 words defined"):
        wn.definition_circle(found, "unicorn")


@pytest.mark.real_data
def test_words_that_wordnet_does_not_have_are_named(reader):
    for call in (wn.senses, wn.synonyms):
        with pytest.raises(UnknownWordError, match="WordNet has no 'doomscrolling'"):
            call(reader, "doomscrolling")
        with pytest.raises(UnknownWordError, match="WordNet has no 'the'"):
            call(reader, "the")
    with pytest.raises(UnknownWordError, match="'happily' with part of speech 'n'"):
        wn.senses(reader, "happily", "n")


@pytest.mark.real_data
def test_synonyms_by_sense(reader):
    found = wn.synonyms(reader, "car", "n")
    assert found["car.n.01"] == ["auto", "automobile", "machine", "motorcar"]
    assert "elevator_car" in found["car.n.04"]
    assert all("car" not in names for names in found.values())
    assert "domestic_dog" in wn.synonyms(reader, "Canis familiaris")["dog.n.01"]


@pytest.mark.real_data
def test_ancestors_and_depth_are_nltks(reader):
    for sense in noun_senses(reader, 200):
        assert set(wn.ancestors(sense)) == {
            node for path in sense.hypernym_paths() for node in path
        }
        assert wn.depth(sense) == sense.max_depth() + 1
        theirs = {}
        for node, steps in sense.hypernym_distances():
            theirs[node] = min(steps, theirs.get(node, steps))
        assert wn.ancestors(sense) == theirs


@pytest.mark.real_data
def test_path_similarity_is_nltks(reader):
    found = noun_senses(reader, 400)
    verbs = [reader.synsets(word, "v")[0] for word in ("walk", "run", "think", "eat", "be", "rain")]
    pairs = list(zip(found[::2], found[1::2], strict=True))
    pairs += [(a, b) for a in verbs for b in verbs]
    for first, second in pairs:
        theirs = first.path_similarity(second, simulate_root=False)
        assert wn.path_similarity(first, second) == pytest.approx(theirs or 0)


@pytest.mark.real_data
def test_wu_palmer_is_nltks_where_there_is_one_way_up(reader):
    found = [s for s in noun_senses(reader, 600) if len(s.hypernym_paths()) == 1]
    assert len(found) > 300
    for first, second in zip(found[:-1:2], found[1::2], strict=False):
        theirs = first.wup_similarity(second, simulate_root=False)
        assert wn.wu_palmer(first, second) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.real_data
def test_wu_palmer_is_mostly_nltks_where_there_are_several(reader):
    # NLTK measures a common ancestor's depth in two ways, and lets the way up go down again.
    found = noun_senses(reader, 600)
    pairs = list(zip(found[::2], found[1::2], strict=True))
    theirs = [a.wup_similarity(b, simulate_root=False) for a, b in pairs]
    ours = [wn.wu_palmer(a, b) for a, b in pairs]
    assert np.isclose(ours, theirs, atol=1e-12).mean() > 0.93
    np.testing.assert_allclose(ours, theirs, atol=0.2)


@pytest.mark.real_data
def test_similarity_has_degrees(reader):
    dog, cat, car = (wn.senses(reader, word, "n")[0] for word in ("dog", "cat", "car"))
    assert 1 == wn.wu_palmer(dog, dog) > wn.wu_palmer(dog, cat) > wn.wu_palmer(dog, car) > 0
    assert wn.path_similarity(dog, cat) == pytest.approx(1 / 5)
    assert wn.path_similarity(dog, wn.senses(reader, "walk", "v")[0]) == 0


@pytest.mark.real_data
def test_usage_words_are_those_with_a_marked_sense(reader):
    domains = ("disparagement.n.01", "vulgarism.n.01")
    words = wn.usage_words(reader, *domains)
    for word, others in words.items():
        marks = [
            bool({*sense.usage_domains()} & {reader.synset(domain) for domain in domains})
            for sense in wn.senses(reader, word)
        ]
        assert any(marks)
        assert others == (not all(marks))
    assert words["suit"]  # also clothes, and cards
    assert not words["touchy-feely"]
    assert wn.usage_words(reader, domains[0]).keys() < words.keys()


@pytest.mark.real_data
def test_a_domain_that_marks_nothing_is_refused(reader):
    with pytest.raises(ValueError, match=r"marks no sense with 'dog\.n\.01'"):
        wn.usage_words(reader, "dog.n.01")
