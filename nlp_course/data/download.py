"""From a data set's name to files on this machine: mirror, then cache, then download.

A file is used only if its hash is the registry's. Nothing half-written stays behind: pooch writes
to a temporary name and moves the file when its hash is right.
"""

from __future__ import annotations

import logging
import os
import tempfile
import urllib.error
from pathlib import Path

from nlp_course.data.registry import DataError, DatasetInfo, RemoteFile

RETRIES = 1


class OfflineError(DataError):
    """The data set is not on this machine and cannot be downloaded now."""


class DownloadError(DataError):
    """The address answered, but not with the file."""


class ChecksumError(DataError):
    """A file is not the one the registry describes."""


class CacheError(DataError):
    """The cache folder cannot be written."""


def cache_folder() -> Path:
    """The folder that keeps what was downloaded, as the operating system wants it."""
    import pooch

    return Path(pooch.os_cache("nlp_course"))


def mirror_folder() -> Path | None:
    """The folder ``NLP_COURSE_DATA`` names, looked into first and never written; None if unset.

    Raises
    ------
    DataError : the variable is set and names no folder.
    """
    named = os.environ.get("NLP_COURSE_DATA")
    if not named:
        return None
    folder = Path(named)
    if not folder.is_dir():
        raise DataError(f"NLP_COURSE_DATA names {folder}, which is no folder: correct or unset it")
    return folder


def fetch_file(info: DatasetInfo, file: RemoteFile) -> Path:
    """The path of one file of a data set, downloaded if it has to be.

    Raises
    ------
    OfflineError : it is not here, and there is no network or downloading is off.
    ChecksumError : the mirror's copy or what was downloaded is another file.
    DownloadError : the server answered with an error at every address.
    CacheError : the cache folder cannot be written.
    """
    found = find_file(info, file)
    if found is not None:
        return found
    _refuse_while_grading(info)
    folder = _writable(cache_folder())
    failure: DataError | None = None
    for url in file.urls:
        try:
            return _download(info, file, url, folder)
        except (OfflineError, ChecksumError, DownloadError) as error:
            # The first address is the fixed one: what it said matters most, and a later one may do.
            failure = failure or error
    raise failure or DownloadError(f"{info.name}: the registry has no address for {file.name}")


def find_file(info: DatasetInfo, file: RemoteFile) -> Path | None:
    """The path of a file that is here and whole, in the mirror or the cache; None if it is not."""
    mirror = mirror_folder()
    if mirror is not None and (mirror / file.name).is_file():
        found = _hash(mirror / file.name, file)
        if found != file.hash:
            raise ChecksumError(
                f"{info.name}: {mirror / file.name} is not the file the registry describes: "
                f"expected {file.hash}, found {found}. Replace it, or take it out of the mirror."
            )
        return mirror / file.name
    cached = cache_folder() / file.name
    return cached if cached.is_file() and _hash(cached, file) == file.hash else None


def _hash(path: Path, file: RemoteFile) -> str:
    import pooch

    algorithm = file.hash.partition(":")[0]
    return f"{algorithm}:{pooch.file_hash(str(path), alg=algorithm)}"


def _download(info: DatasetInfo, file: RemoteFile, url: str, folder: Path) -> Path:
    import pooch
    import requests

    # pooch tells of every retry and download on its own; the progress bar says enough.
    pooch.get_logger().setLevel(logging.WARNING)
    source = pooch.create(
        path=folder,
        base_url="",
        registry={file.name: file.hash},
        urls={file.name: url},
        retry_if_failed=RETRIES,
    )
    bar = pooch.HTTPDownloader(progressbar=True, timeout=30)
    try:
        return Path(source.fetch(file.name, downloader=bar))
    except (requests.ConnectionError, requests.Timeout) as error:
        raise offline(info, url) from error
    except requests.RequestException as error:
        raise DownloadError(f"{info.name}: {url} did not give {file.name}: {error}") from error
    except ValueError as error:
        raise ChecksumError(
            f"{info.name}: {url} gave another file than the registry describes; nothing was kept. "
            f"{error} If it stays so, the publisher has changed the file: please report it."
        ) from error
    except OSError as error:
        raise _unwritable(folder, error) from error


