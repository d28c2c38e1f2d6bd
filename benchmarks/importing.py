"""Seconds to `import nlp_course`, and what comes with it.

    python -m benchmarks.importing [--rounds 15]

Each round starts Python anew with ``-X importtime``, which tells how long an import took with all
that it imports. What is heavy, as torch is, must not come before it is used: modules that do are
listed for the package, and for a module that only counts words.
"""

import json
import subprocess
import sys
from collections.abc import Sequence

from benchmarks import results

HEAVY = (
    "gensim",
    "IPython",
    "ipywidgets",
    "jaxtyping",
    "matplotlib",
    "nbgrader",
    "nltk",
    "numpy",
    "pandas",
    "scipy",
    "sklearn",
    "spacy",
    "tokenizers",
    "torch",
    "transformers",
)
GOAL = 0.3
# The package alone, and two of its modules that need no torch, with the seconds allowed.
MODULES = {"nlp_course": GOAL, "nlp_course.text": None, "nlp_course.cli": None}


def seconds(module: str) -> float:
    """Seconds of one import in a fresh Python."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", f"import {module}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return cumulative(done.stderr.splitlines(), module)


def cumulative(lines: Sequence[str], module: str) -> float:
    """What ``-X importtime`` says of a module and of the packages around it.

    Python lists a package as done before its module begins, so their times add up.

    Examples
    --------
    >>> lines = ["import time: 100 | 250000 | a", "import time: 300 | 50000 | a.b"]
    >>> cumulative(lines, "a.b")
    0.3
    """
    parts = module.split(".")
    wanted = {".".join(parts[:size]) for size in range(1, len(parts) + 1)}
    columns = (line.removeprefix("import time:").split("|") for line in lines)
    times = {name.strip(): total for _, total, name in columns}
    return sum(int(times[name]) for name in wanted) / 1e6


def heavy(module: str) -> list[str]:
    """Heavy packages that are there after an import."""
    program = f"import json, sys, {module}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    return sorted(set(HEAVY) & set(json.loads(done.stdout)))


def main() -> None:
    """Import in turn, print."""
    parser = results.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    rows = []
    for module, goal in MODULES.items():
        times = [seconds(module) for _ in range(options.rounds)]
        note = f"brings {', '.join(heavy(module)) or 'nothing heavy'}"
        print(f"{module:20}{sorted(times)[len(times) // 2]:>8.4f} s  {note}")
        rows.append(results.bounded(f"import {module}", times, "s", goal, note))
    results.finish("importing", options, rows)


if __name__ == "__main__":
    main()
