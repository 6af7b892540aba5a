"""One arm of a session: all its trials, over two pools of threads.

The loop is an event loop: strategies are asked in this thread, inferences, evaluations and scoring are jobs in
the pools, and each job's event comes back through one queue. Requests go to the model that is loaded until none is left
for it; then the next model's turn comes, so that a cascade loads each model once for the whole arm.

With a concurrency of 1 there is one thread for everything: nothing runs beside an inference, and timings are clean.
Otherwise evaluations overlap with inferences, in a pool of their own, so that no inference waits behind them.
"""

from __future__ import annotations

import queue
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial

from smallenough.clock import now
from smallenough.events import ActionsDecided, AttemptFinished, Event, StepFinished, TrialFinished, TrialStarted
from smallenough.machine import usable_cores
from smallenough.protocols import Strategy
from smallenough.records import Arm, Ask, Task, TrialKey
from smallenough.resources.monitor import ResourceMonitor
from smallenough.runner.work import Bench, follow, seed_of
from smallenough.trial import Progress, Trial

Observe = Callable[[Event], None]

EVALUATIONS = 2
"""How many answers a processor has evaluated at once, beside inferences: while some run in the sandbox (see `InTurn`),
others are prepared and judged."""


class Stop(IntEnum):
    """How urgently a session shall end."""

    NO = 0
    SOON = 1
    """Finish what is in flight."""
    NOW = 2
    """Break off what is in flight; it is asked again on resume."""


@dataclass
class Control:
    """Lets a signal handler or another thread end a session. `wake` is set while an arm runs."""

    stop: Stop = Stop.NO
    wake: Callable[[], None] = lambda: None
    reason: str = ""

    def breaking_off(self) -> bool:
        """Whether what is in flight shall not be waited for."""
        return self.stop is Stop.NOW

    def request(self, stop: Stop, reason: str = "") -> None:
        """Asks the session to end; a more urgent wish replaces a less urgent one."""
        if stop > self.stop:
            self.stop, self.reason = stop, reason or self.reason
            self.wake()


@dataclass(frozen=True)
class _Done:
    trial: Trial
    job: Future[Event | None]


