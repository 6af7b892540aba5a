"""The jobs that a session's threads do: ask a model, evaluate an answer, score a trial.

What came of a check or a trial is journalled before it is returned; an attempt by who asked for it, who knows whether
it was broken off. An infrastructure failure becomes a `Failure` in the event, never a wrong answer; a journal that
can't be written, and everything else that goes wrong, is raised.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from smallenough.clock import now
from smallenough.errors import InfrastructureError, JournalError
from smallenough.evaluation import evaluate, evaluate_groups
from smallenough.events import ActionsDecided, AttemptFinished, Failure, Plan, Scored, StepFinished, TrialFinished
from smallenough.extraction import extract_code
from smallenough.journal import Journal
from smallenough.labels import judgement, name_label, validity
from smallenough.machine import usable_cores
from smallenough.metrics import MetricsCollector
from smallenough.protocols import ModelClient, Sandbox
from smallenough.records import (
    Arm,
    Ask,
    Evaluation,
    Execution,
    Limits,
    Outcome,
    Problem,
    Program,
    Request,
    Step,
    Suite,
    Task,
    digest,
)
from smallenough.resources.monitor import ResourceMonitor
from smallenough.runner.asking import Asked, Asking
from smallenough.trial import Trial


class InTurn:
    """A sandbox in which no more programs run at once than there are processors; others wait for their turn.

    Programs that crowd each other out run into their limit on wall time, and right ones would count as wrong.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.name = sandbox.name
        self._sandbox = sandbox
        self._turns = threading.Semaphore(usable_cores())

    def describe(self) -> Mapping[str, str]:
        """As the sandbox within does."""
        return self._sandbox.describe()

    def run(self, program: Program, limits: Limits) -> Execution:
        """As the sandbox within does, once it is this program's turn."""
        with self._turns:
            return self._sandbox.run(program, limits)


