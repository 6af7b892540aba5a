"""Fine-tuning: each adapter is trained in a process of its own, measured, and tracked from its log."""

from __future__ import annotations

import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from smallenough.errors import Interrupted, ModelError, TrackingError
from smallenough.models.conversion import cache_folder
from smallenough.models.digests import folder_digest
from smallenough.records import Usage
from smallenough.resources.monitor import ResourceMonitor, probes_for
from smallenough.sessions.provenance import provenance
from smallenough.sessions.training_jobs import PROVIDER, Job, check
from smallenough.tracking import training_run
from smallenough.tracking.store import Store
from smallenough.training.folder import ADAPTER_FILES, TrainingFolder
from smallenough.training.messages import Counted, Ended, Ready, Report
from smallenough.training.process import TrainingProcess

_TRACKED_EVERY = 30.0
"""Seconds between two times that MLflow is told, while a training goes on."""

Say = Callable[[str], None]
Watch = Callable[[Report], None]


@dataclass(frozen=True)
class Trained:
    """What came of a job."""

    folder: Path
    steps: int
    why: str
    """`done`, or `patience`: validation got no better."""
    kept: int
    """The step whose adapter it is."""
    loss: float | None
    """Of the last step."""
    validation_loss: float | None
    """Of the step that was kept; None: there is nothing to validate on."""
    tokens_per_second: float | None
    usage: Usage | None
    """None: nothing was measured."""
    run_id: str | None
    """In MLflow; None: it could not be written yet."""
    left: str = ""
    """Why MLflow does not know all of it; empty: it does."""

    @property
    def model(self) -> str:
        """What it is called as a model."""
        return f"{PROVIDER}:{self.place}"

    @property
    def place(self) -> Path:
        """Its folder, from the current one where it lies in that."""
        here = Path.cwd()
        return self.folder.relative_to(here) if self.folder.is_relative_to(here) else self.folder


def train(job: Job, store: Store, experiment: str, watch: Watch, say: Say) -> Trained:
    """Trains an adapter, or goes on with one that was broken off; what is complete is not trained again.

    Args:
        job: as `jobs` made it.
        store: where it is tracked. Where that can't be written, nothing is lost: the same call writes it later.
        experiment: name of the MLflow experiment.
        watch: is told of every report.
        say: is told what a person should know.

    Raises:
        InputError: data, settings and model don't suit one another, or the folder holds something else.
        ModelError: the model can't be trained, memory or disk is too small, or the loss is no number.
        Interrupted: it was stopped; its checkpoint is on disk.
    """
    folder = job.folder
    entries = folder.check(job.plan)
    with folder.alone():
        if not folder.ended(entries):
            _carry_out(job, store, experiment, watch, say)
        elif folder.tracked(entries):
            say(f"{folder.path} is trained already: nothing to do")
        return _finish(job, store, experiment)


# ------------------------------------------------------------------------------------------------ while it trains


def _carry_out(job: Job, store: Store, experiment: str, watch: Watch, say: Say) -> None:
    with TrainingProcess() as process:
        ready, counted = process.prepare(job.base.folder, job.rows, job.validation, job.settings)
        check(job, counted)
        if counted.too_long:
            say(f"{len(counted.too_long)} rows are longer than max_length {job.settings.max_length}, and left out")
        job.folder.begin(job.plan, _known(job, ready, counted))
        watch(ready)
        watch(counted)
        told = _Teller(job.folder, store, experiment, say)
        told.now()
        monitor = ResourceMonitor(probes_for([process.pid]))
        monitor.start()
        ended: Ended | None = None
        try:
            with _stoppable(process, say):
                process.begin(job.folder.path, job.plan.base)
                ended = _follow(process, watch, told)
        finally:
            totals = monitor.stop()
            account = {"samples": totals.samples, "reasons": dict(totals.reasons)}
            job.folder.note("usage", usage=asdict(totals.usage), monitor=account)
            if ended is None or ended.why == "stopped":
                told.now()
    if ended.why == "stopped":
        raise Interrupted(f"stopped after step {ended.step} of {counted.steps}; the same command goes on from there")


