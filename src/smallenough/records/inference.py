"""Asking a model: what it is asked, what it answers, what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation with a model."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Sampling:
    """How a completion is sampled. None: the model's own default."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    context: int | None = None
    """Context window in tokens to load the model with."""

    def over(self, base: Sampling) -> Sampling:
        """These settings, and `base`'s wherever these say nothing."""
        return Sampling(
            self.temperature if self.temperature is not None else base.temperature,
            self.top_p if self.top_p is not None else base.top_p,
            self.max_tokens if self.max_tokens is not None else base.max_tokens,
            self.seed if self.seed is not None else base.seed,
            self.stop or base.stop,
            self.context if self.context is not None else base.context,
        )


@dataclass(frozen=True, slots=True)
class Request:
    """One inference as a model client gets it."""

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling
    deadline: float | None = None
    """Seconds from the call of `generate`; None: no limit."""
    key: str = ""
    """Identifies the request within its session (`arm/task/repeat/index`): the replay client answers by it."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered, and what its server says that it took."""

    text: str
    """The answer, without the reasoning."""
    reasoning: str = ""
    """What stood between `<think>` and `</think>`, or came apart as thinking."""
    tokens_in: int | None = None
    """Tokens of the prompt, by the server's counter."""
    tokens_out: int | None = None
    """Tokens generated, reasoning included, by the server's counter."""
    reasoning_tokens: int | None = None
    """Of `tokens_out`, those of the reasoning, by its share of the streamed pieces."""
    finish: Literal["stop", "length", "unknown"] = "unknown"
    """Why it ended: by itself, or at the limit of tokens."""
    started: float = 0.0
    """When the successful try was sent: seconds since the epoch."""
    seconds: float = 0.0
    """From sending to the last piece, of the successful try alone."""
    first_token_seconds: float | None = None
    """From sending to the first piece."""
    load_seconds: float | None = None
    """Of `seconds`, loading the model, by the server's counter."""
    prompt_seconds: float | None = None
    """Of `seconds`, reading the prompt, by the server's counter."""
    generate_seconds: float | None = None
    """Of `seconds`, generating, by the server's counter."""
    retries: int = 0
    """Tries that failed before this one."""
    server: str = ""
    """Where it was answered: a URL, or the engine's name."""

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens generated per second of generation, by the server's counters."""
        if not self.tokens_out or not self.generate_seconds:
            return None
        return self.tokens_out / self.generate_seconds


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is known of a model."""

    name: str
    provider: str
    digest: str | None = None
    parameters: int | None = None
    """How many weights."""
    size_bytes: int | None = None
    quantization: str | None = None
    family: str | None = None
    context_length: int | None = None
    """The longest context that the model was made for, in tokens."""
    server: str = ""
    version: str | None = None
    """The server's or engine's version."""
    dtype: str | None = None
    """What weights and activations are computed in, where the engine tells it (`float32`, `bfloat16`)."""
