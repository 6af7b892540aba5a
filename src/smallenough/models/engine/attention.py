"""Attention over what is remembered, for one pass of a model: transformers calls it once a layer.

A pass reads parts of prompts, or steps: one new token for each sequence of a batch; or it branches: reads several ways
in which one sequence may go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as functional

from smallenough.models.engine.loading import check_attention
from smallenough.models.engine.memory import Memory, Shelf, Store

_MULTIPLE = 8
"""A step's products span multiples of so many tokens. They fill a processor's vectors: what is masked at the end adds
zeros, and does not change in which order the rest is summed up."""

_LEAST = 64
"""The shorter of two spans that are tried."""


class Attention:
    """What `AttentionInterface` is given; `now` is the pass that is going on."""

    def __init__(self) -> None:
        self.now: Reading | Stepping | Branching | None = None

    def __call__(
        self, module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **options: Any
    ) -> tuple[Any, None]:
        """Query, key and value are (1, heads, rows, width); the answer is (1, rows, heads, width)."""
        check_attention(module, options)
        assert self.now is not None
        return self.now.attend(module.layer_idx, query, key, value, options), None


class Reading:
    """A pass over parts of prompts, each of which is attended to by itself, whatever else is in the pass.

    Args:
        parts: sequences, and how many tokens of each; a sequence's parts stand in their order.
    """

    def __init__(self, parts: Sequence[tuple[Memory, int]]) -> None:
        self._parts: list[_Part] = []
        ends: dict[Memory, int] = {}
        for memory, new in parts:
            start = ends.get(memory, memory.length)
            ends[memory] = start + new
            self._parts.append(_Part(memory, start, start + new))

    @property
    def positions(self) -> list[int]:
        """Of each token in its sequence."""
        return [place for part in self._parts for place in range(part.start, part.end)]

    def attend(self, layer: int, query: Any, key: Any, value: Any, options: dict[str, Any]) -> Any:
        """Remembers keys and values, and looks with every new token at all of its sequence up to itself."""
        done, at = [], 0
        for part in self._parts:
            own = slice(at, at + part.end - part.start)
            done.append(part.attend(layer, query[:, :, own], key[0, :, own], value[0, :, own], options))
            at = own.stop
        return torch.cat(done, 1)


class _Part:
    """Some tokens of one prompt: those from `start` to `end`."""

    def __init__(self, memory: Memory, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self._memory = memory
        self._masks: dict[int | None, Any] = {}

    def attend(self, layer: int, query: Any, key: Any, value: Any, options: dict[str, Any]) -> Any:
        """Query is (1, heads, tokens, width), key and value are (heads, tokens, width)."""
        memory, end = self._memory, self.end
        keys, values = memory.shelf.layer(layer, key[None], value[None])
        keys[memory.row, :, self.start : end] = key
        values[memory.row, :, self.start : end] = value
        row = slice(memory.row, memory.row + 1)
        shared = query.shape[1] // keys.shape[1]
        seen_keys, seen_values = (held[row, :, :end].repeat_interleave(shared, 1) for held in (keys, values))
        mask = self._mask(options.get("sliding_window"), query)
        return _product(query.contiguous(), seen_keys, seen_values, mask, options).transpose(1, 2)

    def _mask(self, window: int | None, like: Any) -> Any:
        if window not in self._masks:
            self._masks[window] = _hidden(self._visible(window, like.device), like)
        return self._masks[window]

    def _visible(self, window: int | None, place: Any) -> Any:
        """Which of the sequence's tokens each of these sees."""
        return _seen(torch.arange(self.start, self.end, device=place)[:, None], self.end, window)


class Branching:
    """A pass over tokens each of which may follow what a sequence remembers, or another one of them.

    Args:
        memory: the sequence, with room for all of them; what is written there is of no use later.
        parents: of each token, the place of the one before it, which comes earlier; -1: it follows the sequence.
    """

    def __init__(self, memory: Memory, parents: Sequence[int]) -> None:
        lines: list[list[int]] = []
        for place, parent in enumerate(parents):
            lines.append([*(lines[parent] if parent >= 0 else ()), place])
        self._branches = _Branches(memory, lines)
        self.positions = [memory.length + len(line) - 1 for line in lines]
        """Of each token in its sequence."""

    def attend(self, layer: int, query: Any, key: Any, value: Any, options: dict[str, Any]) -> Any:
        """Looks with every token at the sequence, at those before it in its own branch, and at itself."""
        return self._branches.attend(layer, query, key[0], value[0], options)


class _Branches(_Part):
    """Tokens after a sequence's end, of which each sees its own line alone."""

    def __init__(self, memory: Memory, lines: Sequence[Sequence[int]]) -> None:
        super().__init__(memory, memory.length, memory.length + len(lines))
        self._lines = lines

    def _visible(self, window: int | None, place: Any) -> Any:
        visible = torch.zeros((len(self._lines), self.end), dtype=torch.bool, device=place)
        for row, line in enumerate(self._lines):
            position = self.start + len(line) - 1
            first = max(0, position - window + 1) if window else 0
            visible[row, first : self.start] = True
            seen = line[-window:] if window else line
            visible[row, [self.start + one for one in seen]] = True
        return visible


