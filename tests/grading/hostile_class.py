"""A class with hostile notebooks in it, graded, and what they did to everything around them."""

from __future__ import annotations

import contextlib
import csv
import ctypes
import hashlib
import json
import os
import re
import secrets
import socket
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nbformat
import psutil
from bs4 import BeautifulSoup
from nbconvert.exporters import HTMLExporter
from nbgrader.api import Gradebook
from nbgrader.server_extensions.formgrader import handlers
from traitlets.config import PyFileConfigLoader

from nlp_course.grading.notebooks import grade_id
from nlp_course.grading.receipts import read_reviews
from nlp_course.grading.release import release
from tests.grading.hostile_course import NAME, Files, Secrets, write_course

BATCH_SECONDS = 1200  # for the whole class


def _adopt_orphans(yes: bool) -> None:
    """Whether processes below this one that lose their parent get this one as their parent."""
    if sys.platform == "linux":
        PR_SET_CHILD_SUBREAPER = 36
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(yes), 0, 0, 0)


@dataclass
class Stage:
    """A machine's worth of things that a notebook may reach for, all of them in one folder.

    Parameters
    ----------
    root : the folder; holds the course, its class, a home with keys in it, and what is outside
    known : what lies there for nobody to see
    marker : a word that is in the name of all that a notebook leaves behind
    connections : what reached the servers that listen while it is open
    places : what stands for `@NAME@` in a script
    processes : children of this process that grading did not start
    """

    root: Path
    known: Secrets = field(default_factory=Secrets)
    marker: str = field(default_factory=lambda: f"hostile-{secrets.token_hex(6)}")
    connections: list[str] = field(default_factory=list)
    places: dict[str, str] = field(default_factory=dict)
    processes: set[int] = field(default_factory=set)

    @property
    def course_folder(self) -> Path:
        """Where the course lies."""
        return self.root / "course"

    @property
    def class_folder(self) -> Path:
        """Where its class is graded."""
        return self.course_folder / "class"

    @property
    def home(self) -> Path:
        """The grader's home."""
        return self.root / "home"

    @property
    def outside(self) -> Path:
        """A folder that anyone may write to, and nobody is meant to."""
        return self.root / "outside"

    @property
    def environment(self) -> dict[str, str]:
        """Variables that the grader runs with, one of them a secret."""
        own = {"HOME": str(self.home), "COURSE_SECRET": self.known.course}
        return {**os.environ, **own, "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"}

    def write(self) -> bytes:
        """Lay it all out; the release."""
        self.root.chmod(0o755)
        course = write_course(self.course_folder, self.known)
        (self.home / ".ssh").mkdir(parents=True)
        for name in (".ssh/id_ed25519", ".netrc", ".pgpass"):
            (self.home / name).write_text(f"{self.known.home}\n")
        self.outside.mkdir()
        self.outside.chmod(0o777)
        (self.outside / "canary").write_text("untouched")
        return (release(course, NAME) / f"{NAME}.ipynb").read_bytes()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        """Servers for TCP, UDP and a UNIX socket, which note who comes; fills in the places.

        Meanwhile processes that lose their parent become ours, so that none is out of sight.
        """
        path = self.outside / "socket"
        _adopt_orphans(True)
        with contextlib.ExitStack() as stack:
            tcp, udp, unix, abstract = (
                stack.enter_context(socket.socket(family, kind))
                for family, kind in (
                    (socket.AF_INET, socket.SOCK_STREAM),
                    (socket.AF_INET, socket.SOCK_DGRAM),
                    (socket.AF_UNIX, socket.SOCK_STREAM),
                    (socket.AF_UNIX, socket.SOCK_STREAM),
                )
            )
            tcp.bind(("127.0.0.1", 0))
            udp.bind(("127.0.0.1", 0))
            unix.bind(str(path))
            abstract.bind(f"\0{self.marker}")
            path.chmod(0o777)
            for server in (tcp, unix, abstract):
                server.listen()
            self.places = {
                "TCP": str(tcp.getsockname()[1]),
                "UDP": str(udp.getsockname()[1]),
                "UNIX": str(path),
                "ABSTRACT": self.marker,
                "MARKER": self.marker,
                "OUTSIDE": str(self.outside),
                "COURSE": str(self.course_folder),
                "CLASS": str(self.class_folder),
            }
            victim = stack.enter_context(subprocess.Popen(["sleep", "3600"]))
            stack.callback(victim.kill)
            self.places["VICTIM"] = str(victim.pid)
            self.processes = {child.pid for child in psutil.Process().children(recursive=True)}
            over = threading.Event()
            servers = {"TCP": tcp, "UDP": udp, "UNIX": unix, "abstract": abstract}
            threads = [
                threading.Thread(target=self._note, args=(name, server, over))
                for name, server in servers.items()
            ]
            for thread in threads:
                thread.start()
            try:
                yield
                if victim.poll() is not None:
                    self.connections.append("a process of the grader's, which was ended")
            finally:
                over.set()
                for thread in threads:
                    thread.join()
                _adopt_orphans(False)

    def _note(self, name: str, server: socket.socket, over: threading.Event) -> None:
        server.settimeout(0.2)
        while not over.is_set():
            with contextlib.suppress(TimeoutError):
                if server.type == socket.SOCK_DGRAM:
                    server.recv(1)
                else:
                    server.accept()[0].close()
                self.connections.append(name)

    def left_behind(self) -> list[str]:
        """Processes that grading started and did not end, and shared files with our marker."""
        found = []
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if child.pid not in self.processes and child.status() != psutil.STATUS_ZOMBIE:
                    found.append(f"process {child.pid}: {child.cmdline()}"[:300])
        shared = [*Path("/dev/shm").glob("*"), *Path("/tmp").glob("*"), *Path("/var/tmp").glob("*")]
        return found + [str(path) for path in shared if self.marker in path.name]

    def touched(self) -> list[str]:
        """What was written where nobody is meant to write."""
        found = [
            str(path)
            for path in self.outside.rglob("*")
            if path.name not in ("canary", "socket")
            or (path.name == "canary" and path.read_text() != "untouched")
        ]
        if (self.home / ".netrc").read_text() != f"{self.known.home}\n":
            found.append(str(self.home / ".netrc"))
        start_up = self.home / ".ipython/profile_default/startup"
        found += [str(path) for path in start_up.glob("*") if path.name != "README"]
        sites = [Path(site) for site in sys.path if Path(site).is_dir()]
        found += [str(path) for site in sites for path in site.glob(f"{self.marker}*")]
        return found + [str(path) for path in self.home.glob(".local/lib/**/*.pth")]

    def fingerprint(self) -> dict[str, str]:
        """A hash of each file that the instructor or a student wrote before grading."""
        folders = [self.course_folder / "solutions", self.class_folder / "handed-in"]
        files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
        files += [self.course_folder / "nbgrader_config.py", self.course_folder / "secret"]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    def reached(self, result: Result) -> bool:
        """Whether a notebook says that it got where it must not; a script writes so."""
        return f"reached {self.marker}" in result.shown


