"""Modified Kneser–Ney: fitting, scoring and perplexity, beside KenLM and NLTK.

    PEERS=_build/peers python -m benchmarks.ngram [--corpus brown] [--orders 3 5] [--rounds 5]

PEERS names the folder in which KenLM is built, as kenlm/build/bin/lmplz. Its Python binding (the
package `kenlm`) scores; where it is not installed, only fitting is compared. Both sides get the
same text, sentences a line, with all its words. `nltk.lm`, plain Python, gets a small part of it;
its Kneser–Ney has one discount, so perplexities are not compared.

Fitting is timed from the file of text to the model, by the clock and in processor time: the program
writes an ARPA file and has a thread for each of its steps, the course keeps arrays and has one.
Scoring is timed twice, in processor time: from sentences as the binding wants them, strings, and
from ids, as the course's models want them. In every round one side runs after the other; a ratio is
the median of the rounds' ratios.
"""

import gc
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from nltk.lm import KneserNeyInterpolated
from nltk.lm.preprocessing import padded_everygram_pipeline
from nltk.util import ngrams
from threadpoolctl import threadpool_limits

from benchmarks import results
from benchmarks.results import Row
from nlp_course import data, ngram
from nlp_course import ngram_smoothing as smoothing
from nlp_course.text import Vocabulary

GOAL_FIT, GOAL_SCORE, GOAL_NLTK = 1.5, 0.8, 100.0
NLTK_SENTENCES = 20  # that NLTK scores: it takes milliseconds a token
TRIED_STRINGS = (
    "one split of the whole text, which was not faster, and NumPy's sorting of the words, which "
    "took several times as long"
)


class Seconds(NamedTuple):
    """By the clock, and of processor time."""

    clock: float
    processor: float


class Files(NamedTuple):
    """Text to fit on and text to score, a sentence a line, and where the program writes."""

    train: Path
    test: Path
    arpa: Path


def program() -> Path | None:
    """Where lmplz is, or None, said aloud."""
    path = results.peer_path("kenlm", "build", "bin", "lmplz")
    if path is None:
        results.say_absent("KenLM's program")
    return path


def binding() -> Any:
    """KenLM's Python package, or None, said aloud."""
    try:
        import kenlm
    except ImportError:
        results.say_absent("KenLM's binding")
        return None
    return kenlm


def fit_program(path: Path, files: Files, order: int, arpa: bool = True) -> Seconds:
    """What lmplz takes from text to ARPA file, or to its own binary files."""
    written = ["--arpa", files.arpa] if arpa else ["--intermediate", files.arpa.with_suffix("")]
    # Given more memory it is slower: it first fills all of it.
    command = [path, "-o", str(order), "-S", "200M", "-T", files.arpa.parent, *written]
    start, before = time.perf_counter(), os.times()
    with files.train.open("rb") as text:
        subprocess.run(command, stdin=text, check=True, capture_output=True)
    end, after = time.perf_counter(), os.times()
    user, system = after.children_user, after.children_system
    used = user - before.children_user + system - before.children_system
    return Seconds(end - start, used)


def fit_course(files: Files, order: int) -> tuple[Seconds, Vocabulary, smoothing.KneserNey]:
    """What the course takes from text to model, and the model."""
    start, before = time.perf_counter(), time.process_time()
    with files.train.open(encoding="utf-8") as lines:
        vocabulary, ids = ngram.encode_all(line.split() for line in lines)
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
    ids = ngram.encode_with(vocabulary, (line.split() for line in lines))
    encoded = time.process_time()
    log_probabilities = model.log_probabilities(ids)
    end = time.process_time()
    return end - start, end - encoded, ngram.perplexity(log_probabilities)


def compare(path: Path, kenlm: Any, files: Files, order: int, rounds: int) -> list[Row]:
    """Fit and score with both in turn, print a table, and return its rows."""
    lines = files.test.read_text("utf-8").splitlines()
    tokens = sum(len(line.split()) + 1 for line in lines)
    print(f"\norder {order}")
    print(f"{'':8}{'round':>6}{'fit, s':>8}{'cpu, s':>8}{'text, /s':>12}{'ids, /s':>12}")
    fits, cpu, bare, rates = [], [], [], []
    for number in range(rounds):
        peer_bare = fit_program(path, files, order, arpa=False)
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
        fits.append((fit.clock, peer_fit.clock))
        cpu.append(peer_fit.processor / fit.processor)
        bare.append(peer_bare.clock / fit.clock)
        rates.append((tokens / from_text, tokens / from_ids, peer_rate))
    rows = [
        results.compared(
            f"n-grams: fit, order {order}, from a file",
            "KenLM lmplz",
            *zip(*fits, strict=True),
            "s",
            GOAL_FIT,
            note=(
                f"ratio in processor time, not by the clock: {np.median(cpu):.2f}; by the clock, "
                f"where the program writes binary files, no ARPA text: {np.median(bare):.2f}"
            ),
        )
    ]
    score, peer_name = f"n-grams: score, order {order}, from", "KenLM's binding"
    if kenlm is None:
        print(f"perplexity: course {perplexity:.6f}", flush=True)
        return [*rows, results.absent(f"{score} strings", peer_name, GOAL_SCORE)]
    from_texts, from_id_lists, peer_rates = zip(*rates, strict=True)
    apart = abs(perplexity / peer_perplexity - 1)
    note = f"perplexity {peer_perplexity:.4f} and {perplexity:.4f}, apart by {apart:.0e} of it"
    print(note, flush=True)
    unit = "tokens/s"
    rows.append(
        results.compared(
            f"{score} strings",
            peer_name,
            from_texts,
            peer_rates,
            unit,
            GOAL_SCORE,
            rate=True,
            note=note,
            same=bool(apart < 1e-4),
            why=_why_strings(tokens, from_texts, from_id_lists, peer_rates),
        )
    )
    # The binding reads strings all the same: so there is no goal.
    ids = results.compared(f"{score} ids", peer_name, from_id_lists, peer_rates, unit, rate=True)
    return [*rows, ids]


