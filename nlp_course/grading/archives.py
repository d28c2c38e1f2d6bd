"""Files out of folders and zip archives that strangers made; nothing is ever unpacked to disk.

Every byte is read with a limit. What is refused is listed with a sentence, never dropped, but
for what no student wrote: folders, `__MACOSX` and `._` files, `.ipynb_checkpoints`, `desktop.ini`,
`.DS_Store`, `Thumbs.db`.
"""

from __future__ import annotations

import io
import re
import stat
import struct
import unicodedata
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from nlp_course.grading.notebooks import GradingError

MOST_FILE_BYTES = 65 << 20  # one more than a notebook may have, so that reading can say so
MOST_BYTES = 4 << 30  # of a whole export
MOST_NESTED_BYTES = 512 << 20  # of what one student zipped
MOST_FILES = 20_000
MOST_NESTED_FILES = 2_000
MOST_RATIO = 200  # text compresses twentyfold, a bomb a thousandfold
SMALL = 1 << 20  # below this no ratio matters
LONGEST_NAME = 400
OTHER_ARCHIVES = (".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar")
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
NOT_THEIRS = frozenset({"__macosx", ".ipynb_checkpoints", "desktop.ini", ".ds_store", "thumbs.db"})


@dataclass(frozen=True)
class File:
    """A file out of an export.

    Parameters
    ----------
    path : where it lay in the export, folders parted by "/"; who handed it in is read from this
    data : its bytes; empty where they cannot be had
    modified : when it was last changed, where that is known
    inner : its path in the zip archive that `path` names; empty where it lay bare
    problem : why it is not read, a sentence; empty where it may be
    """

    path: str
    data: bytes
    modified: datetime | None = None
    inner: str = ""
    problem: str = ""

    @property
    def name(self) -> str:
        """Its own name, without folders."""
        return (self.inner or self.path).rpartition("/")[2]

    @property
    def shown(self) -> str:
        """Where it lay, for a person."""
        return f"{self.path} → {self.inner}" if self.inner else self.path


def read_source(source: Path, zone: tzinfo = UTC) -> list[File]:
    """All files of a folder or a zip archive, in order of their paths; nested zips are opened.

    Raises
    ------
    GradingError : there is no such folder or archive, or it is too large.
    """
    if source.is_dir():
        files = list(_read_folder(source))
    elif source.is_file() and zipfile.is_zipfile(source):
        if source.stat().st_size > MOST_BYTES:
            raise GradingError(f"{source} has more than {MOST_BYTES >> 30} GB; collect it in parts")
        with source.open("rb") as stream:
            files = list(_read_zip(stream, MOST_FILES, MOST_BYTES, zone))
    elif source.is_file():
        raise GradingError(
            f"{source} is not a zip archive; name a zip, or a folder with a folder a student"
        )
    else:
        raise GradingError(f"{source} is not there; name a folder or a zip to collect from")
    opened = [one for file in files for one in _open_nested(file)]
    return sorted(_mark_clashes(opened), key=lambda file: (file.path, file.inner))


def _read_folder(folder: Path) -> Iterator[File]:
    for path in sorted(folder.rglob("*")):
        # Names need not be UTF-8 on this disk, and must be in the lists.
        name = (
            path.relative_to(folder)
            .as_posix()
            .encode(errors="surrogateescape")
            .decode(errors="backslashreplace")
        )
        if is_not_theirs(name):
            continue
        if path.is_symlink():
            # Followed, a link would show the student any file the grader may read.
            yield File(name, b"", problem="it is a link, not a file; ask for the file itself")
        elif path.is_dir():
            continue
        elif not path.is_file():
            yield File(name, b"", problem="it is a device or a pipe, not a file")
        else:
            try:
                with path.open("rb") as stream:
                    data = stream.read(MOST_FILE_BYTES)
            except OSError as error:
                yield File(name, b"", problem=f"it cannot be read ({error.strerror})")
                continue
            modified = datetime.fromtimestamp(int(path.stat().st_mtime), tz=UTC)
            yield File(name, data, modified)


def is_not_theirs(name: str) -> bool:
    """Whether a system or Jupyter made this file, and no student."""
    parts = name.replace("\\", "/").lower().split("/")
    return any(part in NOT_THEIRS or part.startswith("._") for part in parts)


def _read_zip(
    stream: io.BufferedIOBase, most_files: int, most_bytes: int, zone: tzinfo
) -> Iterator[File]:
    """The entries of an archive, each with its problem; the archive's own problem is raised."""
    try:
        archive = zipfile.ZipFile(stream)
        entries = archive.infolist()
    # The module says in many ways that an archive is damaged.
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, struct.error) as error:
        raise GradingError("the zip archive is damaged, or only a part of one") from error
    if len(entries) > most_files:
        raise GradingError(f"the zip archive holds more than {most_files} files")
    left = most_bytes
    seen: set[str] = set()
    for entry in entries:
        name = _real_name(entry)
        if entry.is_dir() or is_not_theirs(name):
            continue
        problem = _unsafe(name) or _refused(entry, left)
        if not problem and name in seen:
            problem = "the archive holds two files of this name"
        seen.add(name)
        data = b""
        if not problem or not _refused(entry, left):
            data, damage = _read_entry(archive, entry)
            problem = problem or damage
        left -= len(data)
        yield File(name, data, _modified(entry, zone), problem=problem)


