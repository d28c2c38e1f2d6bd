"""How each data set's files become text, sentences and records.

A reader takes what was fetched, the set's description and its files by name, and returns the
`Dataset`. It reads nothing big before a split is asked for it.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from nlp_course.data import nltk_readers
from nlp_course.data.dataset import (
    Analogy,
    Dataset,
    Rating,
    Split,
    TaggedSentence,
    Translation,
)
from nlp_course.data.nltk_readers import Files, Reader, tagged
from nlp_course.data.registry import DatasetInfo

WORLD_SPLITS = {"train": 20_000, "valid": 2_000, "test": 2_000}
SENTENCE_END = re.compile(r"[.?!]+")
CLOSING = {'"', "'", ")", "''"}
# Clitics that WikiText writes as tokens of their own and the other parts of the corpus do not.
CLITIC = re.compile(r"(?<=\w) (?=(?:n't|'(?:s|re|ve|ll|d|m))(?: |$))")
JOINED = re.compile(r" @([-,.])@ ")
QUOTES = {"``": '"', "''": '"'}
# A few reviews kept the control characters by which a word processor wrote its punctuation.
CONTROLS = str.maketrans({"\x12": "'", "\x13": ' " ', "\x14": ' " ', "\x05": " ", "\x16": " "})


def world(info: DatasetInfo, _: Files) -> Dataset:
    """The generated language, at seed 0; other seeds and sizes through `nlp_course.data.world`."""
    from nlp_course.data.world import World

    language = World(seed=0)
    sentences = language.sentences(sum(WORLD_SPLITS.values()))
    splits, start = {}, 0
    for name, size in WORLD_SPLITS.items():
        part = sentences[start : start + size]
        # Bound now: when the split is read, the loop has moved on.
        splits[name] = Split(name, sentences=lambda part=part: part)  # type: ignore[misc]
        start += size
    splits["analogies"] = Split("analogies", records=language.analogies)
    return Dataset(info, splits)


def plain_text(info: DatasetInfo, files: Files) -> Dataset:
    """One text file."""
    (path,) = files.values()
    return Dataset(info, {"all": Split("all", text=partial(path.read_text, "utf-8"))})


def names(info: DatasetInfo, files: Files) -> Dataset:
    """One name a line: the records are the names."""
    (path,) = files.values()
    records = partial(_lines, path)
    return Dataset(info, {"all": Split("all", records=records)})


def _lines(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines()


def text8(info: DatasetInfo, files: Files) -> Dataset:
    """One line of words; text8 has no sentences, so it is cut, as is usual, every 1000 words."""
    (path,) = files.values()

    def text() -> str:
        with zipfile.ZipFile(path) as archive:
            return archive.read("text8").decode("ascii")

    def sentences() -> list[list[str]]:
        words = split.text.split()
        return [words[start : start + 1000] for start in range(0, len(words), 1000)]

    split = Split("all", text=text, sentences=sentences)
    return Dataset(info, {"all": split})


def wikitext2(info: DatasetInfo, files: Files) -> Dataset:
    """Tokenised articles: `.text` is the file as published, headings and empty lines with it.

    `.sentences` are its paragraphs cut after a full stop, question or exclamation mark, with the
    headings left out and every token, ``@-@`` and ``<unk>`` too, as published. The training split
    is there only where its file is, or can be downloaded.
    """
    splits = {}
    for file in info.files:
        if file.name in files:
            read = partial(files[file.name].read_text, "utf-8")
            splits[file.split] = Split(
                file.split, text=read, sentences=partial(_wikitext_sentences, read)
            )
    return Dataset(info, splits)


def _wikitext_sentences(read: Callable[[], str]) -> list[list[str]]:
    return [
        sentence
        for line in read().split("\n")
        if line.strip() and not line.startswith(" = ")
        for sentence in _cut(line.split())
    ]


def _cut(tokens: list[str]) -> Iterator[list[str]]:
    """Sentences of a tokenised paragraph: each ends with its mark and the quotes that close it."""
    start = 0
    for position, token in enumerate(tokens):
        if SENTENCE_END.fullmatch(token):
            end = position + 1
            while end < len(tokens) and tokens[end] in CLOSING:
                end += 1
            if end > start:
                yield tokens[start:end]
            start = max(start, end)
    if start < len(tokens):
        yield tokens[start:]


def multi30k(info: DatasetInfo, files: Files) -> Dataset:
    """Pairs of raw sentences, English and German."""

    def lines(path: Path) -> list[str]:
        return gzip.decompress(path.read_bytes()).decode("utf-8").splitlines()

    def records(english: Path, german: Path) -> list[Translation]:
        pairs = zip(lines(english), lines(german), strict=True)
        return [Translation(source, target) for source, target in pairs]

    splits = {}
    for split in dict.fromkeys(file.split for file in info.files):
        english, german = (files[file.name] for file in info.files if file.split == split)
        splits[split] = Split(split, records=partial(records, english, german))
    return Dataset(info, splits)


def wnut17(info: DatasetInfo, files: Files) -> Dataset:
    """Sentences with entity tags (B-person, I-person, O …)."""

    def records(path: Path) -> list[TaggedSentence]:
        blocks = re.split(r"\n\s*\n", path.read_text("utf-8").strip())
        rows = [[line.split("\t") for line in block.split("\n")] for block in blocks]
        return tagged([[(row[0], row[1].strip()) for row in sentence] for sentence in rows])

    def sentences(path: Path) -> list[list[str]]:
        return [sentence.tokens for sentence in records(path)]

    splits = {
        file.split: Split(
            file.split,
            sentences=partial(sentences, files[file.name]),
            records=partial(records, files[file.name]),
        )
        for file in info.files
    }
    return Dataset(info, splits)


def ratings(info: DatasetInfo, files: Files) -> Dataset:
    """Word pairs and people's mean rating."""
    (path,) = files.values()

    def records() -> list[Rating]:
        lines = [line for line in _lines(path) if not line.startswith("#")]
        rows = csv.reader(io.StringIO("\n".join(lines)), delimiter="\t")
        return [Rating(first, second, float(score)) for first, second, score in rows]

    return Dataset(info, {"all": Split("all", records=records)})


