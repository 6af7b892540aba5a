"""From tasks to the rows that are learned: what a model is asked, and the answer that the reference gives. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from smallenough.errors import InputError
from smallenough.prompts import Prompts
from smallenough.records import Message, Suite, Task, digest, replace

_SHOWN = 5
"""Tasks that an error names."""


@dataclass(frozen=True, slots=True)
class Row:
    """One task as it is learned."""

    id: str
    messages: tuple[Message, ...]
    """What the strategy `single` asks."""
    answer: str


def rows(suite: Suite, prompts: Prompts) -> tuple[Row, ...]:
    """The rows of a suite, in its order.

    Code and labels are answered as the template `answer` shows them; a free task by its reference alone.

    Raises:
        InputError: tasks have no reference, or an empty one; or a template fails.
    """
    lacking = [task.id for task in suite.tasks if not (task.reference or "").strip()]
    if lacking:
        named = ", ".join(lacking[:_SHOWN]) + (", …" if len(lacking) > _SHOWN else "")
        raise InputError(
            f"suite {suite.name!r}: {len(lacking)} of {len(suite.tasks)} tasks have no reference to learn from:"
            f" {named}; give them one, or leave them out"
        )
    return tuple(_row(task, prompts) for task in suite.tasks)


def _row(task: Task, prompts: Prompts) -> Row:
    answer = (task.reference or "").strip()
    if task.checked:
        answer = prompts.render("answer", task.problem, code=answer)
    return Row(task.id, prompts.first(task.problem), answer)


def data_digest(*parts: Sequence[Row]) -> str:
    """Identifies what is learned, and what it is validated on: every message and answer, in their order."""
    return digest([[asdict(row) for row in part] for part in parts])


def split(suite: Suite, share: float, seed: int) -> tuple[Suite, Suite]:
    """The tasks to learn, and those held out: each task's side depends on its id and the seed, not on the others.

    Raises:
        InputError: one side is empty.
    """
    held = [task for task in suite.tasks if _place(task.id, seed) < share]
    kept = [task for task in suite.tasks if _place(task.id, seed) >= share]
    if not held or not kept:
        raise InputError(
            f"suite {suite.name!r}: of {len(suite.tasks)} tasks, a share of {share:g} leaves {len(held)} to validate on"
            f" and {len(kept)} to learn; give another share or seed, or a suite to validate on"
        )
    return replace(suite, tasks=tuple(kept)), replace(suite, tasks=tuple(held))


def _place(name: str, seed: int) -> float:
    """Where a task lies between 0 and 1."""
    found = hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(found[:8], "big") / 2**64
