"""Fine-tuning what a frozen transformer reads: prefixes in each layer, prompts before the first.

A prefix is keys and values that every token may attend to, in each layer its own. A prompt is
vectors before those of the tokens, and nothing else: the layers make keys and values of it as of
any word. Both may be of several tasks, so that each row of a batch has that of its own task.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from nlp_course.attention import MultiHeadAttention, causal_mask
from nlp_course.cache import Cache, KeysValues
from nlp_course.finetuning import Wrapper
from nlp_course.positions import Position
from nlp_course.transformer import Encoder, EncoderDecoder, TransformerLM
from nlp_course.transformer_blocks import Block, Stack


class TaskWrapper(Wrapper):
    """Something added for each of several tasks.

    Parameters
    ----------
    base : the layer it is added to
    added : what is added for each task, task by task

    Attributes
    ----------
    added : the parameter
    rows : the task of each row of a batch; see `serving`
    """

    def __init__(self, base: nn.Module, added: Float[Tensor, "task ..."]) -> None:
        super().__init__()
        self.base, self.added = base, nn.Parameter(added)
        self.rows: Int[Tensor, "batch"] | None = None

    def of_rows(self, batch: int) -> Float[Tensor, "{batch} ..."]:
        """What is added, for each row of a batch.

        Raises
        ------
        ValueError : several tasks and it is not said whose a row is, or not for as many rows.
        """
        if self.rows is None:
            if len(self.added) > 1:
                raise ValueError(
                    f"which of {len(self.added)} tasks is each row of? Call the model inside "
                    "serving(model, rows)"
                )
            return self.added.expand(batch, *self.added.shape[1:])
        if len(self.rows) != batch:
            raise ValueError(f"{batch} rows need as many tasks, got {len(self.rows)}")
        return self.added[self.rows]


class PrefixAttention(TaskWrapper):
    """Self-attention whose tokens may attend to a learned prefix, too.

    output = attention(Q, [P_K; K], [P_V; V])

    Nothing attends from the prefix, and tokens stand where they would without it. The keys and
    values that are handed on, and kept in a cache, are those of the tokens alone.

    Parameters
    ----------
    base : the attention
    added : P_K and P_V of each task and head; the token axis is the fourth

    References
    ----------
    Li and Liang 2021, Prefix-Tuning: Optimizing Continuous Prompts for Generation.
    """

    base: MultiHeadAttention

    def forward(
        self,
        x: Float[Tensor, "batch query d"],
        *,
        mask: Bool[Tensor, "..."] | None = None,
        causal: bool = False,
        bias: Float[Tensor, "..."] | None = None,
        position: Position | None = None,
        past: KeysValues | None = None,
    ) -> tuple[Float[Tensor, "batch query d"], KeysValues]:
        """As `MultiHeadAttention`, for self-attention."""
        keys, values = self.of_rows(len(x)).unbind(1)  # (batch, heads, prefix, size) each
        length = keys.shape[2]
        if causal:
            mask = causal_mask(x.shape[1], x.shape[1], x.device)
        if mask is not None:
            mask = F.pad(mask, (length, 0), value=True)
        if bias is not None:
            bias = F.pad(bias, (length, 0))
        if past is not None:
            keys = torch.cat([keys, past.keys], dim=2)
            values = torch.cat([values, past.values], dim=2)
        output, seen = self.base(
            x, mask=mask, bias=bias, position=position, past=KeysValues(keys, values)
        )
        return output, KeysValues(seen.keys[:, :, length:], seen.values[:, :, length:])


class PromptedStack(TaskWrapper):
    """A stack that reads learned vectors before those of the tokens.

    h = stack([P; E w]), without its first rows, which are the prompt's

    The prompt stands at the first places, so that all tokens come later by its length. It is read
    where a text begins, and is in the cache from then on.

    Parameters
    ----------
    base : the stack
    added : P of each task, (task, prompt, d)

    References
    ----------
    Lester et al. 2021, The Power of Scale for Parameter-Efficient Prompt Tuning.
    """

    base: Stack

    def forward(
        self,
        x: Float[Tensor, "batch time d"],
        cache: Cache | None = None,
        *,
        mask: Bool[Tensor, "..."] | None = None,
        memory: tuple[KeysValues, ...] | None = None,
        memory_mask: Bool[Tensor, "..."] | None = None,
    ) -> tuple[Float[Tensor, "batch time d"], Cache]:
        """As `Stack`; vectors of the tokens alone, and a cache with the prompt in it.

        Raises
        ------
        ValueError : as for `Stack`; the prompt counts as tokens.
        """
        time, length = x.shape[1], self.added.shape[1]
        if mask is not None:
            mask = F.pad(mask, (length, 0), value=True)
        if cache is None:
            x = torch.cat([self.of_rows(len(x)), x], dim=1)
            if mask is not None and mask.shape[-2] > 1:  # a row a query, and the prompt asks too
                mask = F.pad(mask, (0, 0, length, 0), value=True)
        h, cache = self.base(x, cache, mask=mask, memory=memory, memory_mask=memory_mask)
        return h[:, -time:], cache

    def memories(self, encoded: Float[Tensor, "batch source d"]) -> tuple[KeysValues, ...]:
        """As `Stack.memories`."""
        return self.base.memories(encoded)


def add_prefix(model: nn.Module, length: int, *, tasks: int = 1, spread: float = 0.02) -> None:
    """Freeze a transformer, and give the self-attention of each block a `PrefixAttention`.

    Parameters
    ----------
    model : any with `Block` in it
    length : keys, and values, of a head
    tasks : how many prefixes, of which each row of a batch has one: see `serving`
    spread : standard deviation of the numbers at first

    Raises
    ------
    ValueError : no block, something added before, or a length, tasks or a spread that is not above
        0; then nothing is changed.

    Examples
    --------
    >>> from nlp_course.finetuning import count_parameters
    >>> from nlp_course.transformer import Settings
    >>> model = TransformerLM(10, Settings(dimension=8, heads=2, layers=3))
    >>> add_prefix(model, length=5)
    >>> count_parameters(model).trained  # 3 layers · keys and values · 5 · 8
    240
    """
    _check(length, tasks, spread)
    blocks = [module for module in model.modules() if isinstance(module, Block)]
    if not blocks:
        raise ValueError(f"there is no block in a {type(model).__name__} to give a prefix to")
    _check_plain([block.attention for block in blocks], MultiHeadAttention)
    model.requires_grad_(False)
    for block in blocks:
        attention = block.attention
        weight = attention.output.weight
        shape = tasks, 2, attention.heads, length, attention.head_size
        random = torch.randn(shape, device=weight.device, dtype=weight.dtype)
        block.attention = PrefixAttention(attention, spread * random)  # type: ignore[assignment]


def add_prompt(
    model: Encoder | TransformerLM | EncoderDecoder, length: int, *, tasks: int = 1
) -> None:
    """Freeze a transformer, and give the stack that reads its input a `PromptedStack`.

    The prompt begins as the vectors of words, drawn at random from torch's global generator.

    Parameters
    ----------
    model : the stack is `stack`, or the `encoder` of an encoder with a decoder
    length : vectors of a prompt
    tasks : how many prompts, of which each row of a batch has one: see `serving`

    Raises
    ------
    ValueError : something added to the stack before, or a length or tasks below 1; then nothing is
        changed.

    Examples
    --------
    >>> from nlp_course.finetuning import count_parameters
    >>> from nlp_course.transformer import Settings
    >>> model = TransformerLM(10, Settings(dimension=8, heads=2, layers=3))
    >>> add_prompt(model, length=5)
    >>> count_parameters(model).trained  # 5 · 8
    40
    """
    _check(length, tasks, 1.0)
    name = "encoder" if isinstance(model, EncoderDecoder) else "stack"
    stack = getattr(model, name)
    _check_plain([stack], Stack)
    words = torch.randint(model.embedding.num_embeddings, (tasks, length))
    drawn = model.embedding.weight.detach()[words.to(model.embedding.weight.device)]
    model.requires_grad_(False)
    setattr(model, name, PromptedStack(stack, drawn))


@contextmanager
def serving(model: nn.Module, rows: Int[Tensor, "batch"]) -> Iterator[None]:
    """Inside, each row of a batch has the prefix or the prompt of its own task.

    Parameters
    ----------
    model : with prefixes or prompts of several tasks
    rows : the task of each row

    Raises
    ------
    ValueError : there are no prefixes or prompts, or not of a task that is asked for.

    Examples
    --------
    >>> from nlp_course.transformer import Settings
    >>> model = TransformerLM(10, Settings(dimension=8, heads=2, layers=3))
    >>> add_prefix(model, length=5, tasks=2)
    >>> with serving(model, torch.tensor([1, 0, 1])):
    ...     logits, _ = model(torch.tensor([[7, 8], [7, 8], [7, 8]]))
    >>> torch.equal(logits[0], logits[2]), torch.equal(logits[0], logits[1])
    (True, False)
    """
    wrappers = [module for module in model.modules() if isinstance(module, TaskWrapper)]
    if not wrappers:
        raise ValueError("there is no prefix and no prompt in this model: see add_prefix")
    for wrapper in wrappers:
        tasks = len(wrapper.added)
        if ((rows < 0) | (rows >= tasks)).any():
            raise ValueError(
                f"tasks are 0 … {tasks - 1}, got {int(rows.min())} … {int(rows.max())}"
            )
    before = [wrapper.rows for wrapper in wrappers]
    try:
        for wrapper in wrappers:
            wrapper.rows = rows.to(wrapper.added.device)
        yield
    finally:
        for wrapper, old in zip(wrappers, before, strict=True):
            wrapper.rows = old


def _check(length: int, tasks: int, spread: float) -> None:
    for name, value in (("length", length), ("tasks", tasks)):
        if value < 1:
            raise ValueError(f"{name} must be at least 1, got {value}")
    if not spread > 0:
        raise ValueError(f"spread must be above 0, got {spread}")


def _check_plain(layers: list[nn.Module], kind: type[nn.Module]) -> None:
    if found := {type(layer).__name__ for layer in layers if not isinstance(layer, kind)}:
        raise ValueError(f"there is a {found.pop()} already: call finetuning.remove(model) before")