def analogies(info: DatasetInfo, files: Files) -> Dataset:
    """Questions a : b :: c : d, grouped under lines ``: category``."""
    (path,) = files.values()

    def records() -> list[Analogy]:
        category, found = "", []
        for line in _lines(path):
            if line.startswith(":"):
                category = line[1:].strip()
            else:
                a, b, c, d = line.split()
                found.append(Analogy(a, b, c, d, category))
        return found

    return Dataset(info, {"all": Split("all", records=records)})


def word_corpus(info: DatasetInfo, parts: dict[str, Dataset]) -> Dataset:
    """The course's corpus for word vectors: its parts written alike, and lower-cased.

    WikiText's ``@-@``, ``@,@``, ``@.@`` and split clitics are joined again ("red-tipped", "1,000",
    "don't"), as Brown and the reviews write them; its ``<unk>`` is left out, which is what
    word2vec does with a word it does not know; the kinds of quotation marks become one.
    """

    def news() -> list[list[str]]:
        sentences = parts["brown"].sentences
        return [[QUOTES.get(token, token.lower()) for token in sentence] for sentence in sentences]

    def wikipedia() -> list[list[str]]:
        splits = parts["wikitext2"].splits
        sentences = [*splits["valid"].sentences, *splits["test"].sentences]
        return [tokens for sentence in sentences if (tokens := rejoin(sentence))]

    def reviews() -> list[list[str]]:
        lines = (" ".join(line) for line in parts["movie_reviews"].sentences)
        cleaned = (line.translate(CONTROLS).lower().split() for line in lines)
        return [[QUOTES.get(token, token) for token in line] for line in cleaned if line]

    return Dataset(
        info,
        {
            "brown": Split("brown", sentences=news),
            "wikitext2": Split("wikitext2", sentences=wikipedia),
            "movie_reviews": Split("movie_reviews", sentences=reviews),
        },
    )


def rejoin(sentence: list[str]) -> list[str]:
    """A WikiText sentence in plain words, lower-cased.

    >>> rejoin("They did n't see 1 @,@ 000 red @-@ tipped <unk> .".split())
    ['they', "didn't", 'see', '1,000', 'red-tipped', '.']
    """
    text = CLITIC.sub("", JOINED.sub(r"\1", " ".join(sentence))).lower()
    # What is still "@,@" stood at a sentence's end.
    return [
        token.strip("@") if JOINED.fullmatch(f" {token} ") else token
        for token in text.split()
        if "<unk>" not in token and token != "<formula>"
    ]


READERS: dict[str, Reader] = {
    "world": world,
    "tinyshakespeare": plain_text,
    "wikitext2": wikitext2,
    "text8": text8,
    "names": names,
    "multi30k": multi30k,
    "wnut17": wnut17,
    "wordsim353": ratings,
    "simlex999": ratings,
    "analogies": analogies,
    **nltk_readers.READERS,
}
