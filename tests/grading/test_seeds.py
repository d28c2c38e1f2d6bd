"""A student's seed: the same at a re-grade, another for anybody else, out of reach of students."""

from __future__ import annotations

import hashlib
import hmac
import os
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlp_course.grading.notebooks import GradingError
from nlp_course.grading.seeds import read_secret, student_seed

pytestmark = pytest.mark.grading
SECRET = bytes(range(32))
posix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no permission bits")


def test_seed_is_the_first_63_bits_of_hmac_sha256():
    digest = hmac.new(SECRET, b'["student-01", "q03-softmax"]', hashlib.sha256).hexdigest()
    bits = bin(int(digest, 16))[2:].zfill(256)
    assert student_seed(SECRET, "student-01", "q03-softmax") == int(bits[:63], 2)


@given(st.binary(min_size=32, max_size=64), st.text(), st.text())
def test_seed_is_one_that_numpy_and_torch_take(secret: bytes, student: str, question: str):
    seed = student_seed(secret, student, question)
    assert 0 <= seed < 2**63
    assert seed == student_seed(secret, student, question)
    np.random.default_rng(seed)


@given(st.lists(st.tuples(st.text(), st.text()), min_size=2, unique=True))
def test_seeds_differ_between_students_and_questions(pairs: list[tuple[str, str]]):
    seeds = {student_seed(SECRET, student, question) for student, question in pairs}
    assert len(seeds) == len(pairs)


def test_where_a_student_ends_and_a_question_begins_matters():
    assert student_seed(SECRET, "a", "bc") != student_seed(SECRET, "ab", "c")


def test_another_secret_gives_other_seeds():
    assert student_seed(SECRET, "a", "b") != student_seed(bytes(32), "a", "b")


def test_short_secret_is_refused():
    with pytest.raises(ValueError, match="must have 32 bytes, got 31"):
        student_seed(bytes(31), "a", "b")


def test_secret_is_made_once_and_kept(tmp_path: Path):
    first = read_secret(tmp_path / "class" / "secret")
    assert len(first) == 32
    assert read_secret(tmp_path / "class" / "secret") == first
    assert read_secret(tmp_path / "other") != first


def test_secret_made_by_many_at_once_is_one(tmp_path: Path):
    found: list[bytes] = []
    make = lambda: found.append(read_secret(tmp_path / "secret"))  # noqa: E731
    threads = [threading.Thread(target=make) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert len(set(found)) == 1


@posix
def test_secret_is_made_for_its_owner_alone_whatever_the_umask(tmp_path: Path):
    before = os.umask(0)
    try:
        read_secret(tmp_path / "secret")
    finally:
        os.umask(before)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600


@posix
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o620])
def test_secret_that_others_may_read_or_change_is_refused(tmp_path: Path, mode: int):
    path = tmp_path / "secret"
    read_secret(path)
    path.chmod(mode)
    with pytest.raises(GradingError, match=rf"others may read .* {mode:04o}.* chmod 600 {path}"):
        read_secret(path)


@pytest.mark.parametrize("content", [b"", b"hunter2", bytes(33)])
def test_file_that_is_no_secret_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "secret"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(GradingError, match=f"holds {len(content)} bytes, and a secret has 32"):
        read_secret(path)


def test_secret_that_cannot_be_made_is_an_error_with_its_path(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(GradingError, match="the secret cannot be read"):
        read_secret(tmp_path / "file" / "secret")
