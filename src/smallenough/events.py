"""What a journal holds: the plan of a session, and an event for every start and finish.

An event is a frozen value and one line of JSON. Times are seconds since the epoch; they are the ones that MLflow
shows, since it is written from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from smallenough.errors import JournalError
from smallenough.records import (
    Action,
    Arm,
    Completion,
    Evaluation,
    Json,
    Limits,
    ModelInfo,
    Outcome,
    Score,
    TrialKey,
    Usage,
)

Status: TypeAlias = Literal["running", "completed", "interrupted", "failed"]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that decides what a session does. With the suite's tasks beside it, a session can be resumed from it."""

    experiment: str
    """Name of the MLflow experiment."""
    suite: str
    suite_digest: str
    arms: tuple[Arm, ...]
    task_ids: tuple[str, ...]
    """The tasks that were selected, in order."""
    repeats: int = 1
    seed: int = 0
    concurrency: int = 1
    """Requests in flight at the same time, for each model."""
    sandbox: str = "bubblewrap"
    limits: Limits = field(default_factory=Limits)
    timeout: float = 300.0
    """Seconds that one inference may take."""
    urls: tuple[str, ...] = ()
    """Servers that share the work; empty: the provider's default."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """Weights of the efficiency score that differ from the defaults."""
    fail_on_error: float | None = None
    """End the session when more trials than so many fail for infrastructure: a count, or below 1 a fraction of all."""
    sample_interval: float = 0.1
    """Seconds between two readings of the resource monitor."""
    scorers: tuple[str, ...] | None = None
    """Which scorers measure the answers; None: all that are installed."""
    prices: Mapping[str, Json] = field(default_factory=dict)
    """What the machine costs: `per_kwh`, `per_machine_hour`, `currency`, `as_of`; what is not known is left out. And
    under `tokens` what hosted models charge, by name: `input` and `output` for a million tokens, `as_of`."""
    cache: bool = False
    """Whether answers are kept, and taken from those that were."""
    scored_from: str | None = None
    """The session whose completions these are, scored again; None: its own."""

    @property
    def trials(self) -> int:
        """How many trials this comes to."""
        return len(self.arms) * len(self.task_ids) * self.repeats


@dataclass(frozen=True, slots=True)
class Failure:
    """An infrastructure failure, as it is recorded."""

    error: str
    """Class of the error."""
    message: str


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """A session begins."""

    session: str
    plan: Plan
    provenance: Mapping[str, Json]
    """Versions, git commit, hardware, host: what results may depend on besides the plan."""
    time: float
    kind: Literal["session_started"] = "session_started"


@dataclass(frozen=True, slots=True)
class SessionResumed:
    """A session that had been interrupted goes on."""

    time: float
    kind: Literal["session_resumed"] = "session_resumed"


@dataclass(frozen=True, slots=True)
class ReferencesTimed:
    """The reference solutions were run: each passes its tests, and takes so many seconds."""

    seconds: Mapping[str, float]
    time: float
    kind: Literal["references_timed"] = "references_timed"


@dataclass(frozen=True, slots=True)
class ArmStarted:
    """An arm begins, or goes on after an interruption."""

    arm: str
    model: ModelInfo
    prompts: str
    """Digest of the prompt templates in use."""
    idle_cpu_rate: float | None
    """CPU seconds a second that the model's server takes with nothing to do; None: not measured."""
    time: float
    further: tuple[ModelInfo, ...] = ()
    """The models that the strategy asks besides the arm's own."""
    kind: Literal["arm_started"] = "arm_started"


@dataclass(frozen=True, slots=True)
class TrialStarted:
    """A trial begins."""

    key: TrialKey
    seed: int
    time: float
    kind: Literal["trial_started"] = "trial_started"


@dataclass(frozen=True, slots=True)
class ActionsDecided:
    """A strategy decided what to do next, or a scorer asks a model; written before any of it is done."""

    key: TrialKey
    first: int
    """Index of the first of these actions in the trial; the others follow."""
    actions: tuple[Action, ...]
    time: float
    scorer: str = ""
    """The scorer that asks, and its version, as `style/1`; empty: the strategy decided."""
    kind: Literal["actions_decided"] = "actions_decided"


@dataclass(frozen=True, slots=True)
class AttemptFinished:
    """An inference ended: with a completion, or with an infrastructure failure."""

    key: TrialKey
    index: int
    started: float
    completion: Completion | None
    failure: Failure | None
    usage: Usage | None
    time: float
    kind: Literal["attempt_finished"] = "attempt_finished"


@dataclass(frozen=True, slots=True)
class StepFinished:
    """An answer or a proposal was evaluated on the public tests."""

    key: TrialKey
    index: int
    code: str | None
    evaluation: Evaluation | None
    failure: Failure | None
    time: float
    kind: Literal["step_finished"] = "step_finished"


@dataclass(frozen=True, slots=True)
class Scored:
    """What the hidden tests and the scorers say of one step."""

    index: int
    hidden: Evaluation | None
    scores: tuple[Score, ...]
    failures: tuple[Failure, ...] = ()
    """Scorers that failed; their scores are missing, not 0."""


@dataclass(frozen=True, slots=True)
class TrialFinished:
    """A trial ended."""

    key: TrialKey
    outcome: Outcome
    chosen: int | None
    """Index of the step that is the trial's answer."""
    scored: tuple[Scored, ...]
    failure: Failure | None
    time: float
    kind: Literal["trial_finished"] = "trial_finished"


@dataclass(frozen=True, slots=True)
class TrialReopened:
    """A trial that had ended in an infrastructure failure goes on: what failed is done again, the rest stands."""

    key: TrialKey
    time: float
    kind: Literal["trial_reopened"] = "trial_reopened"


@dataclass(frozen=True, slots=True)
class ArmFinished:
    """An arm ended, or this part of it: an interrupted arm has one for each part."""

    arm: str
    usage: Usage
    """Of the model's processes over the whole part, measured: what comparisons use."""
    monitor: Mapping[str, Json]
    """The resource monitor's account of itself: attempts, samples, missed ticks, its own CPU seconds, what it could
    not read and why, and `outside_cpu_seconds`, the part of `usage` that belongs to no attempt."""
    time: float
    kind: Literal["arm_finished"] = "arm_finished"


@dataclass(frozen=True, slots=True)
class SessionFinished:
    """A session ended, or was interrupted in an orderly way."""

    status: Status
    failure: Failure | None
    time: float
    kind: Literal["session_finished"] = "session_finished"


Event: TypeAlias = (
    SessionStarted
    | SessionResumed
    | ReferencesTimed
    | ArmStarted
    | TrialStarted
    | ActionsDecided
    | AttemptFinished
    | StepFinished
    | TrialFinished
    | TrialReopened
    | ArmFinished
    | SessionFinished
)


@cache
def _adapter() -> TypeAdapter[Event]:
    return TypeAdapter(Annotated[Event, Field(discriminator="kind")])


def encode(event: Event) -> bytes:
    """`event` as one line of JSON, without the line's end."""
    try:
        return _adapter().dump_json(event)
    except PydanticSerializationError:  # half a surrogate pair, which a hostile program can print, has no UTF-8
        return _adapter().dump_json(_adapter().validate_python(_printable(_adapter().dump_python(event))))


def decode(line: bytes) -> Event:
    """The event that `encode` wrote.

    Raises:
        JournalError: the line is no event.
    """
    try:
        return _adapter().validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise JournalError(f"not an event: {first['msg']} at {'.'.join(map(str, first['loc']))}") from error


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_printable(item) for item in value]
    return value
