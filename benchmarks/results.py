"""What benchmarks find, in one form: rows beside a peer, curves of growing cost, records of runs.

Every subject's module prints its own table and hands its rows to `finish`, which writes them where
``--record`` says. `benchmarks.report` makes one table of the records.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nlp_course.power_laws import fit_power_law

ROOT = Path(__file__).parents[1]
BEGUN = time.perf_counter()
VERSIONS = ("nlp_course", "numpy", "scipy", "torch")  # what every subject's speed may depend on


class Row(NamedTuple):
    """One piece of work, measured.

    Parameters
    ----------
    work : what was done
    peer : beside whom; "" where the goal is a bound of our own
    ours, theirs : medians of the rounds, in `unit`; None where the peer is absent
    unit : such as "s" or "words/s"
    ratio : speed, course / peer, the median of the rounds' ratios; above 1 the course is faster
    goal : the ratio that is wanted at least; without a peer, what `ours` may be at most
    rounds : how often both were measured, in turn; 0 where the peer is absent
    note : what else tells whether the comparison is fair
    why : what keeps the ratio below the goal, where it does not reach it, and what was tried
    span : the least and the greatest of the rounds' ratios
    same : whether both sides found the same; None where that is not asked
    """

    work: str
    peer: str
    ours: float | None
    theirs: float | None
    unit: str
    ratio: float | None
    goal: float | None
    rounds: int
    note: str = ""
    why: str = ""
    span: tuple[float, ...] = ()
    same: bool | None = None

    @property
    def absent(self) -> bool:
        """Whether there was no peer to measure."""
        return self.rounds == 0

    @property
    def reached(self) -> bool | None:
        """Whether the goal is reached, with the same results; None without a goal or a figure."""
        if self.goal is None or self.ours is None:
            return None
        if self.same is False:
            return False
        return self.ours <= self.goal if self.ratio is None else self.ratio >= self.goal


class Curve(NamedTuple):
    """How the cost of some work grows.

    Parameters
    ----------
    work : what was done
    along : what grows, such as "tokens"
    unit : of the costs, such as "s"
    sizes, costs : a median cost for each size
    law : the exponent that theory expects: cost ∝ size^law
    why : where it comes from
    """

    work: str
    along: str
    unit: str
    sizes: list[float]
    costs: list[float]
    law: float
    why: str

    @property
    def slope(self) -> float:
        """The exponent fitted to the logarithms."""
        return fit_power_law(np.array(self.sizes), np.array(self.costs)).exponent


class Record(NamedTuple):
    """One run of one subject, and what it ran on.

    Parameters
    ----------
    date : day and minute at the end, UTC
    minutes : by the clock
    settings : what the command line said, or leaves as it is
    machine, versions : rows of records that differ in them do not belong into one table
    peers : versions of those that were measured
    commit : of the course; with a + where files differed from it
    """

    subject: str
    date: str
    minutes: float
    settings: dict[str, str]
    machine: dict[str, str]
    versions: dict[str, str]
    peers: dict[str, str]
    rows: list[Row]
    curves: list[Curve]
    commit: str = ""


def compared(
    work: str,
    peer: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    unit: str,
    goal: float | None = None,
    *,
    rate: bool = False,
    note: str = "",
    why: str = "",
    same: bool | None = None,
) -> Row:
    """A row from the figures of each round.

    Parameters
    ----------
    rate : the figures say how much is done in a time, not how long it takes
    why : what would keep the ratio below the goal, and what was tried
    same : whether both sides found the same, if that is asked

    Raises
    ------
    ValueError : no rounds, or not as many of ours as of theirs.

    Examples
    --------
    >>> compared("reading", "a library", [1.0, 2.0, 1.0], [3.0, 4.0, 1.0], "s").ratio
    2.0
    """
    if not len(ours) == len(theirs) > 0:
        raise ValueError(f"{work}: {len(ours)} rounds of ours, {len(theirs)} of {peer}'s")
    ratios = np.divide(ours, theirs) if rate else np.divide(theirs, ours)
    figures = (_median(ours), _median(theirs), unit, _median(ratios))
    span = _median([ratios.min()]), _median([ratios.max()])
    return Row(work, peer, *figures, goal, len(ours), note, why, span, same)


def bounded(
    work: str,
    values: Sequence[float],
    unit: str,
    goal: float | None = None,
    note: str = "",
    why: str = "",
) -> Row:
    """A row without a peer: the median, and what it may be at most."""
    return Row(work, "", _median(values), None, unit, None, goal, len(values), note, why)


def _median(values: Sequence[float] | np.ndarray) -> float:
    """With as many digits as a measured time deserves."""
    return float(f"{np.median(values):.4g}")


def absent(work: str, peer: str, goal: float | None) -> Row:
    """A row for a peer that is not there."""
    return Row(work, peer, None, None, "", None, goal, 0)


def say_absent(peer: str) -> None:
    """A line for who waits for the figures."""
    print(f"{peer} is not there, and is left out; to have it: make peers")


def peer_path(*parts: str) -> Path | None:
    """A peer's file under the folder that PEERS names, or None."""
    folder = os.environ.get("PEERS")
    path = Path(folder or ".", *parts).expanduser()
    return path if folder and path.exists() else None


