"""Each layer keeps what it says, on machines that this one can pretend to be.

`warden` starts the best sandbox there is and has `prisoner` try everything in it; `pretend` takes
from it, beforehand, what other machines lack.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

import nlp_course
from nlp_course.grading.layers import Layer, probe

pytestmark = [
    pytest.mark.grading,
    pytest.mark.sandbox,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="sandboxes are Linux's"),
]
HERE = Path(__file__).parent
SECONDS = 150


@dataclass(frozen=True)
class Machine:
    """A machine to pretend, and what it should come to.

    Parameters
    ----------
    lacks : see `pretend`
    layer : the one that is found there
    closed : the course lies where only its owner may look, as that layer asks
    """

    name: str
    lacks: tuple[str, ...]
    layer: str
    closed: bool = False


MACHINES = (
    Machine("as it is", (), "bubblewrap+landlock"),
    Machine("an older kernel", ("no-landlock",), "bubblewrap"),
    Machine("no namespaces in namespaces", ("no-nested",), "bubblewrap+landlock"),
    Machine("a container", ("container",), "landlock"),
    Machine("a container on an older kernel", ("container", "no-landlock"), "user", closed=True),
    Machine("an ordinary user", ("ordinary",), "bubblewrap+landlock"),
    Machine("an ordinary user in a container", ("ordinary", "container"), "landlock"),
)
Said = dict[str, Any]


def pretending(
    lacks: tuple[str, ...], *command: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python on such a machine."""
    return subprocess.run(
        [sys.executable, str(HERE / "pretend.py"), *lacks, "--", sys.executable, *command],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
        cwd="/",
    )


def run(machine: Machine) -> subprocess.CompletedProcess[str]:
    """The warden's report from such a machine."""
    warden = str(HERE / "warden.py")
    if not machine.closed:
        return pretending(machine.lacks, warden)
    with tempfile.TemporaryDirectory() as course:
        shutil.copytree(Path(nlp_course.__file__).parent, Path(course, "nlp_course"))
        about = {"PYTHONPATH": course}
        return pretending(machine.lacks, warden, "--closed-to-others", environment=about)


def report(machine: Machine, folder: Path) -> Said:
    """The same, once for all processes that run these tests, and share a folder."""
    kept = folder / f"{machine.name}.json"
    with FileLock(f"{kept}.lock"):
        if not kept.exists():
            done = run(machine)
            assert done.returncode == 0, done.stderr[-2000:]
            kept.write_text(done.stdout)
    said: Said = json.loads(kept.read_text())
    return said


def pretended(lacks: tuple[str, ...]) -> None:
    if lacks and os.geteuid() != 0:
        pytest.skip("only root can pretend to be another machine")