@dataclass
class ArmRun:
    """Runs the trials of one arm that have not ended yet."""

    bench: Bench
    arm: Arm
    strategy: Strategy
    monitor: ResourceMonitor
    progress: Progress
    control: Control
    observe: Observe
    _done: queue.SimpleQueue[_Done | None] = field(default_factory=queue.SimpleQueue)
    _waiting: dict[str, deque[tuple[Trial, int]]] = field(default_factory=lambda: defaultdict(deque))
    _loaded: str = ""
    _asking: int = 0
    _jobs: int = 0
    _open: int = 0
    """Trials that began and have not ended."""

    def run(self) -> None:
        """Runs until every trial has ended or `control` says stop.

        Raises:
            JournalError: the journal can't be written.
        """
        concurrency = self.bench.plan.concurrency
        # With one thread for everything, no trial begins before the last one has ended: its times are its own.
        self._most_open = 1 if concurrency == 1 else 4 * concurrency
        self._loaded = self.arm.model
        self._todo = self._trials()
        self.control.wake = lambda: self._done.put(None)
        try:  # leaving the pool waits for the jobs in flight, each of which journals what came of it
            with ThreadPoolExecutor(concurrency, "ask") as self._inferences:
                if concurrency == 1:
                    self._evaluations = self._inferences
                    self._loop()
                else:
                    with ThreadPoolExecutor(EVALUATIONS * usable_cores(), "evaluate") as self._evaluations:
                        self._loop()
            if self._loaded != self.arm.model:  # the next arm shall find memory as this one did
                self.bench.clients[self.arm.provider].unload(self._loaded)
        finally:
            self.control.wake = lambda: None

    def _loop(self) -> None:
        self._fill()
        while self._jobs:
            done = self._done.get()
            if done is None:
                if self.control.breaking_off():
                    self.bench.clients[self.arm.provider].cancel()
                continue
            self._jobs -= 1
            self._take(done.trial, done.job.result())
            self._fill()

    def _trials(self) -> Iterator[tuple[TrialKey, Task]]:
        plan, tasks = self.bench.plan, {task.id: task for task in self.bench.suite.tasks}
        keys = [TrialKey(self.arm.name, task, repeat) for repeat in range(plan.repeats) for task in plan.task_ids]
        began = [key for key in keys if key in self.progress.open]
        for key in began + [key for key in keys if key not in self.progress.open]:
            if key not in self.progress.finished:
                yield key, tasks[key.task]

    def _fill(self) -> None:
        """Gives the model that is loaded as much to do as it may have at once."""
        concurrency = self.bench.plan.concurrency
        while self.control.stop is Stop.NO:
            waiting = self._waiting[self._loaded]
            parked = sum(len(others) for model, others in self._waiting.items() if model != self._loaded)
            if waiting and self._asking < concurrency:
                trial, index = waiting.popleft()
                self._asking += 1
                self._submit(self._inferences, trial, partial(self._ask, trial, index))
            elif not waiting and self._open - parked < self._most_open and (found := next(self._todo, None)):
                self._begin(*found)
            elif not waiting and not self._jobs and parked:
                self._switch()
            else:
                break

    def _switch(self) -> None:
        client = self.bench.clients[self.arm.provider]
        client.unload(self._loaded)
        follow(client, self.monitor)
        self._loaded = next(model for model, others in self._waiting.items() if others)

    def _submit(self, pool: ThreadPoolExecutor, trial: Trial, work: Callable[[], Event | None]) -> None:
        self._jobs += 1
        pool.submit(work).add_done_callback(lambda job: self._done.put(_Done(trial, job)))

    def _ask(self, trial: Trial, index: int) -> AttemptFinished | None:
        if self.control.breaking_off():
            return None
        event = self.bench.attempt(trial, index, self.arm, self.monitor)
        if event.failure and self.control.breaking_off():
            return None  # broken off on purpose: as if never asked
        self.bench.journal.append(event)
        return event

    def _begin(self, key: TrialKey, task: Task) -> None:
        self._open += 1
        trial = self.progress.trial(key, task)
        if trial is None:
            trial = Trial(key, task, seed_of(task.problem, self.bench.plan.seed, key.repeat))
            self._record(trial, TrialStarted(key, trial.seed, now()))
        self._go_on(trial)

    def _record(self, trial: Trial, event: Event) -> None:
        self.bench.journal.write(event)  # the job that acts on it sees to it that it is on the disk
        trial.apply(event)
        self.observe(event)

    def _take(self, trial: Trial, event: Event | None) -> None:
        if event is None or isinstance(event, AttemptFinished):
            self._asking -= 1
        if event is None:
            return
        trial.apply(event)
        self.observe(event)
        match event:
            case TrialFinished():
                self._open -= 1
            case ActionsDecided():
                self._go_on(trial)
            case AttemptFinished(failure=None) if event.index not in trial.scorers:
                self._check(trial, event.index)
            case AttemptFinished() | StepFinished() if not trial.outstanding:
                self._go_on(trial)
            case _:
                pass

    def _check(self, trial: Trial, index: int) -> None:
        self._submit(self._evaluations, trial, partial(self.bench.check, trial, index))

    def _go_on(self, trial: Trial) -> None:
        """Takes a trial with nothing in flight to its next action or its end."""
        if not trial.outstanding and trial.failure is None:
            actions = self.strategy.next(trial.task.problem, trial.steps, trial.seed)
            if actions:
                self._record(trial, ActionsDecided(trial.key, len(trial.actions), tuple(actions), now()))
        if not trial.outstanding:
            chosen = self.strategy.choose(trial.task.problem, trial.steps) if trial.failure is None else None
            self._submit(self._evaluations, trial, partial(self.bench.finish, trial, chosen))
            return
        for index in trial.outstanding:
            action = trial.actions[index]
            if isinstance(action, Ask) and index not in trial.attempts:
                self._waiting[action.model or self.arm.model].append((trial, index))
            else:
                self._check(trial, index)
