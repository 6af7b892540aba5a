"""The state of a trial, as its events tell it.

A trial that runs and one that is resumed are the same: events are applied one after the other. What the last
`ActionsDecided` asked for and no `StepFinished` has answered is outstanding.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from smallenough.events import (
    ActionsDecided,
    AttemptFinished,
    Event,
    Failure,
    ReferencesTimed,
    StepFinished,
    TrialFinished,
    TrialReopened,
    TrialStarted,
)
from smallenough.records import Action, Ask, Evaluation, Step, Task, TrialKey


@dataclass(slots=True)
class Trial:
    """An open trial. It changes only by `apply`, but for `hidden`."""

    key: TrialKey
    task: Task
    seed: int
    actions: list[Action] = field(default_factory=list)
    """All that was decided; an action's index is its place."""
    scorers: dict[int, str] = field(default_factory=dict)
    """Which scorer asks, by the index of its action. What it is answered is no step: no strategy sees it."""
    attempts: dict[int, AttemptFinished] = field(default_factory=dict)
    checks: dict[int, StepFinished] = field(default_factory=dict)
    hidden: dict[int, Evaluation] = field(default_factory=dict)
    """What the hidden tests say, until the trial's end records it. No strategy sees it, and it is in no event: a
    resumed trial runs them again."""

    def apply(self, event: Event) -> None:
        """Takes one of this trial's events in."""
        match event:
            case ActionsDecided():
                if event.scorer:
                    self.scorers |= dict.fromkeys(range(event.first, event.first + len(event.actions)), event.scorer)
                self.actions.extend(event.actions)
            case AttemptFinished():
                self.attempts[event.index] = event
            case StepFinished():
                self.checks[event.index] = event
            case TrialReopened():
                self.attempts = {index: one for index, one in self.attempts.items() if one.failure is None}
                self.checks = {index: one for index, one in self.checks.items() if one.failure is None}
            case _:
                pass

    @property
    def outstanding(self) -> list[int]:
        """Indices of the actions that are decided and neither a step, nor a scorer's that was answered, nor failed."""
        return [
            index
            for index in range(len(self.actions))
            if index not in (self.attempts if index in self.scorers else self.checks) and self.failure_of(index) is None
        ]

    def failure_of(self, index: int) -> Failure | None:
        """The infrastructure failure of one action, if it had one."""
        attempt, check = self.attempts.get(index), self.checks.get(index)
        return (attempt.failure if attempt else None) or (check.failure if check else None)

    @property
    def failure(self) -> Failure | None:
        """The first infrastructure failure of the trial, which ends it. One of a scorer's question ends only that."""
        own = (index for index in range(len(self.actions)) if index not in self.scorers)
        return next((failure for index in own if (failure := self.failure_of(index))), None)

    @property
    def steps(self) -> list[Step]:
        """What the strategy sees: every action's answer after its public evaluation, in order."""
        return [self.step(index) for index in range(len(self.actions)) if index in self.checks]

    def step(self, index: int) -> Step:
        """The step that the action at `index` became."""
        action, check = self.actions[index], self.checks[index]
        completion = attempt.completion if (attempt := self.attempts.get(index)) else None
        response = completion.text if completion else "" if isinstance(action, Ask) else action.code
        return Step(
            index,
            action,
            response,
            check.code,
            check.evaluation,
            tokens=(completion.tokens_in or 0) + (completion.tokens_out or 0) if completion else 0,
            seconds=completion.seconds if completion else 0.0,
        )


@dataclass(slots=True)
class Progress:
    """How far a session is, rebuilt from its journal: what a resume has to know."""

    finished: set[TrialKey] = field(default_factory=set)
    """Trials that ended."""
    failed: dict[TrialKey, list[Event]] = field(default_factory=dict)
    """Events of those among them that ended in an infrastructure failure, and can be reopened."""
    open: dict[TrialKey, list[Event]] = field(default_factory=dict)
    """Events of the trials that began and did not end."""
    references: dict[str, float] | None = None
    """Seconds of each reference solution, if they were timed."""

    def apply(self, event: Event) -> None:
        """Takes one of the session's events in."""
        match event:
            case ReferencesTimed():
                self.references = dict(event.seconds)
            case TrialStarted():
                self.open[event.key] = [event]
            case ActionsDecided() | AttemptFinished() | StepFinished():
                self.open[event.key].append(event)
            case TrialFinished():
                events = self.open.pop(event.key, [])
                self.finished.add(event.key)
                if event.failure:
                    self.failed[event.key] = events
            case TrialReopened():
                self.finished.remove(event.key)
                self.open[event.key] = [*self.failed.pop(event.key), event]
            case _:
                pass

    def trial(self, key: TrialKey, task: Task) -> Trial | None:
        """The open trial `key`, as it was left; None: it had not begun."""
        events = self.open.pop(key, None)
        if events is None:
            return None
        started = events[0]
        assert isinstance(started, TrialStarted)
        trial = Trial(key, task, started.seed)
        for event in events[1:]:
            trial.apply(event)
        return trial
