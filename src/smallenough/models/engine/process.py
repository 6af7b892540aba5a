"""Starts the engine's process, talks to it, and tells what became of it.

It is in a session of its own, so that Ctrl-C at a terminal reaches only its client, and it ends when its client does,
however that ends, since then its standard input does.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import TypeAlias

from smallenough.errors import MissingPackage, ModelError, ModelOutOfMemory, ModelUnavailable, SmallenoughError
from smallenough.models.adapters import AdapterFolder
from smallenough.models.engine.messages import (
    Command,
    Done,
    Drop,
    Failed,
    Generate,
    Load,
    Loaded,
    Piece,
    Ready,
    Report,
    decode,
    encode,
)
from smallenough.records import Choices, Message, Request

_ENDING_SECONDS = 10.0
"""For so long a process that was asked to end is waited for."""

_LAST_WORDS = 400
"""Characters of what a dead engine wrote last that an error repeats."""

Inbox: TypeAlias = "queue.SimpleQueue[Piece | Done | SmallenoughError]"
"""Where a request's reports come to, and why there will be no more."""


class Engine:
    """One engine process, which holds at most one model. Safe to use from several threads.

    Args:
        environment: variables that are set for it besides this process's own.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._inboxes: dict[int, Inbox] = {}
        self._ready: Future[Ready] = Future()
        self._end: SmallenoughError | None = None
        self._stopped = False
        self.model = ""
        """What was loaded, or is being loaded; empty: nothing yet."""
        self.together = 0
        """The most requests that it answers together; 0: nothing is loaded yet."""
        self.loaded_at = 0.0
        """When it was, by `time.perf_counter`."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - for as long as the process may write to it
        self._process = subprocess.Popen(
            [sys.executable, "-m", "smallenough.models.engine"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        self._listener = threading.Thread(target=self._listen, name="engine", daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    @property
    def died(self) -> bool:
        """Whether it ended without being asked to."""
        return self._end is not None and not self._stopped

    def ready(self, seconds: float | None = None) -> Ready:
        """Waits until the libraries are imported.

        Raises:
            TimeoutError: that took longer than `seconds`.
            MissingPackage: one is not installed.
            ModelError: the process ended.
        """
        return self._ready.result(seconds)

    def load(self, model: str, folder: str, adapter: AdapterFolder | None = None) -> None:
        """Has a model loaded, the first and only one, with what is merged into it; requests are answered when it is."""
        merged = str(adapter.folder) if adapter else None
        tokenizer = merged if adapter and adapter.has_tokenizer else None
        with self._lock:
            self.model = model
            self._send(Load(folder, merged, tokenizer))

    def ask(self, request: Request) -> tuple[int, Inbox]:
        """Hands a request over; returns its number, and where its reports come to."""
        inbox: Inbox = queue.SimpleQueue()
        messages = tuple(_clean(message) for message in request.messages)
        with self._lock:
            number = next(self._numbers)
            if self._end is not None:
                inbox.put(self._end)
            else:
                self._inboxes[number] = inbox
                self._send(Generate(number, messages, request.sampling, _clean_choices(request.choices)))
        return number, inbox

    def drop(self, number: int) -> None:
        """Lets go of a request that nobody waits for any more."""
        with self._lock:
            if self._inboxes.pop(number, None) is not None:
                self._send(Drop(number))

    def stop(self) -> None:
        """Ends the process, and returns when it is gone."""
        with self._lock:
            self._stopped = self._end is None
            self._end = self._end or ModelUnavailable("the engine was stopped")
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

    def _send(self, command: Command) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(OSError):  # it has ended; the listener tells everybody why
            pipe.write(encode(command))
            pipe.flush()

    def _listen(self) -> None:
        """Hands reports on until there are no more, then tells everybody who waits that it has ended."""
        refusal: SmallenoughError | None = None
        pipe = self._process.stdout
        assert pipe is not None
        with pipe:
            for line in pipe:
                if not line.endswith(b"\n"):  # it was killed while it wrote
                    break
                report = _report(line)
                if report is None:
                    refusal = ModelUnavailable(f"the engine wrote a line that is no report: {line[:_LAST_WORDS]!r}")
                    self._process.kill()
                    break
                if isinstance(report, Failed) and report.id is None:
                    refusal = _refusal(report, self.model)
                else:
                    self._hand_on(report)
        code = self._process.wait()
        with self._lock:
            self._end = self._end or refusal or self._obituary(code)
            inboxes, self._inboxes = self._inboxes, {}
        for inbox in inboxes.values():
            inbox.put(self._end)
        if not self._ready.done():
            self._ready.set_exception(self._end)
        self._errors.close()

    def _hand_on(self, report: Report) -> None:
        if isinstance(report, Ready):
            self._ready.set_result(report)
        elif isinstance(report, Loaded):
            self.together, self.loaded_at = report.together, time.perf_counter()
        elif report.id is not None:
            with self._lock:
                last = not isinstance(report, Piece)
                inbox = self._inboxes.pop(report.id, None) if last else self._inboxes.get(report.id)
            if inbox is not None:  # else it was dropped meanwhile
                inbox.put(_refusal(report, self.model) if isinstance(report, Failed) else report)

    def _obituary(self, code: int) -> ModelError:
        """Why the process may have ended, as far as can be told."""
        what = f"the engine with {self.model}" if self.model else "the engine"
        if code == -signal.SIGKILL:
            return ModelOutOfMemory(
                f"{what} was killed from outside, as the system does where memory runs out;"
                " stop other programs, or take a smaller model or fewer requests at once"
            )
        how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        self._errors.seek(0)
        words = " ".join(self._errors.read().decode("utf-8", "replace").split())[-_LAST_WORDS:]
        return ModelUnavailable(f"{what} ended with {how}; its last words: {words or 'none'}")


def _report(line: bytes) -> Report | None:
    """The report that a line is; None: it is none."""
    try:
        found = decode(line)
    except ValueError:
        return None
    return found if isinstance(found, Ready | Loaded | Piece | Done | Failed) else None


def _refusal(report: Failed, model: str) -> SmallenoughError:
    if report.fault == "package":
        return MissingPackage(report.text, "hf")
    if report.fault == "memory":
        return ModelOutOfMemory(
            f"{model} does not fit into the memory that is free: {report.text};"
            " stop other programs, or take a smaller model or fewer requests at once"
        )
    if report.fault == "request":
        return ModelError(f"{model}: {report.text}")
    return ModelError(f"{model} can't be used: {report.text}")


def _clean(message: Message) -> Message:
    """Half a surrogate pair, as a hostile program can print it, has no UTF-8."""
    return Message(message.role, message.content.encode("utf-8", "replace").decode())


def _clean_choices(choices: Choices | None) -> Choices | None:
    return choices and Choices(tuple(one.encode("utf-8", "replace").decode() for one in choices.texts), choices.by)
