"""DPO: a step of training on a tiny GPT-2, beside TRL's DPOTrainer.

    python -m benchmarks.dpo [--rounds 5] [--steps 40]

Both begin with the same weights and see the same pairs in the same order: prompts of 16 tokens,
then of 4, answers of 32 and the token that ends them, so nothing is padding. β, AdamW, the learning
rate and the clipping of gradients are the same, and both know the reference's log-probabilities
before they begin. The course is `alignment_dpo` and `training.train`, on its own GPT-2 with those
weights.

A step is timed from the end of one to the end of the next, in processor time, so that fetching the
batch counts; a round's figure is its median. The losses of all steps are compared.
"""

import os
import tempfile
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

# Nothing here is loaded by name, and asking for news costs a second.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
import transformers
from torch import Tensor, nn

from benchmarks import results
from nlp_course import alignment_dpo, huggingface, training

PEER, GOAL = "TRL DPOTrainer", 1.5
VOCABULARY, STOP, PAD = 512, 0, 1
PROMPTS, ANSWER, BATCH = (16, 4), 32, 8  # the goal is for the first
LEARNING_RATE, BETA, CLIP = 1e-4, 0.1, 1.0


class Side(NamedTuple):
    """Seconds and loss of each step of a round."""

    seconds: list[float]
    losses: list[float]


def gpt2() -> nn.Module:
    """The same weights at each call."""
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=max(PROMPTS) + ANSWER + 2,
        n_embd=128,
        n_layer=4,
        n_head=4,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=STOP,
        eos_token_id=STOP,
        pad_token_id=PAD,
    )
    return transformers.GPT2LMHeadModel(config)


