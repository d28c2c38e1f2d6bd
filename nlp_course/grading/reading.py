"""From the bytes of a file to the cells of a notebook, whatever happened to it on the way.

Browsers, editors, mail and version control save notebooks as UTF-16, cut them off, pad them with
nulls or put them into old formats. What can be read without doubt is read, and each thing that
was put right is said; of the rest it is said what the file is instead.
"""

from __future__ import annotations

import codecs
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from nlp_course.grading.notebooks import GradingError

MOST_BYTES = 64 << 20
MOST_CELLS = 2000
LARGE_BYTES = 20 << 20
KINDS = ("code", "markdown", "raw")
# Two values under one of these keys are two answers; Python would take the last without a word.
TELLING_KEYS = frozenset({"cells", "worksheets", "cell_type", "source", "input", "grade_id"})
LONGEST_NUMBER = 4000


class IntakeError(GradingError):
    """A submission that a person must look at before it can be graded."""


@dataclass(frozen=True)
class Cell:
    """A cell as it was handed in.

    Parameters
    ----------
    number : its place in the file, from 1
    kind : code, markdown or raw
    source : its text; None where the file does not say
    marks : nbgrader's metadata
    name : the grade id among them
    cell_id : the notebook format's id, or the one Colab keeps among the metadata
    attachments : pictures pasted into text, by file name and kind
    """

    number: int
    kind: str
    source: str | None
    marks: Mapping[str, object] = field(default_factory=dict)
    name: str | None = None
    cell_id: str | None = None
    attachments: Mapping[str, object] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """Its text, empty where the file does not say."""
        return self.source or ""


@dataclass(frozen=True)
class Handed:
    """The cells of a file.

    Parameters
    ----------
    cells : in order
    repairs : what was put right to read them, a sentence each
    cut : whether cells may be lost behind the last
    """

    cells: tuple[Cell, ...]
    repairs: tuple[str, ...]
    cut: bool


def read_cells(data: bytes) -> Handed:
    """The cells in a file.

    Raises
    ------
    IntakeError : there are none, or it is not clear which; the sentence says what the file is.
    """
    repairs: list[str] = []
    if len(data) > MOST_BYTES:
        raise IntakeError(f"the file has {len(data) >> 20} MB; ask for it without outputs")
    if data.startswith(b"\x1f\x8b"):
        data = _gunzip(data)
        repairs.append("the file was compressed with gzip, and is unpacked")
    if len(data) > LARGE_BYTES:
        repairs.append(f"the file has {len(data) >> 20} MB; outputs are dropped, as always")
    document, cut = _parse(_decode(data, repairs), repairs)
    raw = _raw_cells(document)
    if len(raw) > MOST_CELLS:
        raise IntakeError(f"the file has {len(raw)} cells, more than anybody writes; look at it")
    cells = [_cell(number, cell, repairs) for number, cell in enumerate(raw, start=1)]
    kept = tuple(cell for cell in cells if cell is not None)
    if not kept:
        raise IntakeError("the file is a notebook without cells")
    return Handed(kept, tuple(dict.fromkeys(repairs)), cut)


def _gunzip(data: bytes) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(data, MOST_BYTES)
    except zlib.error as error:
        raise IntakeError("the file is compressed with gzip and damaged; ask for it again") from (
            error
        )
    if unpacker.unconsumed_tail:
        raise IntakeError(f"the file holds more than {MOST_BYTES >> 20} MB; ask for it again")
    return unpacked