class Stepping:
    """A pass over one new token for each sequence of a batch, in the store's order; rows after those are empty.

    Args:
        store: the batch's.
        place: the torch device.
    """

    def __init__(self, store: Store, place: Any) -> None:
        self._groups = [_Group(shelf, place) for shelf in store.shelves()]

    def attend(self, layer: int, query: Any, key: Any, value: Any, options: dict[str, Any]) -> Any:
        """Remembers keys and values, and looks with each new token at all of its own sequence."""
        done, at = [], 0
        for group in self._groups:
            own, keys, values = (part[0, :, at : at + group.size].transpose(0, 1) for part in (query, key, value))
            done.append(group.attend(layer, own, keys, values, options))
            at += group.size
        if at < query.shape[2]:
            done.append(value.new_zeros((query.shape[2] - at, query.shape[1], value.shape[3])))
        return torch.cat(done).unsqueeze(0)


class _Group:
    """The part of a step on one shelf."""

    def __init__(self, shelf: Shelf, place: Any) -> None:
        self.size = len(shelf.members)
        self._shelf = shelf
        lengths = [memory.length for memory in shelf.members]
        self._rows = torch.arange(self.size, device=place)
        self._ends = torch.tensor(lengths, device=place)
        self._span = -(-(max(lengths) + 1) // _MULTIPLE) * _MULTIPLE
        self._masks: dict[int | None, Any] = {}

    def attend(self, layer: int, query: Any, key: Any, value: Any, options: dict[str, Any]) -> Any:
        """Query, key and value are (sequences, heads, width); the answer too."""
        keys, values = self._shelf.layer(layer, key[:, :, None], value[:, :, None])
        keys[self._rows, :, self._ends] = key
        values[self._rows, :, self._ends] = value
        # The heads that share keys stand as rows of one product.
        grouped = query.reshape(self.size, keys.shape[1], -1, query.shape[2])
        mask = self._mask(options.get("sliding_window"), query)
        seen_keys, seen_values = (held[: self.size, :, : self._span] for held in (keys, values))
        return _product(grouped, seen_keys, seen_values, mask, options).reshape(self.size, query.shape[1], -1)

    def _mask(self, window: int | None, like: Any) -> Any:
        if window not in self._masks:
            self._masks[window] = _mask(self._ends[:, None, None, None], self._span, window, like)
        return self._masks[window]


def _mask(rows: Any, span: int, window: int | None, like: Any) -> Any:
    """What is added to the weights of tokens at `rows` for those at 0 … `span`: 0, or -inf for what they don't see."""
    return _hidden(_seen(rows, span, window), like)


def _seen(rows: Any, span: int, window: int | None) -> Any:
    """Which of the tokens at 0 … `span` those at `rows` see."""
    columns = torch.arange(span, device=rows.device)
    visible = columns <= rows
    return visible & (columns > rows - window) if window else visible


def _hidden(visible: Any, like: Any) -> Any:
    return torch.zeros(visible.shape, dtype=like.dtype, device=like.device).masked_fill(~visible, float("-inf"))


def _product(query: Any, keys: Any, values: Any, mask: Any, options: dict[str, Any]) -> Any:
    """Attention proper: (…, new, width) over (…, seen, width), with `scaling` and `softcap` of the options."""
    scale, cap = options.get("scaling"), options.get("softcap")
    if cap is None:
        return functional.scaled_dot_product_attention(query, keys, values, attn_mask=mask, scale=scale)
    weights = cap * torch.tanh(query @ keys.mT * (scale or query.shape[-1] ** -0.5) / cap)
    return (weights + mask).softmax(-1, dtype=torch.float32).to(values.dtype) @ values


def spans_agree(memory: Memory) -> bool:
    """Whether a product of a model's shapes comes out the same to the last bit when more is masked at its end."""
    keys, values = next(iter(memory.shelf.layers.values()))
    generator = torch.Generator().manual_seed(0)
    short, long = _LEAST, _LEAST + 1024

    def random(like: Any, tokens: int) -> Any:
        numbers = torch.randn((2, like.shape[1], tokens, like.shape[3]), generator=generator)
        return numbers.to(like.device, like.dtype)

    query, all_keys, all_values = random(keys, 3), random(keys, long), random(values, long)
    ends = torch.tensor([short - 1, short - 20], device=keys.device)[:, None, None, None]

    def product(count: int, span: int) -> Any:
        mask = _mask(ends[:count], span, None, query)
        return _product(query[:count], all_keys[:count, :, :span], all_values[:count, :, :span], mask, {})

    return bool(torch.equal(product(1, short), product(2, long)[:1]))
