"""Byte-level BPE: training and encoding beside Hugging Face's `tokenizers` and `tiktoken`.

    python -m benchmarks.subword [--megabytes 1 10] [--sizes 4000 32000] [--rounds 5]

The text is the beginning of the corpus, or all of it where it is shorter. All sides get the same
lines and one thread. The libraries are compiled Rust, the course plain Python. Training is timed
from lines to tokenizer. Encoding is timed from lines to ids, line by line as a training script
would, with a tokenizer that has met no word yet, and again once it has; the library's best form for
many lines, `encode_batch_fast`, in batches, is what it is compared with. tiktoken only encodes: it
gets the course's merges. In every round one side runs after the other, without Python's garbage
collector; a ratio is the median of the rounds' ratios.
"""

import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

# Read when the library is loaded: one thread, as the course has.
os.environ.setdefault("RAYON_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

try:
    import tokenizers
except ImportError:
    sys.exit("tokenizers is not installed: pip install tokenizers")

from benchmarks import results
from benchmarks.results import Row
from nlp_course import data, subword
from nlp_course.collector import collector_paused

LIBRARY, TIKTOKEN = "Hugging Face tokenizers", "tiktoken"
GOAL, GOAL_TIKTOKEN = 1.0, 0.8
REMEMBERED = 1 << 16  # words, by the course's default
BYTES = 256  # the smallest vocabulary: nothing is merged
BATCH = 256  # lines that the library encodes at a time: faster than all, whose results fill memory
GPT2_UNITS = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"


def tiktoken_library() -> Any:
    """Tiktoken, or None, said aloud."""
    try:
        import tiktoken
    except ImportError:
        results.say_absent(TIKTOKEN)
        return None
    return tiktoken


def train_library(lines: list[str], size: int) -> tuple[float, tokenizers.Tokenizer]:
    """Seconds, and the tokenizer, with GPT-2's units and alphabet."""
    byte_level = tokenizers.pre_tokenizers.ByteLevel
    start = time.perf_counter()
    # It remembers as many words as the course's does.
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE(cache_capacity=REMEMBERED))
    tokenizer.pre_tokenizer = byte_level(add_prefix_space=False)
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=size, initial_alphabet=byte_level.alphabet(), show_progress=False
    )
    tokenizer.train_from_iterator(lines, trainer)
    return time.perf_counter() - start, tokenizer


def train_course(lines: list[str], size: int) -> tuple[float, subword.BPE]:
    """Seconds, and the tokenizer."""
    start = time.perf_counter()
    bpe = subword.BPE.train(lines, size)
    return time.perf_counter() - start, bpe


def encode_library(
    tokenizer: tokenizers.Tokenizer, lines: list[str]
) -> tuple[float, list[list[int]]]:
    """Seconds, and the ids of each line."""
    start = time.perf_counter()
    batches = (lines[at : at + BATCH] for at in range(0, len(lines), BATCH))
    encoded = [line.ids for batch in batches for line in tokenizer.encode_batch_fast(batch)]
    return time.perf_counter() - start, encoded


def encode_course(bpe: subword.BPE, lines: list[str]) -> tuple[float, list[np.ndarray]]:
    """Seconds, and the ids of each line."""
    start = time.perf_counter()
    encoded = [bpe.encode(line) for line in lines]
    return time.perf_counter() - start, encoded


def encode_tiktoken(encoding: Any, lines: list[str]) -> tuple[float, list[list[int]]]:
    """Seconds, and the ids of each line."""
    start = time.perf_counter()
    encoded = [encoding.encode_ordinary(line) for line in lines]  # the batch form makes threads
    return time.perf_counter() - start, encoded


def as_tiktoken(tiktoken: Any, bpe: subword.BPE) -> Any:
    """The course's merges in tiktoken, with GPT-2's units."""
    ranks = {bpe.decode_bytes([index]): index for index in range(len(bpe))}
    return tiktoken.Encoding("course", pat_str=GPT2_UNITS, mergeable_ranks=ranks, special_tokens={})


