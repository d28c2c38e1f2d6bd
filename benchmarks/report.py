"""One table of all records: `RESULTS.md`, the plots beside it, and `results.json`.

The page of the book includes `RESULTS.md`, so that no figure is written twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from benchmarks import results
from benchmarks.results import Curve, Record, Row
from nlp_course import plots

HERE = Path(__file__).parent
HEAD = ("work", "beside", "course", "peer", "ratio", "goal", "rounds")
BEGIN = "<!-- The page of the book begins here. -->"
ABOUT = f"""\
# Results

`make bench` writes this file; [README.md](README.md) says what is measured and how.

{BEGIN}
"""


def together(records: Iterable[Record]) -> tuple[list[Record], list[Record]]:
    """The newest record of each subject, and those that do not belong beside them.

    Figures in one table come from one machine and one set of versions: those of the newest record.

    Returns
    -------
    The records of the table, by subject, and the newest ones of subjects that have none there.
    """
    newest_first = sorted(records, key=lambda record: record.date, reverse=True)
    kept: dict[str, Record] = {}
    others: dict[str, Record] = {}
    for record in newest_first:
        belongs = (record.machine, record.versions) == (
            newest_first[0].machine,
            newest_first[0].versions,
        )
        (kept if belongs else others).setdefault(record.subject, record)
    left = [record for subject, record in others.items() if subject not in kept]
    return [kept[subject] for subject in sorted(kept)], left


def write(records: Sequence[Record], folder: Path = HERE) -> None:
    """Write `results.json`, `RESULTS.md` and a plot for each curve; plots of no curve go."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(results.dumps(records), encoding="utf-8")
    (folder / "RESULTS.md").write_text(page(records), encoding="utf-8")
    curves = [curve for record in records for curve in record.curves]
    wanted = {plot_name(curve) for curve in curves}
    for path in folder.glob("growth-*.svg"):
        if path.name not in wanted:
            path.unlink()
    for curve in curves:
        draw(curve, folder / plot_name(curve))


def page(records: Sequence[Record]) -> str:
    """`RESULTS.md`."""
    return "\n".join([ABOUT, *_sections(records)]).rstrip() + "\n"


def _sections(records: Sequence[Record]) -> Iterator[str]:
    first = records[0]
    machine = first.machine
    versions = ", ".join(f"{name} {version}" for name, version in first.versions.items())
    yield (
        f"Measured on {machine['processor']}, {machine['cores']} cores, {machine['memory']}, "
        f"{machine['system']}; Python {machine['python']}, {versions}.\n"
    )
    rows = [row for record in records for row in record.rows]
    yield "## Beside the peers\n"
    yield (
        "Each figure is the median of the rounds. A ratio is of speed, course to peer, the median "
        "of the rounds' ratios, with their range: above 1 the course is faster. A goal is the "
        "least ratio wanted, or, where there is no peer, the most that a figure may be.\n"
    )
    yield table(rows)
    if any(row.absent for row in rows):
        yield "`make peers` gets those that were absent.\n"
    short = [row for row in rows if row.reached is False]
    if short:
        yield "## Goals that are not reached, and why\n"
        for why in dict.fromkeys(row.why for row in short):
            names = "; ".join(_name(row) for row in short if row.why == why)
            yield f"- {names}: {why or 'no reason is known'}."
        yield from (f"- {_name(row)}: the results differ." for row in short if row.same is False)
        yield ""
    yield "## What else was found\n"
    yield from (f"- {_name(row)}: {row.note}." for row in rows if row.note)
    yield "\n## When and with what\n"
    yield from map(_run, records)
    curves = [curve for record in records for curve in record.curves]
    if curves:
        yield "\n## How cost grows\n"
        yield (
            "Each point is a median of rounds; those of grading are of one run. The dashed line "
            "is the law that theory expects, through the middle of the points; the slope is the "
            "exponent fitted to their logarithms.\n"
        )
        yield from (f"{_picture(curve)}\n" for curve in curves)


