"""From what a learning platform exports to notebooks that can be graded.

Whose a file is, its name says (`platforms`); which assignment it answers, its cells say
(`rebuild`); nobody gets 0 because a file is called `Copy of 02-word2vec (1).ipynb`. What is not
clear is listed for a person, with a sentence, and stops nobody else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, tzinfo
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from nlp_course.grading.archives import File, read_source
from nlp_course.grading.choosing import Candidate, choose, understand
from nlp_course.grading.notebooks import GradingError, read_notebook
from nlp_course.grading.platforms import Owner, People
from nlp_course.grading.reading import IntakeError
from nlp_course.grading.receipts import (
    RECEIPT,
    REVIEW_FOLDER,
    Accepted,
    Collection,
    Kept,
    Receipt,
    Review,
    digest,
    from_iso,
    iso,
    keep,
    merge_reviews,
    read_receipt,
    read_reviews,
    settled_files,
    write,
    write_receipt,
)
from nlp_course.grading.roster import FIT_FOR_A_FOLDER, Person

__all__ = ["Accepted", "Collection", "IntakeError", "Review", "collect", "take_in"]

TIMESTAMP = "timestamp.txt"
STAMP_FORMAT = "%Y-%m-%d %H:%M:%S.%f %Z"  # nbgrader's own
NOTEBOOK_NAME = re.compile(r"\.(ipynb|json|zip)(\.|$)", re.IGNORECASE)


@dataclass
class _Student:
    """What was found of one student."""

    candidates: list[Candidate] = field(default_factory=list)
    failed: list[tuple[File, Owner, str]] = field(default_factory=list)

    @property
    def is_settled(self) -> bool:
        """Whether a person has chosen in this run."""
        return any(one.settled is not None for one in self.candidates)


def collect(
    source: Path,
    *,
    assignments: Mapping[str, NotebookNode],
    wanted: str,
    into: Path,
    roster: Sequence[Person] = (),
    zone: tzinfo = UTC,
) -> Collection:
    """Take in all that a class handed in for an assignment.

    Parameters
    ----------
    source : a folder or zip archive as a platform exports it; or the folder
        `into/received/ASSIGNMENT`, or a student's in it, where a person has laid the right file
    assignments : the releases of all assignments, by name
    wanted : the assignment to collect
    into : the class's folder; `submitted/` and `received/` in it are written
    roster : who takes the course; with none, students are named by the platform
    zone : of a zip archive's clock, where it does not say more

    Raises
    ------
    GradingError : there is no such source, it is empty or no zip archive; no such assignment.
    """
    if wanted not in assignments:
        raise GradingError(f"no assignment {wanted!r}; there are: {', '.join(assignments)}")
    received = into / "received" / wanted
    return _Intake(dict(assignments), wanted, into, received, roster).collect(source, zone)


class _Intake:
    """One run of `collect`."""

    def __init__(
        self,
        assignments: dict[str, NotebookNode],
        wanted: str,
        into: Path,
        received: Path,
        roster: Sequence[Person],
    ) -> None:
        self.assignments = assignments
        self.wanted = wanted
        self.into = into
        self.received = received
        self.roster = roster
        self.students: dict[str, _Student] = {}
        self.reviews: list[Review] = []

    def collect(self, source: Path, zone: tzinfo) -> Collection:
        """Sort files by student, choose one of each, write what is new."""
        inside = self._inside(source)
        files = read_source(source, zone)
        if not files:
            raise GradingError(f"{source} holds no file: is it what the platform gave out?")
        if inside is None:
            self._sort(files)
        else:
            self._sort_settled(files, inside)
        done = [self._finish(student) for student in sorted(self.students)]
        accepted = [one for one in done if one is not None]
        settled = settled_files(self.received, self.wanted)
        reviews = [one for one in self.reviews if one.sha256 not in settled]
        by_hand = {name for name, mine in self.students.items() if mine.is_settled}
        merge_reviews(self.received, reviews, files, settled, by_hand)
        return Collection(tuple(accepted), tuple(sorted(reviews, key=lambda one: one.file)))

    def _inside(self, source: Path) -> str | None:
        """Of a folder among what was received the student, '' for all; None for another source."""
        here, there = source.resolve(), self.received.resolve()
        if here == there:
            return ""
        return here.name if here.parent == there and here.name != REVIEW_FOLDER else None

    def _sort(self, files: Sequence[File]) -> None:
        """Files by whose they are."""
        stamps = {_folder(file): file for file in files if file.name == TIMESTAMP}
        theirs = [file for file in files if file.name != TIMESTAMP]
        people = People(self.roster, [file.path for file in theirs], self.wanted)
        for file in theirs:
            try:
                student, owner = people.find(file.path)
                _check_name(student)
            except IntakeError as error:
                known = file if people.times_are_theirs(file.path) else replace(file, modified=None)
                self._review(known, None, file.problem or str(error))
                continue
            at = owner.handed_in or _read_stamp(stamps.get(_folder(file)))
            if at is None and owner.times_are_theirs:
                at = file.modified
            self._try(student, replace(file, modified=at), owner)

    def _sort_settled(self, files: Sequence[File], student: str) -> None:
        """What a person laid among what was received; the receipts tell what lay there before."""
        now = datetime.now(UTC).replace(microsecond=0)
        # The time of a copy is not when it was handed in.
        times = {row["sha256"]: from_iso(row["handed_in"]) for row in read_reviews(self.received)}
        for file in files:
            parts = file.path.split("/") if not student else [student, *file.path.split("/")]
            if len(parts) < 2 or parts[0] == REVIEW_FOLDER or parts[-1] == RECEIPT:
                continue
            try:
                _check_name(parts[0])
            except IntakeError as error:
                self._review(file, None, str(error))
                continue
            known = {
                one.sha256 for one in read_receipt(self.received / parts[0], self.wanted).files
            }
            self.students.setdefault(parts[0], _Student())
            if digest(file.data) not in known:
                at = times.get(digest(file.data), file.modified)
                known_time = replace(file, modified=at)
                self._try(parts[0], known_time, Owner("the folder", key=parts[0]), now)

    def _try(self, student: str, file: File, owner: Owner, settled: datetime | None = None) -> None:
        mine = self.students.setdefault(student, _Student())
        said = [f"{owner.platform} says that it was handed in late"] if owner.late else []
        if file.inner:
            said.append(f"{file.inner!r} was taken out of the zip archive {file.path!r}")
        try:
            if file.problem:
                raise IntakeError(file.problem)
            rebuilt, untouched = understand(file.data, self.wanted, self.assignments)
        except IntakeError as error:
            mine.failed.append((file, owner, str(error)))
            return
        mine.candidates.append(
            Candidate(file, rebuilt, untouched, owner.order, file.modified, settled, tuple(said))
        )

    def _finish(self, student: str) -> Accepted | None:
        """Choose among a student's files, old and new, and write what is to be graded."""
        mine = self.students[student]
        folder = self.received / student
        receipt = read_receipt(folder, self.wanted)
        new = {digest(one.file.data) for one in mine.candidates}
        old = [one for one in self._kept(folder, receipt) if digest(one.file.data) not in new]
        # Settled by hand stays so when the same file comes again with an export.
        chosen_before = {one.sha256: one.settled for one in receipt.files}
        candidates = [
            replace(
                one, settled=one.settled or from_iso(chosen_before.get(digest(one.file.data), ""))
            )
            for one in mine.candidates
        ]
        try:
            if not candidates and not old:
                raise IntakeError("")
            best, why = choose([*old, *candidates])
        except IntakeError as error:
            return self._undecided(student, str(error))
        later = [
            (file, owner, said)
            for file, owner, said in mine.failed
            if NOTEBOOK_NAME.search(file.name) and _is_later(file, owner, best)
        ]
        for file, _, said in later:
            self._review(file, student, f"{said}. An older file of {student} is graded meanwhile")
        beside = [
            f"{file.shown!r} was left out: {said}"
            for file, owner, said in mine.failed
            if (file, owner, said) not in later
        ]
        repairs = (*best.said, *best.rebuilt.repairs, *why, *sorted(beside))
        return self._write(student, receipt, best, [*old, *candidates], repairs)

    def _undecided(self, student: str, sentence: str) -> Accepted | None:
        """All that came is for a person; what was accepted before stays."""
        mine = self.students[student]
        for one in mine.candidates:
            self._review(one.file, student, sentence)
        for file, _, said in mine.failed:
            self._review(file, student, said)
        receipt = read_receipt(self.received / student, self.wanted)
        graded = next((one for one in receipt.files if one.name == receipt.graded), None)
        if graded is None:
            return None
        original = self.received / student / graded.name
        at = from_iso(graded.handed_in)
        return Accepted(student, original, graded.sha256, at, receipt.repairs)

    def _kept(self, folder: Path, receipt: Receipt) -> list[Candidate]:
        """The files that earlier runs took in."""
        found = []
        for one in receipt.files:
            path = folder / one.name
            data = path.read_bytes() if path.is_file() else b""
            if digest(data) != one.sha256:  # a person has put another in its place
                continue
            file = File(one.shown, data, from_iso(one.handed_in))
            try:
                rebuilt, untouched = understand(file.data, self.wanted, self.assignments)
            except IntakeError:  # since then the release has changed
                continue
            settled = from_iso(one.settled)
            found.append(
                Candidate(file, rebuilt, untouched, one.order, file.modified, settled, one.said)
            )
        return found

    def _write(
        self,
        student: str,
        receipt: Receipt,
        best: Candidate,
        candidates: Sequence[Candidate],
        repairs: tuple[str, ...],
    ) -> Accepted:
        """The original, what is graded, when it was handed in, and the receipt of it all."""
        folder = self.received / student
        kept = {one.sha256: one for one in receipt.files}
        for one in sorted(candidates, key=lambda one: (one.file.path, one.file.inner, one.rank)):
            sha = digest(one.file.data)
            name = (
                kept[sha].name if sha in kept else keep(folder, one.file.name, one.file.data).name
            )
            kept.setdefault(
                sha,
                Kept(
                    name,
                    sha,
                    one.file.shown,
                    one.order,
                    iso(one.handed_in),
                    iso(one.settled),
                    one.said,
                ),
            )
        graded = kept[digest(best.file.data)]
        target = self.into / "submitted" / student / self.wanted
        text = nbformat.writes(best.rebuilt.notebook, version=nbformat.NO_CONVERT)
        write(target / f"{self.wanted}.ipynb", f"{text}\n".encode())
        at = from_iso(graded.handed_in)
        if at is None:
            (target / TIMESTAMP).unlink(missing_ok=True)
        else:
            write(target / TIMESTAMP, at.astimezone(UTC).strftime(STAMP_FORMAT).encode())
        files = tuple(sorted(kept.values(), key=lambda one: one.name))
        repairs = tuple(dict.fromkeys(repairs))
        write_receipt(folder, Receipt(student, self.wanted, graded.name, files, repairs))
        return Accepted(student, folder / graded.name, graded.sha256, at, repairs)

    def _review(self, file: File, student: str | None, sentence: str) -> None:
        """List a file, and keep it."""
        sha, kept = "", None
        if file.data or not file.problem:
            sha = digest(file.data)
            kept = keep(self.received / REVIEW_FOLDER, f"{sha[:8]}-{file.name}", file.data)
        self.reviews.append(Review(file.shown, student, sentence, sha, file.modified, kept))