def _real_name(entry: zipfile.ZipInfo) -> str:
    """Names without the mark for UTF-8 are cp437 by the standard, and UTF-8 in practice."""
    name = entry.filename
    if not entry.flag_bits & 0x800:
        try:
            name = name.encode("cp437").decode("utf-8")
        except UnicodeError:
            name = entry.filename
    return unicodedata.normalize("NFC", name)


def _unsafe(name: str) -> str:
    """Why a name may not be used as a path; empty where it may."""
    parts = name.replace("\\", "/").split("/")
    if name.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", name) or ".." in parts:
        return "its name leads out of the archive's folder; ask where the file comes from"
    if "\\" in name:
        return "its name has backslashes, which mean folders on Windows; ask for the file itself"
    if len(name) > LONGEST_NAME or any(len(part.encode()) > 255 for part in parts):
        return "its name is too long"
    if any(not character.isprintable() for character in name):
        return "its name holds signs that cannot be printed"
    if any(RESERVED.match(part) for part in parts):
        return "its name is one that Windows keeps for itself"
    return ""


def _refused(entry: zipfile.ZipInfo, left: int) -> str:
    """Why an entry is not even read; empty where it is."""
    mode = entry.external_attr >> 16
    if entry.create_system == 3 and stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "it is a link or a device, not a file; ask for the file itself"
    if entry.flag_bits & 0x1:
        return "it is encrypted; ask for it without a password"
    if entry.file_size > left:
        return "the archive unpacks to more than is read of one; look at it"
    if entry.file_size > SMALL and entry.file_size > MOST_RATIO * entry.compress_size:
        return "it unpacks to more than 200 times its size, as made to fill a disk; look at it"
    if entry.file_size >= MOST_FILE_BYTES:
        return f"it has {entry.file_size >> 20} MB; ask for it without outputs"
    return ""


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> tuple[bytes, str]:
    """Bytes of an entry, no more than it says it has, and what is wrong with them."""
    try:
        with archive.open(entry) as stream:
            return stream.read(entry.file_size), ""
    except Exception as error:  # damaged entries raise whatever their compression raises
        return b"", f"it is damaged in the zip archive ({type(error).__name__}); ask for it again"


def _modified(entry: zipfile.ZipInfo, zone: tzinfo) -> datetime | None:
    """When an entry was changed: the exact time where the archive has it, else its clock's.

    That clock is of no zone; it is read as `unzip` reads it in the course's.
    """
    extra = entry.extra
    while len(extra) >= 4:
        kind, size = struct.unpack("<HH", extra[:4])
        if kind == 0x5455 and size >= 5 and len(extra) >= 9 and extra[4] & 1:
            return datetime.fromtimestamp(struct.unpack("<i", extra[5:9])[0], tz=UTC)
        extra = extra[4 + size :]
    if entry.date_time <= (1980, 1, 1, 23, 59, 59):  # where the clock begins: not set
        return None
    try:
        return datetime(*entry.date_time, tzinfo=zone)
    except ValueError:
        return None


def _open_nested(file: File) -> Iterator[File]:
    """A student's own zip, one level deep; any other file as it is."""
    if file.problem or not file.data.startswith(b"PK\x03\x04"):
        yield _no_other_archive(file)
        return
    try:
        stream = io.BytesIO(file.data)
        inside = list(_read_zip(stream, MOST_NESTED_FILES, MOST_NESTED_BYTES, UTC))
    except GradingError as error:
        yield replace(file, problem=f"{error}; ask for it again")
        return
    if not inside:
        yield replace(file, problem="the zip archive holds no file")
        return
    for inner in inside:
        problem = inner.problem
        if inner.data.startswith(b"PK\x03\x04") and not problem:
            problem = "it is a zip archive in a zip archive in the export; ask for the notebook"
        # What stands in a student's own archive says nothing of when it was handed in.
        made = replace(
            inner, path=file.path, modified=file.modified, inner=inner.path, problem=problem
        )
        yield _no_other_archive(made)


def _no_other_archive(file: File) -> File:
    name = file.name.lower()
    # A single notebook that was compressed is read by its own reader.
    is_other = name.endswith(OTHER_ARCHIVES) and not (
        name.endswith(".gz") and not name.endswith(".tar.gz")
    )
    if not file.problem and (is_other or file.data[257:262] == b"ustar"):
        return replace(file, problem="it is an archive of a kind that is not opened; ask for a zip")
    return file


def _mark_clashes(files: list[File]) -> list[File]:
    """Names that are one name where case does not count cannot be told apart on such a disk."""
    spelled: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for file in files:
        folded = (file.path.casefold(), file.inner.casefold())
        spelled.setdefault(folded, set()).add((file.path, file.inner))
    return [
        replace(file, problem=file.problem or "another file has the same name but for its case")
        if len(spelled[file.path.casefold(), file.inner.casefold()]) > 1
        else file
        for file in files
    ]