def _why_strings(
    tokens: int,
    from_texts: Sequence[float],
    from_ids: Sequence[float],
    peer: Sequence[float],
) -> str:
    """What the rates of both ways to score say about the words' way to their ids."""
    texts, ids, whole = (tokens / np.median(rates) for rates in (from_texts, from_ids, peer))
    return (
        "the course spends "
        f"{1e9 * (texts - ids) / tokens:.0f} ns a token on splitting lines and looking up words, "
        f"in Python, where the binding takes {1e9 * whole / tokens:.0f} ns for everything; the "
        f"model itself takes {1e9 * ids / tokens:.0f} ns. Tried: {TRIED_STRINGS}"
    )


def fit_and_score_nltk(
    train: Sequence[Sequence[str]], test: Sequence[Sequence[str]], order: int
) -> tuple[float, float]:
    """Seconds of processor time to fit NLTK's model, and to score some sentences."""
    start = time.process_time()
    model = KneserNeyInterpolated(order)
    model.fit(*padded_everygram_pipeline(order, train))
    fitted = time.process_time()
    for sentence in test:
        padded = [*["<s>"] * (order - 1), *sentence, "</s>"]  # the course scores as many tokens
        for *context, word in ngrams(padded, order):
            model.logscore(word, context)
    return fitted - start, time.process_time() - fitted


def fit_and_score_course(
    train: Sequence[Sequence[str]], test: Sequence[Sequence[str]], order: int
) -> tuple[float, float]:
    """The same of the course's."""
    start = time.process_time()
    vocabulary, ids = ngram.encode_all(train)
    model = smoothing.KneserNey(ngram.count_ngrams(ids, vocabulary, order))
    fitted = time.process_time()
    model.log_probabilities(ngram.encode_with(vocabulary, test))
    return fitted - start, time.process_time() - fitted


def compare_nltk(
    train: Sequence[Sequence[str]], test: Sequence[Sequence[str]], order: int, rounds: int
) -> list[Row]:
    """Fit and score with both in turn, and return the rows."""
    tokens = sum(map(len, train))
    theirs, ours = [], []
    for _ in range(rounds):
        theirs.append(fit_and_score_nltk(train, test, order))
        ours.append(fit_and_score_course(train, test, order))
    named = f"order {order}, {tokens:,} tokens"
    course, peer = np.array(ours), np.array(theirs)  # (round, fitting and scoring)
    score = f"score {len(test)} sentences"
    # What the course computes while it fits, NLTK computes anew for each token it scores.
    return [
        results.compared(f"n-grams: {what}, {named}", "nltk.lm", mine, others, "s", goal)
        for what, mine, others, goal in (
            ("fit", course[:, 0], peer[:, 0], None),
            (score, course[:, 1], peer[:, 1], None),
            (f"fit and {score}", course.sum(axis=1), peer.sum(axis=1), GOAL_NLTK),
        )
    ]


def main() -> None:
    """Read the settings, write the text, compare each order, print."""
    parser = results.parser(__doc__)
    parser.add_argument("--corpus", default="brown", help="a name of nlp_course.data")
    parser.add_argument("--train", type=int, default=1_000_000, help="tokens to fit on")
    parser.add_argument("--orders", type=int, nargs="+", default=[3, 5])
    parser.add_argument("--nltk", type=int, default=20_000, help="of them, for NLTK to fit on")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    path, kenlm = program(), binding()
    train, test = ngram.split_by_tokens(data.load(arguments.corpus).sentences, [arguments.train])
    print(
        f"{arguments.corpus}: {sum(map(len, train)):,} tokens to fit on, "
        f"{sum(len(sentence) + 1 for sentence in test):,} to score, STOP counted; all words"
    )
    rows = []
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        files = Files(*(Path(folder) / name for name in ("train.txt", "test.txt", "model.arpa")))
        for file, sentences in ((files.train, train), (files.test, test)):
            file.write_text("".join(f"{' '.join(s)}\n" for s in sentences), "utf-8")
        (small,) = ngram.split_by_tokens(train, [arguments.nltk])[:1]
        few = test[:NLTK_SENTENCES]
        # Else each collection of garbage while fitting would go through the corpus again.
        del train, test, sentences
        gc.freeze()
        for order in arguments.orders:
            if path is None:
                for work, peer, goal in (
                    (f"n-grams: fit, order {order}, from a file", "KenLM lmplz", GOAL_FIT),
                    # It scores with a model that the program has made.
                    (f"n-grams: score, order {order}, from strings", "KenLM's binding", GOAL_SCORE),
                ):
                    rows.append(results.absent(work, peer, goal))
            else:
                rows += compare(path, kenlm, files, order, arguments.rounds)
        for order in arguments.orders:
            rows += compare_nltk(small, few, order, arguments.rounds)
    peers = results.installed("kenlm", "nltk") | results.checked_out("KenLM's program", "kenlm")
    results.finish("ngram", arguments, rows, peers)


if __name__ == "__main__":
    main()
