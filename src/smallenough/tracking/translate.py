"""From a journal's events to the runs that MLflow shall hold. No store, no network: only values.

Attempts become runs when their trial ends, since only then their hidden tests have been run. A session that was
interrupted is shown as it stands: `leave` gives the runs of what is still open, which a later resume completes.
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from smallenough.events import (
    ActionsDecided,
    ArmFinished,
    ArmStarted,
    AttemptFinished,
    Event,
    ReferencesTimed,
    SessionFinished,
    SessionResumed,
    SessionStarted,
    StepFinished,
    TrialFinished,
    TrialReopened,
    TrialStarted,
)
from smallenough.journal import samples_file
from smallenough.metrics import arm_metrics
from smallenough.records import Ask, Json, Suite, TrialKey
from smallenough.resources.samples import Sample
from smallenough.tracking import layout
from smallenough.tracking.layout import Context
from smallenough.tracking.parts import ArmTotals, Part, arm_totals
from smallenough.tracking.runs import RunRecord, RunStatus
from smallenough.tracking.series import system_series
from smallenough.trial import Trial

_ENDED: Mapping[str, RunStatus] = {"completed": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


@dataclass
class _Arm:
    """What is known of an arm so far."""

    parts: list[Part]
    trials: list[dict[str, Json]] = field(default_factory=list)
    attempts: list[dict[str, Json]] = field(default_factory=list)
    told: set[str] = field(default_factory=set)
    """Metrics that stood at the end of an earlier part."""

    def metrics(self, totals: ArmTotals) -> dict[str, float]:
        """The arm's metrics. MLflow keeps what once stood: what is no longer known, for want in a part, becomes NaN."""
        cached = any(row["cached"] for row in self.attempts)  # then what was measured is not what its trials take
        found = arm_metrics(self.trials, None if cached else totals.usage)
        if totals.idle_cpu_rate is not None:
            found["idle_cpu_rate"] = totals.idle_cpu_rate
        self.told |= found.keys()
        return {**dict.fromkeys(self.told, math.nan), **found}


