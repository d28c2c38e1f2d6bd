"""A small GPT: a step of training and generation with a cache, beside nanoGPT and Hugging Face.

    PEERS=_build/peers python -m benchmarks.transformer [--rounds 30] [--larger 5]

PEERS names the folder in which nanoGPT lies, as nanoGPT/model.py; without it only Hugging Face's
GPT-2 is compared. All have nanoGPT's settings for a CPU: batches of 12 blocks of 64 characters of
tiny Shakespeare, 128 numbers in a vector, 4 heads, 4 layers, no dropout. nanoGPT and the course
beside it have no biases and the exact GELU; Hugging Face and the course beside it have biases and
GPT-2's GELU, and begin with the same weights. AdamW is torch's own for all, fused. Then the same
for a larger one: 6 layers, 6 heads, 384 numbers, 4 blocks of 256.

The smaller one's weights, as Hugging Face's side has trained them, then generate 200 characters by
`generate` and by `decoding`, which must be the same. In every round one side runs after the other,
timed in processor time; a ratio is the median of the rounds' ratios.
"""

import importlib.util
import os
import time
from collections.abc import Callable
from types import ModuleType
from typing import NamedTuple

# Nothing here is loaded by name, and asking for news costs a second.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from benchmarks import results
from benchmarks.results import Row
from nlp_course import data, decoding, huggingface, training
from nlp_course.causal import random_blocks
from nlp_course.decoding_processors import TopP
from nlp_course.transformer import Settings, TransformerLM

HUGGING_FACE, NANOGPT = "Hugging Face GPT-2", "nanoGPT"
GOAL_HUGGING_FACE, GOAL_NANOGPT, GOAL_GENERATION = 1.25, 1.0, 2.5
# Operations in which torch computes, and which any such model has to call.
KERNELS = (
    "mm",
    "scaled_dot",
    "layer_norm",
    "gelu",
    "log_softmax",
    "nll_loss",
    "embedding",
    "adamw",
)
TRIED = (
    "Tried, and kept: queries, keys and values are taken apart before they are turned, so that "
    "their gradients are put together in one copy, not two, which takes 1 to 2 % off a step; AdamW "
    "fused, which takes off a tenth, on all sides"
)
TRIED_GENERATION = (
    "Tried, and kept: parts of modules at hand (a seventh off), room in the cache for further "
    "tokens, one draw without checks, beams that stay where they are; tried, and not: modules "
    "called without their hooks, since some may be there"
)
LENGTH = 256
STEPS = 3  # of training in a round
PROMPT = 16


class Size(NamedTuple):
    """A model, and the batches that it learns from."""

    layers: int
    heads: int
    dimension: int
    batch: int
    block: int

    def __str__(self) -> str:
        return f"{self.layers} layers, d {self.dimension}, {self.batch} blocks of {self.block}"


SMALL, LARGER = Size(4, 4, 128, 12, 64), Size(6, 6, 384, 4, 256)


