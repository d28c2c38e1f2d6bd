"""A BERT: writes nlp_course/weights/bert.safetensors.

    python weights/bert.py

Pretrains on one core of a CPU, on English and on the text of World, and then measures what that is
worth: it fine-tunes on four tasks, beside a network of the same form that begins at random, and
writes the table into the file. A training that was broken off goes on from its checkpoint in
_build/weights.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from nlp_course import data, encoders, masked_lm, pretrained, tagging, training
from nlp_course.data.world import World
from nlp_course.encoder_tasks import (
    in_order,
    pack_words,
    span_batch,
    span_batches,
    span_tokens,
    tag_targets,
    task_batches,
)
from nlp_course.masking import Specials, pack
from nlp_course.pretraining import EncoderBatch, sentence_pair_batches
from nlp_course.subword_merges import learn_merges
from nlp_course.transformer import Encoder, Settings
from nlp_course.wordpiece import INSIDE, SPECIALS, WordPiece, bert_words

ROOT = Path(__file__).resolve().parents[1]
PIECES = 2048
LENGTH, BATCH_SIZE, STEPS, EVERY = 96, 32, 6000, 500
LEARNING_RATE, WARMUP = 2e-3, 300
LABELS = (100, 1000, 5000)  # rows of the table
STEPS_OF = {100: 100, 1000: 200, 5000: 400}  # of fine-tuning, alike for both networks
SEEDS_OF = {100: (0, 1, 2), 1000: (0, 1), 5000: (0,)}
TASK_BATCH, RATES, LONGEST = 16, (3e-4, 1e-3), 12
HALF = 30  # tokens of a piece of real text, unless one sentence has more: a pair has two
SETTINGS: dict[str, Any] = {
    "dimension": 128,
    "heads": 4,
    "layers": 3,
    "hidden": 256,
    "length": LENGTH,
    "norm_first": False,
    "embedding_norm": True,
    "activation": "gelu",
    "spread": 0.1,
}
WORLD_PAIRS = 20_000  # questions, and as many pairs of sentences
FILE = pretrained.FOLDER / "bert.safetensors"
# Seeds of World that are for pretraining alone; pages fine-tune and test on those below 100.
QUESTIONS, ENTAILMENTS = 1001, 1002

BEGIN = "▁"  # marks a word's first letter while merges are learned


def real_documents() -> list[list[str]]:
    """The sentences of each document: Brown, films' reviews, and WikiText-2's validation split."""
    brown, reviews = data.load("brown").reader, data.load("movie_reviews")
    documents = [[" ".join(s) for s in brown.sents(name)] for name in brown.fileids()]
    documents += [[" ".join(s) for s in one.sentences] for one in reviews.records]
    wiki = [  # its <unk> is cut into signs and letters, as any text is
        " ".join(sentence).replace("<unk>", "[UNK]")
        for sentence in data.load("wikitext2").splits["valid"].sentences
    ]
    return documents + [wiki[at : at + 50] for at in range(0, len(wiki), 50)]


def world_documents(pairs: int) -> list[list[str]]:
    """Questions with their passages, and pairs of sentences, without answers and labels."""
    asked = World(QUESTIONS).questions(pairs)
    related = World(ENTAILMENTS).entailments(pairs)
    return [[" ".join(one.question), " ".join(one.passage)] for one in asked] + [
        [" ".join(one.first), " ".join(one.second)] for one in related
    ]


def learn_pieces(texts: Iterable[str], size: int) -> WordPiece:
    """WordPiece's pieces, learned as Hugging Face's trainer does: the most frequent pair first."""
    words = Counter(chain.from_iterable(map(bert_words, texts)))
    letters = {(BEGIN + word[0], *word[1:]): count for word, count in words.items()}
    counts: Counter[str] = Counter()
    for symbols, count in letters.items():
        for symbol in symbols:
            counts[symbol] += count
    alphabet = sorted(symbol for symbol, count in counts.items() if count >= 20)
    known = set(alphabet)
    kept = {word: count for word, count in letters.items() if known.issuperset(word)}
    merges = learn_merges(kept, size - len(SPECIALS) - len(alphabet))
    pieces = (*alphabet, *(merge.left + merge.right for merge in merges))
    written = (
        piece.removeprefix(BEGIN) if piece.startswith(BEGIN) else INSIDE + piece for piece in pieces
    )
    return WordPiece((*SPECIALS, *written))


def specials_of(tokenizer: WordPiece) -> Specials:
    """Ids that are no text."""
    names = ("[PAD]", "[CLS]", "[SEP]", "[MASK]", "[UNK]")
    pad, cls, sep, mask, unknown = map(tokenizer.id, names)
    return Specials(pad, cls, sep, mask, (unknown,))


def in_pieces(document: Sequence[str], tokenizer: WordPiece) -> list[np.ndarray]:
    """A document's sentences, put together until the next would make more than HALF tokens."""
    found: list[list[int]] = [[]]
    for sentence in document:
        ids = tokenizer.encode(sentence).tolist()
        if found[-1] and len(found[-1]) + len(ids) > HALF:
            found.append([])
        found[-1] += ids
    return [np.array(ids) for ids in found if ids]


