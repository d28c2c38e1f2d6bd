"""GloVe: cells a second and loss, beside the authors' C program.

    PEERS=_build/peers python -m benchmarks.glove [--epochs 6] [--rounds 3] [--dimension 50]

PEERS names the folder in which the program is built, as GloVe/build/glove. Both sides get the same
cells of the same table, the same epochs and the published settings: x_max 100, power 3/4, learning
rate 0.05. In every round the program and the course train one after the other, so a slow moment of
the machine is no one's advantage; the ratio is the median of the rounds' ratios.

Timed are the epochs after the first. The program tells the time only in whole seconds, so its run
of one epoch is taken off its run of all; that leaves out start, preparation and writing on both
sides.
"""

import subprocess
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import sparse
from threadpoolctl import threadpool_limits

from benchmarks import results
from benchmarks.results import Row
from nlp_course import cooccurrence, data, glove, similarity, text

WINDOW, MIN_COUNT, LEARNING_RATE, X_MAX, POWER = 10, 10, 0.05, 100.0, 0.75
RECORD = np.dtype([("row", "<i4"), ("column", "<i4"), ("count", "<f8")])  # the program's, from 1
PEER, GOAL = "the authors' C program", 1.5  # the goal is for two threads


class Result(NamedTuple):
    """One training: cells a second, mean of f · error² over the cells, and WordSim-353."""

    cells_per_second: float
    loss: float
    wordsim: float


class Table(NamedTuple):
    """The counts, and the words they are of."""

    vocabulary: text.Vocabulary
    counts: sparse.csr_array


def program() -> Path | None:
    """Where the C program is, or None, said aloud."""
    path = results.peer_path("GloVe", "build", "glove")
    if path is None:
        results.say_absent(PEER)
    return path


def load(name: str) -> Table:
    """Counts of a corpus of `nlp_course.data`, weighted by 1 / distance."""
    tokens = [[word.lower() for word in sentence] for sentence in data.load(name).sentences]
    vocabulary = text.Vocabulary.from_sentences(tokens, min_count=MIN_COUNT)
    sentences = [vocabulary.encode_known(sentence) for sentence in tokens]
    counts = cooccurrence.window_counts(sentences, len(vocabulary), WINDOW, "harmonic")
    return Table(vocabulary, counts)


def result(table: Table, model: glove.GloVe, epochs: int, seconds: float) -> Result:
    """Speed, and the quality of the finished model, both sides' measured by the same code."""
    cells = table.counts.tocoo()
    total, part = 0.0, 500_000  # bounds the memory of the gathered vectors
    for start in range(0, cells.nnz, part):
        row, column = (ids[start : start + part] for ids in (cells.row, cells.col))
        total += glove.cell_loss(
            model.word[row],
            model.context[column],
            model.word_bias[row],
            model.context_bias[column],
            cells.data[start : start + part],
            X_MAX,
            POWER,
        )[0]
    vectors = similarity.WordVectors(table.vocabulary, model.vectors)
    correlation = similarity.rating_correlation(vectors, data.load("wordsim353").records)
    return Result(epochs * cells.nnz / seconds, total / cells.nnz, correlation.spearman)


def write_input(table: Table, folder: Path) -> None:
    """The cells in random order, and the vocabulary, as the program reads them."""
    cells = table.counts.tocoo()
    records = np.empty(cells.nnz, RECORD)
    records["row"], records["column"], records["count"] = cells.row + 1, cells.col + 1, cells.data
    np.random.default_rng(0).permutation(records).tofile(folder / "cells.bin")
    lines = zip(table.vocabulary.words, table.vocabulary.counts, strict=True)
    (folder / "vocabulary.txt").write_text("".join(f"{word} {n}\n" for word, n in lines), "utf-8")


def run_program(
    path: Path, folder: Path, dimension: int, epochs: int, threads: int, seed: int
) -> float:
    """Seconds that the program takes, reading and writing included."""
    settings = {
        "input-file": "cells.bin",
        "vocab-file": "vocabulary.txt",
        "save-file": "model",
        "vector-size": dimension,
        "iter": epochs,
        "threads": threads,
        "eta": LEARNING_RATE,
        "x-max": X_MAX,
        "alpha": POWER,
        "seed": seed + 1,  # 0 means the time of day
        "binary": 1,
        "verbose": 0,
    }
    words = [str(word) for name, value in settings.items() for word in (f"-{name}", value)]
    start = time.perf_counter()
    subprocess.run([path.resolve(), *words], cwd=folder, check=True, capture_output=True)
    return time.perf_counter() - start


