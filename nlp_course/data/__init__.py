"""Every data set of the course through one door: ``load(name)``.

A set is looked for in the folder that ``NLP_COURSE_DATA`` names, then in the cache, then
downloaded; what arrives is checked against the registry's hash. ``describe(name)`` tells what a
set is and under which licence.

>>> load("world").sentences[0][-1]
'.'
"""

from __future__ import annotations

from pathlib import Path

from nlp_course.data.dataset import (
    AlignedTranslation,
    Analogy,
    Dataset,
    Demonstration,
    Instruction,
    LabelledPair,
    LabelledText,
    Preference,
    Rating,
    Review,
    SpanQuestion,
    Split,
    TaggedSentence,
    Translation,
)
from nlp_course.data.download import (
    CacheError,
    ChecksumError,
    DownloadError,
    OfflineError,
    fetch_file,
    fetch_nltk,
    missing_files,
)
from nlp_course.data.registry import DataError, DatasetInfo, UnknownDatasetError, all_datasets, info

__all__ = [
    "AlignedTranslation",
    "Analogy",
    "CacheError",
    "ChecksumError",
    "DataError",
    "Dataset",
    "DatasetInfo",
    "Demonstration",
    "DownloadError",
    "Instruction",
    "LabelledPair",
    "LabelledText",
    "OfflineError",
    "Preference",
    "Rating",
    "Review",
    "SpanQuestion",
    "Split",
    "TaggedSentence",
    "Translation",
    "UnknownDatasetError",
    "available",
    "describe",
    "fetch",
    "info",
    "load",
    "missing",
    "names",
]


def names() -> list[str]:
    """The names of all data sets."""
    return list(all_datasets())


def describe(name: str) -> str:
    """Title, contents, licence, source and citation of a data set, to be read.

    >>> print(describe("names"))
    names: Given names
      kind      word list
      size      32,033 names
      download  0.2 MB
      licence   MIT
      source    https://github.com/karpathy/makemore
      citation  A. Karpathy. makemore, 2022. The most common names of a year, from the US Social Security Administration.
    """  # noqa: E501
    return str(info(name))


def load(name: str, fallback: str | None = None) -> Dataset:
    """A data set by name, downloaded on first use.

    Parameters
    ----------
    name : one of `names()`
    fallback : "world" to get the generated language, with a printed notice, where the set is not
        on this machine and there is no network; None to get the error

    Returns
    -------
    The set; its splits are read when first looked at.

    Raises
    ------
    UnknownDatasetError : no set has this name.
    OfflineError : it is not on this machine and cannot be downloaded, and no fallback was asked
        for or the generated language has nothing like it.
    ChecksumError : a file is not the one the registry describes; nothing of it is kept.
    DownloadError : the server answered with an error.
    CacheError : the cache folder cannot be written.
    ValueError : the fallback is another word than "world".
    """
    if fallback not in (None, "world"):
        raise ValueError(f'fallback must be "world" or None, got {fallback!r}')
    described = info(name)
    try:
        return _load(described)
    except OfflineError as error:
        if fallback is None:
            raise
        if not described.fallback:
            raise OfflineError(
                f"{error} The generated language has nothing like {name}."
            ) from error
        print(f"Notice: {error}\nGoing on with the generated language, as asked.")
        return _load(info("world"))


def _load(described: DatasetInfo) -> Dataset:
    from nlp_course.data import readers

    if described.parts:
        # A set made of others is the same everywhere, so it takes no file that may be absent.
        parts = {part: info(part) for part in described.parts}
        return readers.word_corpus(
            described,
            {name: readers.READERS[name](part, _fetch(part)) for name, part in parts.items()},
        )
    files = _fetch(described) | _fetch_optional(described)
    return readers.READERS[described.name](described, files)


def _fetch(described: DatasetInfo) -> dict[str, Path]:
    if described.nltk is not None:
        fetch_nltk(described, described.nltk)
    return {file.name: fetch_file(described, file) for file in described.files if not file.optional}


def _fetch_optional(described: DatasetInfo) -> dict[str, Path]:
    files = {}
    for file in described.files:
        if file.optional:
            try:
                files[file.name] = fetch_file(described, file)
            except OfflineError:
                print(
                    f"Notice: {described.name} comes without its split {file.split}: {file.name} "
                    "is not on this machine and cannot be downloaded now."
                )
            except CacheError as error:
                print(f"Notice: {described.name} comes without its split {file.split}: {error}")
    return files


def fetch(name: str) -> None:
    """Download a data set, if it is not on this machine yet, without reading it."""
    described = info(name)
    for part in described.parts:
        _fetch(info(part))
    _fetch(described)
    _fetch_optional(described)


def missing(name: str) -> list[str]:
    """The files of a data set that are not on this machine, so that `load` has to download them."""
    described = info(name)
    return [file for part in described.parts for file in missing(part)] + missing_files(described)


def available(name: str) -> bool:
    """Whether `load` gives the set without a network."""
    return not missing(name)
