"""How NLTK's corpora become text, sentences and records; what else they have is in `.reader`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from nlp_course.data.dataset import Dataset, LabelledText, Split, TaggedSentence
from nlp_course.data.registry import DatasetInfo

Files = dict[str, Path]
Reader = Callable[[DatasetInfo, Files], Dataset]


def _reader(info: DatasetInfo) -> Any:
    import nltk

    return getattr(nltk.corpus, info.nltk or info.name)


def _texts(reader: Any, files: Iterable[str]) -> Iterator[str]:
    """The text of each of a corpus's files.

    NLTK opens and checks a corpus's archive anew for every file of it; here it is opened once.
    """
    from nltk.data import ZipFilePathPointer

    if not isinstance(reader.root, ZipFilePathPointer):
        yield from map(reader.raw, files)
        return
    with ZipFile(reader.root.zipfile.filename) as archive:
        for file in files:
            yield archive.read(reader.root.entry + file).decode(reader.encoding(file))


def plain(sentences: Iterable[Iterable[str]]) -> list[list[str]]:
    """NLTK's lazy views as plain lists."""
    return [list(sentence) for sentence in sentences]


def tagged(sentences: Iterable[Iterable[tuple[str, str]]]) -> list[TaggedSentence]:
    return [
        TaggedSentence([token for token, _ in pairs], [tag for _, tag in pairs])
        for pairs in map(list, sentences)
    ]


def brown(info: DatasetInfo, _: Files) -> Dataset:
    """Sentences, and the same with parts of speech.

    The files have a sentence a line, each token as "word/tag". Cutting the words out
    is faster than NLTK's reader, and gives the same.
    """
    reader = _reader(info)

    def cut(pair: str) -> list[list[Any]]:
        found = re.compile(pair).findall
        texts = _texts(reader, reader.fileids())
        return [pairs for text in texts for line in text.splitlines() if (pairs := found(line))]

    def sentences() -> list[list[str]]:
        return cut(r"(\S+)/\S+")

    def records() -> list[TaggedSentence]:
        pairs = cut(r"(\S+)/(\S+)")
        return tagged([(token, tag.upper()) for token, tag in sentence] for sentence in pairs)

    return Dataset(info, {"all": Split("all", sentences=sentences, records=records)}, reader)


def treebank(info: DatasetInfo, _: Files) -> Dataset:
    """Sentences with parts of speech, traces (tag -NONE-) left out; trees through the reader."""
    reader = _reader(info)

    def records() -> list[TaggedSentence]:
        return tagged(
            [
                [(token, tag) for token, tag in sentence if tag != "-NONE-"]
                for sentence in reader.tagged_sents()
            ]
        )

    split = Split("all", sentences=lambda: [r.tokens for r in split.records], records=records)
    return Dataset(info, {"all": split}, reader)


def shakespeare(info: DatasetInfo, _: Files) -> Dataset:
    """The plays, a split each: speakers and their lines, without stage directions."""
    reader = _reader(info)
    splits = {
        name: Split(name, text=partial(_play, reader, file))
        for file in reader.fileids()
        for name in [file.removesuffix(".xml")]
    }
    return Dataset(info, splits, reader)


def _play(reader: Any, file: str) -> str:
    speeches = []
    for speech in reader.xml(file).iter("SPEECH"):
        speakers = " and ".join(element.text or "" for element in speech.iter("SPEAKER"))
        lines = ["".join(element.itertext()).strip() for element in speech.iter("LINE")]
        speeches.append("\n".join([f"{speakers}:", *lines]))
    return "\n\n".join(speeches)


def wordnet(info: DatasetInfo, _: Files) -> Dataset:
    """WordNet has no text to read, only NLTK's interface to its synsets."""
    return Dataset(info, {}, _reader(info))


def movie_reviews(info: DatasetInfo, _: Files) -> Dataset:
    """Whole reviews, labelled "pos" or "neg"; the files have one tokenised sentence a line."""
    reader = _reader(info)

    def records() -> list[LabelledText]:
        return [
            LabelledText([line.split() for line in text.splitlines() if line], label)
            for label in reader.categories()
            for text in _texts(reader, reader.fileids(categories=label))
        ]

    def sentences() -> list[list[str]]:
        return [sentence for review in split.records for sentence in review.sentences]

    split = Split("all", sentences=sentences, records=records)
    return Dataset(info, {"all": split}, reader)


def sentence_polarity(info: DatasetInfo, _: Files) -> Dataset:
    """Single sentences, labelled "pos" or "neg"."""
    reader = _reader(info)
    split = Split(
        "all",
        sentences=lambda: plain(reader.sents()),
        records=lambda: [
            LabelledText([list(sentence)], label)
            for label in reader.categories()
            for sentence in reader.sents(categories=label)
        ],
    )
    return Dataset(info, {"all": split}, reader)


def conll2000(info: DatasetInfo, _: Files) -> Dataset:
    """Sentences with chunk tags (B-NP, I-NP, O …); parts of speech through the reader."""
    return _conll(info, {"train": "train.txt", "test": "test.txt"})


def conll2002(info: DatasetInfo, _: Files) -> Dataset:
    """Sentences with entity tags; splits "esp.train" (Spanish) to "ned.testb" (Dutch)."""
    return _conll(info, {file: file for file in _reader(info).fileids()})


def _conll(info: DatasetInfo, names: dict[str, str]) -> Dataset:
    reader = _reader(info)

    def records(file: str) -> list[TaggedSentence]:
        return tagged(
            [[(token, tag) for token, _, tag in sentence] for sentence in reader.iob_sents(file)]
        )

    def sentences(file: str) -> list[list[str]]:
        return plain(reader.sents(file))

    splits = {
        name: Split(name, sentences=partial(sentences, file), records=partial(records, file))
        for name, file in names.items()
    }
    return Dataset(info, splits, reader)


def udhr2(info: DatasetInfo, _: Files) -> Dataset:
    """The declaration, a split a language, named by the file without its ending ("eng", "deu")."""
    reader = _reader(info)
    splits = {
        name: Split(name, text=partial(reader.raw, file))
        for file in reader.fileids()
        for name in [file.removesuffix(".txt")]
    }
    return Dataset(info, splits, reader)


def stopwords(info: DatasetInfo, _: Files) -> Dataset:
    """A word list a language, each split's records the words."""
    reader = _reader(info)
    splits = {
        language: Split(language, records=partial(reader.words, language))
        for language in reader.fileids()
    }
    return Dataset(info, splits, reader)


READERS: dict[str, Reader] = {
    "brown": brown,
    "treebank": treebank,
    "shakespeare": shakespeare,
    "wordnet": wordnet,
    "movie_reviews": movie_reviews,
    "sentence_polarity": sentence_polarity,
    "conll2000": conll2000,
    "conll2002": conll2002,
    "udhr2": udhr2,
    "stopwords": stopwords,
}
