"""Random inputs of a student's own: the same at every re-grade, and foreseen by nobody.

A test draws its inputs from a generator with this seed. Only who knows the course's secret can
compute it, so a student who reads this module still cannot know the inputs that will be drawn.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import stat
import sys
import time
from pathlib import Path

from nlp_course.grading.notebooks import GradingError

SECRET_BYTES = 32


def student_seed(secret: bytes, student: str, question: str) -> int:
    """A seed from HMAC-SHA256 of student and question under the course's secret.

    Parameters
    ----------
    secret : the course's, from `read_secret`
    student : a student's id
    question : a question's grade id

    Returns
    -------
    A whole number of 63 bits, from 0 to 2^63 - 1: what both NumPy and PyTorch take.

    Raises
    ------
    ValueError : the secret is shorter than 32 bytes.

    References
    ----------
    Krawczyk, Bellare and Canetti 1997, RFC 2104, HMAC: Keyed-Hashing for Message Authentication.

    Examples
    --------
    >>> student_seed(bytes(32), "student-01", "q03-softmax")
    5482502664974108336
    """
    if len(secret) < SECRET_BYTES:
        raise ValueError(f"the secret must have {SECRET_BYTES} bytes, got {len(secret)}")
    # As JSON, since ("a", "bc") and ("ab", "c") must not be the same message.
    message = json.dumps([student, question]).encode()
    digest = hmac.digest(secret, message, hashlib.sha256)
    return int.from_bytes(digest[:8], "big") >> 1


def read_secret(path: Path) -> bytes:
    """The course's secret; on first use 32 random bytes are written that only you can read.

    Keep the file with the gradebook: with another secret, tests draw other inputs at a re-grade.

    Raises
    ------
    GradingError : others may read the file, it is no secret, or it can be neither read nor made.
    """
    try:
        _make(path)
        secret = path.read_bytes()
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise GradingError(f"{path}: the secret cannot be read ({error.strerror})") from error
    # Windows keeps no such bits; who may read a file there is inherited from its folder.
    if sys.platform != "win32" and mode & 0o077:
        raise GradingError(
            f"{path}: others may read this secret (mode {mode:04o}), and with it foresee hidden "
            f"tests' inputs; if nobody has, run: chmod 600 {path}; else delete it and grade afresh"
        )
    if len(secret) != SECRET_BYTES:
        raise GradingError(
            f"{path}: holds {len(secret)} bytes, and a secret has {SECRET_BYTES}; restore it from "
            "a copy, or delete it to have another made (tests then draw other inputs)"
        )
    return secret


def _make(path: Path) -> None:
    """Write a new secret, unless there is a file or another process has just begun to."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        file = open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600))  # noqa: SIM115
    except FileExistsError:
        deadline = time.monotonic() + 1.0
        while path.stat().st_size == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        return
    with file:
        file.write(secrets.token_bytes(SECRET_BYTES))
