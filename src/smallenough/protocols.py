"""The seams: what a model client, a sandbox, a strategy, a scorer, a task source and a probe must do.

Each is narrow: one or two methods; a model client, which holds a server or a process, has six. An implementation is one
file and one entry point (see `plugins`), and passes the contract suite of its protocol in `contracts`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias, runtime_checkable

from smallenough.records import (
    Action,
    Answer,
    Completion,
    Execution,
    Limits,
    Message,
    ModelInfo,
    Problem,
    Program,
    Request,
    Role,
    Score,
    Step,
    Suite,
    Task,
)

OnToken: TypeAlias = Callable[[], None]
"""Called once for every piece that a model streams; must be quick and must not raise."""

OnProgress: TypeAlias = Callable[[str, int | None, int | None], None]
"""Told what is being fetched or made ready, and bytes done and in all, where that is known."""

AskModel: TypeAlias = Callable[[Sequence[Message], Role], str]
"""How a scorer asks the arm's model: messages and the inference's role to the answer's text. It is an attempt of the
trial like any other: journalled, measured, and its cost counts. Raises ScorerError where the model's server failed."""


@runtime_checkable
class ModelClient(Protocol):
    """Answers requests with one provider's models. Safe to call from several threads."""

    def generate(self, request: Request, on_token: OnToken | None = None) -> Completion:
        """Answers one request, streaming inside, so that a deadline or `cancel` stops it at once.

        A request with choices is answered by one of them, in a way that `describe` names among the model's `answers`.

        Raises:
            ModelNotFound: the server does not have the model.
            ModelTimeout: the deadline passed.
            ModelOutOfMemory: the model does not fit.
            ModelUnavailable: what is transient was tried again, and it still failed; or it was cancelled.
            ModelError: the model can't answer this request, as one longer than its context, or one with choices in a
                way that it does not know.
        """
        ...

    def describe(self, model: str) -> ModelInfo:
        """What is known of `model`.

        Raises:
            ModelNotFound: the server does not have it; names the nearest that it has, and how to get it.
            ModelUnavailable: no server answers.
        """
        ...

    def processes(self) -> Sequence[int] | None:
        """Process ids at whose trees the resource monitor shall look; None: they can't be seen from here."""
        ...

    def cancel(self) -> None:
        """Stops every request in flight; each raises ModelUnavailable in its own thread."""
        ...

    def unload(self, model: str) -> None:
        """Really frees what `model` occupies, and returns when it is gone.

        Raises:
            ModelUnavailable: no server answers.
            ModelError: it is still loaded.
        """
        ...

    def close(self) -> None:
        """Gives back everything the client holds; a second call does nothing."""
        ...


@runtime_checkable
class Sandbox(Protocol):
    """Runs a program that may be hostile. Safe to call from several threads.

    It is made without arguments, which raises SandboxError where it does not work.
    """

    name: str

    def describe(self) -> Mapping[str, str]:
        """What holds a program here, by limit, in words; recorded with the session."""
        ...

    def run(self, program: Program, limits: Limits) -> Execution:
        """Runs `program` to its end or to a limit.

        Raises:
            SandboxError: the sandbox itself failed; what the program does is never an error.
        """
        ...


@runtime_checkable
class Strategy(Protocol):
    """The policy that decides the next actions of a trial from its steps so far. Pure: same input, same answer.

    It is made from its options, which extend `options.StrategyOptions`, and the prompts for its class of model. A model
    that it asks besides the arm's own has to be among its options' `models`.
    """

    def next(self, problem: Problem, steps: Sequence[Step], seed: int) -> list[Action]:
        """The actions to take now, which may run in parallel; an empty list ends the trial."""
        ...

    def choose(self, problem: Problem, steps: Sequence[Step]) -> Step | None:
        """The trial's answer among its steps; None: there is none."""
        ...


@runtime_checkable
class Scorer(Protocol):
    """Gives an answer named numbers. It is made without arguments, and safe to call from several threads."""

    name: str
    version: str

    def score(self, task: Task, answer: Answer, ask: AskModel | None = None) -> list[Score]:
        """The scores of one step of a trial that has ended.

        Args:
            task: the step's task, hidden tests and reference included.
            answer: the step, and what the tests that decide say of it.
            ask: asks a model, through the runner; None: none can be asked, and what needs one is not measured. Where
                the answer to a question is not there yet, the call ends here and `score` is called again when it is:
                the same step must lead to the same questions, in the same order.

        Raises:
            ScorerError: the scorer failed. That, and whatever else it raises, is recorded as such, never as a 0.
        """
        ...


@runtime_checkable
class TaskSource(Protocol):
    """Brings a suite from where it lies."""

    def load(self) -> Suite:
        """The suite.

        Raises:
            InputError: what is there is not as it should be; names file, line and mend.
        """
        ...


@runtime_checkable
class Probe(Protocol):
    """Reads one source of measurements."""

    def read(self) -> Mapping[str, float]:
        """Current values by name; what can't be read is left out. Counters only ever grow."""
        ...
