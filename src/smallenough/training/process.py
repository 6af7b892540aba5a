"""Starts the training's process, talks to it, and tells what became of it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from smallenough.errors import InputError, MissingPackage, ModelError, ModelOutOfMemory, SmallenoughError
from smallenough.training.data import Row
from smallenough.training.messages import (
    LINES,
    Begin,
    Command,
    Counted,
    Failed,
    Prepare,
    Ready,
    Report,
    Stop,
)
from smallenough.training.settings import TrainingSettings
from smallenough.worker import LAST_WORDS, Ending, Worker

_LESS = (
    "stop other programs, or lower --batch (and raise --accumulation as much: the result is the same) or --max-length,"
    " or give --gradient-checkpointing"
)


class TrainingProcess:
    """A process that trains one adapter. To be used by one thread, as a context."""

    def __init__(self) -> None:
        self._reports: queue.SimpleQueue[Report | SmallenoughError] = queue.SimpleQueue()
        self._worker = Worker("smallenough.training")
        self._listener = threading.Thread(target=self._listen, name="training", daemon=True)
        self._listener.start()

    def __enter__(self) -> TrainingProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._worker.end()
        self._listener.join()

    @property
    def pid(self) -> int:
        """The process."""
        return self._worker.pid

    def prepare(
        self, base: Path, rows: Sequence[Row], validation: Sequence[Row], settings: TrainingSettings
    ) -> tuple[Ready, Counted]:
        """What the training comes to; no weights are loaded yet.

        Raises:
            MissingPackage: one is not installed.
            InputError: the settings or the rows don't suit the model.
            ModelError: the model can't be used, or the process ended.
        """
        self._send(Prepare(str(base), tuple(rows), tuple(validation), settings))
        ready, counted = self.next(), self.next()
        assert isinstance(ready, Ready)
        assert isinstance(counted, Counted)
        return ready, counted

    def begin(self, output: Path, name: str) -> None:
        """Has it train; `next` tells what it does, until Ended."""
        self._send(Begin(str(output), name))

    def stop(self) -> None:
        """Has it save a checkpoint after the step that it computes now, and end."""
        self._send(Stop())

    def next(self) -> Report:
        """Its next report.

        Raises:
            SmallenoughError: there is none, since it failed; the error says why.
        """
        found = self._reports.get()
        if isinstance(found, SmallenoughError):
            self._reports.put(found)
            raise found
        return found

    def _send(self, command: Command) -> None:
        self._worker.tell(LINES.encode(command))

    def _listen(self) -> None:
        for line in self._worker.lines():
            try:
                found = LINES.decode(line)
            except ValueError:
                words = f"the training's process wrote a line that is no report: {line[:LAST_WORDS]!r}"
                self._reports.put(ModelError(words))
                self._worker.kill()
                break
            assert not isinstance(found, Prepare | Begin | Stop)
            self._reports.put(_refusal(found) if isinstance(found, Failed) else found)
        self._reports.put(_obituary(self._worker.ended()))


def _obituary(ending: Ending) -> ModelError:
    """Why the process may have ended, as far as can be told."""
    if ending.killed:
        return ModelOutOfMemory(
            "the training was killed from outside, as the system does where memory runs out; its last checkpoint is"
            f" kept, and the same command goes on from there: {_LESS}"
        )
    return ModelError(f"the training {ending.told}")


def _refusal(report: Failed) -> SmallenoughError:
    """A report of failure as an error with its mend."""
    if report.fault == "package":
        return MissingPackage(report.text, "train")
    if report.fault == "input":
        return InputError(report.text)
    if report.fault == "memory":
        return ModelOutOfMemory(f"the training does not fit into the memory that is free ({report.text}): {_LESS}")
    if report.fault == "disk":
        return ModelError(
            f"the training can't write what it has learned: {report.text}; free some space, and start again"
        )
    if report.fault == "loss":
        return ModelError(
            f"{report.text} is no number, and the training was stopped; the last checkpoint before is kept. Lower"
            " --learning-rate or --alpha, or look at the data, and name another folder with --output"
        )
    return ModelError(f"the model can't be trained: {report.text}")
