"""A session's events written once more, with the ends of its trials decided by the tests and scorers of now."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from smallenough import journal
from smallenough.clock import now
from smallenough.errors import JournalError
from smallenough.events import (
    ArmFinished,
    ArmStarted,
    Event,
    Failure,
    Plan,
    ReferencesTimed,
    Scored,
    SessionFinished,
    SessionResumed,
    SessionStarted,
    Status,
    TrialFinished,
    TrialStarted,
)
from smallenough.journal import Journal
from smallenough.metrics import MetricsCollector
from smallenough.protocols import Sandbox
from smallenough.records import Evaluation, Outcome, Suite, Task, TrialKey
from smallenough.runner.arm import Control, Observe, Stop
from smallenough.runner.session import BAD_RUN
from smallenough.runner.work import Bench, InTurn
from smallenough.sessions.part import part_of
from smallenough.sessions.saved import Saved
from smallenough.trial import Trial

OWN = (SessionStarted, SessionResumed, SessionFinished, ReferencesTimed)
"""Events that a session scored again has of its own; all others are the old session's."""


@dataclass(frozen=True, slots=True)
class Scoring:
    """All that it takes to score a session again, checked."""

    saved: Saved
    plan: Plan
    suite: Suite
    sandbox: Sandbox
    collector: MetricsCollector
    references: Mapping[str, float]
    """Seconds that each task's reference solution takes in the tests of now."""

    @property
    def ended(self) -> int:
        """How many trials there are to score."""
        tasks = frozenset(self.plan.task_ids)
        return sum(key.task in tasks for key in outcomes(self.saved.folder))


def body(saved: Saved, plan: Plan) -> Iterator[Event]:
    """The old session's events that the new one has, in order; where tasks are left out, without theirs.

    Raises:
        JournalError: the old one's journal can't be read.
    """
    events = (event for _, event in journal.read(saved.folder) if not isinstance(event, OWN))
    return events if plan.task_ids == saved.plan.task_ids else part_of(events, frozenset(plan.task_ids))


def outcomes(folder: Path) -> dict[TrialKey, Outcome]:
    """How the trials of a session ended, but for those that an infrastructure failure ended.

    Args:
        folder: the session's folder.

    Raises:
        JournalError: there is no readable journal.
    """
    ended = {event.key: event for _, event in journal.read(folder) if isinstance(event, TrialFinished)}
    return {key: event.outcome for key, event in ended.items() if event.failure is None}


