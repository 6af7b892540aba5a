"""Starts the training's process, talks to it, and tells what became of it.

It is in a session of its own, so that Ctrl-C at a terminal reaches only its client, and it ends when its client does,
however that ends, since then its standard input does.
"""

from __future__ import annotations

import contextlib
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from smallenough.errors import InputError, MissingPackage, ModelError, ModelOutOfMemory, SmallenoughError
from smallenough.training.data import Row
from smallenough.training.messages import (
    Begin,
    Command,
    Counted,
    Failed,
    Prepare,
    Ready,
    Report,
    Stop,
    decode,
    encode,
)
from smallenough.training.settings import TrainingSettings

_ENDING_SECONDS = 10.0
"""For so long a process that was asked to end is waited for."""

_LAST_WORDS = 400
"""Characters of what a dead process wrote last that an error repeats."""

_LESS = (
    "stop other programs, or lower --batch (and raise --accumulation as much: the result is the same) or --max-length,"
    " or give --gradient-checkpointing"
)


class TrainingProcess:
    """A process that trains one adapter. To be used by one thread, as a context."""

    def __init__(self) -> None:
        self._reports: queue.SimpleQueue[Report | SmallenoughError] = queue.SimpleQueue()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - for as long as the process may write to it
        self._process = subprocess.Popen(
            [sys.executable, "-m", "smallenough.training"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, name="training", daemon=True)
        self._listener.start()

    def __enter__(self) -> TrainingProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(OSError):  # it is gone already
            pipe.close()
        try:
            self._process.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listener.join()
        self._errors.close()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

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
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(OSError, ValueError):  # it has ended; the listener tells why
            pipe.write(encode(command))
            pipe.flush()

    def _listen(self) -> None:
        pipe = self._process.stdout
        assert pipe is not None
        with pipe:
            for line in pipe:
                if not line.endswith(b"\n"):  # it was killed while it wrote
                    break
                try:
                    found = decode(line)
                except ValueError:
                    words = f"the training's process wrote a line that is no report: {line[:_LAST_WORDS]!r}"
                    self._reports.put(ModelError(words))
                    self._process.kill()
                    return
                assert not isinstance(found, Prepare | Begin | Stop)
                self._reports.put(_refusal(found) if isinstance(found, Failed) else found)
        self._reports.put(self._obituary(self._process.wait()))

    def _obituary(self, code: int) -> ModelError:
        """Why the process may have ended, as far as can be told."""
        if code == -signal.SIGKILL:
            return ModelOutOfMemory(
                "the training was killed from outside, as the system does where memory runs out; its last checkpoint is"
                f" kept, and the same command goes on from there: {_LESS}"
            )
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        self._errors.seek(0)
        words = " ".join(self._errors.read().decode("utf-8", "replace").split())[-_LAST_WORDS:]
        return ModelError(f"the training ended with {how}; its last words: {words or 'none'}")


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
