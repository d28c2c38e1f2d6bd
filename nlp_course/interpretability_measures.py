"""The measurements of chapter 27, each for any model that has read World's knowledge base.

They are run on three models by weights/knowledge_gpt.py, and on the shipped one by the chapter.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nlp_course import causal, causal_lm, training
from nlp_course.data.world_knowledge import CLOSED, RELATIONS, KnowledgeBase, Words
from nlp_course.interpretability import (
    PARTS,
    edges_between,
    knockout_curve,
    layers_of,
    logits_of,
    record,
    silence,
    window,
)
from nlp_course.interpretability_knowledge import BEGIN, Prompts, Reader
from nlp_course.interpretability_probes import Probe, correlation, fit_probe
from nlp_course.interpretability_recall import (
    Extraction,
    answer_rank,
    attributes_rate,
    extraction_events,
    head_lens,
    lens,
)
from nlp_course.pretrained import FOLDER
from nlp_course.text import Vocabulary
from nlp_course.transformer import TransformerLM

FILE = FOLDER / "knowledge.json"
WIDTH = 3  # layers that are cut at once, of six
TOP = len(CLOSED)  # tokens that the attributes rate looks at: as many as a person has
TRAINED = 250  # people that a probe is trained on; the other 150 judge it


def known(reader: Reader, prompts: Prompts) -> Prompts:
    """Those prompts that the model answers right."""
    logits = logits_of(reader.model, prompts.ids)[torch.arange(len(prompts.ids)), prompts.last]
    return prompts.rows(logits.argmax(dim=1) == prompts.answers)


def knockouts(reader: Reader, prompts: Prompts, width: int = WIDTH) -> dict[str, list[float]]:
    """Mean change of the answer's probability, by layer, where the last token cannot attend.

    To the name's tokens, to the relation's words, or to itself; see `knockout_curve`.
    """
    keys = {"subject": prompts.subject, "relation": prompts.relation, "last": prompts.is_last}
    return {
        name: knockout_curve(
            reader.model,
            prompts.ids,
            prompts.last,
            prompts.answers,
            edges_between(prompts.is_last, places),
            width,
        )
        .mean(dim=1)
        .tolist()
        for name, places in keys.items()
    }


def places_of(prompts: Prompts) -> dict[str, Int[Tensor, "batch"]]:
    """The name's first and last token and the prompt's last, in each text."""
    first = prompts.subject.int().argmax(dim=1)
    return {
        "subject first": first,
        "subject last": prompts.subject_last,
        "last": prompts.last,
    }


def attribute_rates(
    reader: Reader,
    subjects: Sequence[Words],
    *,
    silent: str | None = None,
    layers: Sequence[int] = (),
    wording: int = 0,
    k: int = TOP,
) -> dict[str, list[float]]:
    """Mean attributes rate by place of the stream, at three tokens of a prompt about the home.

    Parameters
    ----------
    silent, layers : a sublayer that adds nothing at the tokens of the name, in some layers
    wording : of the prompt
    k : as for `attributes_rate`
    """
    prompts = reader.prompts(subjects, CLOSED[:1], wording)
    truth = reader.true_attributes(subjects)
    with ExitStack() as stack:
        if silent is not None:
            stack.enter_context(silence(reader.model, silent, layers, prompts.subject))
        run = record(reader.model, prompts.ids)
    rows = torch.arange(len(prompts.ids))
    return {
        name: [
            attributes_rate(lens(reader.model, x[rows, places]), truth, k).mean().item()
            for x in run.stream
        ]
        for name, places in places_of(prompts).items()
    }


def rate_changes(reader: Reader, subjects: Sequence[Words], part: str, width: int) -> list[float]:
    """By what share the attributes rate at the name's end changes, if a sublayer is silent there.

    Around each layer in turn, in a `window` of `width` layers, at all tokens of the name.
    """
    usual = attribute_rates(reader, subjects)["subject last"][-1]
    number = len(layers_of(reader.model))
    return [
        attribute_rates(reader, subjects, silent=part, layers=window(layer, width, number))[
            "subject last"
        ][-1]
        / usual
        - 1
        for layer in range(number)
    ]


def head_recall(reader: Reader, prompts: Prompts) -> Float[np.ndarray, "layer head"]:
    """How often a head, of what stands at the name, would write the answer.

    The vector of the name's last token, as it enters a layer, goes through the head's own weights
    and the lens; a prompt counts if among the relation's attributes the true one comes first.
    """
    run = record(reader.model, prompts.ids)
    rows = torch.arange(len(prompts.ids))
    sets = [
        torch.tensor([reader.vocabulary.id(word) for word in RELATIONS[name].attributes])
        for name in CLOSED
    ]
    own = [next(i for i, ids in enumerate(sets) if answer in ids) for answer in prompts.answers]
    relation = torch.tensor(own)
    heads = reader.model.settings.heads
    found = np.zeros((len(layers_of(reader.model)), heads))
    for layer in range(len(found)):
        x = run.stream[layer][rows, prompts.subject_last]
        for head in range(heads):
            logits = head_lens(reader.model, layer, head, x)
            for number, ids in enumerate(sets):
                mine = relation == number
                said = ids[logits[mine][:, ids].argmax(dim=1)]
                found[layer, head] += float((said == prompts.answers[mine]).sum())
    return found / len(prompts.ids)


def extraction(reader: Reader, prompts: Prompts) -> Extraction:
    """The extraction events of some prompts."""
    return extraction_events(reader.model, record(reader.model, prompts.ids), prompts.last)


def ranks(reader: Reader, prompts: Prompts) -> dict[str, list[float]]:
    """The answer's median rank by the lens, by place: at the name's last token and at the last."""
    run = record(reader.model, prompts.ids)
    rows = torch.arange(len(prompts.ids))
    return {
        name: [
            answer_rank(lens(reader.model, x[rows, places]), prompts.answers).median().item()
            for x in run.stream
        ]
        for name, places in places_of(prompts).items()
        if name != "subject first"
    }


def subject_vectors(
    reader: Reader, subjects: Sequence[Words], place: int
) -> Float[np.ndarray, "subject d"]:
    """The stream at each name's last token, with nothing before it but a full stop."""
    prompts = reader.prompts(subjects, CLOSED[:1])
    run = record(reader.model, prompts.ids)
    return run.stream[place][torch.arange(len(subjects)), prompts.subject_last].double().numpy()