@dataclass
class Again:
    """Writes a session's events once more, with its trials' ends decided anew."""

    scoring: Scoring
    book: Journal
    control: Control
    observe: Observe
    ended: set[TrialKey] = field(default_factory=set)
    failed: int = 0
    """Trials that the sandbox failed on."""
    _in_a_row: int = 0
    _trials: dict[TrialKey, Trial] = field(default_factory=dict)
    _begun: dict[str, ArmStarted] = field(default_factory=dict)
    _shown: set[str] = field(default_factory=set)
    _waiting: deque[Event | Future[Event]] = field(default_factory=deque)
    """What is to be written, in order; what is being scored among it."""

    def __post_init__(self) -> None:
        made = self.scoring
        sandbox = InTurn(made.sandbox)
        self._bench = Bench(made.plan, made.suite, self.book, {}, sandbox, made.collector, made.references)
        self._tasks: Mapping[str, Task] = {task.id: task for task in made.suite.tasks}

    def run(self, workers: int, done: int) -> None:
        """Goes through the old session's events, of which the first `done` are written already.

        Raises:
            JournalError: a journal can't be read or written.
        """
        with ThreadPoolExecutor(workers, "score") as pool:
            for number, event in enumerate(body(self.scoring.saved, self.scoring.plan)):
                if self.control.stop is not Stop.NO:
                    break
                work = self._take(event)
                if number >= done:
                    self._waiting.append(event if work is None else pool.submit(work))
                    self._write(at_once=2 * workers)
            self._write(at_once=0)
            pool.shutdown(wait=True, cancel_futures=True)
        self.book.flush()

    @property
    def gave_up(self) -> bool:
        """Whether the sandbox failed so often that it is broken."""
        return self._in_a_row >= BAD_RUN

    def _take(self, event: Event) -> Callable[[], Event] | None:
        """Takes an event in; returns what decides anew how a trial ended, if it is the end of one."""
        match event:
            case ArmStarted():
                self._begun[event.arm] = event
            case TrialStarted():
                self._trials[event.key] = Trial(event.key, self._tasks[event.key.task], event.seed)
            case TrialFinished(failure=None):
                self.ended.add(event.key)
                return partial(self._scored, self._trials.pop(event.key), event)
            case TrialFinished():
                self.ended.add(event.key)
            case ArmFinished() | SessionStarted() | SessionResumed() | SessionFinished() | ReferencesTimed():
                pass
            case _:
                self.ended.discard(event.key)
                self._trials[event.key].apply(event)
        return None

    def _scored(self, trial: Trial, old: TrialFinished) -> TrialFinished:
        """The end of a trial by the tests and scorers of now, at the time when it was."""
        chosen = None if old.chosen is None else trial.step(old.chosen)
        found = self._bench.scored(trial, chosen)
        if found.failure:
            found = self._bench.scored(trial, chosen)
        then = {one.index: one.hidden for one in old.scored}
        return replace(
            found, scored=tuple(_as_it_took(one, then.get(one.index)) for one in found.scored), time=old.time
        )

    def _write(self, at_once: int) -> None:
        """Writes what is decided, and waits while more is being scored than may be at once."""
        scoring = sum(isinstance(one, Future) for one in self._waiting)
        while self._waiting and not self.control.breaking_off():
            first = self._waiting[0]
            if isinstance(first, Future):
                if scoring <= at_once and not first.done():
                    return
                scoring -= 1
                first = first.result()
                self._count(first)
            self._waiting.popleft()
            self.book.write(first)
            self._show(first)

    def _count(self, event: Event) -> None:
        failure = event.failure if isinstance(event, TrialFinished) else None
        self.failed += failure is not None
        self._in_a_row = self._in_a_row + 1 if failure else 0
        if failure and self.gave_up:
            self.control.request(Stop.NOW, f"{BAD_RUN} trials in a row failed for infrastructure: {failure.message}")

    def _show(self, event: Event) -> None:
        match event:
            case TrialFinished():
                if event.key.arm not in self._shown:
                    self._shown.add(event.key.arm)
                    self.observe(self._begun[event.key.arm])
                self.observe(event)
            case ArmFinished() if event.arm in self._shown:
                self.observe(event)
            case _:
                pass


def _as_it_took(scored: Scored, then: Evaluation | None) -> Scored:
    """With what the hidden tests took when the session was run: scoring it again is charged to no trial."""
    if scored.hidden is None:
        return scored
    took = then or Evaluation(())
    return replace(scored, hidden=replace(scored.hidden, runs=took.runs, cpu_seconds=took.cpu_seconds))


def carry_out(again: Again, workers: int, done: int) -> tuple[Status, int]:
    """Scores what is left; how the session ended, and how many trials the sandbox failed on.

    Raises:
        JournalError: a journal can't be read or written; says how to go on.
    """
    book, control = again.book, again.control
    try:
        again.run(workers, done)
        status: Status = "completed"
        if again.gave_up:
            status = "failed"
        elif control.stop is not Stop.NO or len(again.ended) < again.scoring.plan.trials:
            status = "interrupted"
        failure = Failure("SandboxError", control.reason) if status == "failed" else None
        book.append(SessionFinished(status, failure, now()))
    except JournalError as error:
        told = f"{error}; mend that, and go on with it: smallenough resume {book.folder.name}"
        raise JournalError(told) from error
    return status, again.failed
