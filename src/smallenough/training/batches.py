"""Which rows a step sees, and how they lie side by side in one pass. Pure, without torch.

Rows of one pass are laid end to end, without padding. What they all begin with (a system message, an instruction, the
chat template's own words) is laid down and computed once: in a causal model those tokens see nothing of what follows,
so their states are the same for every row, and the gradient that reaches them is the sum of the rows'. That is what
computing them for each row comes to, where no dropout is drawn.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_WORTH = 0.1
"""Share of all tokens that has to be saved by computing what rows share once: attention to it takes a little more."""


@dataclass(frozen=True, slots=True)
class Tokenized:
    """A row as tokens."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    """With the token that ends it."""

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)


@dataclass(frozen=True, slots=True)
class Pack:
    """Rows laid end to end behind what they share."""

    tokens: tuple[int, ...]
    positions: tuple[int, ...]
    """Of each token in its own row."""
    shared: int
    """Tokens at the beginning that every row sees before its own."""
    lengths: tuple[int, ...]
    """Of each row's own part."""
    places: tuple[int, ...]
    """Where the tokens stand from which an answer's tokens are predicted."""
    targets: tuple[int, ...]
    """The answers' tokens."""
    read: int
    """Tokens of all rows, as if each were computed whole."""


def pack(rows: Sequence[Tokenized], *, share: bool = True) -> Pack:
    """Lays rows end to end, the shortest first, so that those of one length lie together.

    Args:
        rows: at least one.
        share: whether what all prompts begin with is laid down once, where that saves enough.
    """
    ordered = sorted(rows, key=len)
    read = sum(map(len, ordered))
    shared = _shared([row.prompt for row in ordered]) if share else 0
    if shared * (len(ordered) - 1) < _WORTH * read:
        shared = 0
    tokens, positions = list(ordered[0].prompt[:shared]), list(range(shared))
    lengths: list[int] = []
    places: list[int] = []
    targets: list[int] = []
    for row in ordered:
        first = len(tokens) + len(row.prompt) - shared - 1
        own = (*row.prompt[shared:], *row.answer[:-1])  # nothing is predicted from the last token
        places += range(first, first + len(row.answer))
        targets += row.answer
        tokens += own
        positions += range(shared, shared + len(own))
        lengths.append(len(own))
    return Pack(tuple(tokens), tuple(positions), shared, tuple(lengths), tuple(places), tuple(targets), read)


def _shared(prompts: Sequence[Sequence[int]]) -> int:
    """Tokens that all prompts begin with, but for the last token of each."""
    least = min(map(len, prompts)) - 1
    first = prompts[0]
    return next((at for at in range(least) if any(prompt[at] != first[at] for prompt in prompts)), least)


def steps_of(count: int, size: int, epochs: int, steps: int | None) -> int:
    """How many steps a training has.

    Args:
        count: rows.
        size: rows a step.
        epochs: how often each row is seen.
        steps: so many instead.
    """
    return steps or epochs * math.ceil(count / size)


def step_rows(count: int, size: int, seed: int, step: int) -> list[int]:
    """The rows of a step, which is counted from 0: each epoch has an order of its own, and its last step may be short.

    It depends on nothing but these numbers, so that a training that goes on sees what it would have seen.
    """
    epoch, place = divmod(step, math.ceil(count / size))
    order = list(range(count))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return order[place * size : (place + 1) * size]


def passes(rows: Sequence[Tokenized], size: int, *, share: bool = True) -> Iterator[Pack]:
    """Rows as packs of `size` rows at most, those of like length together; `share` as `pack` takes it."""
    ordered = sorted(rows, key=len)
    for start in range(0, len(ordered), size):
        yield pack(ordered[start : start + size], share=share)


def rate(step: int, steps: int, warmup: float, schedule: str) -> float:
    """The learning rate of a step, counted from 0, as a share of the highest."""
    rising = math.ceil(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    if schedule == "constant" or steps == rising:
        return 1.0
    done = (step - rising) / (steps - rising)
    return 1.0 - done if schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))