class Estimator(NamedTuple):
    """A probe for how much a model knows of a person, and whom it was not trained on.

    probe : from the vector of the name to the accuracy
    place : of the stream, from which the vectors are
    held_out : numbers of the people that judge it
    """

    probe: Probe
    place: int
    held_out: Int[np.ndarray, "person"]

    def estimate(self, reader: Reader, subjects: Sequence[Words]) -> Float[np.ndarray, "subject"]:
        """The accuracy to be expected of each person, with no question asked."""
        return self.probe.estimate(subject_vectors(reader, subjects, self.place))


def fit_estimator(
    reader: Reader,
    accuracy: Float[np.ndarray, "subject"],
    place: int,
    *,
    penalty: float = 0.03,
    seed: int = 0,
) -> Estimator:
    """A probe like KEEN's, trained on people drawn at random.

    Parameters
    ----------
    accuracy : of each of the base's people, in their order
    place : of the stream
    """
    order = np.random.default_rng(seed).permutation(len(accuracy))
    train, test = np.sort(order[:TRAINED]), np.sort(order[TRAINED:])
    x = subject_vectors(reader, reader.base.subjects, place)
    return Estimator(fit_probe(x[train], accuracy[train], penalty=penalty), place, test)


def teach(
    reader: Reader,
    targets: Sequence[Words],
    *,
    steps: int = 60,
    rate: float = 1e-3,
    seed: int = 0,
) -> Reader:
    """A copy of the model, trained more on texts about some people alone."""
    base, model = reader.base, copy.deepcopy(reader.model)
    rng = np.random.default_rng(seed)
    texts = []
    for _ in range(40):
        for subject in targets:
            relations = rng.permutation(CLOSED).tolist()
            texts.append(base.statement(subject, relations[0], int(rng.integers(4))))
            texts.append(base.profile(subject, relations[:4]))
    words = [word for place in rng.permutation(len(texts)) for word in texts[place]]
    training.train(
        model,
        causal_lm.next_token_loss,
        causal.random_blocks(reader.vocabulary.encode([BEGIN, *words]), 48, 16, steps),
        steps=steps,
        optimizer="adamw",
        learning_rate=rate,
        schedule=training.linear,
        clip=1.0,
        device="cpu",
        progress=False,
        seed=seed,
    )
    return Reader(model, reader.vocabulary, base)


