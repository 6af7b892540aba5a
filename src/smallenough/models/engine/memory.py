"""What attention remembers of each sequence: its keys and values, layer by layer.

Sequences of about the same length stand side by side on a shelf, so that one product serves them all; shelves have room
for 128, 256, 512 … tokens, so that a long sequence does not make short ones long. One that outgrows its shelf moves to
the next. A sequence whose prompt is still being read has a shelf of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import torch

_LEAST_ROOM = 128

Snapshot: TypeAlias = "dict[int, tuple[Any, Any]]"
"""Keys and values by layer: (1, heads, tokens, width) each."""


class Memory:
    """One sequence's place."""

    def __init__(self, tokens: int) -> None:
        self.length = 0
        """Tokens that every layer has seen."""
        self.row = 0
        self.shelf = Shelf(_room(tokens))
        self.shelf.members.append(self)

    def snapshot(self, length: int) -> Snapshot:
        """A copy of what was remembered of the first `length` tokens."""
        row = slice(self.row, self.row + 1)
        return {
            layer: (keys[row, :, :length].clone(), values[row, :, :length].clone())
            for layer, (keys, values) in self.shelf.layers.items()
        }

    @classmethod
    def of(cls, snapshot: Snapshot, tokens: int) -> Memory:
        """One that remembers what `snapshot` does, with room for `tokens`."""
        memory = cls(tokens)
        for layer, pair in snapshot.items():
            memory.length = pair[0].shape[2]
            for mine, its in zip(memory.shelf.layer(layer, *pair), pair, strict=True):
                mine[:, :, : memory.length] = its
        return memory


class Shelf:
    """Sequences of at most `room` tokens."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.members: list[Memory] = []
        """By row."""
        self.layers: dict[int, tuple[Any, Any]] = {}
        """Keys and values by layer, as `layer` gives them."""

    def layer(self, number: int, keys: Any, values: Any) -> tuple[Any, Any]:
        """A layer's keys and values: (rows, heads, room, width) each, with heads, width and kind of those given."""
        held = self.layers.get(number)
        if held is None or len(held[0]) < len(self.members):
            held = (self._larger(held and held[0], keys), self._larger(held and held[1], values))
            self.layers[number] = held
        return held

    def take(self, memory: Memory) -> None:
        """Takes a sequence over from the shelf where it is."""
        row = len(self.members)
        self.members.append(memory)
        try:
            self.fill(row, memory, memory.length)
        except BaseException:  # there is no memory for it
            self.members.pop()
            raise
        memory.shelf.remove(memory)
        memory.shelf, memory.row = self, row

    def fill(self, row: int, memory: Memory, length: int) -> None:
        """Copies what another sequence remembers of its first `length` tokens into a row."""
        for number, held in memory.shelf.layers.items():
            for mine, its in zip(self.layer(number, *held), held, strict=True):
                mine[row, :, :length] = its[memory.row, :, :length]

    def remove(self, memory: Memory) -> None:
        """Lets go of a sequence; the last one takes its place, so that rows stay side by side."""
        last = self.members.pop()
        if not self.members:
            self.layers.clear()
        if last is memory:
            return
        for pair in self.layers.values():
            for held in pair:
                held[memory.row, :, : last.length] = held[last.row, :, : last.length]
        last.row = memory.row
        self.members[last.row] = last

    def _larger(self, held: Any, like: Any) -> Any:
        """Room for all members, in powers of two. It holds no garbage: even what is masked is multiplied."""
        rows = 1 << (len(self.members) - 1).bit_length()
        larger = torch.zeros((rows, like.shape[1], self.room, like.shape[3]), dtype=like.dtype, device=like.device)
        if held is not None:
            larger[: len(held)] = held
        return larger


class Store:
    """The sequences of a batch."""

    def __init__(self) -> None:
        self._shelves: dict[int, Shelf] = {}

    def __iter__(self) -> Iterator[Memory]:
        """All of them, shelf by shelf, row by row."""
        for shelf in self.shelves():
            yield from shelf.members

    def shelves(self) -> list[Shelf]:
        """Those that hold something."""
        return [shelf for shelf in self._shelves.values() if shelf.members]

    def add(self, memory: Memory) -> None:
        """Takes a sequence into the batch."""
        room = _room(memory.length + 1)
        self._shelves.setdefault(room, Shelf(room)).take(memory)

    def remove(self, memory: Memory) -> None:
        """Lets go of a sequence."""
        memory.shelf.remove(memory)

    def make_room(self) -> None:
        """Moves those that have no room for another token."""
        for memory in [memory for memory in self if memory.length == memory.shelf.room]:
            self.add(memory)


def _room(tokens: int) -> int:
    room = _LEAST_ROOM
    while room < tokens:
        room *= 2
    return room
