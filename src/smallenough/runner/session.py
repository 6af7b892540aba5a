"""A session from its plan to its end: arm after arm, each measured, each resumable."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from smallenough.clock import now
from smallenough.errors import InfrastructureError
from smallenough.events import ArmFinished, ArmStarted, Event, Failure, SessionFinished, Status, TrialFinished
from smallenough.journal import samples_file
from smallenough.prompts import Prompts
from smallenough.protocols import Strategy
from smallenough.records import Arm, ModelInfo, Usage
from smallenough.resources.monitor import ResourceMonitor, probes_for
from smallenough.runner.arm import ArmRun, Control, Observe, Stop
from smallenough.runner.work import Bench
from smallenough.trial import Progress

IDLE_SECONDS = 1.0
"""For so long the model's server is watched before an arm, with nothing to do."""

BAD_RUN = 20
"""So many infrastructure failures one after the other end a session: what is broken stays broken."""


@dataclass
class SessionRunner:
    """Runs what of a plan has not been run yet."""

    bench: Bench
    strategies: Mapping[str, Strategy]
    """By arm name."""
    models: Mapping[str, ModelInfo]
    """By arm name."""
    prompts: Mapping[str, Prompts]
    """By arm name."""
    progress: Progress = field(default_factory=Progress)
    control: Control = field(default_factory=Control)
    observe: Observe = lambda _: None
    further: Mapping[str, tuple[ModelInfo, ...]] = field(default_factory=dict)
    """The models that an arm's strategy asks besides the arm's own, by arm name."""
    failures: int = 0
    """Trials that ended in an infrastructure failure."""
    _in_a_row: int = 0
    _gave_up: bool = False

    def run(self) -> Status:
        """Runs every arm that is not complete, and says how the session ended.

        Raises:
            JournalError: the journal can't be written.
        """
        plan, failure = self.bench.plan, None
        try:
            for position, arm in enumerate(plan.arms):
                if self.control.stop is not Stop.NO:
                    break
                if not self._complete(arm):
                    self._run_arm(position, arm)
        except InfrastructureError as error:
            failure = Failure(type(error).__name__, str(error))
            self.control.request(Stop.SOON, str(error))
        status: Status = "completed"
        if self._gave_up or failure:
            status = "failed"
            failure = failure or Failure("InfrastructureError", self.control.reason)
        elif self.control.stop is not Stop.NO:
            status = "interrupted"
        self.bench.journal.append(finished := SessionFinished(status, failure, now()))
        self.observe(finished)
        return status

    def _complete(self, arm: Arm) -> bool:
        done = sum(key.arm == arm.name for key in self.progress.finished)
        return done == len(self.bench.plan.task_ids) * self.bench.plan.repeats

    def _run_arm(self, position: int, arm: Arm) -> None:
        bench = self.bench
        path = samples_file(bench.journal.folder, position)
        # Line by line: of a part that is killed, the samples are all that is known.
        with path.open("a", encoding="utf-8", buffering=1) as samples:
            monitor = ResourceMonitor(
                probes_for(bench.clients[arm.provider].processes()),
                bench.plan.sample_interval,
                lambda sample: print(json.dumps(sample.row()), file=samples),
            )
            idle = monitor.measure_idle(IDLE_SECONDS)
            prompts, further = self.prompts[arm.name].digest, self.further.get(arm.name, ())
            self._record(ArmStarted(arm.name, self.models[arm.name], prompts, idle, now(), further))
            monitor.start()
            run = ArmRun(bench, arm, self.strategies[arm.name], monitor, self.progress, self.control, self._watch)
            try:
                run.run()
            finally:
                totals = asdict(monitor.stop())
                samples.flush()
                usage = Usage(**totals.pop("usage"))
                self._record(ArmFinished(arm.name, usage, totals, now()))
        following = bench.plan.arms[position + 1 : position + 2]
        stays = following and (following[0].provider, following[0].model) == (arm.provider, arm.model)
        if following and not stays and self.control.stop is Stop.NO:
            bench.clients[arm.provider].unload(arm.model)

    def _record(self, event: Event) -> None:
        self.bench.journal.append(event)
        self.observe(event)

    def _watch(self, event: Event) -> None:
        """Passes every event on, and counts infrastructure failures."""
        self.observe(event)
        if not isinstance(event, TrialFinished):
            return
        failed = event.failure is not None
        self.failures += failed
        self._in_a_row = self._in_a_row + 1 if failed else 0
        if self._too_many() and event.failure:
            self._gave_up = True
            self.control.request(
                Stop.SOON, f"{self.failures} trials failed for infrastructure, the last: {event.failure.message}"
            )

    def _too_many(self) -> bool:
        limit = self.bench.plan.fail_on_error
        if limit is not None and limit < 1:
            limit = limit * self.bench.plan.trials
        return self._in_a_row >= BAD_RUN or (limit is not None and self.failures > limit)