def _as_windows(error: UnicodeError) -> tuple[str, int]:
    """Bytes that are not UTF-8, read as Windows-1252, or as Latin-1 where that has no letter."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wrong = error.object[error.start : error.end]
    try:
        return wrong.decode("cp1252"), error.end
    except UnicodeDecodeError:
        return wrong.decode("latin-1"), error.end


codecs.register_error("nlp_course.windows", _as_windows)


def _decode(data: bytes, repairs: list[str]) -> str:
    """Text of a file; what it is where it is none."""
    if data.startswith(b"%PDF"):
        raise IntakeError("the file is a PDF, not a notebook; ask for the .ipynb file")
    if data.startswith(b"PK\x03\x04"):
        raise IntakeError("the file is a zip archive, not a notebook; ask for the .ipynb file")
    if not data.strip(b"\x00 \t\r\n"):
        raise IntakeError("the file is empty")
    encoding = _wide_encoding(data)
    if encoding is not None:
        repairs.append(f"the file was saved as {encoding.upper()}, and is read as that")
        text = data.decode(encoding, errors="replace")
        if "\ufffd" in text:
            repairs.append("some characters cannot be read, and stand as \ufffd")
        return text.strip("\ufeff\x00 \t\r\n")
    if data[:1] == b"\x00" or data[-1:] == b"\x00":
        data = data.strip(b"\x00")
        repairs.append("nulls around the notebook were taken off")
    text = data.decode("utf-8", errors="nlp_course.windows")
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        repairs.append("the file is not all in UTF-8; the rest is read as Windows-1252")
    return text.strip("\ufeff \t\r\n")


def _wide_encoding(data: bytes) -> str | None:
    """UTF-16 or UTF-32, by the mark a file begins with or by where its zeros stand."""
    marks = {
        codecs.BOM_UTF32_LE: "utf-32",
        codecs.BOM_UTF32_BE: "utf-32",
        codecs.BOM_UTF16_LE: "utf-16",
        codecs.BOM_UTF16_BE: "utf-16",
        b"{\x00": "utf-16-le",
        b"\x00{": "utf-16-be",
    }
    return next((name for mark, name in marks.items() if data.startswith(mark)), None)


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object of JSON; the same telling key with two values is refused."""
    made = dict(pairs)
    if len(made) < len(pairs):
        for key, value in pairs:
            if key in TELLING_KEYS and made[key] != value:
                raise IntakeError(f"the file says {key!r} twice of one thing, and not the same")
    return made


def _whole_number(digits: str) -> int:
    """A number; Python refuses those so long that reading them takes for ever."""
    return int(digits) if len(digits) < LONGEST_NUMBER else 0


STRICT = json.JSONDecoder(object_pairs_hook=_pairs, parse_int=_whole_number)
LENIENT = json.JSONDecoder(object_pairs_hook=_pairs, parse_int=_whole_number, strict=False)


def _parse(text: str, repairs: list[str]) -> tuple[object, bool]:
    """What the JSON says, and whether its end is lost."""
    if not text.startswith("{"):
        raise IntakeError(_what_it_is(text))
    try:
        for decoder in (STRICT, LENIENT):
            try:
                document, end = decoder.raw_decode(text)
            except json.JSONDecodeError:
                continue
            if decoder is LENIENT:
                repairs.append("line breaks and tabs stood bare in its strings, and are kept")
            _look_behind(document, text[end:].strip("\x00 \t\r\n"), repairs)
            return document, False
        if re.search(r"^<{7}( |$)", text, re.MULTILINE) and re.search(r"^={7}$", text, re.M):
            raise IntakeError(
                "the file holds the marks of an unfinished git merge (<<<<<<<); ask for one version"
            )
        return _salvage(text, repairs)
    except RecursionError as error:
        raise IntakeError("the file nests too deep to be a notebook; ask for it again") from error


def _look_behind(document: object, rest: str, repairs: list[str]) -> None:
    """Anything after the notebook's end is left out, unless it may be another answer."""
    if not rest:
        return
    try:
        second = LENIENT.decode(rest)
    except json.JSONDecodeError:
        second = None
    if second is not None and second == document:
        repairs.append("the file holds the same notebook twice; one is read")
    elif '"cell_type"' in rest:
        raise IntakeError("the file holds two notebooks, one behind the other; ask for one")
    else:
        repairs.append(f"{len(rest)} characters behind the notebook's end were left out")


def _salvage(text: str, repairs: list[str]) -> tuple[object, bool]:
    """The cells before the place where the file breaks."""
    cells: list[object] = []
    # In a string the quotes would stand behind backslashes, so this is the key.
    start = re.search(r'"cells"\s*:\s*\[', text)
    position = start.end() if start else len(text)
    closed = False
    between = re.compile(r"[\s,]*")
    while True:
        gap = between.match(text, position)
        position = gap.end() if gap else position
        if text.startswith("]", position):
            closed = True
            break
        try:
            cell, position = LENIENT.raw_decode(text, position)
        except json.JSONDecodeError:
            break
        cells.append(cell)
    if not cells:
        raise IntakeError("the file is broken before its first cell ends; ask for it again")
    if closed:
        repairs.append("the file is damaged, but all its cells can be read")
    else:
        repairs.append(f"the file breaks off after its cell {len(cells)}; what followed is lost")
    return {"cells": cells}, not closed