def pairs(steps: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """Prompts, chosen and rejected answers of random tokens, as many as the steps need."""
    rng = np.random.default_rng(0)
    size = steps * BATCH
    prompts = rng.integers(PAD + 1, VOCABULARY, (size, length))
    answers = rng.integers(PAD + 1, VOCABULARY, (2, size, ANSWER + 1))
    answers[..., -1] = STOP
    return torch.from_numpy(prompts), *map(torch.from_numpy, answers)


def train_course(texts: tuple[Tensor, Tensor, Tensor], steps: int) -> Side:
    """The course's step, on batches in the order of the texts."""
    model = huggingface.gpt2(gpt2(), dropout=0.0)
    reference = huggingface.gpt2(gpt2(), dropout=0.0).eval()
    shuffled = alignment_dpo.preference_batches(
        reference, *texts, stop=STOP, batch_size=steps * BATCH
    )
    (everything,) = shuffled(np.random.default_rng(0))
    # `preference_batches` shuffles; TRL is to see the same pairs at the same step.
    place = {tuple(prompt.tolist()): row for row, prompt in enumerate(everything[0])}
    rows = torch.tensor([place[tuple(prompt.tolist())] for prompt in texts[0]])
    ordered = [column[rows] for column in everything]
    batches = list(zip(*(column.split(BATCH) for column in ordered), strict=True))
    objective = alignment_dpo.preference_objective(
        partial(alignment_dpo.dpo_loss, beta=BETA), stop=STOP
    )
    side = Side([], [])

    def loss(model: nn.Module, batch: tuple[Tensor, ...]) -> tuple[Tensor, int]:
        total, size = objective(model, batch)
        side.losses.append(total.item() / size)
        return total, size

    ends = [time.process_time()]
    training.train(
        model,
        loss,
        lambda _rng: iter(batches),
        steps=steps,
        optimizer="adamw",
        learning_rate=LEARNING_RATE,
        clip=CLIP,
        device="cpu",
        progress=False,
        on_step=lambda *_: ends.append(time.process_time()),
    )
    side.seconds.extend(np.diff(ends))
    return side


def train_trl(trl: Any, texts: tuple[Tensor, Tensor, Tensor], steps: int, folder: str) -> Side:
    """TRL's step, on the same pairs in the same order."""
    import datasets
    from torch.utils.data import SequentialSampler

    datasets.disable_progress_bars()
    side, ends = Side([], []), []

    class InOrder(trl.DPOTrainer):
        """Keeps the order of the pairs, and each step's loss."""

        def _get_train_sampler(self, *_: object) -> SequentialSampler:
            return SequentialSampler(self.train_dataset)

        def compute_loss(self, *arguments: Any, **others: Any) -> Any:
            found = super().compute_loss(*arguments, **others)
            side.losses.append((found[0] if isinstance(found, tuple) else found).item())
            return found

    class Clock(transformers.TrainerCallback):
        """Tells when training begins and when each step ends."""

        def on_train_begin(self, *_: object, **__: object) -> None:
            ends.append(time.process_time())

        def on_step_end(self, *_: object, **__: object) -> None:
            ends.append(time.process_time())

    config = trl.DPOConfig(
        output_dir=folder,
        per_device_train_batch_size=BATCH,
        max_steps=steps,
        learning_rate=LEARNING_RATE,
        lr_scheduler_type="constant",
        weight_decay=0.0,
        max_grad_norm=CLIP,
        beta=BETA,
        max_length=max(PROMPTS) + ANSWER + 1,
        precompute_ref_log_probs=True,
        activation_checkpointing=False,
        bf16=False,
        use_cpu=True,
        disable_tqdm=True,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
    )
    written = [[words(row) for row in column.tolist()] for column in texts]
    rows = [
        # TRL appends the token that ends an answer.
        {"prompt": prompt, "chosen": f" {chosen}", "rejected": f" {rejected}"}
        for prompt, chosen, rejected in zip(*written, strict=True)
    ]
    trainer = InOrder(
        model=gpt2(),
        ref_model=gpt2(),
        args=config,
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=tokenizer(),
        callbacks=[Clock()],
    )
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    side.seconds.extend(np.diff(ends))
    return side


def words(ids: list[int]) -> str:
    """Tokens as the words that `tokenizer` knows, without the last if it is the end."""
    return " ".join(f"t{token}" for token in ids if token != STOP)


def tokenizer() -> transformers.PreTrainedTokenizerFast:
    """A word for each token."""
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {"<stop>": STOP, "<pad>": PAD}
    vocabulary |= {f"t{token}": token for token in range(PAD + 1, VOCABULARY)}
    made = Tokenizer(models.WordLevel(vocabulary, unk_token="<pad>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="<stop>", pad_token="<pad>", unk_token="<pad>"
    )


def library() -> Any:
    """TRL, or None, said aloud."""
    try:
        import datasets  # noqa: F401  # which TRL needs for its data
        import trl
    except ImportError:
        results.say_absent(PEER)
        return None
    return trl


def work(length: int) -> str:
    """The row's name."""
    return f"DPO: a step, 4 layers, d 128, 8 pairs, prompts of {length} tokens"


def compare(trl: Any, steps: int, rounds: int, length: int) -> results.Row:
    """Train both in turn, print a table, and return the row."""
    print(f"\n{work(length)}")
    print(f"{'':8}{'round':>6}{'ms a step':>12}{'first loss':>12}{'last loss':>12}")
    texts = pairs(steps, length)
    ours, theirs, apart = [], [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        sides: dict[str, Callable[[], Side]] = {
            "TRL": lambda: train_trl(trl, texts, steps, folder),
            "course": lambda: train_course(texts, steps),
        }
        for number in range(rounds):
            found = {name: side() for name, side in sides.items()}
            for name, side in found.items():
                # The first step is left out: it takes memory that the others find there.
                milliseconds = 1e3 * np.median(side.seconds[1:])
                (ours if name == "course" else theirs).append(milliseconds)
                first, last = side.losses[0], side.losses[-1]
                print(f"{name:8}{number:>6}{milliseconds:>12.1f}{first:>12.4f}{last:>12.4f}")
            both = np.subtract(*(side.losses for side in found.values()))
            apart = max(apart, float(np.abs(both).max()))
    whole = length + ANSWER + 1
    note = (
        f"losses of {steps} steps apart by at most {apart:.0e}; {length} of {whole} tokens are the "
        "prompt, which the course reads once for both answers"
    )
    goal, same = GOAL if length == PROMPTS[0] else None, apart < 1e-3
    return results.compared(work(length), PEER, ours, theirs, "ms", goal, note=note, same=same)


def main() -> None:
    """Read the settings, train, print."""
    parser = results.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40, help="of a round; at least 2")
    options = parser.parse_args()
    if options.steps < 2:
        parser.error("the first step is left out, so --steps must be at least 2")
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    trl = library()
    if trl is None:
        rows = [results.absent(work(PROMPTS[0]), PEER, GOAL)]
    else:
        rows = [compare(trl, options.steps, options.rounds, length) for length in PROMPTS]
    results.finish("dpo", options, rows, results.installed("trl", "transformers"))


if __name__ == "__main__":
    main()
