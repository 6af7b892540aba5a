"""What was computed for the beginnings of prompts, kept for others in flight that begin alike.

Samples of one prompt and tasks behind the same examples begin alike. What is kept is what reading would compute again,
bit by bit, since it depends on the prompt's parts alone.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from smallenough.models.engine.memory import Memory, Snapshot
from smallenough.models.engine.prompt import Prompt


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    snapshot: Snapshot
    logits: Any
    """After the last token."""

    @property
    def size(self) -> int:
        """Bytes."""
        tensors = [self.logits, *(held for pair in self.snapshot.values() for held in pair)]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


class Prefixes:
    """The beginnings that were used last.

    Args:
        most_bytes: so much memory they may take.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = self._left = most_bytes
        self._known: OrderedDict[tuple[tuple[int, ...], ...], _Known] = OrderedDict()

    def find(self, prompt: Prompt, read: int) -> tuple[int, Memory, Any] | None:
        """How many of the first parts are known, a memory that has seen them, and the logits after the last of them.

        The memory is the caller's own, with room for the whole prompt. None: no more than `read` parts are known.
        """
        for count in range(len(prompt.parts), read, -1):
            known = self._known.get(prompt.parts[:count])
            if known is not None:
                self._known.move_to_end(prompt.parts[:count])
                return count, Memory.of(known.snapshot, len(prompt)), known.logits
        return None

    def keep(self, prompt: Prompt, count: int, memory: Memory, logits: Any) -> None:
        """Keeps the first `count` parts of a prompt, whose tokens are the first that `memory` has seen."""
        beginning = prompt.parts[:count]
        if beginning in self._known:
            return
        known = _Known(memory.snapshot(sum(map(len, beginning))), logits.clone())
        self._known[beginning] = known
        self._left -= known.size
        while self._left < 0:
            self._left += self._known.popitem(last=False)[1].size

    def clear(self) -> None:
        """Forgets them all."""
        self._known.clear()
        self._left = self._most_bytes