def alternating(*sources: training.Batches) -> training.Batches:
    """A batch of each source in turn, without end."""

    def batches(rng: np.random.Generator) -> Iterator[EncoderBatch]:
        streams = [_endless(source, rng) for source in sources]
        while True:
            yield from map(next, streams)

    return batches


def _endless(source: training.Batches, rng: np.random.Generator) -> Iterator[EncoderBatch]:
    while True:
        yield from source(rng)


def corpora() -> tuple[WordPiece, list[list[np.ndarray]], list[list[np.ndarray]]]:
    """The tokenizer, and documents in its ids: real ones, and World's."""
    real, world = real_documents(), world_documents(WORLD_PAIRS)
    tokenizer = learn_pieces(chain(chain.from_iterable(real), chain.from_iterable(world)), PIECES)
    pieces = [in_pieces(document, tokenizer) for document in real]
    return (
        tokenizer,
        [document for document in pieces if len(document) > 1],
        [[tokenizer.encode(sentence) for sentence in document] for document in world],
    )


def pretrain() -> None:
    """Train, measure, and write the weights."""
    tokenizer, real, world = corpora()
    specials = specials_of(tokenizer)

    def paired(documents: list[list[np.ndarray]]) -> training.Batches:
        return sentence_pair_batches(documents, specials, len(tokenizer), BATCH_SIZE, length=LENGTH)

    held_out = {
        "English": list(islice(paired(real[::20])(np.random.default_rng(0)), 40)),
        "World": list(islice(paired(world[::20])(np.random.default_rng(0)), 40)),
    }
    learned = [[d for i, d in enumerate(some) if i % 20] for some in (real, world)]
    looking, history = 0.0, []

    def validate(model: nn.Module) -> float:
        nonlocal looking
        begun = time.process_time()
        row = {}
        for name, batches in held_out.items():
            row[name] = [
                round(training.evaluate(model, masked_lm.masked_loss, batches), 4),
                round(next_sentence_accuracy(model, batches), 4),
            ]
        history.append(row)
        looking += time.process_time() - begun
        print(row, flush=True)
        return row["English"][0]

    training.set_seed(0)
    encoder = Encoder(len(tokenizer), Settings(**SETTINGS), segments=2)
    model = masked_lm.MaskedLM(encoder)
    start = time.process_time()
    training.train(
        model,
        masked_lm.pretraining_loss,
        alternating(*map(paired, learned)),
        steps=STEPS,
        optimizer="adamw",
        learning_rate=LEARNING_RATE,
        weight_decay=0.01,
        schedule=training.linear,
        warmup=WARMUP,
        clip=1.0,
        validate=validate,
        every=EVERY,
        keep="last",
        checkpoint=ROOT / "_build" / "weights" / "bert.pt",
        device="cpu",
    )
    seconds = time.process_time() - start - looking
    model.half().float()  # what is measured is what is written
    final = validate(model)
    about = {
        "script": f"weights/{Path(__file__).name}",
        "data": "Brown, reviews of films, WikiText-2's validation split; text of World",
        "licence": "of the data: see weights/README.md",
        "settings": SETTINGS,
        "pieces": tokenizer.vocabulary,
        "steps": STEPS,
        "seconds": round(seconds),
        "history": history,
        "steps_between": EVERY,
    }
    pretrained.save_weights(model, FILE, about=about)
    info = pretrained.weights_info(FILE)
    print(f"{info.parameters:,} parameters, {info.size:,} bytes, {seconds:,.0f} seconds of CPU")
    print(f"{final:.4f} nats a masked piece of English held out")