def _folder(file: File) -> tuple[str, str]:
    """The folder a file lies in, in a zip archive or out of one."""
    if file.inner:
        return file.path, file.inner.rpartition("/")[0]
    return file.path.rpartition("/")[0], ""


def _check_name(student: str) -> None:
    if not FIT_FOR_A_FOLDER.fullmatch(student) or student.lower() == REVIEW_FOLDER:
        raise IntakeError(f"{student!r} cannot name a student's folder; put it right in the roster")


def _read_stamp(file: File | None) -> datetime | None:
    """The time in nbgrader's timestamp.txt; None where there is none that can be read."""
    text = "" if file is None else file.data[:100].decode("utf-8", "replace").strip()
    for form in (STAMP_FORMAT, "%Y-%m-%d %H:%M:%S %Z"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def _is_later(file: File, owner: Owner, best: Candidate) -> bool:
    """Whether a file that cannot be read was handed in after the one that is graded."""
    if best.settled is not None:
        return file.modified is not None and file.modified > best.settled
    if owner.order and best.order:
        return owner.order > best.order
    return bool(file.modified and best.handed_in and file.modified > best.handed_in)


def take_in(received: Path, release: Path, submitted: Path) -> list[str]:
    """Rebuild the one notebook in a student's folder that answers an assignment.

    Parameters
    ----------
    received : what the student handed in; read only
    release : the notebook the student was given
    submitted : folder for the notebook, under the release's name

    Returns
    -------
    What was put right, a sentence each.

    Raises
    ------
    IntakeError : no notebook answers the assignment, or more than one does.
    """
    name = release.stem
    assignments = {name: read_notebook(release)}
    candidates, failed = [], []
    for file in read_source(received):
        try:
            if file.problem:
                raise IntakeError(file.problem)
            rebuilt, untouched = understand(file.data, name, assignments)
        except IntakeError as error:
            failed.append((file, str(error)))
            continue
        candidates.append(Candidate(file, rebuilt, untouched))
    if not candidates:
        reasons = "; ".join(f"{file.shown!r}: {said}" for file, said in failed)
        raise IntakeError(f"no notebook answers {name}; {reasons or 'the folder is empty'}")
    best, why = choose(candidates)
    beside = [f"{file.shown!r} was left out: {said}" for file, said in failed]
    took = (
        []
        if best.file.name == release.name
        else [f"took {best.file.shown!r} for {release.name}, by its cells"]
    )
    submitted.mkdir(parents=True, exist_ok=True)
    nbformat.write(best.rebuilt.notebook, submitted / release.name)
    return [*took, *best.rebuilt.repairs, *why, *beside]
