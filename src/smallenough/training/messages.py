"""What the training's process and its client say to each other over two pipes: one JSON object a line.

What the process reports stands in the training's log too, in the same form.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from smallenough.training.data import Row
from smallenough.training.settings import TrainingSettings
from smallenough.worker import Lines

# ------------------------------------------------------------------------------------------ from the client


@dataclass(frozen=True, slots=True)
class Prepare:
    """Look at data and base model, and tell what the training comes to; the first message."""

    base: str
    """Folder of the base model."""
    rows: tuple[Row, ...]
    validation: tuple[Row, ...]
    settings: TrainingSettings
    kind: Literal["prepare"] = "prepare"


@dataclass(frozen=True, slots=True)
class Begin:
    """Train; after Prepare was answered by Counted."""

    output: str
    """Folder of the adapter, its log and its checkpoint."""
    name: str
    """What the base model is called in the adapter's configuration."""
    kind: Literal["begin"] = "begin"


@dataclass(frozen=True, slots=True)
class Stop:
    """Save a checkpoint after the step that is computed now, and end."""

    kind: Literal["stop"] = "stop"


# ----------------------------------------------------------------------------------------- from the process


@dataclass(frozen=True, slots=True)
class Ready:
    """The libraries are imported."""

    device: str
    versions: str
    """Of the libraries, in words."""
    kind: Literal["ready"] = "ready"


@dataclass(frozen=True, slots=True)
class Counted:
    """What a training comes to, before any weights are loaded."""

    rows: int
    """That are learned."""
    validation_rows: int
    tokens: int
    """Of the rows that are learned: prompts and answers."""
    answer_tokens: int
    computed_tokens: int
    """Of an epoch's passes, in which what rows begin with is computed once."""
    longest: int
    """Tokens of the longest row."""
    too_long: tuple[str, ...]
    """Rows beyond the maximum length; they are in none of these numbers."""
    longest_of_all: int
    """Tokens of the longest row, one that is too long included."""
    steps: int
    parameters: int
    """Of the base model."""
    trainable: int
    """Of the adapter."""
    target_modules: tuple[str, ...]
    precision: str
    memory_bytes: int
    """What the process will take at its peak, estimated."""
    disk_bytes: int
    """What adapter and checkpoint will take."""
    kind: Literal["counted"] = "counted"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The base model is in memory; training goes on after `step` steps."""

    step: int
    """0: from the beginning, else by a checkpoint."""
    kind: Literal["loaded"] = "loaded"
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class Stepped:
    """One step was made."""

    step: int
    """Counted from 1."""
    loss: float
    """Mean over the answers' tokens of the step's rows, before the step."""
    learning_rate: float
    gradient_norm: float
    tokens: int
    """Of its rows, as if each were computed whole."""
    seconds: float
    kind: Literal["stepped"] = "stepped"
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class Validated:
    """The loss on rows that are not learned."""

    step: int
    loss: float
    best: bool
    """Whether no validation before had a loss as small."""
    seconds: float
    kind: Literal["validated"] = "validated"
    time: float = 0.0


@dataclass(frozen=True, slots=True)
class Saved:
    """A checkpoint is on disk: a training that is broken off goes on from here."""

    step: int
    kind: Literal["saved"] = "saved"
    time: float = 0.0


End: TypeAlias = Literal["done", "patience", "stopped"]


@dataclass(frozen=True, slots=True)
class Ended:
    """There are no more steps."""

    step: int
    """The last one that was made."""
    why: End
    """All were made; validation got no better; it was told to stop, and a checkpoint is on disk."""
    kept: int | None
    """The step whose adapter was saved; None: none was."""
    kind: Literal["ended"] = "ended"
    time: float = 0.0


Fault: TypeAlias = Literal["package", "input", "model", "memory", "disk", "loss"]
"""What is at fault: a missing package, what was asked for, the base's files, too little memory or disk, a loss that is
no number."""


@dataclass(frozen=True, slots=True)
class Failed:
    """There is no adapter."""

    fault: Fault
    text: str
    kind: Literal["failed"] = "failed"
    time: float = 0.0


Command: TypeAlias = Prepare | Begin | Stop
Report: TypeAlias = Ready | Counted | Loaded | Stepped | Validated | Saved | Ended | Failed

LINES: Lines[Command | Report] = Lines(Command | Report)
