"""Byte-level BPE: training and encoding beside Hugging Face's `tokenizers`.

    python -m benchmarks.subword [--corpus word-corpus] [--sizes 4000 16000] [--rounds 5]

Both sides get the same lines of text and one thread. The library is compiled Rust, the course plain
Python. Training is timed from lines to tokenizer. Encoding is timed from lines to ids, line by line
as a training script would, with a tokenizer that has met no word yet, and again once it has; the
library's best form for many lines, `encode_batch_fast`, is what it is compared with. In every round
one side runs after the other; a ratio is the median of the rounds' ratios.
"""

import argparse
import json
import os
import sys
import time

import numpy as np

# Read when the library is loaded: one thread, as the course has.
os.environ.setdefault("RAYON_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

try:
    import tokenizers
except ImportError:
    sys.exit("tokenizers is not installed: pip install tokenizers")

from nlp_course import data, subword


def train_library(lines: list[str], size: int) -> tuple[float, tokenizers.Tokenizer]:
    """Seconds, and the tokenizer, with GPT-2's units and alphabet."""
    byte_level = tokenizers.pre_tokenizers.ByteLevel
    start = time.perf_counter()
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
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
    encoded = [line.ids for line in tokenizer.encode_batch_fast(lines)]
    return time.perf_counter() - start, encoded


def encode_course(bpe: subword.BPE, lines: list[str]) -> tuple[float, list[np.ndarray]]:
    """Seconds, and the ids of each line."""
    start = time.perf_counter()
    encoded = [bpe.encode(line) for line in lines]
    return time.perf_counter() - start, encoded


def compare(lines: list[str], size: int, rounds: int) -> None:
    """Train and encode with both in turn, and print a table with the ratios."""
    megabytes = sum(len(line.encode()) for line in lines) / 1e6
    print(f"\nvocabulary {size:,}")
    print(f"{'':8}{'round':>6}{'train, s':>10}{'first, MB/s':>13}{'again, MB/s':>13}")
    ratios = []
    for number in range(rounds):
        their_seconds, peer = train_library(lines, size)
        our_seconds, bpe = train_course(lines, size)
        their_first, expected = encode_library(peer, lines)
        our_first, found = encode_course(bpe, lines)
        their_again, _ = encode_library(peer, lines)
        our_again, _ = encode_course(bpe, lines)
        for name, *seconds in (
            ("library", their_seconds, their_first, their_again),
            ("course", our_seconds, our_first, our_again),
        ):
            rates = "".join(f"{megabytes / each:>13.1f}" for each in seconds[1:])
            print(f"{name:8}{number:>6}{seconds[0]:>10.2f}{rates}", flush=True)
        ratios.append(
            (their_seconds / our_seconds, their_first / our_first, their_again / our_again)
        )
    trained, first, again = np.median(ratios, axis=0)
    print(
        f"speed, course / library, median of {rounds} rounds: training {trained:.2f}, "
        f"encoding {first:.2f}, once words are met {again:.2f}"
    )
    merges = len(json.loads(peer.to_str())["model"]["merges"])
    same = all(ours.tolist() == ids for ours, ids in zip(found, expected, strict=True))
    print(f"merges: {len(bpe.merges):,} and {merges:,}; ids of all lines equal: {same}", flush=True)


def main() -> None:
    """Read the settings and the text, compare each size, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--corpus", default="word-corpus", help="a name of nlp_course.data")
    parser.add_argument("--sizes", type=int, nargs="+", default=[4000, 16_000])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    lines = [" ".join(words) + "\n" for words in data.load(arguments.corpus).sentences]
    characters = sum(map(len, lines))
    print(f"{arguments.corpus}: {characters:,} characters in {len(lines):,} lines; one thread each")
    for size in arguments.sizes:
        compare(lines, size, arguments.rounds)


if __name__ == "__main__":
    main()
