"""Several servers that hold the same models share the work.

Each request goes to the server with the fewest requests in flight, the first of them on a tie. A server that is
unavailable is put aside for a while, and its request goes to another one. What a server is good at is not known
here: servers of different speed share the work by how quickly they finish theirs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from smallenough.errors import InputError, ModelTimeout, ModelUnavailable
from smallenough.protocols import ModelClient, OnToken
from smallenough.records import Completion, ModelInfo, Request, replace

_Result = TypeVar("_Result")


@dataclass(eq=False)
class _Server:
    client: ModelClient
    in_flight: int = 0
    aside_until: float = 0.0


class BalancedClient:
    """Answers requests with several clients. Safe to call from several threads.

    Args:
        clients: one for each server, each safe to call from several threads.
        aside_seconds: how long a server that was unavailable gets no requests while others are there.

    Raises:
        InputError: there is no client.
    """

    def __init__(self, clients: Sequence[ModelClient], *, aside_seconds: float = 30.0) -> None:
        if not clients:
            raise InputError("no server is named; name at least one with --url")
        self._servers = [_Server(client) for client in clients]
        self._aside_seconds = aside_seconds
        self._cancels = 0
        self._lock = threading.Lock()

    def generate(self, request: Request, on_token: OnToken | None = None) -> Completion:
        """Answers one request; its deadline covers all servers that are tried. See `protocols.ModelClient`.

        `Completion.retries` counts a server that was unavailable as one failed try.
        """
        cancels, started = self._cancels, time.monotonic()
        failures: list[ModelUnavailable] = []
        tried: set[int] = set()
        while len(tried) < len(self._servers):
            number = self._choose(tried)
            tried.add(number)
            try:
                completion = self._ask(self._servers[number], self._left(request, started, failures), on_token)
            except ModelUnavailable as error:
                if self._cancels != cancels:
                    raise
                failures.append(error)
                self._servers[number].aside_until = time.monotonic() + self._aside_seconds
            else:
                return replace(completion, retries=completion.retries + len(failures))
        if len(failures) == 1:
            raise failures[0]
        raise ModelUnavailable("no server is available: " + "; ".join(map(str, failures))) from failures[-1]

    def describe(self, model: str) -> ModelInfo:
        """What is known of `model`, which all servers must hold alike.

        Raises:
            InputError: two servers hold different models under that name; says which.
            ModelNotFound: a server does not have it.
            ModelUnavailable: a server does not answer.
        """
        infos = self._on_all(lambda client: client.describe(model))
        if len({info.digest for info in infos}) > 1:
            held = ", ".join(f"{info.server or 'a server'} has {(info.digest or 'unknown')[:12]}" for info in infos)
            raise InputError(f"the servers hold different models as {model!r}: {held}; pull it again on each")
        return replace(infos[0], server=", ".join(dict.fromkeys(info.server for info in infos if info.server)))

    def processes(self) -> Sequence[int] | None:
        """The processes of all servers; None: those of at least one can't be seen, so that a sum would mislead."""
        pids: set[int] = set()
        for server in self._servers:
            found = server.client.processes()
            if found is None:
                return None
            pids.update(found)
        return sorted(pids)

    def cancel(self) -> None:
        """Stops every request in flight on every server."""
        self._cancels += 1
        for server in self._servers:
            server.client.cancel()

    def unload(self, model: str) -> None:
        """Frees what `model` occupies on every server, and returns when it is gone from all."""
        self._on_all(lambda client: client.unload(model))

    def close(self) -> None:
        """Closes every client."""
        for server in self._servers:
            server.client.close()

    def _choose(self, tried: set[int]) -> int:
        """The server to ask next: one that is put aside only where no other is left."""
        now = time.monotonic()
        with self._lock:
            number = min(
                (number for number in range(len(self._servers)) if number not in tried),
                key=lambda n: (self._servers[n].aside_until > now, self._servers[n].in_flight, n),
            )
            self._servers[number].in_flight += 1
        return number

    def _ask(self, server: _Server, request: Request, on_token: OnToken | None) -> Completion:
        try:
            completion = server.client.generate(request, on_token)
        finally:
            with self._lock:
                server.in_flight -= 1
        server.aside_until = 0.0
        return completion

    def _left(self, request: Request, started: float, failures: Sequence[ModelUnavailable]) -> Request:
        if request.deadline is None or not failures:
            return request
        left = request.deadline - (time.monotonic() - started)
        if left <= 0:
            raise ModelTimeout(f"{request.model}: no answer within {request.deadline:g} s; before that, {failures[-1]}")
        return replace(request, deadline=left)

    def _on_all(self, act: Callable[[ModelClient], _Result]) -> list[_Result]:
        with ThreadPoolExecutor(len(self._servers)) as threads:
            return list(threads.map(act, [server.client for server in self._servers]))
