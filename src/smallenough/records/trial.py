"""An arm at a task: what its strategy asks for, what becomes of that, and how it is scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from smallenough.records.execution import Evaluation
from smallenough.records.inference import Choices, Message, Sampling
from smallenough.records.plain import Json

Role: TypeAlias = Literal["solve", "subtask", "combine", "judge", "extract"]
"""What an inference is for."""

Outcome: TypeAlias = Literal["solved", "unsolved", "unscored", "model_failed", "sandbox_failed", "scorer_failed"]
"""How a trial ended. `unscored`: no tests decide. The three `…_failed` are infrastructure: never a wrong answer."""

SizeClass: TypeAlias = Literal["large", "small", "base"]
"""Which prompt templates suit a model: detailed ones, concise ones, or, for a base model, which was never taught to
follow instructions, beginnings of a text to continue."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One thing compared: a model, a strategy with its options, and how the model is sampled."""

    name: str
    model: str
    """The model's name for its provider (`smollm2:135m`)."""
    strategy: str = "single"
    options: Mapping[str, Json] = field(default_factory=dict)
    """The strategy's options: those that differ from its defaults; in a plan all of them."""
    sampling: Sampling = field(default_factory=Sampling)
    provider: str = "ollama"
    size_class: SizeClass = "small"
    baseline: bool = False
    """Whether the other arms are compared with this one."""


@dataclass(frozen=True, slots=True, order=True)
class TrialKey:
    """Which trial: an arm at a task, one repeat."""

    arm: str
    task: str
    repeat: int = 0

    def __str__(self) -> str:
        return f"{self.arm}/{self.task}/{self.repeat}"


@dataclass(frozen=True, slots=True)
class Ask:
    """A strategy's wish for one inference."""

    messages: tuple[Message, ...]
    model: str | None = None
    """The model to ask; None: the arm's own."""
    sampling: Sampling = field(default_factory=Sampling)
    """Only what differs from the arm's sampling."""
    parent: int | None = None
    """Index of the step that this one continues; None: a root of the tree."""
    role: Role = "solve"
    check: bool = True
    """Whether the answer is code to be evaluated on the public tests."""
    deadline: float | None = None
    """Seconds after which the inference is stopped; None: the session's time-out."""
    note: str = ""
    """Why the strategy asks this, in a word or two (`feedback`, `hint 2`): recorded, never interpreted."""
    choices: Choices | None = None
    """The answers that are allowed; None: any."""


@dataclass(frozen=True, slots=True)
class Propose:
    """A strategy's wish to evaluate code that needs no inference."""

    code: str
    parents: tuple[int, ...] = ()
    """Indices of the steps that it is made of."""
    note: str = ""
    """Why, in a word or two: recorded, never interpreted."""


Action: TypeAlias = Ask | Propose


@dataclass(frozen=True, slots=True)
class Step:
    """What a strategy sees of the past: an attempt or a proposal, after its public evaluation."""

    index: int
    """Position in the trial, from 0; also what `parent` refers to."""
    action: Action
    response: str
    """The model's answer without reasoning; the proposed code, for a proposal."""
    code: str | None
    """The solution that was extracted; None: none was found, or none was asked for."""
    evaluation: Evaluation | None
    """On the public tests; None: it was not checked, since the action or the task asks for no code."""
    tokens: int = 0
    """Tokens in and out that it took."""
    seconds: float = 0.0
    """Seconds of inference that it took."""

    @property
    def parent(self) -> int | None:
        """Index of the step that this one continues (of a proposal: the first)."""
        if isinstance(self.action, Ask):
            return self.action.parent
        return self.action.parents[0] if self.action.parents else None

    @property
    def passed(self) -> bool | None:
        """Whether the public tests all passed; None: there were none, or no check."""
        return self.evaluation.passed if self.evaluation else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What a scorer sees: a step, with what decides about it. It exists only when the trial has ended."""

    step: Step
    hidden: Evaluation | None = None
    """On the tests that decide; None: there are none, or the step was not checked."""
    reference_seconds: float | None = None
    """Time of the reference solution's calls in the tests that decide; None: not known."""


@dataclass(frozen=True, slots=True)
class Score:
    """A named number with its scorer's version. A value of None is 'not measured', never 0."""

    name: str
    value: float | None
    scorer: str
    """The scorer and its version, as `tests/1`."""
