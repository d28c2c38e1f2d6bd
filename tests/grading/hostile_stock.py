"""The hostile set with nbgrader as it comes: a Markdown table of what each notebook got and read.

python -m tests.grading.hostile_stock EMPTY_FOLDER [NAME ...]
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tests.grading.hostile_class import (
    Result,
    Stage,
    gradebook_rows,
    is_test,
    live_parts,
    own_outputs,
    texts,
)
from tests.grading.hostile_course import NAME, POINTS, Files, honest, scripts, submission

STOCK = """c = get_config()
c.CourseDirectory.course_id = "stock"
c.CourseDirectory.db_url = "sqlite:///gradebook.db"
c.Execute.timeout = 5
"""
STOCK_SECONDS = 60  # for one student, after which the instructor stops it


def grade_stock(stage: Stage, submissions: Mapping[str, Files]) -> Iterator[tuple[str, Result]]:
    """Grade a class with nbgrader as it comes, one student after the other.

    The whole of nbgrader runs in a cage in which only the stage can be written to and no process
    outlives the command: what is attacked is the grader, not the machine of whoever tries this.
    """
    folder = stage.class_folder
    (folder / "source").mkdir(parents=True)
    shutil.copytree(stage.course_folder / "solutions" / NAME, folder / "source" / NAME)
    (folder / "nbgrader_config.py").write_text(STOCK)
    _caged(stage, "generate_assignment", NAME)
    for student, files in submissions.items():
        place = folder / "submitted" / student / NAME
        place.mkdir(parents=True)
        for name, data in files.items():
            (place / name).write_bytes(data)
    for student in submissions:
        failure = _caged(stage, "autograde", NAME, "--student", student)
        tests = {
            str(name): float(str(score or 0))
            for who, name, score, *_ in gradebook_rows(folder)
            if who == student and is_test(str(name))
        }
        shown = own_outputs(folder / "autograded" / student / NAME / f"{NAME}.ipynb")
        yield student, Result(tests, failure, shown=shown)


def _caged(stage: Stage, *arguments: str) -> str:
    """One nbgrader command; what it says where it fails."""
    cage = shutil.which("bwrap")
    if cage is None:
        raise SystemExit("this runs hostile code as stock nbgrader would, and needs bubblewrap")
    writable = str(stage.root)
    command = [cage, "--unshare-pid", "--die-with-parent", "--new-session", "--ro-bind", "/", "/"]
    command += ["--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp", "--bind", writable, writable]
    command += [sys.executable, "-m", "nbgrader", *arguments]
    try:
        done = subprocess.run(
            command,
            cwd=stage.class_folder,
            env=stage.environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=STOCK_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"did not end within {STOCK_SECONDS} s"
    said = re.findall(r"^[\w.]*(?:Error|Exception|Invalid\w+)\b.*", done.stderr, re.MULTILINE)
    return "" if done.returncode == 0 else (said or ["it says only that it failed"])[-1]


def stock_table(root: Path, names: Iterable[str] = ()) -> Iterator[str]:
    """Lines of a Markdown table: what each script got from stock nbgrader, and what it told."""
    stage = Stage(root)
    given = stage.write()
    chosen = [script for script in scripts() if not set(names) or script.name in set(names)]
    running = [script for script in chosen if script.stock]
    yield f"| it tries | points of {POINTS} | honestly right | hidden things it read | what else |"
    yield "|---|---|---|---|---|"
    with stage.listening():
        handed = {name: files for name, (files, _) in honest(given, stage.known).items()}
        handed |= {script.name: submission(script, given, stage.places) for script in running}
        before: dict[object, float] = {}
        known_files: set[str] = set()
        for student, result in grade_stock(stage, handed):
            known = {script.name: script for script in running}
            told = ", ".join(stage.known.told(result.shown))
            harm = [f"not graded: {result.failure[:90]}"] if result.failure else []
            now = _sums(stage.class_folder)
            harm += [f"changed the marks of {who}" for who in before if now.get(who) != before[who]]
            before = now
            harm += [
                f"wrote {Path(path).name}" for path in stage.touched() if path not in known_files
            ]
            known_files |= set(stage.touched())
            harm += [f"reached {name}" for name in dict.fromkeys(stage.connections)]
            harm += ["reached what it must not"] if stage.reached(result) else []
            stage.connections.clear()
            _sweep(stage)
            keeps = (
                3 * len(known[student].keeps | known[student].may_keep) if student in known else ""
            )
            yield f"| {student} | {result.points:g} | {keeps} | {told} | {'; '.join(harm)} |"
        _caged(stage, "generate_feedback", NAME)
        pages = {name: texts(stage.class_folder / "feedback" / name) for name in handed}
        usual = len(live_parts(pages["a-student-01"]))
        told = ", ".join(stage.known.told(pages["a-student-01"]))
        yield f"| everyone | | | {told}: in the feedback, as nbgrader writes it | |"
        for name, page in pages.items():
            if len(live_parts(page)) > usual:
                yield f"| {name} | | | | its feedback runs scripts or asks other hosts |"
    for script in chosen:
        if not script.stock:
            yield f"| {script.name} | not run | | | would harm the machine, or outlive the grader |"


def _sums(folder: Path) -> dict[object, float]:
    sums: dict[object, float] = {}
    for who, _, auto, manual, extra, _ in gradebook_rows(folder):
        sums[who] = sums.get(who, 0.0) + sum(
            float(str(part or 0)) for part in (auto, manual, extra)
        )
    return sums


def _sweep(stage: Stage) -> None:
    """Put back what a script wrote over, so that the next is not blamed for it."""
    (stage.outside / "canary").write_text("untouched")
    (stage.home / ".netrc").write_text(f"{stage.known.home}\n")


def main() -> None:
    """Print the table for the handbook."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="an empty folder to work in")
    parser.add_argument("names", nargs="*", help="which scripts; all, if none")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for line in stock_table(arguments.folder.resolve(), arguments.names):
        print(line, flush=True)


if __name__ == "__main__":
    main()
