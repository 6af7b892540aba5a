"""Starts the engine's process, talks to it, and tells what became of it."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future
from typing import TypeAlias

from smallenough.errors import MissingPackage, ModelError, ModelOutOfMemory, ModelUnavailable, SmallenoughError
from smallenough.models.adapters import AdapterFolder
from smallenough.models.engine.messages import (
    LINES,
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
)
from smallenough.records import Choices, Message, Request
from smallenough.worker import LAST_WORDS, Ending, Worker

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
        self._worker = Worker("smallenough.models.engine", environment)
        self._listener = threading.Thread(target=self._listen, name="engine", daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """The process."""
        return self._worker.pid

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

    def load(self, model: str, folder: str, adapter: AdapterFolder | None = None, *, in_4bit: bool = False) -> None:
        """Has a model loaded, the first and only one, with what is merged into it; requests are answered when it is."""
        merged = str(adapter.folder) if adapter else None
        tokenizer = merged if adapter and adapter.has_tokenizer else None
        with self._lock:
            self.model = model
            self._send(Load(folder, merged, tokenizer, in_4bit))

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
        self._worker.end()
        self._listener.join()

    def _send(self, command: Command) -> None:
        self._worker.tell(LINES.encode(command))

    def _listen(self) -> None:
        """Hands reports on until there are no more, then tells everybody who waits that it has ended."""
        refusal: SmallenoughError | None = None
        for line in self._worker.lines():
            report = _report(line)
            if report is None:
                refusal = ModelUnavailable(f"the engine wrote a line that is no report: {line[:LAST_WORDS]!r}")
                self._worker.kill()
                break
            if isinstance(report, Failed) and report.id is None:
                refusal = _refusal(report, self.model)
            else:
                self._hand_on(report)
        ending = self._worker.ended()
        with self._lock:
            self._end = self._end or refusal or self._obituary(ending)
            inboxes, self._inboxes = self._inboxes, {}
        for inbox in inboxes.values():
            inbox.put(self._end)
        if not self._ready.done():
            self._ready.set_exception(self._end)

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

    def _obituary(self, ending: Ending) -> ModelError:
        """Why the process may have ended, as far as can be told."""
        what = f"the engine with {self.model}" if self.model else "the engine"
        if ending.killed:
            return ModelOutOfMemory(
                f"{what} was killed from outside, as the system does where memory runs out;"
                " stop other programs, or take a smaller model or fewer requests at once"
            )
        return ModelUnavailable(f"{what} {ending.told}")


def _report(line: bytes) -> Report | None:
    """The report that a line is; None: it is none."""
    try:
        found = LINES.decode(line)
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