@dataclass(frozen=True)
class Bench:
    """What a session works with. Everything in it is safe to use from several threads."""

    plan: Plan
    suite: Suite
    journal: Journal
    clients: Mapping[str, ModelClient]
    """By provider."""
    sandbox: Sandbox
    collector: MetricsCollector
    references: Mapping[str, float]
    """Seconds that each task's reference solution takes."""

    def attempt(self, trial: Trial, index: int, arm: Arm, monitor: ResourceMonitor) -> AttemptFinished:
        """Asks the model for action `index` of `trial`. What came of it is not journalled yet."""
        ask = trial.actions[index]
        assert isinstance(ask, Ask)
        self.journal.flush()
        own = ask.model in (None, arm.model)
        request = Request(
            ask.model or arm.model,
            ask.messages,
            # Where answers end goes with the arm's model: another's may begin with that very text.
            ask.sampling.over(arm.sampling if own else replace(arm.sampling, stop=())),
            min(self.plan.timeout, ask.deadline or self.plan.timeout),
            f"{trial.key}/{index}",
            ask.choices,
        )
        started, completion, failure = now(), None, None
        with monitor.attempt() as window:
            try:
                completion = self.clients[arm.provider].generate(request, window.token)
            except InfrastructureError as error:
                failure = _failure(error)
            if completion is None or completion.retries:  # what answers may be another process now
                follow(self.clients[arm.provider], monitor)
        usage = None if completion and completion.cached else window.usage
        return AttemptFinished(trial.key, index, started, completion, failure, usage, now())

    def check(self, trial: Trial, index: int) -> StepFinished:
        """Evaluates the answer to action `index`, and journals the step with what the public tests say."""
        action, task = trial.actions[index], trial.task
        evaluation: Evaluation | None = None
        failure: Failure | None = None
        if isinstance(action, Ask):
            attempt = trial.attempts[index].completion
            assert attempt is not None
            code, answer = None, attempt.text
        else:
            self.journal.flush()
            code = answer = action.code
        if task.checked and (not isinstance(action, Ask) or action.check):
            if task.kind == "label":
                named = name_label(answer, task.problem)
                code, evaluation = named.label, validity(named)
            elif isinstance(action, Ask):
                code = extract_code(answer, task.entry_point, task.prompt)
            try:
                evaluation = evaluation or self._evaluate(trial, index, code)
            except InfrastructureError as error:
                failure = _failure(error)
        event = StepFinished(trial.key, index, code, evaluation, failure, now())
        self.journal.append(event)
        return event

    def _evaluate(self, trial: Trial, index: int, code: str | None) -> Evaluation:
        """The public evaluation of an answer; the hidden one, which the same sandbox came to, is put aside."""
        task = trial.task
        groups = [task.public_tests, task.hidden_tests] if self._hides(task) else [task.public_tests]
        found = evaluate_groups(code, task.problem, task.setup, groups, self.sandbox, self.plan.limits)
        if self._hides(task):
            trial.hidden[index] = found[1]
        return found[0]

    def _hides(self, task: Task) -> bool:
        """Whether other tests decide than those that are shown."""
        return bool(task.hidden_tests) and self.suite.protocol == "split"

    def finish(self, trial: Trial, chosen: Step | None) -> TrialFinished | ActionsDecided:
        """Takes the hidden tests and the scorers to every step, and journals the trial's end.

        Where a scorer has a question for the model, that is journalled instead: the trial is finished once it has its
        answer.
        """
        event: TrialFinished | ActionsDecided
        try:
            event = self.scored(trial, chosen, ask=True)
        except Asked as asked:
            event = ActionsDecided(trial.key, len(trial.actions), (asked.ask,), now(), asked.scorer)
        self.journal.append(event)
        return event

    def scored(self, trial: Trial, chosen: Step | None, *, ask: bool = False) -> TrialFinished:
        """What the hidden tests and the scorers say of every step, as the trial's end; nothing is journalled.

        Args:
            trial: a trial with nothing outstanding.
            chosen: its answer.
            ask: whether scorers may ask what was not asked yet.

        Raises:
            Asked: one does.
        """
        failure = trial.failure
        scored: tuple[Scored, ...] = ()
        outcome: Outcome = "sandbox_failed" if failure and failure.error == "SandboxError" else "model_failed"
        if failure is None:
            try:
                scored = tuple(self._score(trial, step, ask) for step in trial.steps)
                outcome = _outcome(scored, chosen)
            except InfrastructureError as error:
                failure, outcome = _failure(error), "sandbox_failed"
        index = chosen.index if chosen else None
        return TrialFinished(trial.key, outcome, index, scored, failure, now())

    def _score(self, trial: Trial, step: Step, ask: bool) -> Scored:
        task = trial.task
        if not task.checked or (isinstance(step.action, Ask) and not step.action.check):
            return Scored(step.index, None, ())
        hidden = step.evaluation
        if task.kind == "label":
            hidden = judgement(step.code, task)
        elif self._hides(task):
            hidden = trial.hidden.get(step.index) or evaluate(
                step.code, task.problem, task.setup, task.hidden_tests, self.sandbox, self.plan.limits
            )
            trial.hidden[step.index] = hidden
        seconds = self.references.get(task.id)
        asking = partial(Asking, trial, step, new=ask)
        scores, failures = self.collector.score(task, step, hidden, seconds, asking)
        return Scored(step.index, hidden, scores, failures)


def seed_of(problem: Problem, seed: int, repeat: int) -> int:
    """The seed of a trial: the same for every arm, so that arms differ by nothing else."""
    return int(digest([seed, problem.id, repeat])[:7], 16)


def follow(client: ModelClient, monitor: ResourceMonitor) -> None:
    """Has the monitor look at the processes that the client has now; where that can't be told, at those before."""
    with suppress(InfrastructureError):
        monitor.follow(client.processes())


def _failure(error: InfrastructureError) -> Failure:
    if isinstance(error, JournalError):
        raise error
    return Failure(type(error).__name__, str(error))


def _outcome(scored: tuple[Scored, ...], chosen: Step | None) -> Outcome:
    decisive = scored[chosen.index].hidden if chosen else None
    if decisive is None or decisive.passed is None:
        return "unscored"
    return "solved" if decisive.passed else "unsolved"