@pytest.fixture(scope="module")
def reports(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[Said]]]:
    """Of the machines that are asked for; two at a time, since much of what is tried is waiting."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    calls = [getattr(item, "callspec", None) for item in request.session.items]
    asked = {call.params["machine"] for call in calls if call and "machine" in call.params}
    here = [one for one in MACHINES if one in asked and (not one.lacks or os.geteuid() == 0)]
    with ThreadPoolExecutor(2) as executor:
        yield {one.name: executor.submit(report, one, folder) for one in here}
        executor.shutdown(cancel_futures=True)


@pytest.fixture(scope="module", params=MACHINES, ids=lambda machine: machine.name)
def machine(request: pytest.FixtureRequest) -> Machine:
    made: Machine = request.param
    if not probe().landlock and "landlock" in made.layer:
        pytest.skip("this kernel has no Landlock")
    pretended(made.lacks)
    return made


@pytest.fixture(scope="module")
def said(machine: Machine, reports: dict[str, Future[Said]]) -> Said:
    return reports[machine.name].result()


def test_the_best_layer_is_found_and_described(machine: Machine, said: Said):
    assert said["layer"] == machine.layer
    assert said["describe"].startswith(f"{machine.layer}: ")
    nested = "no-nested" not in machine.lacks and machine.layer.startswith("bubblewrap")
    assert said["namespaces"] == nested
    assert ("(namespaces)" in said["describe"]) == nested
    assert ("a user id of its own" in said["describe"]) == ("ordinary" not in machine.lacks)


CLOSED = (
    *("reads", "reads_by_links", "writes", "opens_for_writing", "changes_marks", "takes_away"),
    *("changes_the_course", "searches", "imports", "hands_down", "connects", "looks_into"),
    *("signals", "traces", "limits_others", "finds", "gains_rights", "raises_limits"),
)


@pytest.mark.parametrize("attempt", CLOSED)
def test_an_attempt_reaches_nothing(said: Said, attempt: str):
    assert said[attempt] == {"reached": []}


def test_what_is_left_open_to_all_is_found_only_where_no_layer_says_otherwise(
    machine: Machine, said: Said
):
    found = said["finds_shared"]["reached"]
    if said["namespaces"]:
        assert found == []
    elif machine.layer == "user":
        assert "files that every user of this machine may read" in said["describe"]
    else:
        assert all(path.startswith("/dev/shm/note-") for path in found)


def test_it_is_nobody_in_particular_and_stays_so(said: Said):
    rights = said["rights"]["reached"]
    assert len(set(rights["Uid"].split())) == 1
    assert rights["Uid"].split()[0] != "0"
    for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(rights[kind], 16) == 0
    assert rights["NoNewPrivs"] == "1"
    assert rights["Seccomp"] == "2"


def test_no_server_of_the_machine_hears_of_it(said: Said):
    assert said["servers"] == []


def test_the_graders_environment_and_the_courses_folders_are_not_in_its_memory(said: Said):
    assert said["environment"] == {"reached": None}
    assert said["memory_holds"] == {"reached": False}
    assert said["memory_holds_environment"] == {"reached": False}


def test_it_holds_its_channel_and_no_other_descriptor(said: Said):
    assert said["descriptors"] == {"reached": ["socket"]}


def test_it_sees_no_process_but_those_of_its_own(machine: Machine, said: Said):
    if machine.layer == "user":
        assert "every user" in said["describe"]
    else:
        assert said["sees"]["reached"] <= 2


def test_neither_sibling_nor_grader_is_killed(said: Said):
    assert said["victim"] is None
    assert said["sibling"] == {"reached": 1.0}
    assert said["still starts"] == {"reached": 1.0}


RIGHT: dict[str, Callable[[Any], bool]] = {
    "computes": lambda value: value == 1.0,
    "maps_in_a_pool": lambda value: value == [1, 2, 3],
    "runs_python": lambda value: value == "[1]\n",
    "runs_a_shell": lambda value: value == "2\n",
    "keeps_files": lambda value: value == "kept",
    "draws": lambda value: value > 1000,
    "tells_time": lambda value: value[1] == "Europe/Berlin" and value[2] >= 1,
    "passes_descriptors": lambda value: value == "through",
    "awaits": lambda value: value == "awaited",
    "ends_a_child": lambda value: value == -15,
    "uses_devices": lambda value: value == [4, 4, 4, 0],
    "places": lambda value: value[3] == "0o40700" and len(set(value[:3])) == 3,
    "interrupt": lambda value: value == "interrupted",
    "after the interrupt": lambda value: value == 1.0,
}


@pytest.mark.parametrize("name", RIGHT)
def test_ordinary_things_work(machine: Machine, said: Said, name: str):
    if name == "maps_in_a_pool" and machine.name == "an ordinary user in a container":
        # Its semaphores would lie in /dev/shm, among the grader's own files.
        assert said[name]["error"] == "PermissionError"
    else:
        assert RIGHT[name](said[name].get("reached")), said[name]


@pytest.mark.parametrize("kind", ["memory", "shared memory", "memory of many"])
def test_memory_is_bounded(said: Said, kind: str):
    ended = said[kind].get("ended") or said[kind].get("error")
    assert ended in ("it used more than 400 MB of memory", "MemoryError")


def test_a_fork_bomb_is_bounded_and_killed_soon(said: Said):
    assert said["forks"]["ended"] == "it had 24 processes, or more"
    assert said["forks"]["seconds"] < 8


def test_threads_are_bounded(said: Said):
    assert 4 <= said["threads"]["reached"] <= 26


def test_one_file_is_bounded(said: Said):
    assert said["one file"]["reached"] == 32 << 20


@pytest.mark.parametrize("kind", ["disk", "unlinked files", "files in memory"])
def test_disk_is_bounded(machine: Machine, said: Said, kind: str):
    if said["namespaces"]:
        assert said[kind]["reached"] <= 48 << 20
    elif kind == "files in memory" and machine.name == "an ordinary user in a container":
        assert said[kind]["reached"] == 0  # /dev/shm holds the grader's own files
    elif machine.layer.startswith("bubblewrap") and "reached" in said[kind]:
        assert said[kind]["reached"] <= 8 * 48 << 20  # the room that all share was full first
    else:
        assert said[kind]["ended"] == "it wrote more than 48 MB, or too many files"


def test_number_of_files_is_bounded(said: Said):
    if said["namespaces"]:
        assert said["many files"]["reached"] < 50_000
    else:
        assert said["many files"]["ended"] == "it wrote more than 48 MB, or too many files"


def test_folders_nested_deep_and_closed_stop_nothing(said: Said):
    assert said["deep folders"].get("reached") == "made" or "ended" in said["deep folders"]
    assert said["folders left"] == 0


@pytest.mark.parametrize("when", ["left at the end", "left when killed"])
def test_nothing_outlives_a_session(said: Said, when: str):
    assert said[when] == {"made": {"reached": "left"}, "there": 1, "left": 0}


def test_an_own_end_is_told(said: Said):
    assert said["status"]["ended"] == "it ended itself with status 3"


def test_no_file_outlives_a_session(said: Said):
    assert said["notes left"] == []


def test_another_users_files_must_be_closed_where_only_a_user_keeps_apart():
    pretended(("container",))
    done = run(Machine("", ("container", "no-landlock"), "user"))
    assert "SandboxError: notebooks could read" in done.stderr
    assert "chmod -R go=" in done.stderr


def test_who_can_keep_nothing_apart_is_refused_with_what_to_do():
    pretended(("ordinary",))
    done = run(Machine("", ("ordinary", "container", "no-landlock"), "none"))
    assert "SandboxError: Notebooks of strangers are not run here without a sandbox" in done.stderr
    assert "apt-get install bubblewrap" in done.stderr


START = r"""
from nlp_course.grading.sandbox import Layer, SandboxError, start_sandboxed
for layer in {layers!r}:
    try:
        with start_sandboxed("nlp_course.grading.agent:serve", [], layer=layer):
            print("it started")
    except SandboxError as error:
        print(f"{{error}}".replace("\n", " "))
"""
SINGLE = {
    "landlock": Layer("landlock", landlock=True),
    "namespaces": Layer("namespaces", namespaces=True),
    "bubblewrap": Layer("bubblewrap", bubblewrap=True, namespaces=True),
    "user": Layer("user", users=True),
}


def test_a_layer_that_the_kernel_refuses_never_starts():
    lacks = ("ordinary", "container", "no-landlock")
    pretended(lacks)
    done = pretending(lacks, "-c", START.format(layers=[*SINGLE.values()]))
    answers = done.stdout.splitlines()
    assert len(answers) == len(SINGLE), done.stderr
    for name, answer in zip(SINGLE, answers, strict=True):
        assert "could not be closed: " in answer or "did not start: " in answer, (name, answer)


def test_without_a_filter_of_system_calls_nothing_starts():
    pretended(("no-filter",))
    best = Layer("landlock", landlock=True, users=True)
    done = pretending(("no-filter",), "-c", START.format(layers=[best]))
    assert "could not be closed" in done.stdout, done.stderr
    assert "seccomp" in done.stdout
