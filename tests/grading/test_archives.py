"""Archives that strangers made: all is listed, nothing is unpacked, every limit holds."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from nlp_course.grading import archives
from nlp_course.grading.archives import File, read_source
from nlp_course.grading.notebooks import GradingError

pytestmark = pytest.mark.grading


def zipped(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries:
            archive.writestr(name, data, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


@pytest.fixture
def read(tmp_path: Path):
    """Reads an export that is this archive."""

    def open_it(data: bytes) -> list[File]:
        path = tmp_path / "export.zip"
        path.write_bytes(data)
        return read_source(path)

    return open_it


def test_files_come_with_their_paths_bytes_and_times(read):
    entry = zipfile.ZipInfo("a/b.ipynb", (2026, 1, 31, 12, 30, 2))
    (file,) = read(zipped((entry, b"{}")))
    assert (file.path, file.data, file.problem) == ("a/b.ipynb", b"{}", "")
    assert file.modified is not None
    assert file.modified.isoformat() == "2026-01-31T12:30:02+00:00"


def test_a_clock_without_a_zone_is_of_the_courses(tmp_path: Path):
    entry = zipfile.ZipInfo("a/b.ipynb", (2026, 10, 29, 0, 4, 0))
    (tmp_path / "export.zip").write_bytes(zipped((entry, b"{}")))
    (file,) = read_source(tmp_path / "export.zip", ZoneInfo("Europe/Berlin"))
    assert file.modified is not None
    assert file.modified.astimezone(UTC).isoformat() == "2026-10-28T23:04:00+00:00"


def test_a_students_own_archive_does_not_say_when_it_was_handed_in(read):
    early = zipfile.ZipInfo("work.ipynb", (2026, 10, 28, 19, 0, 0))
    late = zipfile.ZipInfo("first_1_assignsubmission_file/work.zip", (2026, 11, 3, 11, 0, 0))
    (file,) = read(zipped((late, zipped((early, b"{}")))))
    assert (file.inner, file.modified) == ("work.ipynb", datetime(2026, 11, 3, 11, tzinfo=UTC))


def test_the_exact_time_goes_before_the_clock_of_whoever_zipped(read):
    entry = zipfile.ZipInfo("a.ipynb", (2026, 1, 31, 20, 0, 0))
    entry.extra = struct.pack("<HHBi", 0x5455, 5, 1, 1_769_860_000)
    (file,) = read(zipped((entry, b"{}")))
    assert file.modified is not None
    assert file.modified.timestamp() == 1_769_860_000


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../../etc/passwd", "leads out"),
        ("a/../../b.ipynb", "leads out"),
        ("/etc/passwd", "leads out"),
        ("C:\\b.ipynb", "leads out"),
        ("a\\b.ipynb", "backslashes"),
        ("x" * 300 + ".ipynb", "too long"),
        ("NUL.ipynb", "Windows"),
        ("a/con", "Windows"),
        ("a\x1b[31m.ipynb", "cannot be printed"),
        ("a\u202egpj.ipynb", "cannot be printed"),
    ],
)
def test_a_name_that_may_do_harm_is_refused_and_its_bytes_are_kept(read, name: str, said: str):
    (file,) = read(zipped((name, b"bytes")))
    assert said in file.problem
    assert file.data == b"bytes"


def test_links_and_devices_are_not_read(read, tmp_path: Path):
    for mode in (stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR):
        entry = zipfile.ZipInfo("a.ipynb")
        entry.create_system = 3
        entry.external_attr = (mode | 0o777) << 16
        (file,) = read(zipped((entry, b"/etc/passwd")))
        assert "link or a device" in file.problem
        assert file.data == b""


def test_links_and_pipes_in_a_folder_are_not_read(tmp_path: Path):
    (tmp_path / "secret").write_text("x")
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "a.ipynb").symlink_to(tmp_path / "secret")
    (folder / "up").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(folder / "pipe")
    problems = {file.path: file.problem for file in read_source(folder)}
    assert problems.keys() == {"a.ipynb", "up", "pipe"}
    assert "link" in problems["a.ipynb"]
    assert "link" in problems["up"]
    assert "pipe" in problems["pipe"]


def test_a_bomb_is_not_unpacked(read):
    (file,) = read(zipped(("bomb.ipynb", bytes(50 << 20))))
    assert "200 times" in file.problem
    assert file.data == b""


def test_an_entry_that_lies_about_its_size_is_damaged(read):
    data = bytearray(zipped(("a.ipynb", b"0123456789" * 100)))
    for offset, mark in ((22, b"PK\x03\x04"), (24, b"PK\x01\x02")):
        struct.pack_into("<I", data, data.index(mark) + offset, 10)
    (file,) = read(bytes(data))
    assert "damaged" in file.problem or len(file.data) <= 10


def test_more_files_or_bytes_than_any_class_has_are_refused(read, monkeypatch):
    monkeypatch.setattr(archives, "MOST_FILES", 3)
    with pytest.raises(GradingError, match="more than 3 files"):
        read(zipped(*((f"{k}.ipynb", b"") for k in range(4))))
    monkeypatch.setattr(archives, "MOST_BYTES", 1000)
    files = read(zipped(("a.ipynb", bytes(900)), ("b.ipynb", bytes(900))))
    assert ["more than is read" in file.problem for file in files] == [False, True]


def test_a_password_is_named(read):
    data = bytearray(zipped(("a.ipynb", b"{}")))
    for offset, mark in ((6, b"PK\x03\x04"), (8, b"PK\x01\x02")):
        data[data.index(mark) + offset] |= 1
    (file,) = read(bytes(data))
    assert "encrypted" in file.problem


def test_two_files_of_one_name_are_both_listed(read):
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = zipped(("a.ipynb", b"1"), ("a.ipynb", b"2"))
    first, second = read(data)
    assert (first.data, second.data) == (b"1", b"2")
    assert "two files of this name" in second.problem


def test_names_that_differ_in_case_only_are_both_listed(read):
    files = read(zipped(("A.ipynb", b"1"), ("a.ipynb", b"2")))
    assert all("but for its case" in file.problem for file in files)


def test_names_are_read_as_utf_8_with_or_without_the_mark(read):
    assert [file.path for file in read(zipped(("Éna.ipynb", b"")))] == ["Éna.ipynb"]
    entry = zipped(("X\u2500na.ipynb", b""))  # the mark is set: not in cp437 as ASCII
    assert [file.path for file in read(entry)] == ["X\u2500na.ipynb"]
    plain = bytearray(zipped(("XXna.ipynb", b"")))
    unmarked = bytes(plain).replace(b"XXna", "Éna".encode())
    assert [file.path for file in read(unmarked)] == ["Éna.ipynb"]


def test_what_systems_add_is_passed_over(read):
    names = ("__MACOSX/._a.ipynb", "._a.ipynb", ".ipynb_checkpoints/a-checkpoint.ipynb")
    more = ("desktop.ini", ".DS_Store", "Thumbs.db", "folder/")
    assert read(zipped(*((name, b"") for name in (*names, *more)))) == []


def test_a_student_s_zip_is_opened_one_level_deep(read):
    inner = zipped(("work/a.ipynb", b"{}"), ("deep.zip", zipped(("b.ipynb", b"{}"))))
    deep, work = read(zipped(("first_12_345_work.zip", inner)))
    assert (work.path, work.inner, work.name) == (
        "first_12_345_work.zip",
        "work/a.ipynb",
        "a.ipynb",
    )
    assert "in a zip archive in the export" in deep.problem


@pytest.mark.parametrize("name", ["a.tar", "a.tar.gz", "a.tgz", "a.7z", "a.rar"])
def test_other_archives_are_named(read, name: str):
    (file,) = read(zipped((name, b"\x1f\x8b")))
    assert "ask for a zip" in file.problem


def test_a_damaged_zip_in_an_export_stops_nothing(read):
    good = zipped(("a.ipynb", b"{}"))
    files = {file.path: file for file in read(zipped(("bad.zip", good[:40]), ("ok.ipynb", b"")))}
    assert "damaged" in files["bad.zip"].problem
    assert files["bad.zip"].data == good[:40]
    assert files["ok.ipynb"].problem == ""


def test_a_source_that_cannot_be_read_is_named(tmp_path: Path):
    with pytest.raises(GradingError, match="is not there"):
        read_source(tmp_path / "nothing")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(GradingError, match="not a zip archive"):
        read_source(tmp_path / "a.txt")


def test_names_on_disk_need_not_be_utf_8(tmp_path: Path):
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xe9na.ipynb"))).write_bytes(b"{}")
    (file,) = read_source(tmp_path)
    assert file.path == "\\xe9na.ipynb"
