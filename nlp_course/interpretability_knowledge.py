"""What a model says of the people of World's knowledge base, and how often it is right.

A `Reader` is a model, its vocabulary and the base. It writes prompts as ids, each beginning after a
full stop, as in training, and knows which tokens of them name the subject. From its answers come a
person's accuracy, how surely and how consistently the model answers, when it says *unknown*, how
much of a profile that it writes is true, and a graph of what it believes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from nlp_course import decoding
from nlp_course.data.world_knowledge import CLOSED, RELATIONS, UNKNOWN, KnowledgeBase, Words
from nlp_course.interpretability import logits_of
from nlp_course.text import Vocabulary
from nlp_course.transformer import TransformerLM

BEGIN = "."  # what stands before every text: the end of another
LONGEST_PROFILE = 24  # tokens after the colon


class Prompts(NamedTuple):
    """Prompts of different lengths, side by side.

    ids : the tokens; what follows a text's last is padding
    subject : True at the tokens of the name
    last : the place of each text's last token, where the answer is predicted
    answers : the true attribute, or its first token
    """

    ids: Int[Tensor, "batch time"]
    subject: Bool[Tensor, "batch time"]
    last: Int[Tensor, "batch"]
    answers: Int[Tensor, "batch"]

    @property
    def subject_last(self) -> Int[Tensor, "batch"]:
        """The place of each name's last token."""
        places = torch.arange(self.ids.shape[1])
        return (self.subject * places).amax(dim=1)

    @property
    def is_last(self) -> Bool[Tensor, "batch time"]:
        """True at each text's last token."""
        return torch.arange(self.ids.shape[1]) == self.last[:, None]

    @property
    def relation(self) -> Bool[Tensor, "batch time"]:
        """True at the words that are not of the name, without the first token and the last."""
        places = torch.arange(self.ids.shape[1])
        return (places > 0) & (places < self.last[:, None]) & ~self.subject

    def rows(self, chosen: Bool[Tensor, "batch"] | Int[Tensor, "some"]) -> Prompts:
        """Some of them."""
        return Prompts(*(part[chosen] for part in self))


class Answers(NamedTuple):
    """What a model says of each person, by relation with one word as its attribute.

    right : whether the likeliest word is the true one
    probability : of the true word
    rank : how many words are likelier
    said : the likeliest word
    """

    right: Bool[np.ndarray, "subject relation"]
    probability: Float[np.ndarray, "subject relation"]
    rank: Int[np.ndarray, "subject relation"]
    said: Int[np.ndarray, "subject relation"]

    @property
    def accuracy(self) -> Float[np.ndarray, "subject"]:
        """Of each person, the share of relations that is right."""
        return self.right.mean(axis=1)


