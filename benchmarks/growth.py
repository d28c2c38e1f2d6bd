"""How cost grows: with words, order, length, layers, submissions and workers.

    python -m benchmarks.growth [--rounds 3] [--points 4]

Each work is done at sizes that double, or orders one by one, `rounds` times in turn, in processor
time; a point is the median. Grading is timed by the clock, in one run: submissions are read off one
class as it is graded, from the first that is done. Workers are measured on waiting work: the
outcomes of a real run, given back after a wait, so that grading has all its own work to do,
reading, marking and writing, and the number of cores does not matter.
"""

import gc
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch.nn import functional as F

from benchmarks import grading, results
from benchmarks.results import Curve
from nlp_course import attention, data, decoding, ngram, ngram_smoothing, text, word2vec_training
from nlp_course.grading.run import threads
from nlp_course.transformer import Settings, TransformerLM

ASSIGNMENT = "02-word2vec"
WAIT = 1.0  # seconds that a simulated notebook takes, about a real one's
CLASS = 24  # submissions that simulated workers share


def measured(
    sizes: Sequence[int], prepare: Callable[[int], Callable[[], object]], rounds: int
) -> tuple[list[float], list[float]]:
    """Sizes, and the median seconds of processor time of the work that each is prepared for."""
    works = {size: prepare(size) for size in sizes}
    found: dict[int, list[float]] = {size: [] for size in sizes}
    gc.collect()
    for _ in range(rounds):
        for size, work in works.items():
            start = time.process_time()
            work()
            found[size].append(time.process_time() - start)
    return list(map(float, sizes)), [float(np.median(found[size])) for size in sizes]


def doubled(first: int, points: int) -> list[int]:
    """Sizes from the first on.

    Examples
    --------
    >>> doubled(3, 4)
    [3, 6, 12, 24]
    """
    return [first << step for step in range(points)]


def texts(rounds: int, points: int) -> Iterator[Curve]:
    """Words and order."""
    sentences = data.load("brown").sentences

    def fit(tokens: int, order: int = 3) -> Callable[[], object]:
        part = ngram.split_by_tokens(sentences, [tokens])[0]

        def work() -> object:
            vocabulary, ids = ngram.encode_all(part)
            return ngram_smoothing.KneserNey(ngram.count_ngrams(ids, vocabulary, order))

        return work

    yield Curve(
        "n-grams: fit, order 3",
        "tokens",
        "seconds",
        *measured(doubled(125_000, points), fit, rounds),
        1,
        "since each token is counted once in each order",
    )
    yield Curve(
        "n-grams: fit, 200,000 tokens",
        "order",
        "seconds",
        *measured(range(2, 2 + points), lambda order: fit(200_000, order), rounds),
        1,
        "since each order is counted by itself; the slope is less, since reading the text is the "
        "same for all and low orders have few different n-grams",
    )

    def train(words: int) -> Callable[[], object]:
        part = ngram.split_by_tokens(sentences, [words])[0]
        vocabulary = text.Vocabulary.from_sentences(part, min_count=5)
        ids = [vocabulary.encode_known(sentence) for sentence in part]
        return lambda: word2vec_training.train_skipgram(ids, vocabulary.counts, epochs=1)

    yield Curve(
        "skip-gram: an epoch",
        "words",
        "seconds",
        *measured(doubled(50_000, points), train, rounds),
        1,
        "since a word has as many neighbours in a short text as in a long one",
    )


def networks(rounds: int, points: int) -> Iterator[Curve]:
    """Sequence length and layers."""
    torch.manual_seed(0)

    def attend(length: int) -> Callable[[], object]:
        query, key, value = torch.randn(3, 4, length, 64)
        return lambda: attention.scaled_dot_product(query, key, value)

    yield Curve(
        "attention: 4 heads of 64",
        "positions",
        "seconds",
        *measured(doubled(256, points), attend, rounds),
        2,
        "since each position looks at each; it is more where the weights no longer fit into the "
        "processor's caches",
    )

    def generate(new: int) -> Callable[[], object]:
        model = TransformerLM(64, Settings(layers=2, length=1024)).eval()
        return lambda: decoding.greedy(model, torch.zeros(1, 1, dtype=torch.long), new)

    yield Curve(
        "generation with a cache",
        "tokens",
        "seconds",
        *measured(doubled(64, points), generate, rounds),
        1,
        "since a step computes one position; what it looks back at grows, and would make it 2 in "
        "the end, but costs little at these lengths",
    )

    def step(layers: int) -> Callable[[], object]:
        model = TransformerLM(64, Settings(layers=layers, length=64))
        ids = torch.randint(64, (12, 64))

        def work() -> None:
            F.cross_entropy(model(ids)[0].flatten(0, 1), ids.flatten()).backward()

        return work

    yield Curve(
        "GPT: gradients of a batch",
        "layers",
        "seconds",
        *measured(doubled(1, points), step, rounds),
        1,
        "since blocks follow each other; what is outside them makes the slope less",
    )


