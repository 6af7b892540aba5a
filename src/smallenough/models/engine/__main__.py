"""The engine's process: reads commands on standard input, writes reports on standard output, ends with its client.

Its first report is Ready, or that a library is missing. What libraries print goes to standard error.
"""

from __future__ import annotations

import itertools
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

from smallenough.models.engine.faults import Unsupported, out_of_memory
from smallenough.models.engine.messages import (
    LINES,
    Command,
    Drop,
    Failed,
    Generate,
    Load,
    Loaded,
    Ready,
    Report,
)

if TYPE_CHECKING:
    from smallenough.models.engine.batch import Batch

_TURNS = 32
"""After so many turns, memory that was freed goes back to the system, so that what is measured is what is in use."""

Send = Callable[[list[Report]], None]


def main() -> None:
    """Serves one client until it closes the pipe."""
    commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    threading.Thread(target=_listen, args=(sys.stdin.buffer, commands), daemon=True).start()

    def send(reports: list[Report]) -> None:
        if reports:
            out.write(b"".join(map(LINES.encode, reports)))
            out.flush()

    try:
        from smallenough.models.engine import network
    except ImportError as error:
        send([Failed("package", error.name or str(error))])
        return
    place = network.device()
    kind = network.dtype(place)
    send([Ready(place, kind, network.VERSIONS)])
    load = commands.get()
    assert isinstance(load, Load)
    batch = _load(load, place, kind, send)
    if batch is None:
        return
    for turns in itertools.count(1):
        _obey(batch, commands)
        batch.turn()
        if turns % _TURNS == 0 or not batch.busy:
            network.give_back()


def _listen(pipe: BinaryIO, commands: queue.SimpleQueue[Command]) -> None:
    """Hands commands on; where the client is gone, or can't be understood, ends the process, whatever it computes."""
    try:
        for line in pipe:
            command = LINES.decode(line)
            assert isinstance(command, Load | Generate | Drop)
            commands.put(command)
    except (ValueError, AssertionError):
        _fail()
    os._exit(0)


def _load(load: Load, place: str, kind: str, send: Send) -> Batch | None:
    from smallenough.models.engine.batch import Batch
    from smallenough.models.engine.network import Network
    from smallenough.models.engine.tokens import Tokens

    try:
        tokens = Tokens(load.tokenizer or load.folder)
        model = Network(load.folder, place, kind, load.adapter, in_4bit=load.in_4bit)
    except ImportError as error:
        send([Failed("package", error.name or str(error))])
        return None
    except Exception as error:  # noqa: BLE001 - what libraries raise has no common base
        text = " ".join(str(error).split()) or type(error).__name__
        if not isinstance(error, Unsupported | OSError | ValueError | RuntimeError | MemoryError):
            text = f"its files in {load.folder} are not as they should be ({type(error).__name__}: {text})"
        short = isinstance(error, MemoryError) or out_of_memory(text)
        send([Failed("memory" if short else "model", text)])
        return None
    send([Loaded(model.shapes[-1])])
    return Batch(model, tokens, send)


def _obey(batch: Batch, commands: queue.SimpleQueue[Command]) -> None:
    """Takes in the commands that are there; waits for one where there is nothing to do."""
    while True:
        try:
            command = commands.get(block=not batch.busy)
        except queue.Empty:
            return
        if isinstance(command, Generate):
            batch.add(command)
        elif isinstance(command, Drop):
            batch.drop(command.id)


def _run() -> None:
    """Runs `main`, and ends without waiting for the thread that listens."""
    try:
        main()
    except BaseException:  # noqa: BLE001 - told as Python would, and then the process ends all the same
        _fail()
    os._exit(0)


def _fail() -> None:
    """Tells the exception that is being handled, as Python would, and ends the process."""
    traceback.print_exc()
    sys.stderr.flush()
    os._exit(1)


if __name__ == "__main__":
    _run()