@dataclass(frozen=True)
class Result:
    """What became of one student's submission.

    Parameters
    ----------
    tests : points got, by test cell; empty where it was not graded
    failure : why it was not, for the instructor
    shown : outputs of the student's own cells
    feedback : the page they get back, and anything beside it
    marking : the page of the formgrader's on which a person marks them
    """

    tests: Mapping[str, float]
    failure: str = ""
    notes: str = ""
    shown: str = ""
    feedback: str = ""
    marking: str = ""

    @property
    def points(self) -> float:
        """Of all tests."""
        return sum(self.tests.values(), 0.0)

    def of(self, question: str) -> float:
        """Points of one question's tests."""
        return sum(self.tests.get(f"{question}-{kind}", 0.0) for kind in ("tests", "hidden"))


def hand_in(folder: Path, submissions: Mapping[str, Files]) -> None:
    """Lay what students hand in into a class's folder."""
    for student, files in submissions.items():
        place = folder / "handed-in" / student
        place.mkdir(parents=True)
        for name, data in files.items():
            (place / name).write_bytes(data)


def grade_class(folder: Path, environment: Mapping[str, str]) -> dict[str, Result]:
    """Grade what a class handed in as an instructor does, by the commands, and read the results.

    Parameters
    ----------
    folder : the class's, in its course's folder
    environment : what the commands run with
    """
    command = Path(sys.executable).with_name("nlp-course")
    for words in (
        ["collect", NAME, f"{folder.name}/handed-in"],
        ["grade", NAME],
        ["feedback", NAME],
    ):
        subprocess.run(
            [command, *words, "--class", folder.name],
            cwd=folder.parent,
            env=dict(environment),
            timeout=BATCH_SECONDS,
            check=True,
        )
    with (folder / "reports" / f"{NAME}.csv").open(newline="", encoding="utf-8-sig") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    exporter = _formgrader(folder.parent)
    results = {student: _result(folder, student, row, exporter) for student, row in rows.items()}
    for review in read_reviews(folder / "received" / NAME):
        results.setdefault(review["student"], Result({}, review["sentence"]))
    return results


def _formgrader(course: Path) -> HTMLExporter:
    """What makes the formgrader's pages, with the course's settings, as its server has it."""
    config = PyFileConfigLoader("nbgrader_config.py", path=str(course)).load_config()
    config.HTMLExporter.template_name = "formgrade"
    config.HTMLExporter.extra_template_basedirs = [handlers.template_path]
    return HTMLExporter(config=config)