def find_nltk(package: str) -> bool:
    """Whether NLTK finds a corpus package on this machine: its own paths, the mirror, the cache."""
    import nltk

    mirror = mirror_folder()
    for root in (mirror, cache_folder()):
        if root is not None and str(root / "nltk_data") not in nltk.data.path:
            nltk.data.path.append(str(root / "nltk_data"))
    for resource in (f"corpora/{package}.zip", f"corpora/{package}"):
        try:
            nltk.data.find(resource)
        except LookupError:
            continue
        return True
    return False


def fetch_nltk(info: DatasetInfo, package: str) -> None:
    """Make sure NLTK finds a corpus package, by NLTK's own downloader, which checks what arrives.

    Raises
    ------
    OfflineError, DownloadError, CacheError : as for `fetch_file`.
    """
    if find_nltk(package):
        return
    _refuse_while_grading(info)
    from nltk.downloader import Downloader, ErrorMessage, ProgressMessage
    from tqdm.auto import tqdm

    folder = _writable(cache_folder() / "nltk_data")
    downloader = Downloader()
    try:
        downloader.index()
    except (urllib.error.HTTPError, ValueError) as error:
        raise DownloadError(f"{info.name}: {downloader.url} gave no index: {error}") from error
    except OSError as error:
        raise offline(info, downloader.url) from error
    with tqdm(total=100, unit="%", desc=info.name) as bar:
        for message in downloader.incr_download(package, download_dir=str(folder)):
            if isinstance(message, ErrorMessage):
                raise DownloadError(
                    f"{info.name}: NLTK could not download {package}: {message.message}"
                )
            if isinstance(message, ProgressMessage):
                bar.update(message.progress - bar.n)
    if not find_nltk(package):
        raise DownloadError(
            f"{info.name}: NLTK downloaded {package} to {folder} and cannot find it"
        )


def offline(info: DatasetInfo, url: str) -> OfflineError:
    """The error that says what to do when there is no network."""
    instead = '; or, to go on with the generated language, ask for it with fallback="world"'
    return OfflineError(
        f"{info.name} is not on this machine and {url} cannot be reached. Either connect to the "
        f"network and try again; or put its files ({', '.join(_file_names(info))}) into a folder "
        f"that NLP_COURSE_DATA names{instead if info.fallback else ''}."
    )


def _file_names(info: DatasetInfo) -> list[str]:
    """The set's files, where they lie in a mirror or cache folder."""
    packages = [] if info.nltk is None else [f"nltk_data/corpora/{info.nltk}.zip"]
    return [file.name for file in info.files if not file.optional] + packages


def missing_files(info: DatasetInfo) -> list[str]:
    """What of a data set, its optional files aside, is not on this machine."""
    here = {file.name for file in info.files if find_file(info, file) is not None}
    if info.nltk is not None and find_nltk(info.nltk):
        here.update(_file_names(info))
    return [name for name in _file_names(info) if name not in here]


def _refuse_while_grading(info: DatasetInfo) -> None:
    if os.environ.get("NLP_COURSE_GRADING") == "1":
        raise OfflineError(
            f"{info.name} is not in the prefetched data, and nothing is downloaded while grading "
            f"(NLP_COURSE_GRADING=1). Before grading, run: nlp-course data fetch {info.name}"
        )


def _writable(folder: Path) -> Path:
    """The folder, made if need be, once a file has been written into it and removed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"0")
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder


def _unwritable(folder: Path, error: OSError) -> CacheError:
    return CacheError(
        f"the cache folder {folder} cannot be written ({error.strerror or error}). Make it "
        f"writable or free some space; or put the files into a folder that NLP_COURSE_DATA names, "
        f"which is only read."
    )