class Translator:
    """Takes a session's events in order, and tells which runs they make.

    Args:
        suite: the session's tasks.
        folder: the session's folder, where the samples lie.
    """

    def __init__(self, suite: Suite, folder: Path) -> None:
        self._suite = suite
        self._tasks = {task.id: task for task in suite.tasks}
        self._folder = folder
        self._context: Context | None = None
        self._arms: dict[str, _Arm] = {}
        self._open: dict[TrialKey, tuple[Trial, float]] = {}
        self._failed: dict[TrialKey, tuple[Trial, float]] = {}
        self._ended = False

    @property
    def context(self) -> Context:
        """The session's plan and suite; known once the first event was taken."""
        assert self._context is not None
        return self._context

    def take(self, event: Event) -> list[RunRecord]:
        """The runs that `event` makes or completes."""
        match event:
            case SessionStarted():
                self._context = Context(event, self._suite)
                return [layout.session_run(self.context, "RUNNING", None, {})]
            case SessionFinished():
                self._ended = True
                return [self._session(event)]
            case ArmStarted():
                if event.arm in self._arms:  # it goes on after an interruption
                    self._arms[event.arm].parts.append(Part(event))
                    return []
                self._arms[event.arm] = _Arm([Part(event)])
                return [layout.arm_run(self.context, event, "RUNNING", None, {}, {})]
            case ArmFinished():
                return self._finish_arm(event)
            case TrialStarted():
                self._open[event.key] = (Trial(event.key, self._tasks[event.key.task], event.seed), event.time)
            case TrialFinished():
                return self._finish_trial(event)
            case TrialReopened():
                self._reopen(event)
            case ActionsDecided() | AttemptFinished() | StepFinished():
                self._open[event.key][0].apply(event)
            case SessionResumed():
                self._ended = False
            case ReferencesTimed():
                pass
        return []

    def leave(self) -> list[RunRecord]:
        """The runs of trials that are open when nobody works on the session any more, and its own if it was killed."""
        killed = self._context is not None and not self._ended
        runs = [layout.session_run(self.context, "RUNNING", None, {})] if killed else []
        for key, (trial, start) in self._open.items():
            arm = self.context.arm(key.arm)
            known = {"task": key.task, "category": trial.task.category, "repeat": key.repeat, "seed": trial.seed}
            runs.append(layout.trial_run({**layout.identity(self.context, arm), **known}, trial, start, None))
            runs += self._attempts(trial, None)
        return runs

    def rows(self) -> tuple[list[dict[str, Json]], list[dict[str, Json]]]:
        """The rows of the trials and of the attempts that ended so far, of all arms."""
        arms = self._arms.values()
        return [row for arm in arms for row in arm.trials], [row for arm in arms for row in arm.attempts]

    def _finish_trial(self, event: TrialFinished) -> list[RunRecord]:
        trial, start = self._open.pop(event.key)
        if event.failure:
            self._failed[event.key] = trial, start
        row = layout.trial_row(self.context, trial, event)
        self._arms[event.key.arm].trials.append(row)
        return [layout.trial_run(row, trial, start, event), *self._attempts(trial, event)]

    def _reopen(self, event: TrialReopened) -> None:
        """Takes a trial's rows back: it ends once more."""
        self._open[event.key] = self._failed.pop(event.key)
        trial = self._open[event.key][0]
        trial.apply(event)
        arm = self._arms[event.key.arm]
        for rows in (arm.trials, arm.attempts):
            rows[:] = [row for row in rows if (row["task"], row["repeat"]) != (event.key.task, event.key.repeat)]

    def _attempts(self, trial: Trial, event: TrialFinished | None) -> list[RunRecord]:
        scored = {one.index: one for one in event.scored} if event else {}
        runs = []
        for index, action in enumerate(trial.actions):
            if isinstance(action, Ask) and index in trial.attempts:
                row = layout.attempt_row(self.context, trial, index, scored.get(index))
                run = layout.attempt_run(row, trial, index, scored.get(index), final=event is not None)
                runs.append(run)
                if event:
                    self._arms[trial.key.arm].attempts.append(row)
        return runs

    def _finish_arm(self, event: ArmFinished) -> list[RunRecord]:
        arm = self._arms[event.arm]
        started = arm.parts[0].started
        arm.parts[-1] = Part(arm.parts[-1].started, event)
        wanted = len(self.context.plan.task_ids) * self.context.plan.repeats
        rows = self._samples(event.arm)
        samples = [Sample.from_row(row) for row in rows]
        totals = arm_totals(arm.parts, samples)
        run = layout.arm_run(
            self.context,
            started,
            "FINISHED" if len(arm.trials) == wanted else "KILLED",
            event.time,
            arm.metrics(totals),
            {layout.TRIALS: parquet(arm.trials), layout.ATTEMPTS: parquet(arm.attempts)},
            totals,
            system_series(samples, self.context.started.provenance),
        )
        resources = layout.resources_run(self.context, event.arm, totals, started.time, event.time, parquet(rows))
        return [run, resources]

    def _samples(self, arm: str) -> list[dict[str, Json]]:
        position = [one.name for one in self.context.plan.arms].index(arm)
        path = samples_file(self._folder, position)
        if not path.exists():
            return []
        with path.open(encoding="utf-8") as lines:
            return list(_whole_lines(lines))

    def _session(self, event: SessionFinished) -> RunRecord:
        trials = [row for arm in self._arms.values() for row in arm.trials]
        metrics = {
            "trials": float(len(trials)),
            "attempts": float(sum(len(arm.attempts) for arm in self._arms.values())),
            "infrastructure_failures": float(sum(str(row["outcome"]).endswith("_failed") for row in trials)),
        }
        return layout.session_run(self.context, _ENDED[event.status], event.time, metrics)


def _whole_lines(lines: Iterable[str]) -> Iterable[dict[str, Json]]:
    """The rows of a file whose last line a kill may have torn."""
    for line in lines:
        if line.endswith("\n"):
            try:
                yield json.loads(line)
            except ValueError:
                continue


def parquet(rows: list[dict[str, Json]]) -> bytes:
    """Rows as a Parquet file; its columns are the union of the rows' names."""
    import pyarrow.parquet as pq

    from smallenough.tracking.arrow import table

    buffer = io.BytesIO()
    pq.write_table(table(rows), buffer)
    return buffer.getvalue()