def _result(folder: Path, student: str, row: Mapping[str, str], exporter: HTMLExporter) -> Result:
    tests = {name: float(value) for name, value in row.items() if value and is_test(name)}
    feedback = texts(folder / "feedback" / student)
    notebook = folder / "autograded" / student / NAME / f"{NAME}.ipynb"
    shown, marking = own_outputs(notebook), ""
    if notebook.is_file():
        about = {"notebook_id": NAME, "student": student, "index": 0, "total": 1}
        marking, _ = exporter.from_filename(str(notebook), resources=about)
    return Result(tests, row["failure"], row["repairs"], shown, feedback, marking)


def is_test(column: str) -> bool:
    """Whether a grade id is that of a test."""
    return column.endswith(("-tests", "-hidden"))


def texts(folder: Path) -> str:
    """All that the files of a folder say."""
    return "\n".join(
        path.read_text(encoding="utf-8", errors="replace")
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    )


def own_outputs(path: Path) -> str:
    """Outputs of all cells but the tests; empty where there is no notebook."""
    if not path.is_file():
        return ""
    notebook = nbformat.read(path, as_version=4)
    outputs: list[Any] = [
        cell.get("outputs", []) for cell in notebook.cells if not is_test(grade_id(cell) or "")
    ]
    return json.dumps(outputs, ensure_ascii=False)


ACTIVE = ["script", "iframe", "frame", "object", "embed", "link", "base", "form", "applet"]
ACTIVE += ["audio", "video", "source", "portal"]


def live_parts(page: str) -> list[str]:
    """What a browser would run or fetch when it opens a page; a link waits for a click."""
    soup = BeautifulSoup(page, "html.parser")
    found = [str(tag)[:200] for tag in soup.find_all(ACTIVE)]
    found += [str(tag)[:200] for tag in soup.find_all("meta") if tag.has_attr("http-equiv")]
    remote = re.compile(r"^[\s\x00-\x20]*(?:https?:)?//|^[\s\x00-\x20]*(?:java|vb)script:", re.I)
    styles = [tag.get_text() for tag in soup.find_all("style")]
    for tag in soup.find_all(True):
        for key, value in tag.attrs.items():
            text = " ".join(value) if isinstance(value, list) else str(value)
            script = re.match(
                r"\s*(java|vb)script:|\s*data:(?!image/)", re.sub(r"\s", "", text), re.I
            )
            link = tag.name == "a" and key == "href"
            if key.startswith("on") or script or (remote.match(text) and not link):
                found.append(f"{tag.name} {key}={text[:200]}")
            if key == "style":
                styles.append(text)
    call = re.compile(r"@import|url\(\s*['\"]?\s*(?:https?:)?//", re.I)
    return found + [match[0] for style in styles for match in call.finditer(style)]


CONTROLS = {"button", "dialog", "form", "input", "label", "option", "select", "style", "textarea"}
CONTROLS |= {"iframe", "math", "object", "svg"}
# What nbconvert writes around cells and outputs, and in coloured code and text.
OF_CELLS = re.compile(
    r"(code_|text_)?cell|text_cell_render|panel-footer|rendered(_html)?|border-box-sizing|inner_cell|prompt"
    r"|(in|out)put(_\w+)?|highlight|hl-\w+|[a-z][a-z0-9]{0,2}|ansi-[a-z-]+"
)
COLOURS = re.compile(r"((background-)?color: rgb\(\d+,\d+,\d+\)(; )?)*")


def planted(page: str, own: str) -> list[str]:
    """What a script or a style sheet could take hold of on one page, and not on another.

    Parameters
    ----------
    page : of a notebook
    own : the same page of an honest student, which has nothing but what is nbgrader's
    """
    return sorted((_handles(page) - _handles(own)).elements())


def _handles(page: str) -> Counter[str]:
    """Controls, ids, classes and styles, but for those that any cell brings."""
    found = Counter[str]()
    for tag in BeautifulSoup(page, "html.parser").find_all(True):
        found.update([f"<{tag.name}>"] if tag.name in CONTROLS else [])
        for key, value in tag.attrs.items():
            words = value if isinstance(value, list) else [str(value)]
            if key == "class":
                found.update(f".{word}" for word in words if not OF_CELLS.fullmatch(word))
            elif key == "id":
                found.update(f"#{word}" for word in words if not word.startswith("cell-id="))
            elif key == "style":
                found.update(f"style={word}" for word in words if not COLOURS.fullmatch(word))
            elif key.startswith(("data-", "aria-")) or key in ("name", "role", "tabindex", "for"):
                found[f"{key}={' '.join(words)}"] += 1
    return found


def gradebook_rows(folder: Path) -> list[tuple[object, ...]]:
    """All that a class's gradebook says of who has how many points of how many."""
    with Gradebook(f"sqlite:///{folder / 'gradebook.db'}") as book:
        return sorted(
            (
                submission.student.id,
                grade.name,
                grade.auto_score,
                grade.manual_score,
                grade.extra_credit,
                grade.max_score,
            )
            for submission in book.assignment_submissions(NAME)
            for notebook in submission.notebooks
            for grade in notebook.grades
        )