def parser(doc: str) -> argparse.ArgumentParser:
    """A subject's command line: its first line of documentation, and ``--record``."""
    made = argparse.ArgumentParser(description=doc.splitlines()[0])
    made.add_argument("--record", type=Path, metavar="FILE", help="write what is found there")
    return made


def finish(
    subject: str,
    options: argparse.Namespace,
    rows: Sequence[Row],
    peers: dict[str, str] | None = None,
    curves: Sequence[Curve] = (),
) -> None:
    """Say in a line what each row comes to, and write the record where one is asked for.

    Parameters
    ----------
    subject : the module's name
    options : what `parser` read
    peers : names and versions of those measured, by `installed` or `checked_out`
    """
    print()
    for row in rows:
        print(f"{row.work}, {row.peer or 'alone'}: {verdict(row)}")
    if options.record is None:
        return
    settings = {
        name: " ".join(map(str, value)) if isinstance(value, list) else str(value)
        for name, value in vars(options).items()
        if name != "record" and value != []
    }
    record = Record(
        subject,
        f"{datetime.now(UTC):%Y-%m-%d %H:%M}",
        round((time.perf_counter() - BEGUN) / 60, 1),
        settings,
        machine(),
        installed(*VERSIONS),
        peers or {},
        list(rows),
        list(curves),
        commit(),
    )
    options.record.parent.mkdir(parents=True, exist_ok=True)
    options.record.write_text(dumps([record]), encoding="utf-8")


def verdict(row: Row) -> str:
    """The figure that counts, and whether it is what was wanted."""
    if row.absent:
        return "peer absent"
    figure = f"{written(row.ours)} {row.unit}" if row.ratio is None else f"{row.ratio:.2f} x"
    if row.goal is None:
        return figure
    bound = f"at most {row.goal:g} {row.unit}" if row.ratio is None else f"at least {row.goal:g} x"
    return f"{figure}; goal {bound}: {'reached' if row.reached else 'not reached'}"


def written(value: float | None) -> str:
    """Three digits, thousands apart.

    Examples
    --------
    >>> [written(value) for value in (0.01234, 12.34, 1234567.0, None)]
    ['0.0123', '12.3', '1,230,000', '']
    """
    if value is None:
        return ""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if abs(rounded) >= 100 else f"{rounded:g}"


def machine() -> dict[str, str]:
    """What the speed depends on, without what names this one machine."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": _processor(),
        "cores": str(cores()),
        "memory": f"{memory:.0f} GB",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }


def cores() -> int:
    """Cores that this process may use."""
    known = hasattr(os, "sched_getaffinity")  # not on macOS
    return len(os.sched_getaffinity(0)) if known else os.cpu_count() or 1


def _processor() -> str:
    """Its name, as Linux knows it."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text("utf-8").splitlines() if about.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def installed(*names: str) -> dict[str, str]:
    """Versions of packages; one that is not installed is left out."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def commit() -> str:
    """The course's, with a + where code differs from it; "" outside a checkout of git."""
    git = ["git", "-C", str(ROOT)]
    command = [*git, "rev-parse", "--short=8", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return ""
    code = [*git, "diff", "--quiet", "HEAD", "--", "nlp_course", "benchmarks/*.py"]
    same = subprocess.run(code, capture_output=True, check=False).returncode == 0
    return done.stdout.strip() + ("" if same else "+")


def checked_out(name: str, *parts: str) -> dict[str, str]:
    """The commit of a peer that PEERS holds as a checkout of git."""
    folder = peer_path(*parts)
    if folder is None:
        return {}
    if not (folder / ".git").exists():  # git would look in the folders around it
        return {name: "commit unknown"}
    command = ["git", "-C", str(folder), "rev-parse", "--short=8", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return {name: done.stdout.strip()}


def dumps(records: Sequence[Record]) -> str:
    """Records as JSON, a figure a line, so that git shows which changed."""
    return json.dumps([_plain(record) for record in records], indent=1, ensure_ascii=False) + "\n"


def loads(text: str) -> list[Record]:
    """What `dumps` wrote."""
    return [_record(**plain) for plain in json.loads(text)]


def _plain(record: Record) -> dict[str, Any]:
    rows = [row._asdict() for row in record.rows]
    return record._asdict() | {"rows": rows, "curves": [curve._asdict() for curve in record.curves]}


def _record(*, rows: list[dict], curves: list[dict], **others: Any) -> Record:
    made = [Row(**{**row, "span": tuple(row.get("span", ()))}) for row in rows]
    return Record(**others, rows=made, curves=[Curve(**curve) for curve in curves])
