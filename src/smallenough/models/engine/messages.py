"""What the engine's process and its client say to each other over two pipes: one JSON object a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from smallenough.records import Choices, Message, Sampling
from smallenough.worker import Lines

# ------------------------------------------------------------------------------------------ from the client


@dataclass(frozen=True, slots=True)
class Load:
    """Load a model; the first message, and the only one of its kind."""

    folder: str
    """With the files that transformers saves: configuration, safetensors, tokenizer."""
    adapter: str | None = None
    """The folder of a LoRA adapter that is merged into it, as peft saves it."""
    tokenizer: str | None = None
    """The folder of the tokenizer, where it is another one."""
    in_4bit: bool = False
    """Hold its weights in 4 bits (bitsandbytes, on a CUDA device)."""
    kind: Literal["load"] = "load"


@dataclass(frozen=True, slots=True)
class Generate:
    """Answer this. Its text has to be such as UTF-8 can hold."""

    id: int
    messages: tuple[Message, ...]
    sampling: Sampling
    choices: Choices | None = None
    """The answers that are allowed; None: any."""
    kind: Literal["generate"] = "generate"


@dataclass(frozen=True, slots=True)
class Drop:
    """Nobody waits for this answer any more."""

    id: int
    kind: Literal["drop"] = "drop"


# ------------------------------------------------------------------------------------------ from the engine


@dataclass(frozen=True, slots=True)
class Ready:
    """The libraries are imported; a model can be loaded."""

    device: str
    dtype: str
    """What weights and activations are held in."""
    versions: str
    """Of the libraries, in words."""
    kind: Literal["ready"] = "ready"


@dataclass(frozen=True, slots=True)
class Loaded:
    """The model can be asked."""

    together: int
    """The most requests that are answered together: where a product's rows depend on how many there are, only one."""
    kind: Literal["loaded"] = "loaded"


@dataclass(frozen=True, slots=True)
class Piece:
    """More of an answer's text."""

    id: int
    text: str
    kind: Literal["piece"] = "piece"


@dataclass(frozen=True, slots=True)
class Done:
    """An answer is complete; its text are its pieces."""

    id: int
    tokens_in: int
    tokens_out: int
    finish: Literal["stop", "length"]
    prompt_seconds: float
    """Reading the prompt, without waiting for a place in the batch."""
    generate_seconds: float
    likelihoods: dict[str, float] | None = None
    """Logarithms, by choice, where they were asked for."""
    kind: Literal["done"] = "done"


Fault: TypeAlias = Literal["package", "memory", "model", "request"]
"""What is at fault: a missing package, too little memory, the model's files, or what was asked."""


@dataclass(frozen=True, slots=True)
class Failed:
    """An answer, the model or the engine's start failed."""

    fault: Fault
    text: str
    id: int | None = None
    """The answer's; None: nothing can be asked."""
    kind: Literal["failed"] = "failed"


Command: TypeAlias = Load | Generate | Drop
Report: TypeAlias = Ready | Loaded | Piece | Done | Failed

LINES: Lines[Command | Report] = Lines(Command | Report)
