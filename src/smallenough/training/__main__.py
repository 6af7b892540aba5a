"""The training's process: reads commands on standard input, writes reports on standard output, ends with its client.

What it reports of the training it writes into the training's log first. What libraries print goes to standard error.
SIGTERM and SIGINT mean what the command Stop means: finish the step, save a checkpoint, say so.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from smallenough.clock import now
from smallenough.models.engine.faults import Unsupported, out_of_memory
from smallenough.training.batches import Tokenized, pack, passes, step_rows, steps_of
from smallenough.training.faults import BadInput, TrainingFault
from smallenough.training.folder import append
from smallenough.training.messages import (
    LINES,
    Begin,
    Command,
    Counted,
    Ended,
    Failed,
    Loaded,
    Prepare,
    Ready,
    Report,
    Saved,
    Stepped,
    Stop,
    Validated,
)
from smallenough.training.sizes import disk_bytes, memory_bytes

if TYPE_CHECKING:
    from smallenough.training.loop import Data
    from smallenough.training.sizes import Shape

_LOGGED = Loaded | Stepped | Validated | Saved | Ended | Failed


class _Wire:
    """Where reports go: into the log, once there is one, and to the client."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.folder: Path | None = None

    def send(self, report: Report) -> None:
        """Writes a report down, and tells it."""
        if isinstance(report, _LOGGED):
            report = replace(report, time=now())
            if self.folder is not None:
                append(self.folder, LINES.encode(report), sync=not isinstance(report, Stepped))
        self._out.write(LINES.encode(report))
        self._out.flush()


def main() -> None:
    """Serves one client until it closes the pipe."""
    commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
    stopping = threading.Event()
    wire = _Wire(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    threading.Thread(target=_listen, args=(sys.stdin.buffer, commands, stopping), daemon=True).start()
    try:
        _serve(commands, stopping, wire)
    except Exception as error:
        failed = _told(error)
        if failed is None:
            raise
        _send_last(wire, failed)
    threading.Event().wait()  # what it used can be measured as long as it is there


def _send_last(wire: _Wire, failed: Failed) -> None:
    try:
        wire.send(failed)
    except OSError:  # the log can't be written either; the client is told all the same
        wire.folder = None
        wire.send(failed)


def _listen(pipe: BinaryIO, commands: queue.SimpleQueue[Command], stopping: threading.Event) -> None:
    """Hands commands on; where the client is gone, or can't be understood, ends the process, whatever it computes."""
    try:
        for line in pipe:
            command = LINES.decode(line)
            assert isinstance(command, Prepare | Begin | Stop)
            if isinstance(command, Stop):
                stopping.set()
            else:
                commands.put(command)
    except (ValueError, AssertionError):
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _serve(commands: queue.SimpleQueue[Command], stopping: threading.Event, wire: _Wire) -> None:
    from smallenough.training import network
    from smallenough.training.loop import Loop

    place = network.device()
    wire.send(Ready(place, network.VERSIONS))
    wanted = commands.get()
    assert isinstance(wanted, Prepare)
    settings = wanted.settings
    if settings.load_in_4bit:
        _check_4bit(place)
    shape = network.shape(wanted.base)
    targets = shape.targets(settings.target_modules)
    counted, data = _counted(wanted, shape, network.precision(place, settings), targets)
    wire.send(counted)
    begin = commands.get()
    assert isinstance(begin, Begin)
    wire.folder = Path(begin.output)
    model = network.Network(wanted.base, begin.name, place, counted.precision, targets, settings)
    loop = Loop(model, data, settings, counted.steps, wire.folder, wire.send)
    wire.send(Loaded(loop.step))
    loop.run(stopping.is_set)


def _check_4bit(place: str) -> None:
    if place != "cuda":
        raise BadInput("load_in_4bit: works on a CUDA GPU only, and torch finds none here; leave it out")
    if find_spec("bitsandbytes") is None:
        raise ModuleNotFoundError("bitsandbytes", name="bitsandbytes")


def _counted(wanted: Prepare, shape: Shape, precision: str, targets: list[str]) -> tuple[Counted, Data]:
    """What a training comes to, and its data.

    Raises:
        BadInput: the rows don't suit the model.
    """
    from smallenough.models.engine.tokens import BadRequest
    from smallenough.training.loop import Data
    from smallenough.training.tokenizing import RowTokens

    settings = wanted.settings
    if settings.max_length > shape.context:
        raise BadInput(
            f"max_length: {settings.max_length} is more than the model's context of {shape.context} tokens; give that"
        )
    try:
        tokens = RowTokens(wanted.base)
        learned, held = tokens.rows(wanted.rows), tokens.rows(wanted.validation)
    except BadRequest as error:
        raise BadInput(str(error)) from error
    names = [row.id for row in (*wanted.rows, *wanted.validation)]
    lengths = [len(row) for row in (*learned, *held)]
    too_long = tuple(name for name, size in zip(names, lengths, strict=True) if size > settings.max_length)
    data = Data(*([row for row in part if len(row) <= settings.max_length] for part in (learned, held)))
    rows, size = data.rows, settings.batch * settings.accumulation
    steps = steps_of(len(rows), size, settings.epochs, settings.steps) if rows else 0
    trainable = shape.trainable(targets, settings.rank)
    longest = sorted([*data.rows, *data.validation], key=len)[-settings.batch :]
    memory = memory_bytes(shape, settings, precision, trainable, pack(longest), _resident()) if longest else 0
    counted = Counted(
        rows=len(rows),
        validation_rows=len(data.validation),
        tokens=sum(map(len, rows)),
        answer_tokens=sum(len(row.answer) for row in rows),
        computed_tokens=_computed(rows, size, settings.batch, settings.seed, share=settings.dropout == 0.0),
        longest=max(map(len, rows), default=0),
        too_long=too_long,
        longest_of_all=max(lengths, default=0),
        steps=steps,
        parameters=shape.parameters,
        trainable=trainable,
        target_modules=tuple(targets),
        precision=precision,
        memory_bytes=memory,
        disk_bytes=disk_bytes(trainable, validated=bool(data.validation)),
    )
    return counted, data


def _computed(rows: Sequence[Tokenized], size: int, batch: int, seed: int, *, share: bool) -> int:
    """Tokens of the first epoch's passes."""
    total = 0
    for step in range(-(-len(rows) // size)):
        chosen = [rows[one] for one in step_rows(len(rows), size, seed, step)]
        total += sum(len(part.tokens) for part in passes(chosen, batch, share=share))
    return total


def _resident() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def _told(error: Exception) -> Failed | None:
    """An error as a report; None: it is a fault of this program."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, TrainingFault):
        return Failed(error.fault, text)
    if isinstance(error, Unsupported):
        return Failed("model", text)
    if isinstance(error, ImportError):
        return Failed("package", error.name or text)
    if isinstance(error, MemoryError) or out_of_memory(text):
        return Failed("memory", text)
    if isinstance(error, OSError):
        return Failed("disk", text)
    return Failed("model", text) if isinstance(error, RuntimeError) else None


def _run() -> None:
    """Runs `main`, and ends without waiting for the thread that listens."""
    try:
        main()
    except BaseException:  # noqa: BLE001 - told as Python would, and then the process ends all the same
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    _run()
