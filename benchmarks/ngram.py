"""Modified Kneser–Ney: fitting, scoring and perplexity, beside KenLM's program and binding.

    PEERS=~/peers python -m benchmarks.ngram [--corpus brown] [--orders 3 5] [--rounds 5]

PEERS names the folder in which KenLM is built, as kenlm/build/bin/lmplz. Its Python binding (the
package `kenlm`) scores; where it is not installed, only fitting is compared. Both sides get the
same text, sentences a line, with all its words.

Fitting is timed from the file of text to the model, by the clock and in processor time: the program
writes an ARPA file and has a thread for each of its steps, the course keeps arrays and has one.
Scoring is timed twice, in processor time: from sentences as the binding wants them, strings, and
from ids, as the course's models want them. In every round one side runs after the other; a ratio is
the median of the rounds' ratios.
"""

import argparse
import gc
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

from nlp_course import data, ngram
from nlp_course import ngram_smoothing as smoothing
from nlp_course.text import Vocabulary

HOW_TO_BUILD = """\
KenLM's program is not there. Build it and name the folder that it lies in:

    git clone https://github.com/kpu/kenlm ~/peers/kenlm
    cmake -S ~/peers/kenlm -B ~/peers/kenlm/build -DCMAKE_BUILD_TYPE=Release
    make -C ~/peers/kenlm/build lmplz
    PEERS=~/peers python -m benchmarks.ngram"""


class Seconds(NamedTuple):
    """By the clock, and of processor time."""

    clock: float
    processor: float


class Files(NamedTuple):
    """Text to fit on and text to score, a sentence a line, and where the program writes."""

    train: Path
    test: Path
    arpa: Path


def program() -> Path:
    """Where lmplz is; the benchmark ends with instructions where it is not."""
    path = Path(os.environ.get("PEERS", ".")).expanduser() / "kenlm" / "build" / "bin" / "lmplz"
    if "PEERS" not in os.environ or not os.access(path, os.X_OK):
        sys.exit(HOW_TO_BUILD)
    return path


def binding() -> Any:
    """KenLM's Python package, or None, said aloud."""
    try:
        import kenlm
    except ImportError:
        print("kenlm is not installed (pip install kenlm): only fitting is compared")
        return None
    return kenlm


def fit_program(path: Path, files: Files, order: int) -> Seconds:
    """What lmplz takes from text to ARPA file."""
    command = [path, "-o", str(order), "--text", files.train, "--arpa", files.arpa]
    start, before = time.perf_counter(), os.times()
    subprocess.run([*command, "-T", files.arpa.parent, "-S", "1G"], check=True, capture_output=True)
    end, after = time.perf_counter(), os.times()
    user, system = after.children_user, after.children_system
    used = user - before.children_user + system - before.children_system
    return Seconds(end - start, used)


def fit_course(files: Files, order: int) -> tuple[Seconds, Vocabulary, smoothing.KneserNey]:
    """What the course takes from text to model, and the model."""
    start, before = time.perf_counter(), time.process_time()
    with files.train.open(encoding="utf-8") as lines:
        sentences = [line.split() for line in lines]
    vocabulary, ids = ngram.encode_all(sentences)
    table = ngram.count_ngrams(ids, vocabulary, order)
    model = smoothing.KneserNey(table)
    taken = Seconds(time.perf_counter() - start, time.process_time() - before)
    return taken, vocabulary, model


def score_binding(peer: Any, lines: list[str], tokens: int) -> tuple[float, float]:
    """Seconds to score sentence by sentence, as users do, and the perplexity."""
    start = time.process_time()
    total = sum(peer.score(line) for line in lines)
    return time.process_time() - start, 10 ** (-total / tokens)


def score_course(
    model: smoothing.KneserNey, vocabulary: Vocabulary, lines: list[str]
) -> tuple[float, float, float]:
    """Seconds from strings and from ids, and the perplexity."""
    start = time.process_time()
    ids = [vocabulary.encode(line.split()) for line in lines]
    encoded = time.process_time()
    log_probabilities = model.log_probabilities(ids)
    end = time.process_time()
    return end - start, end - encoded, ngram.perplexity(log_probabilities)


def compare(path: Path, kenlm: Any, files: Files, order: int, rounds: int) -> None:
    """Fit and score with both in turn, and print a table with the ratios."""
    lines = files.test.read_text("utf-8").splitlines()
    tokens = sum(len(line.split()) + 1 for line in lines)
    print(f"\norder {order}")
    print(f"{'':8}{'round':>6}{'fit, s':>8}{'cpu, s':>8}{'text, /s':>12}{'ids, /s':>12}")
    speeds = []
    for number in range(rounds):
        peer_fit = fit_program(path, files, order)
        fit, vocabulary, model = fit_course(files, order)
        peer_rate = np.nan
        if kenlm is not None:
            config = kenlm.Config()
            config.show_progress = False
            peer = kenlm.Model(str(files.arpa), config)
            peer_seconds, peer_perplexity = score_binding(peer, lines, tokens)
            peer_rate = tokens / peer_seconds
        from_text, from_ids, perplexity = score_course(model, vocabulary, lines)
        print(f"{'KenLM':8}{number:>6}{peer_fit.clock:>8.2f}{peer_fit.processor:>8.2f}", end="")
        print(f"{peer_rate:>12,.0f}")
        print(f"{'course':8}{number:>6}{fit.clock:>8.2f}{fit.processor:>8.2f}", end="")
        print(f"{tokens / from_text:>12,.0f}{tokens / from_ids:>12,.0f}")
        speeds.append(
            (
                peer_fit.clock / fit.clock,
                peer_fit.processor / fit.processor,
                tokens / from_text / peer_rate,
                tokens / from_ids / peer_rate,
            )
        )
    clock, processor, text_ratio, ids_ratio = np.median(speeds, axis=0)
    print(f"speed, course / KenLM, median of {rounds} rounds: fitting {clock:.2f}", end="")
    print(f" by the clock, {processor:.2f} in processor time", end="")
    if kenlm is None:
        print(f"\nperplexity: course {perplexity:.6f}", flush=True)
        return
    print(f"; scoring from text {text_ratio:.2f}, from ids {ids_ratio:.2f}")
    apart = abs(perplexity / peer_perplexity - 1)
    print(
        f"perplexity: KenLM {peer_perplexity:.6f}, course {perplexity:.6f}, apart by {apart:.0e}",
        flush=True,
    )


def main() -> None:
    """Read the settings, write the text, compare each order, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", default="brown", help="a name of nlp_course.data")
    parser.add_argument("--train", type=int, default=1_000_000, help="tokens to fit on")
    parser.add_argument("--orders", type=int, nargs="+", default=[3, 5])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    path, kenlm = program(), binding()
    train, test = ngram.split_by_tokens(data.load(arguments.corpus).sentences, [arguments.train])
    print(
        f"{arguments.corpus}: {sum(map(len, train)):,} tokens to fit on, "
        f"{sum(len(sentence) + 1 for sentence in test):,} to score, STOP counted; all words"
    )
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        files = Files(*(Path(folder) / name for name in ("train.txt", "test.txt", "model.arpa")))
        for file, sentences in ((files.train, train), (files.test, test)):
            file.write_text("".join(f"{' '.join(s)}\n" for s in sentences), "utf-8")
        # Else each collection of garbage while fitting would go through the corpus again.
        del train, test, sentences
        gc.freeze()
        for order in arguments.orders:
            compare(path, kenlm, files, order, arguments.rounds)


if __name__ == "__main__":
    main()