def causal_check(
    reader: Reader, estimator: Estimator, targets: Sequence[Words], others: Sequence[Words]
) -> dict[str, dict[str, float]]:
    """Accuracy and estimate of two groups, before and after more training on the first."""
    taught = teach(reader, targets)
    found: dict[str, dict[str, float]] = {}
    for when, who in (("before", reader), ("after", taught)):
        for group, subjects in (("targets", targets), ("others", others)):
            found[f"{group} {when}"] = {
                "accuracy": float(who.accuracy(subjects).mean()),
                "estimate": float(estimator.estimate(who, subjects).mean()),
            }
    return found


def measures(model: TransformerLM, vocabulary: Vocabulary, base: KnowledgeBase) -> dict[str, Any]:
    """All of it, rounded, for one model: what knowledge.json has of each seed."""
    reader = Reader(model, vocabulary, base)
    subjects, number = base.subjects, len(model.stack.blocks)
    accuracy = reader.accuracy(subjects)
    hedging, factuality = reader.hedging(subjects), reader.factuality(subjects)
    sure: Bool[np.ndarray, "subject"] = accuracy >= 0.9
    best = [subject for subject, is_sure in zip(subjects, sure, strict=True) if is_sure]
    prompts = {str(w): known(reader, reader.prompts(best, CLOSED, w)) for w in (0, 2, 3)}
    events = extraction(reader, prompts["0"])
    popularity = np.log([base.share(subject) for subject in subjects])
    estimators = [fit_estimator(reader, accuracy, place) for place in range(number + 1)]
    held_out = estimators[0].held_out
    people = [subjects[i] for i in held_out]
    by_place = [e.estimate(reader, people) for e in estimators]
    middle = by_place[number // 2 + 1]
    unpopular = [i for i in held_out if accuracy[i] < 0.7]
    targets = [subjects[i] for i in unpopular[:15]]
    others = [s for s in people if s not in targets]
    found = {
        "accuracy_by_tenth": accuracy.reshape(10, -1).mean(axis=1).tolist(),
        "accuracy_held_out_wording": float(reader.accuracy(subjects, [4]).mean()),
        "hedging_by_tenth": hedging.reshape(10, -1).mean(axis=1).tolist(),
        "hedging_strangers": float(reader.hedging(base.strangers).mean()),
        "factuality_by_tenth": factuality.reshape(10, -1).mean(axis=1).tolist(),
        "well_known": len(best),
        "knockouts": {w: knockouts(reader, asked) for w, asked in prompts.items()},
        "attributes_rate": attribute_rates(reader, best),
        "rate_changes": {part: rate_changes(reader, best, part, WIDTH) for part in PARTS},
        "rate_changes_one_layer": {part: rate_changes(reader, best, part, 1) for part in PARTS},
        "head_recall": head_recall(reader, prompts["0"]).tolist(),
        "extraction": dict(zip(PARTS, events.rates(), strict=True)),
        "extraction_by_layer": {
            part: getattr(events, part).float().mean(dim=1).tolist() for part in PARTS
        },
        "ranks": ranks(reader, prompts["0"]),
        "estimate": {
            "accuracy_by_place": [list(correlation(e, accuracy[held_out])) for e in by_place],
            "factuality": list(correlation(middle, factuality[held_out])),
            "hedging": list(correlation(middle, hedging[held_out])),
            "popularity": list(correlation(popularity[held_out], accuracy[held_out])),
            "agreement": list(correlation(reader.agreement(people), accuracy[held_out])),
        },
        "causal_check": causal_check(reader, estimators[number // 2 + 1], targets, others),
    }
    return _rounded(found)


def runs() -> list[dict[str, Any]]:
    """What was measured of the models of three seeds, the shipped one first."""
    return json.loads(FILE.read_text())["runs"]


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_rounded(part) for part in value]
    return round(value, 4) if isinstance(value, float) else value