def _known(job: Job, ready: Ready, counted: Counted) -> dict[str, Any]:
    """What the log says of a training besides its plan."""
    return {
        "id": uuid.uuid4().hex[:16],
        "folder": str(job.folder.path),
        "device": ready.device,
        "libraries": ready.versions,
        "counted": asdict(counted),
        "provenance": provenance(),
    }


@contextmanager
def _stoppable(process: TrainingProcess, say: Say) -> Iterator[None]:
    """Within, SIGINT and SIGTERM have a checkpoint saved after the step, and once more end the training at once."""
    asked = False

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        process.stop()
        say("interrupted: finishing the step and saving a checkpoint; press Ctrl-C again to stop now")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _follow(process: TrainingProcess, watch: Watch, told: _Teller) -> Ended:
    """Hands reports on until the last."""
    while True:
        report = process.next()
        watch(report)
        if isinstance(report, Ended):
            return report
        told.now_and_then()


class _Teller:
    """Tells MLflow how far a training is; where that fails, says so once and leaves it for the end."""

    def __init__(self, folder: TrainingFolder, store: Store, experiment: str, say: Say) -> None:
        self._folder, self._store, self._experiment, self._say = folder, store, experiment, say
        self._written, self._last, self._failed = 0, 0.0, False

    def now_and_then(self) -> None:
        if time.monotonic() - self._last > _TRACKED_EVERY and not self._failed:
            self.now()

    def now(self) -> None:
        entries = self._folder.read()
        try:
            training_run.write(self._store, self._experiment, entries, self._written)
            self._written = len(entries)
        except TrackingError as error:
            self._failed = True
            self._say(f"MLflow is not told: {error}; the training's log keeps all of it")
        self._last = time.monotonic()


# ------------------------------------------------------------------------------------------------------- after it


def _finish(job: Job, store: Store, experiment: str) -> Trained:
    """Writes the manifest, and what MLflow does not know yet."""
    folder = job.folder
    entries, before = folder.read(), folder.manifest()
    plan = job.plan
    manifest = {
        "base": plan.base,
        "base_digest": plan.base_digest,
        "data_digest": plan.data_digest,
        "suite": plan.suite,
        "prompt_class": plan.prompt_class,
        "run_id": before.get("run_id"),
        "digest": folder_digest(folder.path, cache_folder()),
    }
    folder.write_manifest(manifest)
    left = ""
    if not folder.tracked(entries):
        try:
            run_id = training_run.write(store, experiment, entries)
            folder.write_manifest({**manifest, "run_id": run_id})
            files = [name for name in ADAPTER_FILES if (folder.path / name).is_file()]
            training_run.register(store, run_id, entries, folder.path, files)
            folder.note("tracked", run_id=run_id)
            manifest["run_id"] = run_id
        except TrackingError as error:
            left = str(error)
    return _trained(folder, entries, manifest["run_id"], left)


def _trained(folder: TrainingFolder, entries: Sequence[dict[str, Any]], run_id: str | None, left: str) -> Trained:
    ended = folder.ended(list(entries))
    if ended is None:
        raise ModelError(f"{folder.path}: its log tells no end; start the same command again")
    steps = {entry["step"]: entry for entry in entries if entry["kind"] == "stepped"}
    losses = {entry["step"]: entry["loss"] for entry in entries if entry["kind"] == "validated"}
    seconds = sum(entry["seconds"] for entry in steps.values())
    tokens = sum(entry["tokens"] for entry in steps.values())
    return Trained(
        folder=folder.path,
        steps=ended["step"],
        why=ended["why"],
        kept=ended["kept"],
        loss=steps[ended["step"]]["loss"] if ended["step"] in steps else None,
        validation_loss=losses.get(ended["kept"]),
        tokens_per_second=tokens / seconds if seconds else None,
        usage=training_run.used(entries),
        run_id=run_id,
        left=left,
    )