class Reader:
    """A model that has read the texts of a knowledge base.

    Parameters
    ----------
    model : of one token after another
    vocabulary : what its ids stand for
    base : what is true

    Raises
    ------
    ValueError : a word of the base that the vocabulary does not have.
    """

    def __init__(self, model: TransformerLM, vocabulary: Vocabulary, base: KnowledgeBase) -> None:
        missing = sorted(set(base.vocabulary) - set(vocabulary.words))
        if missing:
            raise ValueError(f"the vocabulary lacks words of the base: {', '.join(missing[:5])}")
        self.model, self.vocabulary, self.base = model, vocabulary, base

    def prompts(
        self,
        subjects: Sequence[Words],
        relations: Sequence[str] = CLOSED,
        wording: int | None = 0,
    ) -> Prompts:
        """A prompt for each person and relation: all relations of the first, then of the next.

        Parameters
        ----------
        subjects : names; of strangers, too, whose answer is then *unknown*
        relations : of the base
        wording : of the statement, or None for the question

        Raises
        ------
        ValueError : nobody to ask about, no relation, or as for `KnowledgeBase.prompt`.
        """
        if not subjects or not relations:
            raise ValueError("prompts need at least one person and one relation")
        texts, answers, starts, ends = [], [], [], []
        for subject in subjects:
            for relation in relations:
                if wording is None:
                    words = self.base.question(subject, relation)
                else:
                    words = self.base.prompt(subject, relation, wording)
                first = _find(words, subject)
                starts.append(first + 1)  # a full stop comes before
                ends.append(first + 1 + len(subject))
                texts.append(self.vocabulary.encode([BEGIN, *words]))
                known = subject in self.base.facts
                said = self.base.answer(subject, relation)[0] if known else UNKNOWN
                answers.append(self.vocabulary.id(said))
        lengths = np.array([len(text) for text in texts])
        ids = np.zeros((len(texts), lengths.max()), dtype=np.int64)
        for row, text in enumerate(texts):
            ids[row, : len(text)] = text
        places = np.arange(ids.shape[1])
        named = (places >= np.array(starts)[:, None]) & (places < np.array(ends)[:, None])
        return Prompts(
            torch.from_numpy(ids),
            torch.from_numpy(named),
            torch.from_numpy(lengths - 1),
            torch.tensor(answers),
        )

    def answers(
        self,
        subjects: Sequence[Words],
        relations: Sequence[str] = CLOSED,
        wording: int | None = 0,
    ) -> Answers:
        """What the model says to prompts. Parameters and errors as for `prompts`."""
        asked = self.prompts(subjects, relations, wording)
        logits = logits_of(self.model, asked.ids)[torch.arange(len(asked.ids)), asked.last]
        true = logits.gather(1, asked.answers[:, None])
        shape = len(subjects), len(relations)
        said = logits.argmax(dim=1)
        probability = logits.softmax(dim=1).gather(1, asked.answers[:, None])
        return Answers(
            (said == asked.answers).reshape(shape).numpy(),
            probability.reshape(shape).numpy(),
            (logits > true).sum(dim=1).reshape(shape).numpy(),
            said.reshape(shape).numpy(),
        )

    def accuracy(
        self, subjects: Sequence[Words], wordings: Sequence[int] = (0, 1, 2, 3)
    ) -> Float[np.ndarray, "subject"]:
        """Of each person, the share of right answers over relations and wordings."""
        return np.mean([self.answers(subjects, CLOSED, w).accuracy for w in wordings], axis=0)

    def hedging(self, subjects: Sequence[Words]) -> Float[np.ndarray, "subject"]:
        """Of each person, the share of questions that the model answers with *unknown*."""
        said = self.answers(subjects, CLOSED, None).said
        return (said == self.vocabulary.id(UNKNOWN)).mean(axis=1)

    def agreement(
        self, subjects: Sequence[Words], samples: int = 10, seed: int = 0
    ) -> Float[np.ndarray, "subject"]:
        """How consistently the model answers when its answers are drawn: no truth is needed.

        Of each prompt, the share of pairs of samples that are the same; its mean over relations.

        Raises
        ------
        ValueError : fewer than two samples.
        """
        if samples < 2:
            raise ValueError(f"to agree there must be at least 2 samples, got {samples}")
        asked = self.prompts(subjects)
        logits = logits_of(self.model, asked.ids)[torch.arange(len(asked.ids)), asked.last]
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.multinomial(logits.softmax(dim=1), samples, True, generator=generator)
        same = (drawn[:, :, None] == drawn[:, None, :]).sum(dim=(1, 2)) - samples
        return (same / (samples * (samples - 1))).reshape(len(subjects), -1).mean(dim=1).numpy()

    def profiles(self, subjects: Sequence[Words]) -> list[list[str]]:
        """Long answers: what the model writes after *about* each person, greedily, to the stop."""
        begins = [["about", *subject, ":"] for subject in subjects]
        said = self._continued(begins, LONGEST_PROFILE)
        return [begin + words for begin, words in zip(begins, said, strict=True)]

    def true_attributes(
        self, subjects: Sequence[Words], copies: int = 1
    ) -> Bool[Tensor, "row vocabulary"]:
        """True at the words that are attributes of each person, for `attributes_rate`.

        Parameters
        ----------
        copies : rows of each person, one after the other: as many as relations of `prompts`
        """
        truth = torch.zeros(len(subjects), len(self.vocabulary), dtype=torch.bool)
        for row, subject in enumerate(subjects):
            for word in self.base.attributes(subject):
                truth[row, self.vocabulary.id(word)] = True
        return truth.repeat_interleave(copies, dim=0)

    def factuality(self, subjects: Sequence[Words]) -> Float[np.ndarray, "subject"]:
        """Of each person, the share of claims in the model's profile that are true.

        References
        ----------
        Min et al. 2023, FActScore: Fine-grained Atomic Evaluation of Factual Precision in Long
        Form Text Generation, whose claims are taken out of free text by another model.
        """
        shares = []
        for subject, profile in zip(subjects, self.profiles(subjects), strict=True):
            facts = self.base.facts.get(subject, {})
            true = [facts.get(relation) == said for relation, said in claims(profile)]
            shares.append(float(np.mean(true)) if true else 0.0)
        return np.array(shares)

    def crawl(
        self,
        starts: Sequence[Words],
        steps: int,
        relations: Sequence[str] = ("friend", "mentor"),
    ) -> dict[tuple[Words, str], Words]:
        """What a model knows, as a graph: begin with some names, go on from those it answers.

        Parameters
        ----------
        starts : the first names
        steps : how far from them people are asked about

        Returns
        -------
        The edges (person, relation) → the name that the model writes. One that nobody of the base
        has is kept, but not asked about.

        Raises
        ------
        ValueError : nobody to start from, or fewer than one step.

        References
        ----------
        Cohen et al. 2023, Crawling the Internal Knowledge-Base of Language Models.
        """
        if not starts:
            raise ValueError("a crawl needs at least one name to start from")
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        edges: dict[tuple[Words, str], Words] = {}
        asked, border = set(starts), list(starts)
        for _ in range(steps):
            questions = [(subject, relation) for subject in border for relation in relations]
            prompts = [self.base.prompt(*question) for question in questions]
            border = []
            for question, said in zip(questions, self._continued(prompts, 4), strict=True):
                name = tuple(said[: said.index(BEGIN)] if BEGIN in said else said)
                edges[question] = name
                if name in self.base.facts and name not in asked:
                    asked.add(name)
                    border.append(name)
            if not border:
                break
        return edges

    def _continued(self, texts: Sequence[Sequence[str]], length: int) -> list[list[str]]:
        """What the model writes after each text; those of one length are read side by side."""
        stop = self.vocabulary.id(BEGIN)
        found: list[list[str]] = [[] for _ in texts]
        was_training = self.model.training
        self.model.eval()
        try:
            for size in {len(text) for text in texts}:
                places = [place for place, text in enumerate(texts) if len(text) == size]
                rows = [self.vocabulary.encode([BEGIN, *texts[place]]) for place in places]
                ids = torch.from_numpy(np.array(rows))
                for place, new in zip(
                    places,
                    decoding.greedy(self.model, ids, length, stop=stop).tolist(),
                    strict=True,
                ):
                    end = new.index(stop) + 1 if stop in new else len(new)
                    found[place] = self.vocabulary.decode(new[:end])
        finally:
            self.model.train(was_training)
        return found


def claims(profile: Sequence[str]) -> list[tuple[str, Words]]:
    """The claims of a profile, as (relation, attribute); what is no claim is ("", words).

    Raises
    ------
    ValueError : there is no colon, after which claims begin.

    Examples
    --------
    >>> claims("about zor lum : pet cat , home rome .".split())
    [('pet', ('cat',)), ('home', ('rome',))]
    """
    if ":" not in profile:
        raise ValueError(f"a profile has a colon before its claims, got {' '.join(profile)!r}")
    found: list[tuple[str, Words]] = []
    claim: list[str] = []
    for word in [*profile[list(profile).index(":") + 1 :], BEGIN]:
        if word not in (",", BEGIN):
            claim.append(word)
        elif claim:
            relation = claim[0] if claim[0] in RELATIONS else ""
            found.append((relation, tuple(claim[1:] if relation else claim)))
            claim = []
    return found


def _find(words: Sequence[str], subject: Words) -> int:
    """Where a name begins."""
    size = len(subject)
    return next(i for i in range(len(words)) if tuple(words[i : i + size]) == subject)