def train_program(
    table: Table, path: Path, folder: Path, dimension: int, epochs: int, threads: int, seed: int
) -> Result:
    """The C program's epochs after the first, and the model it ends with."""
    one = run_program(path, folder, dimension, 1, threads, seed)
    seconds = run_program(path, folder, dimension, epochs, threads, seed) - one
    size = len(table.vocabulary)
    values = np.fromfile(folder / "model.bin", "<f8").reshape(2, size, dimension + 1)
    word, context = values[..., :dimension]
    model = glove.GloVe(word, context, *values[..., dimension])
    return result(table, model, epochs, seconds * epochs / (epochs - 1))


def train_course(table: Table, dimension: int, epochs: int, seed: int) -> Result:
    """The course's epochs after the first: its preparation is taken off as the program's is."""
    ends = []
    model = glove.train_glove(
        table.counts,
        dimension=dimension,
        epochs=epochs,
        learning_rate=LEARNING_RATE,
        x_max=X_MAX,
        power=POWER,
        seed=seed,
        on_epoch=lambda *_: ends.append(time.perf_counter()),
    )
    seconds = (ends[-1] - ends[0]) * epochs / (epochs - 1)
    return result(table, model, epochs, seconds)


def compare(
    table: Table, path: Path, dimension: int, epochs: int, rounds: int, threads: int
) -> Row:
    """Train both in turn, print a table with the medians, and return the row."""
    print(f"\n{work(threads)}, {epochs} epochs")
    print(f"{'':12}{'round':>6}{'cells/s':>14}{'loss':>10}{'WordSim':>9}")
    pairs = []
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(threads):
        write_input(table, Path(folder))
        for number in range(rounds):
            pair = (
                train_program(table, path, Path(folder), dimension, epochs, threads, number),
                train_course(table, dimension, epochs, number),
            )
            pairs.append(pair)
            for label, (speed, loss, wordsim) in zip(("C program", "course"), pair, strict=True):
                print(f"{label:12}{number:>6}{speed:>14,.0f}{loss:>10.5f}{wordsim:>9.3f}")
    table_of_rounds = np.array(pairs)  # (round, side, figure)
    for side, label in enumerate(("C program", "course")):
        speed, loss, wordsim = np.median(table_of_rounds[:, side], axis=0)
        print(f"{label:12}{'median':>6}{speed:>14,.0f}{loss:>10.5f}{wordsim:>9.3f}")
    theirs, ours = table_of_rounds[:, :, 0].T
    losses = np.median(table_of_rounds[:, :, 1], axis=0)
    return results.compared(
        work(threads),
        PEER,
        ours,
        theirs,
        "cells/s",
        goal(threads),
        rate=True,
        note=f"mean loss of a cell {losses[0]:.4f} and {losses[1]:.4f}",
    )


def work(threads: int) -> str:
    """How a row begins."""
    return f"GloVe: train, {threads} thread{'s' * (threads > 1)}"


def goal(threads: int) -> float | None:
    """With one thread none is set."""
    return GOAL if threads == 2 else None


def main() -> None:
    """Read the settings, run with one thread and with two, print."""
    parser = results.parser(__doc__)
    parser.add_argument("--corpus", default="brown", help="a name of nlp_course.data")
    parser.add_argument("--dimension", type=int, default=50)
    parser.add_argument("--epochs", type=int, default=6, help="at least 2")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.epochs < 2:
        parser.error("the time of the first epoch is taken off, so --epochs must be at least 2")
    path = program()
    if path is None:
        rows = [results.absent(work(count), PEER, goal(count)) for count in (1, 2)]
        results.finish("glove", arguments, rows)
        return
    table = load(arguments.corpus)
    print(
        f"{arguments.corpus}: {len(table.vocabulary):,} words, {table.counts.nnz:,} cells; "
        f"window {WINDOW}, d {arguments.dimension}, x_max {X_MAX:g}, power {POWER}, "
        f"learning rate {LEARNING_RATE}"
    )
    sizes = arguments.dimension, arguments.epochs, arguments.rounds
    rows = [compare(table, path, *sizes, threads) for threads in (1, 2)]
    results.finish("glove", arguments, rows, results.checked_out("GloVe", "GloVe"))


if __name__ == "__main__":
    main()
