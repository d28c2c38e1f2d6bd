"""Skip-gram with negative sampling: words a second and quality, beside gensim.

    python -m benchmarks.word2vec [--epochs 5] [--seeds 3] [--corpus word-corpus]

gensim has one thread, and then two; the course has one process, and then two. gensim reads
sentences from lists or from a file, and which is faster depends on the threads and the moment: in
every round it trains both ways, the course once, on the same corpus with the same settings, and the
faster way counts. The ratio is the median of the rounds' ratios. Counting words is not timed, nor
is reading the corpus into lists; training is, by the clock, with the words' way to their ids and
the start of processes.
"""

import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from gensim.models import Word2Vec as GensimWord2Vec
from joblib.externals.loky import get_reusable_executor
from threadpoolctl import threadpool_limits

from benchmarks import results
from benchmarks.results import Row
from nlp_course import data, similarity, text, word2vec, word2vec_training

DIMENSION, WINDOW, NEGATIVES, MIN_COUNT = 100, 5, 5, 5
LEARNING_RATE, SUBSAMPLE = 0.025, 1e-3
GOALS = {1: 2.0, 2: 1.6}  # skip-gram's, for so many threads
WHY = (
    "the course draws 32 noise words a block of 32 words of text, which its products read once, "
    "where gensim draws 5 a pair; what is left is in NumPy's calls for moves of single rows. "
    "Tried, and kept: rows by take, turned vectors copied before a product, the loss only where "
    "it is asked for; tried, and not: threads, which wait for Python's lock"
)
TEXTBOOK_WORDS = 4000  # the pair-by-pair form is timed on so many, which is enough for its speed


class Corpus(NamedTuple):
    """The same sentences as gensim and as the course want them."""

    tokens: list[list[str]]
    file: Path  # the same, a sentence a line
    vocabulary: text.Vocabulary
    size: int  # words that are trained on, which is what both sides' speed counts


class Result(NamedTuple):
    """One training: words of the corpus (with a vector) a second, and Spearman correlations."""

    words_per_second: float
    wordsim: float
    simlex: float


def load(name: str, folder: str) -> Corpus:
    """A corpus of `nlp_course.data`, lower-cased, without words rarer than MIN_COUNT."""
    tokens = [[word.lower() for word in sentence] for sentence in data.load(name).sentences]
    vocabulary = text.Vocabulary.from_sentences(tokens, min_count=MIN_COUNT)
    size = sum(len(vocabulary.encode_known(sentence)) for sentence in tokens)
    file = Path(folder) / "corpus.txt"
    file.write_text("".join(f"{' '.join(sentence)}\n" for sentence in tokens), "utf-8")
    return Corpus(tokens, file, vocabulary, size)


def result(corpus: Corpus, vectors: np.ndarray, epochs: int, seconds: float) -> Result:
    """Speed and quality of trained vectors."""
    word_vectors = similarity.WordVectors(corpus.vocabulary, vectors)
    wordsim, simlex = (
        similarity.rating_correlation(word_vectors, data.load(name).records).spearman
        for name in ("wordsim353", "simlex999")
    )
    return Result(epochs * corpus.size / seconds, wordsim, simlex)


def train_gensim(corpus: Corpus, epochs: int, seed: int, skipgram: bool, threads: int) -> Result:
    """Gensim's compiled trainer, from lists or from a file, whichever is faster now."""
    return max(
        train_gensim_from(way, corpus, epochs, seed, skipgram, threads)
        for way in ({"corpus_iterable": corpus.tokens}, {"corpus_file": str(corpus.file)})
    )


def train_gensim_from(
    source: dict[str, Any], corpus: Corpus, epochs: int, seed: int, skipgram: bool, threads: int
) -> Result:
    """One of gensim's ways."""
    model = GensimWord2Vec(
        vector_size=DIMENSION,
        window=WINDOW,
        negative=NEGATIVES,
        min_count=MIN_COUNT,
        sample=SUBSAMPLE,
        alpha=LEARNING_RATE if skipgram else 2 * LEARNING_RATE,
        sg=int(skipgram),
        workers=threads,
        seed=seed,
    )
    model.build_vocab(corpus.tokens)
    start = time.perf_counter()
    model.train(
        **source,
        total_examples=model.corpus_count,
        total_words=model.corpus_total_words,
        epochs=epochs,
    )
    seconds = time.perf_counter() - start
    vectors = np.stack([model.wv[word] for word in corpus.vocabulary.words])
    return result(corpus, vectors, epochs, seconds)


