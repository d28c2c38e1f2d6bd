"""A small GPT: a step of training and generation with a cache, beside nanoGPT and Hugging Face.

    PEERS=~/peers python -m benchmarks.transformer [--rounds 30] [--threads 1]

PEERS names the folder in which nanoGPT lies, as nanoGPT/model.py; without it only Hugging Face's
GPT-2 is compared. All have nanoGPT's settings for a CPU: batches of 12 blocks of 64 characters of
tiny Shakespeare, 128 numbers in a vector, 4 heads, 4 layers, no dropout. nanoGPT and the course
beside it have no biases and the exact GELU; Hugging Face and the course beside it have biases and
GPT-2's GELU, and begin with the same weights. AdamW is torch's own for all.

Hugging Face's trained weights then generate 200 characters by `generate` and by `decoding`, which
must be the same. In every round one side runs after the other, timed in processor time; a ratio is
the median of the rounds' ratios.
"""

import argparse
import importlib.util
import os
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

# Nothing here is loaded by name, and asking for news costs a second.
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import numpy as np
import torch
import transformers
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_course import data, decoding, huggingface, training
from nlp_course.causal import random_blocks
from nlp_course.decoding_processors import TopP
from nlp_course.transformer import Settings, TransformerLM

HOW_TO_GET_IT = """\
nanoGPT is not there, and is left out. To have it, clone it and name the folder that it lies in:

    git clone https://github.com/karpathy/nanoGPT ~/peers/nanoGPT
    PEERS=~/peers python -m benchmarks.transformer
"""
BATCH, BLOCK = 12, 64
DIMENSION, HEADS, LAYERS, LENGTH = 128, 4, 4, 256
STEPS = 3  # of training in a round
PROMPT, NEW = 16, 200


def nanogpt() -> ModuleType | None:
    """Its one file as a module, or None, said aloud."""
    path = Path(os.environ.get("PEERS", ".")).expanduser() / "nanoGPT" / "model.py"
    if "PEERS" not in os.environ or not path.exists():
        print(HOW_TO_GET_IT)
        return None
    spec = importlib.util.spec_from_file_location("nanogpt_model", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def hugging_face(characters: int) -> nn.Module:
    """GPT-2 in this size."""
    config = transformers.GPT2Config(
        vocab_size=characters,
        n_positions=LENGTH,
        n_embd=DIMENSION,
        n_layer=LAYERS,
        n_head=HEADS,
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
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    model.train()

    def step(inputs: Tensor, targets: Tensor) -> float:
        loss = loss_on(inputs, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def compare_training(ids: np.ndarray, characters: int, rounds: int) -> nn.Module:
    """Train all in turn, print times and ratios, and return Hugging Face's model."""
    training.set_seed(0)
    theirs = hugging_face(characters)
    same = huggingface.gpt2(theirs, dropout=0.0)
    plain = TransformerLM(
        characters,
        Settings(dimension=DIMENSION, heads=HEADS, layers=LAYERS, length=LENGTH, bias=False),
    )
    sides = {
        "Hugging Face": stepper(theirs, lambda x, y: cross_entropy(theirs(x).logits, y)),
        "course": stepper(same, lambda x, y: cross_entropy(same(x)[0], y)),
        "course, no biases": stepper(plain, lambda x, y: cross_entropy(plain(x)[0], y)),
    }
    pairs = [("course", "Hugging Face")]
    module = nanogpt()
    if module is not None:
        config = module.GPTConfig(LENGTH, characters, LAYERS, HEADS, DIMENSION, 0.0, False)
        peer = module.GPT(config)
        sides["nanoGPT"] = stepper(peer, lambda x, y: peer(x, y)[1])
        pairs.append(("course, no biases", "nanoGPT"))
    batches = random_blocks(ids, BLOCK, BATCH, steps=STEPS * (rounds + 1))
    # nanoGPT wants targets that lie side by side in memory.
    drawn = [(x, y.contiguous()) for x, y in batches(np.random.default_rng(0))]
    seconds = {name: [] for name in sides}
    losses = {name: [] for name in sides}
    for first in range(0, len(drawn), STEPS):
        for name, step in sides.items():
            start = time.process_time()
            losses[name] += [step(*batch) for batch in drawn[first : first + STEPS]]
            seconds[name].append((time.process_time() - start) / STEPS)
    print(f"\ntraining, {rounds} rounds of {STEPS} steps{'ms a step':>14}{'last loss':>12}")
    for name in sides:
        # The first round is left out: it takes memory that the others find there.
        print(f"{name:34}{1e3 * np.median(seconds[name][1:]):>11.1f}{losses[name][-1]:>12.4f}")
    apart = np.abs(np.subtract(losses["course"], losses["Hugging Face"])).max()
    print(f"course and Hugging Face, from the same weights: losses apart by at most {apart:.0e}")
    for ours, peer_name in pairs:
        ratio = np.median(np.divide(seconds[peer_name][1:], seconds[ours][1:]))
        print(f"speed, {ours} / {peer_name}: {ratio:.2f}")
    return theirs


def compare_generation(theirs: nn.Module, ids: np.ndarray, rounds: int) -> None:
    """Write on with both in turn, and print times, ratios and whether the texts are the same."""
    theirs.eval()
    ours = huggingface.gpt2(theirs)
    prompt = torch.from_numpy(ids[None, :PROMPT].astype(np.int64))
    settings = {
        "attention_mask": torch.ones_like(prompt),
        "max_new_tokens": NEW,
        "pad_token_id": 0,
        "eos_token_id": None,
    }

    def generate(**how: object) -> Tensor:
        torch.manual_seed(0)
        return theirs.generate(prompt, **settings, **how)[:, PROMPT:]

    ways = {
        "greedy": (
            lambda: generate(do_sample=False),
            lambda: decoding.greedy(ours, prompt, NEW),
        ),
        "top p 0.9": (
            lambda: generate(do_sample=True, top_k=0, top_p=0.9),
            lambda: decoding.sample(ours, prompt, NEW, processors=[TopP(0.9)], seed=0),
        ),
        "beam search, 4 beams": (
            lambda: generate(do_sample=False, num_beams=4),
            lambda: decoding.beam_search(ours, prompt, NEW, 4).ids[:, 0],
        ),
    }
    print(
        f"\ngeneration, {NEW} characters{'Hugging Face':>14}{'course':>10}{'ratio':>8}{'same':>8}"
    )
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
            f"{np.median(slow / fast):>8.2f}{'yes' if same else 'NO':>8}",
            flush=True,
        )


def main() -> None:
    """Read the settings, train, generate, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30, help="of training; a third to generate")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    transformers.logging.set_verbosity_error()
    text = "".join(data.load("tinyshakespeare").text)
    characters = sorted(set(text))
    place = {character: number for number, character in enumerate(characters)}
    ids = np.array([place[character] for character in text])
    print(
        f"d {DIMENSION}, {HEADS} heads, {LAYERS} layers, {len(characters)} characters; batches of "
        f"{BATCH} blocks of {BLOCK}; {arguments.threads} thread(s), torch {torch.__version__}, "
        f"transformers {transformers.__version__}"
    )
    theirs = compare_training(ids, len(characters), arguments.rounds)
    compare_generation(theirs, ids, max(1, arguments.rounds // 3))


if __name__ == "__main__":
    main()