@torch.no_grad()
def next_sentence_accuracy(model: nn.Module, batches: Sequence[EncoderBatch]) -> float:
    """Share of pairs whose label the model gives more probability."""
    right = [
        model.next_logits(model.encoder(b.ids, b.lengths, b.segments)).argmax(1) == b.labels
        for b in batches
    ]
    return float(torch.cat(right).float().mean())


class Task(NamedTuple):
    """Texts with answers in two parts, and how an encoder is trained for them and measured.

    kind : of head, of `HEADS`
    learn, measure : the texts to learn from, the most that a row of the table takes, and others
    answers : classes or tags there are
    """

    kind: str
    learn: Sequence[Any]
    measure: Sequence[Any]
    answers: tuple[str, ...] = ()


def tasks() -> dict[str, Task]:
    """What BERT is fine-tuned on: two tasks of real text, and two of World."""
    opinions = data.load("sentence_polarity").records
    order = np.random.default_rng(0).permutation(len(opinions))
    opinions = [(opinions[i].sentences[0], None, opinions[i].label) for i in order]
    chunks = data.load("conll2000").splits
    tags = sorted({tag for one in chunks["train"].records for tag in one.tags})
    order = np.random.default_rng(0).permutation(len(chunks["train"].records))
    return {
        "opinion": Task("class", opinions[1000:], opinions[:1000], ("neg", "pos")),
        "pairs": Task(
            "class",
            World(1).entailments(LABELS[-1] + 500),
            World(2).entailments(1000),
            ("contradicted", "entailed", "neutral"),
        ),
        "chunks": Task(
            "tag",
            [chunks["train"].records[i] for i in order],
            chunks["test"].records[:500],
            tuple(tags),
        ),
        "answers": Task("span", World(3).questions(LABELS[-1] + 500), World(4).questions(500)),
    }


class Run:
    """A task in the ids of a tokenizer: batches, heads and scores."""

    def __init__(self, task: Task, tokenizer: WordPiece, settings: Settings) -> None:
        self.task, self.tokenizer, self.settings = task, tokenizer, settings
        self.specials = specials_of(tokenizer)

    def text(self, words: Sequence[str]) -> np.ndarray:
        return self.tokenizer.encode(" ".join(words))

    def pack(self, examples: Sequence[Any]) -> tuple[list[Any], Any]:
        """Packed texts and their answers."""
        length, index = self.settings.length, self.task.answers.index
        if self.task.kind == "class":
            packed = [
                pack(self.text(a), None if b is None else self.text(b), self.specials, length)
                for a, b, _ in examples
            ]
            return packed, np.array([index(label) for _, _, label in examples])
        if self.task.kind == "tag":
            texts = [
                pack_words(list(map(self.word, one.tokens)), self.specials, length=length)
                for one in examples
            ]
            tags = [np.array(list(map(index, one.tags))) for one in examples]
            return [one.packed for one in texts], list(map(tag_targets, texts, tags))
        texts = [
            pack_words(
                list(map(self.word, one.passage)), self.specials, question=self.text(one.question)
            )
            for one in examples
        ]
        fits = [len(text.word) <= length for text in texts]  # nearly all
        texts, examples = (list(compress(some, fits)) for some in (texts, examples))
        spans = [
            span_tokens(text, one.start, one.end) for text, one in zip(texts, examples, strict=True)
        ]
        return texts, np.array(spans)

    def word(self, word: str) -> np.ndarray:
        """Its pieces; a word of signs alone may have none, and is unknown."""
        ids = self.tokenizer.encode(word)
        return ids if len(ids) else np.array([self.tokenizer.id("[UNK]")])

    def finetune(
        self, model: masked_lm.MaskedLM, labels: int, rate: float, seed: int, steps: int
    ) -> nn.Module:
        """A head on the model's encoder, both trained on so many examples."""
        generator = np.random.default_rng([seed, labels])
        chosen = generator.permutation(len(self.task.learn))[:labels]
        texts, answers = self.pack([self.task.learn[i] for i in chosen])
        training.set_seed(seed)
        head: nn.Module
        if self.task.kind == "class":
            number = len(self.task.answers)
            head = encoders.SequenceClassifier(model.encoder, number, model.pooler)
            loss: Any = encoders.classification_loss
            batches = task_batches(texts, self.specials, TASK_BATCH, labels=answers)
        elif self.task.kind == "tag":
            head = encoders.TokenClassifier(model.encoder, len(self.task.answers))
            loss = encoders.tagging_loss
            batches = task_batches(texts, self.specials, TASK_BATCH, targets=answers)
        else:
            head, loss = encoders.SpanReader(model.encoder), encoders.span_loss
            batches = span_batches(texts, answers, self.specials, TASK_BATCH)
        training.train(
            head,
            loss,
            batches,
            steps=steps,
            optimizer="adamw",
            learning_rate=rate,
            weight_decay=0.01,
            schedule=training.linear,
            warmup=steps // 10,
            clip=1.0,
            device="cpu",
            seed=seed,
            progress=False,
        )
        return head

    def score(self, head: nn.Module, examples: Sequence[Any]) -> float:
        """Share of right classes or spans; F1 of chunks."""
        texts, answers = self.pack(examples)
        if self.task.kind == "class":
            found = encoders.predict_classes(head, in_order(texts, self.specials, labels=answers))
            return float((found == answers).mean())
        if self.task.kind == "tag":
            found = encoders.predict_tags(head, in_order(texts, self.specials, targets=answers))
            names = np.array([*self.task.answers, "O"])  # what was cut off has no tag
            written = [
                names[np.pad(tags, (0, len(one.tags) - len(tags)), constant_values=-1)].tolist()
                for tags, one in zip(found, examples, strict=True)
            ]
            return tagging.entity_scores([one.tags for one in examples], written).overall.f1
        batches = [span_batch(texts[i : i + 64], self.specials) for i in range(0, len(texts), 64)]
        found = encoders.predict_spans(head, batches, LONGEST)
        return float((found == answers).all(axis=1).mean())