def table(rows: Sequence[Row]) -> str:
    """Rows in Markdown.

    Examples
    --------
    >>> print(table([Row("reading", "a library", 1.0, 2.0, "s", 2.0, 1.5, 3)]).splitlines()[2])
    | reading | a library | 1 s | 2 s | 2.00 | ≥ 1.5, reached | 3 |
    """
    lines = [HEAD, ("---",) * len(HEAD), *map(_cells, rows)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _cells(row: Row) -> tuple[str, ...]:
    if row.absent:
        return (row.work, row.peer, "", "peer absent", "", _goal(row), "")
    ours, theirs = (
        f"{results.written(figure)} {row.unit}" if figure is not None else ""
        for figure in (row.ours, row.theirs)
    )
    return (row.work, row.peer or "–", ours, theirs, _ratio(row), _goal(row), str(row.rounds))


def _ratio(row: Row) -> str:
    """With its range, where there was more than one round."""
    if row.ratio is None:
        return ""
    shown, *span = (f"{figure:.{_digits(row)}f}" for figure in (row.ratio, *row.span))
    return f"{shown} ({'–'.join(span)})" if row.rounds > 1 and span else shown


def _digits(row: Row) -> int:
    """Behind the point: two, or where a ratio would look like its goal, three."""
    if row.ratio >= 10:
        return 0
    near = row.goal is not None and abs(row.ratio - row.goal) < 0.01
    return 3 if near else 2


def _goal(row: Row) -> str:
    if row.goal is None:
        return ""
    bound = f"≥ {row.goal:g}" if row.peer else f"≤ {row.goal:g} {row.unit}"
    return bound if row.reached is None else f"{bound}, {'' if row.reached else 'not '}reached"


def _name(row: Row) -> str:
    return f"{row.work}, beside {row.peer}" if row.peer else row.work


def _run(record: Record) -> str:
    settings = " ".join(f"{name} {value}" for name, value in record.settings.items())
    peers = ", ".join(f"{name} {version}" for name, version in record.peers.items())
    source = f"commit {record.commit}" if record.commit else ""
    parts = (f"{record.date} UTC", source, f"{record.minutes:g} minutes", settings, peers)
    return f"- `{record.subject}`: {'; '.join(filter(None, parts))}"


def _picture(curve: Curve) -> str:
    """The plot, what it shows for those who cannot see it, and where the law comes from."""
    points = (
        f"{results.written(cost)} at {size:,.0f}"
        for size, cost in zip(curve.sizes, curve.costs, strict=True)
    )
    alternative = (
        f"{curve.unit} for {curve.along}, on logarithmic axes: {', '.join(points)}; a dashed line "
        "has the expected slope"
    )
    measured, expected = _slopes(curve)
    return (
        f"**{curve.work}**: slope {measured}, expected {expected}, {curve.why}.\n\n"
        f"![{alternative}]({plot_name(curve)})"
    )


def _slopes(curve: Curve) -> tuple[str, str]:
    """The measured and the expected one, with a minus sign where they have one."""
    return f"{curve.slope:.2f}".replace("-", "−"), f"{curve.law:g}".replace("-", "−")


def plot_name(curve: Curve) -> str:
    """The file of a curve's plot.

    Examples
    --------
    >>> plot_name(Curve("BPE: training", "characters", "s", [1, 2], [1, 2], 1, "why"))
    'growth-bpe-training.svg'
    """
    return f"growth-{re.sub('[^a-z0-9]+', '-', curve.work.lower()).strip('-')}.svg"


def draw(curve: Curve, path: Path) -> None:
    """Points and the expected law, on logarithmic axes; the same bytes for the same curve."""
    plots.use_style()
    sizes, costs = np.array(curve.sizes, float), np.array(curve.costs, float)
    middle = np.exp(np.log(costs).mean() - curve.law * np.log(sizes).mean())
    with plt.rc_context({"svg.hashsalt": path.name}):
        figure, ax = plt.subplots()
        measured, expected = _slopes(curve)
        ax.loglog(sizes, costs, "o-", label=f"measured, slope {measured}")
        ax.loglog(sizes, middle * sizes**curve.law, "--", label=f"expected, slope {expected}")
        ax.set_xticks(sizes, [f"{size:,.0f}" for size in sizes])
        ends = costs.min(), costs.max()
        ax.set_yticks(ends, [results.written(cost) for cost in ends])
        ax.minorticks_off()
        ax.set(xlabel=curve.along, ylabel=curve.unit)
        ax.legend()
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)
