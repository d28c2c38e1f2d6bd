"""World: a generated language whose truths are known.

A grammar (`nlp_course.data.world_grammar`) speaks of kings and queens, of capitals, of what people
did yesterday and do every day. Every sentence has exactly one derivation, so its probability, the
entropy of the language, and with it the lowest perplexity a language model can reach, are computed
and not estimated. Words that are related are used alike, so analogies have answers. A second,
invented language (`nlp_course.data.world_translation`) has a translation of every sentence, whose
alignment with it is known.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cached_property
from itertools import islice, permutations

from nlp_course.data import (
    world_entailments,
    world_grammar,
    world_instructions,
    world_preferences,
    world_questions,
    world_reviews,
    world_translation,
)
from nlp_course.data.dataset import (
    AlignedTranslation,
    Analogy,
    Demonstration,
    Instruction,
    LabelledPair,
    Preference,
    Review,
    SpanQuestion,
)
from nlp_course.data.grammar import Grammar
from nlp_course.data.world_knowledge import KnowledgeBase


class World:
    """The generated language; the seed decides which sentences are drawn, not the language.

    Parameters
    ----------
    seed : the same seed gives the same sentences; the first n of more are the n

    Examples
    --------
    >>> world = World(seed=0)
    >>> world.sentences(2) == World(seed=0).sentences(5)[:2]
    True
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def __repr__(self) -> str:
        return f"World(seed={self.seed})"

    @cached_property
    def grammar(self) -> Grammar:
        """The rules and their probabilities."""
        return Grammar(world_grammar.rules(), start="Sentence")

    @property
    def vocabulary(self) -> list[str]:
        """Every word of the language, in alphabetical order."""
        return sorted(self.grammar.words)

    def sentences(self, n: int) -> list[list[str]]:
        """The first n sentences of this seed, as lower-case tokens.

        Raises
        ------
        ValueError : n is negative.
        """
        return list(islice(self.grammar.sample(random.Random(self.seed)), _checked(n)))

    def text(self, n: int) -> str:
        """The first n sentences, tokens joined by spaces, a sentence a line."""
        return "\n".join(" ".join(sentence) for sentence in self.sentences(n))

    def log2_probability(self, sentence: Sequence[str]) -> float:
        """Exact log2 of a sentence's probability; -inf where the language does not have it."""
        return self.grammar.log2_probability(sentence)

    def entropy(self) -> float:
        """Bits a token, STOP counted: H(sentence) / E[length + 1].

        A sentence's bits are shared by its words and the STOP that ends it. No model of the
        language has a lower cross-entropy, and none a perplexity below 2 to this power.
        """
        return self.grammar.entropy() / (self.grammar.expected_length() + 1)

    @cached_property
    def second_vocabulary(self) -> list[str]:
        """Every word of the second language, in alphabetical order."""
        return sorted(world_translation.grammar(self.grammar).words)

    def translations(self, n: int) -> list[AlignedTranslation]:
        """The first n sentences of this seed, translated into World's second language.

        What that language is like, `nlp_course.data.world_translation` says. The sources are those
        of `sentences`.

        Raises
        ------
        ValueError : n is negative.

        Examples
        --------
        >>> [pair] = World(seed=0).translations(1)
        >>> pair.source == World(seed=0).sentences(1)[0]
        True
        """
        derivations = self.grammar.derivations(random.Random(self.seed))
        return [world_translation.translate(one) for one in islice(derivations, _checked(n))]

    def translate(self, sentence: Sequence[str]) -> AlignedTranslation:
        """The translation of any sentence of World into its second language.

        Raises
        ------
        ValueError : World does not have the sentence; says up to where it might have been one.

        Examples
        --------
        >>> pair = World().translate("the old king walked to the market .".split())
        >>> " ".join(pair.target)
        'nafami mala lomomi guf medir .'
        >>> [(pair.source[i], pair.target[j]) for i, j in pair.alignment][:3]
        [('the', 'nafami'), ('old', 'mala'), ('king', 'nafami')]
        """
        return world_translation.translate(self.grammar.parse(sentence))

    def questions(self, n: int) -> list[SpanQuestion]:
        """The first n questions of this seed, each with a passage in which its answer is a span.

        The answer is right, and the only one in the passage; what that means exactly,
        `nlp_course.data.world_questions` says. They are drawn apart from the sentences: those of a
        seed are not the passages of its questions.

        Raises
        ------
        ValueError : n is negative.

        Examples
        --------
        >>> one = World(seed=0).questions(9)[-1]
        >>> " ".join(one.passage)
        'my uncle drank tea last year . next year my uncle will drink tea .'
        >>> " ".join(one.question), one.answer, one.kind
        ('when will my uncle drink tea ?', ['next', 'year'], 'time')
        """
        found = world_questions.questions(self.grammar, random.Random(f"questions {self.seed}"))
        return list(islice(found, _checked(n)))

    def entailments(self, n: int) -> list[LabelledPair]:
        """The first n pairs of sentences of this seed: entailed, contradicted or neutral.

        What the labels mean, and what is certain about them, `nlp_course.data.world_entailments`
        says. The second sentence is drawn before the label, so that it tells nothing about it.

        Raises
        ------
        ValueError : n is negative.

        Examples
        --------
        >>> pair = World(seed=0).entailments(5)[-1]
        >>> " ".join(pair.first), pair.label
        ('the girl named mary does not drink water .', 'contradicted')
        >>> " ".join(pair.second)
        'the girl named mary drinks water on sundays .'
        """
        found = world_entailments.entailments(self.grammar, random.Random(f"pairs {self.seed}"))
        return list(islice(found, _checked(n)))

    def reviews(self, n: int) -> list[Review]:
        """The first n sentences of opinion of this seed, with their scores and labels.

        What the score is, and the grammar with its exact entropy, `nlp_course.data.world_reviews`
        has.

        Raises
        ------
        ValueError : n is negative.

        Examples
        --------
        >>> one = World(seed=0).reviews(1)[0]
        >>> " ".join(one.words), one.score, one.label
        ('yesterday the letter was really good .', 3.0, 'positive')
        """
        found = world_reviews.reviews(random.Random(f"reviews {self.seed}"))
        return list(islice(found, _checked(n)))

    def instructions(self, n: int, split: str = "train", wordings: int = 4) -> list[Instruction]:
        """The first n instructions of this seed, with their right answers.

        Of which kinds they are, and what the splits hold out, `nlp_course.data.world_instructions`
        says.

        Parameters
        ----------
        split : "train", "wordings" (those held out) or "items" (words held out)
        wordings : how many of each kind's four occur, where the held-out ones do not

        Raises
        ------
        ValueError : n is negative, another split, or wordings not in 1 … 4.

        Examples
        --------
        >>> one = World(seed=0).instructions(1)[0]
        >>> " ".join(one.instruction), " ".join(one.input), " ".join(one.response)
        ('write visit in the past .', '', 'visited')
        >>> one.check(one.response)
        True
        """
        source = random.Random(f"instructions {split} {self.seed}")
        found = world_instructions.instructions(self.grammar, source, split, wordings)
        return list(islice(found, _checked(n)))

    def lists(self, n: int) -> list[list[str]]:
        """The first n lists of this seed: pairs of words in one relation.

        Raises
        ------
        ValueError : n is negative.

        Examples
        --------
        >>> print(*World(seed=0).lists(2)[1])
        poland : polish , england : english .
        """
        found = world_instructions.lists(random.Random(f"lists {self.seed}"))
        return list(islice(found, _checked(n)))

    def demonstrations(self, n: int) -> list[Demonstration]:
        """The first n answers of this seed that a writer gives to questions about countries.

        How it answers, `nlp_course.data.world_preferences` says.

        Raises
        ------
        ValueError : n is negative.

        Examples
        --------
        >>> one = World(seed=0).demonstrations(1)[0]
        >>> " ".join(one.prompt), " ".join(one.answer)
        ('what is the capital of egypt ?', 'certainly , it is cairo .')
        """
        source = random.Random(f"demonstrations {self.seed}")
        return list(islice(world_preferences.demonstrations(source), _checked(n)))

    def preferences(self, n: int) -> list[Preference]:
        """The first n pairs of the writer's answers of this seed, the preferred one of each first.

        Which is preferred is drawn from a known reward: `nlp_course.data.world_preferences` has it.

        Raises
        ------
        ValueError : n is negative.

        Examples
        --------
        >>> one = World(seed=0).preferences(1)[0]
        >>> " ".join(one.chosen), " ".join(one.rejected)
        ('gladly , it is cairo , friend .', 'it is cairo , friend .')
        """
        source = random.Random(f"preferences {self.seed}")
        return list(islice(world_preferences.preferences(source), _checked(n)))

    def facts(self) -> KnowledgeBase:
        """The knowledge base of this seed: people, what is true of them, and texts that say it.

        What it is like, `nlp_course.data.world_knowledge` says.

        Examples
        --------
        >>> base = World(seed=0).facts()
        >>> base.facts["kir", "bul", "gas"]["home"]
        ('bern',)
        """
        return KnowledgeBase(self.seed)

    def analogies(self) -> list[Analogy]:
        """Every question a : b :: c : d that the words of the language answer.

        >>> Analogy("man", "woman", "king", "queen", "gender") in World().analogies()
        True
        """
        return [
            Analogy(*first, *second, category)
            for category, pairs in world_grammar.pairs().items()
            for first, second in permutations(pairs, 2)
        ]


def _checked(n: int) -> int:
    if n < 0:
        raise ValueError(f"n must be at least 0, got {n}")
    return n