def nanogpt() -> ModuleType | None:
    """Its one file as a module, or None, said aloud."""
    path = results.peer_path("nanoGPT", "model.py")
    if path is None:
        results.say_absent(NANOGPT)
        return None
    spec = importlib.util.spec_from_file_location("nanogpt_model", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def hugging_face(size: Size, characters: int) -> nn.Module:
    """GPT-2 in a size."""
    config = transformers.GPT2Config(
        vocab_size=characters,
        n_positions=LENGTH,
        n_embd=size.dimension,
        n_layer=size.layers,
        n_head=size.heads,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=0,
        eos_token_id=None,
    )
    return transformers.GPT2LMHeadModel(config)


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean loss."""
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def stepper(
    model: nn.Module, loss_on: Callable[[Tensor, Tensor], Tensor]
) -> Callable[[Tensor, Tensor], float]:
    """A function that trains a model on a batch and returns the mean loss."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=True)
    model.train()

    def step(inputs: Tensor, targets: Tensor) -> float:
        loss = loss_on(inputs, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def share_of_kernels(
    step: Callable[[Tensor, Tensor], float], inputs: Tensor, targets: Tensor
) -> float:
    """How much of a step's time in operations `KERNELS` have, by torch's profiler."""
    with profile(activities=[ProfilerActivity.CPU]) as profiled:
        step(inputs, targets)
    operations = profiled.key_averages()
    inside = sum(
        operation.self_cpu_time_total
        for operation in operations
        if operation.key.startswith("aten::") and any(name in operation.key for name in KERNELS)
    )
    return inside / sum(operation.self_cpu_time_total for operation in operations)


def compare_training(
    size: Size, ids: np.ndarray, characters: int, rounds: int
) -> tuple[list[Row], nn.Module]:
    """Train all in turn, print times, and return the rows and Hugging Face's model."""
    training.set_seed(0)
    theirs = hugging_face(size, characters)
    same = huggingface.gpt2(theirs, dropout=0.0)
    plain = TransformerLM(
        characters,
        Settings(
            dimension=size.dimension,
            heads=size.heads,
            layers=size.layers,
            length=LENGTH,
            bias=False,
        ),
    )
    sides = {
        # Its Trainer keeps no cache either.
        "Hugging Face": stepper(
            theirs, lambda x, y: cross_entropy(theirs(x, use_cache=False).logits, y)
        ),
        "course": stepper(same, lambda x, y: cross_entropy(same(x)[0], y)),
        "course, no biases": stepper(plain, lambda x, y: cross_entropy(plain(x)[0], y)),
    }
    module = nanogpt()
    if module is not None:
        config = module.GPTConfig(
            LENGTH, characters, size.layers, size.heads, size.dimension, 0.0, False
        )
        peer = module.GPT(config)
        sides["nanoGPT"] = stepper(peer, lambda x, y: peer(x, y)[1])
    batches = random_blocks(ids, size.block, size.batch, steps=STEPS * (rounds + 1))
    # nanoGPT wants targets that lie side by side in memory.
    drawn = [(x, y.contiguous()) for x, y in batches(np.random.default_rng(0))]
    seconds = {name: [] for name in sides}
    losses = {name: [] for name in sides}
    for first in range(0, len(drawn), STEPS):
        for name, step in sides.items():
            start = time.process_time()
            losses[name] += [step(*batch) for batch in drawn[first : first + STEPS]]
            seconds[name].append((time.process_time() - start) / STEPS)
    print(f"\n{size}; {rounds} rounds of {STEPS} steps")
    print(f"{'':34}{'ms a step':>11}{'last loss':>12}")
    for name in sides:
        # The first round is left out: it takes memory that the others find there.
        print(f"{name:34}{1e3 * np.median(seconds[name][1:]):>11.1f}{losses[name][-1]:>12.4f}")
    apart = np.abs(np.subtract(losses["course"], losses["Hugging Face"])).max()
    milliseconds = {name: 1e3 * np.array(each[1:]) for name, each in seconds.items()}

    def why(course: str, peer: str) -> str:
        share = share_of_kernels(sides[course], *drawn[-1])
        bound = np.median(milliseconds[peer]) / np.median(milliseconds[course]) / share
        return (
            f"torch's profiler finds {share:.0%} of the course's step in products, attention, "
            "norms, GELU, loss and AdamW, which the peer has to wait for, too; were all else for "
            f"nothing, the ratio would be {bound:.2f}. {TRIED}"
        )

    work = f"GPT: a step, {size}"
    same_weights = results.compared(
        work,
        HUGGING_FACE,
        milliseconds["course"],
        milliseconds["Hugging Face"],
        "ms",
        GOAL_HUGGING_FACE,
        note=f"losses from the same weights apart by at most {apart:.0e}",
        why=why("course", "Hugging Face"),
        same=bool(apart < 1e-3),
    )
    if module is None:
        no_biases = results.absent(work, NANOGPT, GOAL_NANOGPT)
    else:
        no_biases = results.compared(
            work,
            NANOGPT,
            milliseconds["course, no biases"],
            milliseconds["nanoGPT"],
            "ms",
            GOAL_NANOGPT,
            why=why("course, no biases", "nanoGPT"),
        )
    return [same_weights, no_biases], theirs


@torch.inference_mode()
def flat(model: TransformerLM, prompt: Tensor, new: int) -> Tensor:
    """Greedy search as one loop of calls of torch, for this one kind of model and one text.

    Keys and values have their places, and that is all: no modules, checks, processors or stops.
    """
    size, heads = model.settings.dimension, model.settings.heads
    layers = [
        (
            (block.attention_norm.weight, block.attention_norm.bias),
            (block.attention.project.weight, block.attention.project.bias),
            (block.attention.output.weight, block.attention.output.bias),
            (block.feed_forward_norm.weight, block.feed_forward_norm.bias),
            (block.feed_forward.widen.weight, block.feed_forward.widen.bias),
            (block.feed_forward.narrow.weight, block.feed_forward.narrow.bias),
            torch.zeros(2, 1, heads, prompt.shape[1] + new, size // heads),
        )
        for block in model.stack.blocks
    ]
    last = model.stack.last_norm.weight, model.stack.last_norm.bias
    places, words = model.stack.position.vectors, model.embedding.weight
    ids, begin, found = prompt[0], 0, []
    for _ in range(new):
        end = begin + len(ids)
        x = words[ids] + places[begin:end]  # (time, d)
        for norm, project, output, second_norm, widen, narrow, memory in layers:
            projected = F.linear(F.layer_norm(x, (size,), *norm), *project)
            q, k, v = projected.view(1, len(ids), 3, heads, -1).transpose(1, 3).unbind(2)
            memory[0, :, :, begin:end], memory[1, :, :, begin:end] = k, v
            keys, values = memory[:, :, :, :end]
            mixed = F.scaled_dot_product_attention(q, keys, values, is_causal=begin == 0)
            x = x + F.linear(mixed.transpose(1, 2).reshape(len(ids), size), *output)
            hidden = F.linear(F.layer_norm(x, (size,), *second_norm), *widen)
            x = x + F.linear(F.gelu(hidden, approximate="tanh"), *narrow)
        ids = F.linear(F.layer_norm(x[-1:], (size,), *last), words).argmax(dim=-1)
        found.append(ids)
        begin = end
    return torch.stack(found, dim=1)


def compare_generation(theirs: nn.Module, ids: np.ndarray, new: int, rounds: int) -> list[Row]:
    """Write on with both in turn, print times and whether the texts are the same; the rows."""
    theirs.eval()
    ours = huggingface.gpt2(theirs)
    prompt = torch.from_numpy(ids[None, :PROMPT].astype(np.int64))
    settings = {
        "attention_mask": torch.ones_like(prompt),
        "max_new_tokens": new,
        "pad_token_id": 0,
        "eos_token_id": None,
    }

    def generate(**how: object) -> Tensor:
        torch.manual_seed(0)
        return theirs.generate(prompt, **settings, **how)[:, PROMPT:]

    ways = {
        "greedy": (
            lambda: generate(do_sample=False),
            lambda: decoding.greedy(ours, prompt, new),
        ),
        "top p 0.9": (
            lambda: generate(do_sample=True, top_k=0, top_p=0.9),
            lambda: decoding.sample(ours, prompt, new, processors=[TopP(0.9)], seed=0),
        ),
        "beam search, 4 beams": (
            lambda: generate(do_sample=False, num_beams=4),
            lambda: decoding.beam_search(ours, prompt, new, 4).ids[:, 0],
        ),
    }
    bare, taken = flat(ours, prompt, new), []
    for _ in range(rounds):
        start = time.process_time()
        flat(ours, prompt, new)
        taken.append(time.process_time() - start)
    same = "the same" if torch.equal(bare, decoding.greedy(ours, prompt, new)) else "OTHER"
    why = (
        f"greedy search written as one loop of the same calls of torch, for this model and one "
        f"text alone, with {same} tokens, takes {results.written(np.median(taken))} s; modules, "
        "checks, stops, processors and a cache that several may go on from come on top: they are "
        f"what the course is read for. {TRIED_GENERATION}"
    )
    print(f"\n{f'{new} characters':26}{'Hugging Face':>14}{'course':>10}{'same':>8}")
    rows = []
    for name, (peer, course) in ways.items():
        same = torch.equal(peer(), course())
        seconds = []
        for _ in range(rounds):
            start = time.process_time()
            peer()
            between = time.process_time()
            course()
            seconds.append((between - start, time.process_time() - between))
        slow, fast = np.array(seconds).T
        print(
            f"{name:26}{np.median(slow):>12.2f} s{np.median(fast):>8.2f} s"
            f"{'yes' if same else 'NO':>8}",
            flush=True,
        )
        rows.append(
            results.compared(
                f"GPT: generate {new} tokens, {name}",
                "Hugging Face generate",
                fast,
                slow,
                "s",
                GOAL_GENERATION,
                note=f"the tokens are {'' if same else 'NOT '}the same",
                same=same,
                why=why,
            )
        )
    return rows


def main() -> None:
    """Read the settings, train, generate, print."""
    parser = results.parser(__doc__)
    parser.add_argument("--rounds", type=int, default=30, help="of training; a third to generate")
    parser.add_argument("--larger", type=int, default=5, help="rounds of the larger; 0: none")
    parser.add_argument("--new", type=int, default=200, help="characters to generate")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    text = "".join(data.load("tinyshakespeare").text)
    characters = sorted(set(text))
    place = {character: number for number, character in enumerate(characters)}
    ids = np.array([place[character] for character in text])
    print(
        f"{len(characters)} characters; one thread, torch {torch.__version__}, "
        f"transformers {transformers.__version__}"
    )
    rows, theirs = compare_training(SMALL, ids, len(characters), arguments.rounds)
    if arguments.larger:
        rows += compare_training(LARGER, ids, len(characters), arguments.larger)[0]
    rows += compare_generation(theirs, ids, arguments.new, max(1, arguments.rounds // 3))
    peers = results.installed("transformers") | results.checked_out("nanoGPT", "nanoGPT")
    results.finish("transformer", arguments, rows, peers)


if __name__ == "__main__":
    main()