def new_model(size: int, seed: int) -> masked_lm.MaskedLM:
    """A network of the same form that has read nothing."""
    training.set_seed(seed)
    return masked_lm.MaskedLM(Encoder(size, Settings(**SETTINGS), segments=2))


def measure() -> None:
    """Fine-tune on each task with few and many labels, and write the table into the file.

    A task that the file has already is not done again.
    """
    about = pretrained.weights_info(FILE).about
    tokenizer = WordPiece(tuple(about["pieces"]))
    table = about.setdefault("table", {})
    for name, task in tasks().items():
        if name not in table:
            table[name] = {
                begun: compare(task, tokenizer, begun) for begun in ("pretrained", "from scratch")
            }
            print(name, table[name], flush=True)
            about["table_settings"] = {"steps": STEPS_OF, "seeds": SEEDS_OF, "batch": TASK_BATCH}
            model = new_model(len(tokenizer), 0)
            pretrained.load_weights(model, FILE)
            pretrained.save_weights(model, FILE, about=about)


def compare(task: Task, tokenizer: WordPiece, begun: str) -> dict[str, Any]:
    """A row of the table: scores for each number of labels and each seed.

    The learning rate is the better of two for 1,000 labels, on examples that are neither learned
    from nor in the table.
    """
    held_out = task.learn[-500:]
    run = Run(task._replace(learn=task.learn[:-500]), tokenizer, Settings(**SETTINGS))

    def head(labels: int, rate: float, seed: int) -> nn.Module:
        model = new_model(len(tokenizer), seed)
        if begun == "pretrained":
            pretrained.load_weights(model, FILE)
        return run.finetune(model, labels, rate, seed, STEPS_OF[labels])

    middle = LABELS[1]
    heads = {rate: head(middle, rate, SEEDS_OF[middle][0]) for rate in RATES}
    chosen_by = {rate: round(run.score(made, held_out), 4) for rate, made in heads.items()}
    rate = max(RATES, key=chosen_by.__getitem__)
    scores = {
        str(labels): [
            round(run.score(made, task.measure), 4)
            for seed in SEEDS_OF[labels]
            for made in [
                heads[rate]
                if (labels, seed) == (middle, SEEDS_OF[middle][0])
                else head(labels, rate, seed)
            ]
        ]
        for labels in LABELS
    }
    return {"learning_rate": rate, "of_rates": chosen_by, "scores": scores}


def main() -> None:
    """Pretrain, then fine-tune."""
    torch.set_num_threads(1)
    pretrain()
    measure()


if __name__ == "__main__":
    main()