def _what_it_is(text: str) -> str:
    """Of a file that is no notebook, what it seems to be, and what to ask for."""
    begin = text[:2000].lower()
    if "colab.research.google.com" in begin and len(text) < 2000:
        return (
            "the file holds a link to Colab, not the notebook; ask the student to download it "
            "(File, Download, Download .ipynb)"
        )
    if text.startswith("["):
        return "the file is JSON, but not a notebook; ask for the .ipynb file"
    if begin.startswith("<"):
        return "the file is a web page, perhaps a notebook exported as HTML; ask for the .ipynb"
    if re.search(r"^# (%%|In ?\[|\+)|^#   jupytext|^# -\*- coding", text, re.M | re.I):
        return "the file is a notebook exported as a Python script; ask for the .ipynb file"
    if re.search(r"^(def|class|import|from) ", text, re.MULTILINE):
        return "the file is a Python script, not a notebook; ask for the .ipynb file"
    return "the file is not a notebook; ask for the .ipynb file"


def _raw_cells(document: object) -> list[object]:
    """The cells of a notebook in any format from 1 to 4."""
    if isinstance(document, dict):
        cells, sheets = document.get("cells"), document.get("worksheets")
        if isinstance(cells, list):
            return cells
        if isinstance(sheets, list):
            return [
                cell
                for sheet in sheets
                if isinstance(sheet, dict) and isinstance(sheet.get("cells"), list)
                for cell in sheet["cells"]
            ]
    raise IntakeError("the file is JSON, but not a notebook: it has no list of cells")


def _cell(number: int, raw: object, repairs: list[str]) -> Cell | None:
    if not isinstance(raw, dict):
        repairs.append(f"entry {number} among its cells is not a cell, and was left out")
        return None
    kind = raw.get("cell_type")
    if kind in ("heading", "html"):  # of formats 2 and 3
        kind = "markdown"
    elif kind not in KINDS:
        kind = "code" if "outputs" in raw or "execution_count" in raw else "markdown"
        repairs.append(f"cell {number} is of no known kind, and is taken as {kind}")
    metadata = raw.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    marks = metadata.get("nbgrader", {})
    name = marks.get("grade_id") if isinstance(marks, dict) else None
    if not isinstance(marks, dict) or not isinstance(name, str | None):
        repairs.append("metadata that nbgrader cannot read was taken out")
        marks, name = {}, None
    ids = (raw.get("id"), metadata.get("id"))
    attachments = raw.get("attachments")
    return Cell(
        number,
        str(kind),
        _source(number, raw, repairs),
        marks,
        name,
        next((value for value in ids if isinstance(value, str)), None),
        attachments if isinstance(attachments, dict) else {},
    )


def _source(number: int, raw: Mapping[str, object], repairs: list[str]) -> str | None:
    """A cell's text; formats 1 to 3 keep that of code elsewhere."""
    source = next((raw[key] for key in ("source", "input", "text") if key in raw), None)
    if isinstance(source, list) and all(isinstance(line, str | int | float) for line in source):
        lines = [str(line) for line in source]
        if len(lines) > 1 and not any("\n" in line for line in lines):
            repairs.append(f"the lines of cell {number} had lost their ends, and are put back")
            text = "\n".join(lines)
        else:
            text = "".join(lines)
        if any(not isinstance(line, str) for line in source):
            repairs.append(f"cell {number} holds numbers in place of lines, read as text")
    elif isinstance(source, str):
        text = source
    elif isinstance(source, int | float):
        text = str(source)
        repairs.append(f"cell {number} is a number in place of text, and is read as text")
    else:
        return None
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if whole != text:
        repairs.append(f"cell {number} holds half a character, which stands as \ufffd")
    return whole.replace("\r\n", "\n").replace("\r", "\n")
