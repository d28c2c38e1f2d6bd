"""Outputs of a student's cell, as its process claims them, made into what a notebook may hold."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from nbformat import NotebookNode
from nbformat.v4 import new_output

OUTPUTS = 1000
KEYS = 20  # forms of one output
LINE, LINES = 2000, 100  # of a traceback
ERROR_BYTES = 20_000  # kept free for an error, whatever was printed before it
# Text and pictures. HTML and what becomes HTML could reach for the marks of an instructor's page.
SHOWN = frozenset({"text/plain"} | {f"image/{kind}" for kind in ("png", "jpeg", "gif", "svg+xml")})


def reserve(limit: int) -> int:
    """Bytes of a limit that are kept for an error and for the note that something was cut."""
    return min(ERROR_BYTES, limit // 4)


def cleaned(text: Any, limit: int) -> str:
    """At most so many bytes of a text, without halves of characters, which no file can hold."""
    if type(text) is not str:
        return ""
    return text[:limit].encode("utf-8", "replace")[:limit].decode("utf-8", "ignore")


def error_output(kind: str, message: str) -> NotebookNode:
    """An error that no traceback came with."""
    return new_output("error", ename=kind, evalue=message, traceback=[f"{kind}: {message}"])


def claimed_outputs(claimed: Any, was_cut: Any, limit: int) -> list[NotebookNode]:
    """Outputs of at most `limit` bytes, in order; what is none is left out."""
    kept: list[NotebookNode] = []
    left, spare = limit - reserve(limit), reserve(limit) - 100
    cut, characters = was_cut is True, 0
    for output in claimed if type(claimed) is list else []:
        if type(output) is not dict or type(output.get("output_type")) is not str:
            continue
        is_error = output.get("output_type") == "error"
        made = _error(output, spare) if is_error else _output(output, left)
        size = 0 if made is None else _size(made)
        if made is None or len(kept) >= OUTPUTS or (not is_error and size > left):
            cut = True
            continue
        if is_error:
            spare -= size
        else:
            left -= size
            cut = cut or (made.output_type == "stream" and len(made.text) < len(output["text"]))
            characters += len(made.get("text", ""))
        kept.append(made)
    if cut:
        text = f"\n[output cut after {characters:,} characters]\n"
        kept.append(new_output("stream", name="stdout", text=text))
    return kept


def _size(output: NotebookNode) -> int:
    data = output.get("data", {}).items() if "data" in output else ()
    texts = [output.get("text", ""), output.get("evalue", ""), *output.get("traceback", [])]
    return sum(len(text.encode()) for text in texts + [part for pair in data for part in pair])


def _error(output: dict[Any, Any], left: int) -> NotebookNode | None:
    if left < 100:
        return None
    message = cleaned(output.get("evalue"), min(LINE, left // 3))
    lines, shown = output.get("traceback"), list[str]()
    left -= len(message.encode())
    for line in lines[-LINES:] if type(lines) is list else []:
        text = cleaned(line, LINE)
        left -= len(text.encode())
        if left < 0:
            break
        shown.append(text)
    name = cleaned(output.get("ename"), 200)
    return new_output("error", ename=name, evalue=message, traceback=shown)


def _output(output: dict[Any, Any], left: int) -> NotebookNode | None:
    kind = output.get("output_type")
    if kind == "stream":
        said = output.get("name")
        name = "stderr" if type(said) is str and said == "stderr" else "stdout"
        text = cleaned(output.get("text"), left)
        return new_output("stream", name=name, text=text) if text else None
    if kind not in ("display_data", "execute_result") or type(output.get("data")) is not dict:
        return None
    data = {
        mime: cleaned(value, len(value) * 4)
        for mime, value in list(output["data"].items())[:KEYS]
        if mime in SHOWN and type(value) is str and len(value) <= left and _is_whole(mime, value)
    }
    # In nbgrader a result is a mark; only a test gives one.
    return new_output("display_data", data=data) if data else None


def _is_whole(mime: str, value: str) -> bool:
    """Whether what must be base64 is."""
    if not mime.startswith("image/") or mime == "image/svg+xml":
        return True
    try:
        base64.b64decode(value.replace("\n", ""), validate=True)
    except (ValueError, binascii.Error):
        return False
    return True