@collector_paused()
def compare(lines: list[str], size: int, rounds: int, tiktoken: Any) -> list[Row]:
    """Train and encode with all in turn, print a table, and return its rows."""
    megabytes = sum(len(line.encode()) for line in lines) / 1e6
    on = f"{size:,} pieces, {megabytes:.2g} MB"
    print(f"\n{on}")
    print(f"{'':10}{'round':>6}{'train, s':>10}{'first, MB/s':>13}{'again, MB/s':>13}")
    trained, reading, first, again, other = [], [], [], [], []
    for number in range(rounds):
        their_seconds, peer = train_library(lines, size)
        our_seconds, bpe = train_course(lines, size)
        reading.append((train_course(lines, BYTES)[0], train_library(lines, BYTES)[0]))
        their_first, expected = encode_library(peer, lines)
        our_first, found = encode_course(bpe, lines)
        their_again, _ = encode_library(peer, lines)
        our_again, _ = encode_course(bpe, lines)
        trained.append((our_seconds, their_seconds))
        first.append((megabytes / our_first, megabytes / their_first))
        again.append((megabytes / our_again, megabytes / their_again))
        for side, name in enumerate(("course", "tokenizers")):
            rates = f"{first[-1][side]:>13.1f}{again[-1][side]:>13.1f}"
            print(f"{name:10}{number:>6}{trained[-1][side]:>10.2f}{rates}", flush=True)
        if tiktoken is not None:
            # It remembers no words, so that its first time is as any other.
            seconds, ids = encode_tiktoken(as_tiktoken(tiktoken, bpe), lines)
            other.append(megabytes / seconds)
            print(f"{'tiktoken':10}{number:>6}{'':>10}{other[-1]:>13.1f}", flush=True)
    merges = len(json.loads(peer.to_str())["model"]["merges"])
    rows = [
        results.compared(
            f"BPE: train, {on}",
            LIBRARY,
            *zip(*trained, strict=True),
            "s",
            GOAL,
            why=_why_training(len(bpe.merges), np.array(trained), np.array(reading)),
            note=f"merges {len(bpe.merges):,} and {merges:,}",
            same=len(bpe.merges) == merges,
        ),
        encoding_row(on, LIBRARY, *zip(*first, strict=True), found, expected, again, ""),
    ]
    if tiktoken is None:
        return [
            *rows,
            results.absent(f"BPE: encode, {on}", TIKTOKEN, GOAL_TIKTOKEN),
        ]
    ours = [rate for rate, _ in first]
    ours_again = [(rate, theirs) for (rate, _), theirs in zip(again, other, strict=True)]
    why = _why_encoding(lines, ours, ours_again, other, megabytes)
    return [*rows, encoding_row(on, TIKTOKEN, ours, other, found, ids, ours_again, why)]


def _why_training(
    merges: int, trained: Float[np.ndarray, "round side"], reading: Float[np.ndarray, "round side"]
) -> str:
    """What is left when both have only read the text, with no merge to learn."""
    read = np.median(reading, axis=0)
    course, peer = 1e6 * (np.median(trained, axis=0) - read) / merges
    return (
        f"to read the text takes the course {read[0]:.2f} s and the peer {read[1]:.2f} s; then a "
        f"merge takes {course:.0f} µs in Python's lists and dictionaries, and {peer:.0f} µs in the "
        "peer's compiled code. Tried: lists of the words that have a pair, in place of sets, a few "
        "per cent faster, and kept; a search in each word by list.index, slower"
    )


def _why_encoding(
    lines: list[str],
    first: Sequence[float],
    again: list[tuple[float, float]],
    peer: Sequence[float],
    megabytes: float,
) -> str:
    """What cutting the text into units alone takes, and what new words take."""
    start = time.perf_counter()
    units = sum(len(subword.pre_tokenize(line)) for line in lines)
    cutting = time.perf_counter() - start
    new, met, whole = (
        1e9 * megabytes / np.median(rates) / units
        for rates in (first, [rate for rate, _ in again], peer)
    )
    return (
        f"the package regex takes {1e9 * cutting / units:.0f} ns to cut off a unit of the text, "
        f"with its look-up in Python and the array it is {met:.0f} ns, and {new:.0f} ns where a "
        f"word that is met for the first time is merged in Python, too; tiktoken takes "
        f"{whole:.0f} ns for everything. Not done: to look up at once a word that is a piece, as "
        f"tiktoken does, since even where nothing is merged the ratio is {whole / met:.2f}"
    )


def encoding_row(
    on: str,
    peer: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    found: list[np.ndarray],
    expected: list[list[int]],
    again: list[tuple[float, float]],
    why: str,
) -> Row:
    """Megabytes a second of a tokenizer that has met no word yet; what it does then is a note."""
    same = all(ids.tolist() == others for ids, others in zip(found, expected, strict=True))
    ratio = np.median([rate / other for rate, other in again])
    note = f"ids of all lines {'equal' if same else 'NOT equal'}; once words are met {ratio:.2f}"
    goal = GOAL if peer == LIBRARY else GOAL_TIKTOKEN
    return results.compared(
        f"BPE: encode, {on}",
        peer,
        ours,
        theirs,
        "MB/s",
        goal,
        rate=True,
        note=note,
        why=why,
        same=same,
    )


def beginning(corpus: str, megabytes: float) -> list[str]:
    """Lines of a corpus until they are so many megabytes; all, where it has fewer."""
    lines, size = [], 0
    for sentence in data.load(corpus).sentences:
        if size >= 1e6 * megabytes:
            break
        lines.append(" ".join(sentence) + "\n")
        size += len(lines[-1].encode())
    return lines


def main() -> None:
    """Read the settings and the text, compare each size, print."""
    parser = results.parser(__doc__)
    parser.add_argument("--corpus", default="word-corpus", help="a name of nlp_course.data")
    parser.add_argument("--megabytes", type=float, nargs="+", default=[1.0, 10.0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[4000, 32_000])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    tiktoken = tiktoken_library()
    rows = []
    for megabytes in arguments.megabytes:
        lines = beginning(arguments.corpus, megabytes)
        characters = sum(map(len, lines))
        print(
            f"\n{arguments.corpus}: {characters:,} characters in {len(lines):,} lines; one thread"
        )
        for size in arguments.sizes:
            rows += compare(lines, size, arguments.rounds, tiktoken)
    results.finish("subword", arguments, rows, results.installed("tokenizers", "tiktoken"))


if __name__ == "__main__":
    main()