def train_course(corpus: Corpus, epochs: int, seed: int, skipgram: bool, workers: int) -> Result:
    """The course's NumPy trainer."""
    trainer = word2vec_training.train_skipgram if skipgram else word2vec_training.train_cbow
    start = time.perf_counter()
    model = trainer(
        [corpus.vocabulary.encode_known(sentence) for sentence in corpus.tokens],
        corpus.vocabulary.counts,
        dimension=DIMENSION,
        window=WINDOW,
        negatives=NEGATIVES,
        subsample=SUBSAMPLE,
        learning_rate=LEARNING_RATE if skipgram else 4 * LEARNING_RATE,
        epochs=epochs,
        seed=seed,
        workers=workers,
    )
    get_reusable_executor().shutdown()  # the next training starts its own
    return result(corpus, model.center, epochs, time.perf_counter() - start)


def textbook_speed(corpus: Corpus, seed: int = 0) -> float:
    """Words a second of `word2vec.negative_sampling_loss` and an SGD step, one pair at a time."""
    rng = np.random.default_rng(seed)
    counts = corpus.vocabulary.counts
    keep = word2vec.keep_probability(counts, SUBSAMPLE)
    noise = word2vec_training.NoiseTable(word2vec.noise_distribution(counts))
    center = rng.normal(size=(len(counts), DIMENSION)).astype(np.float32) / DIMENSION
    outside = np.zeros_like(center)
    words = 0
    start = time.perf_counter()
    for tokens in corpus.tokens:
        sentence = corpus.vocabulary.encode_known(tokens)
        words += len(sentence)
        kept = sentence[rng.random(len(sentence)) < keep[sentence]]
        # The mean of windows drawn from 1 … WINDOW gives as many pairs as drawing each.
        for c, o in word2vec.skipgram_pairs(kept, (WINDOW + 1) // 2):
            drawn = noise.draw((NEGATIVES,), rng)
            _, gradients = word2vec.negative_sampling_loss(center[c], outside[o], outside[drawn])
            center[c] -= LEARNING_RATE * gradients.center
            outside[o] -= LEARNING_RATE * gradients.outside
            np.subtract.at(outside, drawn, LEARNING_RATE * gradients.noise)
        if words >= TEXTBOOK_WORDS:
            break
    return words / (time.perf_counter() - start)


def compare(corpus: Corpus, epochs: int, seeds: int, skipgram: bool, threads: int) -> Row:
    """Train both with each seed in turn, print a table with the medians, and return the row."""
    name = "skip-gram" if skipgram else "CBOW"
    work = f"{name}: train, on {threads} core{'s' * (threads > 1)}"
    print(f"\n{work}, {epochs} epochs")
    print(f"{'':10}{'seed':>6}{'words/s':>12}{'WordSim':>9}{'SimLex':>8}")
    rounds = []
    for seed in range(seeds):
        pair = (
            train_gensim(corpus, epochs, seed, skipgram, threads),
            train_course(corpus, epochs, seed, skipgram, threads),
        )
        rounds.append(pair)
        for label, (speed, wordsim, simlex) in zip(("gensim", "course"), pair, strict=True):
            print(f"{label:10}{seed:>6}{speed:>12,.0f}{wordsim:>9.3f}{simlex:>8.3f}", flush=True)
    table = np.array(rounds)  # (seed, side, figure)
    for side, label in enumerate(("gensim", "course")):
        speed, wordsim, simlex = np.median(table[:, side], axis=0)
        print(f"{label:10}{'median':>6}{speed:>12,.0f}{wordsim:>9.3f}{simlex:>8.3f}")
    spread = np.ptp(table[:, :, 1], axis=0)
    print(f"WordSim's range over seeds: gensim {spread[0]:.3f}, course {spread[1]:.3f}", flush=True)
    theirs, ours = table[:, :, 0].T
    gensim_wordsim, course_wordsim = np.median(table[:, :, 1], axis=0)
    return results.compared(
        work,
        "gensim",
        ours,
        theirs,
        "words/s",
        GOALS[threads] if skipgram else None,
        rate=True,
        note=(
            f"WordSim-353 {gensim_wordsim:.3f} and {course_wordsim:.3f}, whose range over seeds is "
            f"{spread[0]:.3f} and {spread[1]:.3f}"
        ),
        same=bool(course_wordsim >= gensim_wordsim - spread.max()),
        why=WHY,
    )


def main() -> None:
    """Read the settings, run every comparison, print."""
    parser = results.parser(__doc__)
    parser.add_argument("--corpus", default="word-corpus", help="a name of nlp_course.data")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    settings = arguments.epochs, arguments.seeds
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        corpus = load(arguments.corpus, folder)
        print(
            f"{arguments.corpus}: {corpus.size:,} words, "
            f"{len(corpus.vocabulary):,} of them different; d {DIMENSION}, window {WINDOW}, "
            f"{NEGATIVES} negatives, subsampling {SUBSAMPLE}"
        )
        for threads in GOALS:
            rows.append(compare(corpus, *settings, True, threads))
        with threadpool_limits(1):
            rows.append(compare(corpus, *settings, False, 1))
            print(f"\ntextbook form, one pair at a time: {textbook_speed(corpus):,.0f} words/s")
    results.finish("word2vec", arguments, rows, results.installed("gensim"))


if __name__ == "__main__":
    main()