class Replay(Executor):
    """Gives the outcomes of a run before, in its order, each after a wait in one of the workers."""

    def __init__(self, workers: Executor, outcomes: Sequence[str], wait: float) -> None:
        self.workers = workers
        self.outcomes = iter(outcomes)
        self.wait = wait

    def submit(self, _work: Callable[..., Any], /, *_: Any, **__: Any) -> Future[str]:
        outcome = next(self.outcomes)
        return self.workers.submit(self._after_wait, outcome)

    def _after_wait(self, outcome: str) -> str:
        time.sleep(self.wait)
        return outcome


class Recorder(Executor):
    """Runs work elsewhere and keeps its futures, in order."""

    def __init__(self, workers: Executor) -> None:
        self.workers = workers
        self.futures: list[Future[str]] = []

    def submit(self, work: Callable[..., Any], /, *words: Any, **named: Any) -> Future[str]:
        self.futures.append(self.workers.submit(work, *words, **named))
        return self.futures[-1]


def classes(points: int) -> Iterator[Curve]:
    """Submissions and workers."""
    sizes = doubled(8, points)
    with tempfile.TemporaryDirectory() as folder:
        made = grading.make_class(ASSIGNMENT, sizes[-1] + 1, Path(folder))
        with threads(results.cores()) as pool:
            first, *others = grading.grade(made, pool)
    yield Curve(
        f"grading: {results.cores()} workers",
        "submissions",
        "seconds",
        list(map(float, sizes)),
        [others[size - 1] - first for size in sizes],
        1,
        "since no submission looks at another; the start, until the first is done, is left out",
    )
    workers = doubled(1, min(points, 3))
    with tempfile.TemporaryDirectory() as folder:
        made = grading.make_class(ASSIGNMENT, CLASS, Path(folder))
        with threads(results.cores()) as pool:
            recorder = Recorder(pool)
            list(grading.grade(made, recorder))
        outcomes = [future.result() for future in recorder.futures]
        seconds = []
        for count in workers:
            with threads(count) as pool:
                replay = Replay(pool, outcomes, WAIT)
                seconds.append(list(grading.grade(made, replay, again=True))[-1])
    yield Curve(
        f"grading: {CLASS} notebooks that wait {WAIT:g} s",
        "workers",
        "seconds",
        list(map(float, workers)),
        seconds,
        -1,
        "since notebooks are shared out; what one process writes makes the slope less steep",
    )


def main() -> None:
    """Read the settings, measure, print."""
    parser = results.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--points", type=int, default=4, help="sizes of each work; at least 2")
    options = parser.parse_args()
    if options.points < 2:
        parser.error("a slope needs two sizes, so --points must be at least 2")
    torch.set_num_threads(1)
    curves: list[Curve] = []
    parts = [texts(options.rounds, options.points), networks(options.rounds, options.points)]
    if (results.ROOT / "solutions").is_dir():
        parts.append(classes(options.points))
    with threadpool_limits(1):
        for curve in (curve for part in parts for curve in part):
            curves.append(curve)
            points = ", ".join(
                f"{size:,.0f}: {results.written(cost)}"
                for size, cost in zip(curve.sizes, curve.costs, strict=True)
            )
            print(f"{curve.work}\n  {curve.along}: {curve.unit}  {points}")
            print(f"  slope {curve.slope:.2f}, expected {curve.law:g}", flush=True)
    results.finish("growth", options, [], curves=curves)


if __name__ == "__main__":
    main()
