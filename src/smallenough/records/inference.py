"""Asking a model: what it is asked, what it answers, what is known of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

Answers: TypeAlias = Literal["free", "constrained", "likelihood"]
"""How an answer comes about: the model writes what it will; it writes, token by token, what can still become one of the
allowed answers; or each of these is scored by how likely the model finds it, and the likeliest is the answer."""


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
class Choices:
    """The answers that are allowed, and how a model is held to them."""

    texts: tuple[str, ...]
    by: Literal["constrained", "likelihood"]


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
    choices: Choices | None = None
    """The answers that are allowed; None: any."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model answered, and what its server says that it took."""

    text: str
    """The answer, without the reasoning."""
    reasoning: str = ""
    """What stood between `<think>` and `</think>`, or came apart as thinking."""
    tokens_in: int | None = None
    """Tokens of the prompt, by the server's counter; where choices were scored, with theirs, which are read too."""
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
    likelihoods: Mapping[str, float] | None = None
    """Of each choice, the natural logarithm of how likely the model finds it as the whole answer; None: not asked."""
    cached: bool = False
    """Whether it was given to the same request before, and kept: what it took was taken then."""

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens generated per second of generation, by the server's counters."""
        if not self.tokens_out or not self.generate_seconds:
            return None
        return self.tokens_out / self.generate_seconds


@dataclass(frozen=True, slots=True)
class Adapter:
    """What a fine-tuned model was made from, as far as its files tell."""

    base: str
    """The base model."""
    base_digest: str | None = None
    data_digest: str | None = None
    """Of what it was trained on."""
    suite: str | None = None
    """Which it was trained on."""
    run_id: str | None = None
    """The training's run in MLflow."""
    parameters: int | None = None
    """How many weights it has of its own."""


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
    adapter: Adapter | None = None
    """What was merged into its base model; None: nothing, or not known."""
    answers: tuple[Answers, ...] = ("free",)
    """The ways in which it can be asked to answer."""
