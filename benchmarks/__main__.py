"""All benchmarks, one process each, and the table of what they find.

    python -m benchmarks                          all: an hour, on a machine that does nothing else
    python -m benchmarks --only ngram subword     these; the rest of the table stays
    python -m benchmarks --only ngram -- --rounds 9
    python -m benchmarks --table                  the table anew, nothing measured
    python -m benchmarks --quick                  smallest sizes, to see that all of it works

Each run leaves a record, `_build/bench/NAME.json`. The table is made of the newest records of this
machine and these versions, and of the committed ones in `results.json` where there is no newer.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import report, results
from benchmarks.results import ROOT, Record

# Subjects in the order in which they run, with the settings of a quick look.
SUBJECTS: dict[str, Sequence[str]] = {
    "importing": ("--rounds", "3"),
    "word2vec": ("--corpus", "wikitext2", "--epochs", "1", "--seeds", "1"),
    "ngram": ("--train", "100000", "--rounds", "1", "--nltk", "5000"),
    "glove": ("--corpus", "wikitext2", "--epochs", "2", "--rounds", "1", "--dimension", "10"),
    "subword": ("--megabytes", "0.2", "--sizes", "1000", "--rounds", "1"),
    "transformer": ("--rounds", "1", "--larger", "0", "--new", "20"),
    "dpo": ("--rounds", "1", "--steps", "3"),
    "grading": ("--size", "4", "--stock", "3"),
    "building": ("--pages", "00-setup", "glossary", "--rounds", "1"),
    "growth": ("--points", "3", "--rounds", "1"),
}

# Their peers are packages, which `make peers` puts into an environment with the course.
IN_LIBRARIES = {"ngram", "subword", "dpo"}


def main() -> None:
    """Run what is asked, then write the table; 1 is the exit status where a benchmark failed."""
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog="Words after -- go to the one subject named."
    )
    asked = parser.add_mutually_exclusive_group()
    asked.add_argument("--only", nargs="+", choices=SUBJECTS, metavar="NAME", default=[])
    asked.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument("--quick", action="store_true", help="smallest sizes; no committed file")
    own, words = _split(sys.argv[1:])
    options = parser.parse_args(own)
    if words and len(options.only) != 1:
        parser.error("words after -- go to one subject: name it with --only")
    folder = ROOT / "_build" / ("bench-quick" if options.quick else "bench")
    failed = []
    for subject in () if options.table else options.only or SUBJECTS:
        settings = [*(SUBJECTS[subject] if options.quick else ()), *words]
        if not run(subject, settings, folder):
            failed.append(subject)
    if options.table or len(failed) < len(options.only or SUBJECTS):
        put_together(folder, folder if options.quick else report.HERE)
    if failed:
        sys.exit(f"Not measured, for the errors above: {', '.join(failed)}")


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """Words before and after ``--``."""
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


def run(subject: str, settings: Sequence[str], folder: Path) -> bool:
    """Measure one subject in a process of its own; whether that went well."""
    print(f"\n== {subject} {' '.join(settings)}", flush=True)
    begun = time.perf_counter()
    record = folder / f"{subject}.json"
    record.unlink(missing_ok=True)  # where this fails, what was before is not taken for it
    libraries = results.peer_path("libraries", "bin", "python") if subject in IN_LIBRARIES else None
    command = [str(libraries or sys.executable), "-m", f"benchmarks.{subject}", *settings]
    done = subprocess.run([*command, "--record", str(record)], cwd=ROOT)
    print(f"== {subject}: {(time.perf_counter() - begun) / 60:.1f} minutes", flush=True)
    return done.returncode == 0


def put_together(found: Path, out: Path) -> None:
    """Write the table of the records in a folder, and of those in the table that is there."""
    paths = [*sorted(found.glob("*.json")), out / "results.json"]
    records: list[Record] = []
    for path in dict.fromkeys(paths):
        if path.is_file():
            records += results.loads(path.read_text(encoding="utf-8"))
    if not records:
        sys.exit(f"There is no record in {found}: nothing was measured")
    kept, left = report.together(records)
    for record in left:
        print(
            f"left out: {record.subject} of {record.date}, of another machine or other versions; "
            f"measure it anew: python -m benchmarks --only {record.subject}"
        )
    report.write(kept, out)
    print(f"\n{report.table([row for record in kept for row in record.rows])}")
    print(f"written: {out / 'RESULTS.md'}")


if __name__ == "__main__":
    main()
