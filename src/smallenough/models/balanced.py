"""Several servers that hold the same models share the work.

Each request goes to the server with the fewest requests in flight; of these, to the one that was not asked for the
longest. A server that is unavailable or hangs is put aside for a while, and its request goes to another one. When all
have failed, they are asked again after a pause. What a server is good at is not known here: servers of different speed
share the work by how quickly they finish theirs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from smallenough.errors import InputError, ModelTimeout, ModelUnavailable
from smallenough.models.flight import Flight, Flights
from smallenough.models.retrying import QUESTION_RETRIES, RETRIES, retrying
from smallenough.protocols import ModelClient, OnToken
from smallenough.records import Completion, ModelInfo, Request, replace

_Result = TypeVar("_Result")


@dataclass(eq=False)
class _Server:
    client: ModelClient
    in_flight: int = 0
    asked: int = 0
    """The number of its last request, among those to all servers."""
    aside_until: float = 0.0


class BalancedClient:
    """Answers requests with several clients. Safe to call from several threads.

    Args:
        clients: one for each server, each safe to call from several threads; they should not try again themselves
            while another server may have time.
        retries: how often all servers are asked again when all have failed.
        aside_seconds: how long a server that was unavailable gets no requests while others are there.

    Raises:
        InputError: there is no client.
    """

    def __init__(self, clients: Sequence[ModelClient], *, retries: int = RETRIES, aside_seconds: float = 30.0) -> None:
        if not clients:
            raise InputError("no server is named; name at least one with --url")
        self._servers = [_Server(client) for client in clients]
        self._retries = retries
        self._aside_seconds = aside_seconds
        self._flights = Flights()
        self._lock = threading.Lock()

    def generate(self, request: Request, on_token: OnToken | None = None) -> Completion:
        """Answers one request; its deadline covers all servers and tries. See `protocols.ModelClient`.

        `Completion.retries` counts a server that was unavailable as one failed try.
        """
        failures: list[ModelUnavailable] = []
        with self._flights.flight(request.deadline) as flight:
            completion = retrying(flight, self._retries, [])(
                lambda: self._ask_in_turn(request, flight, failures, on_token)
            )
        return replace(completion, retries=completion.retries + len(failures))

    def describe(self, model: str) -> ModelInfo:
        """What is known of `model`, which all servers must hold alike.

        Raises:
            InputError: two servers hold different models under that name; says which.
            ModelNotFound: a server does not have it.
            ModelUnavailable: a server does not answer; names every such one.
        """
        with self._flights.flight(None) as flight:
            again = retrying(flight, min(self._retries, QUESTION_RETRIES), [])
            infos = again(lambda: self._described(model))
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
        self._flights.cancel()
        for server in self._servers:
            server.client.cancel()

    def unload(self, model: str) -> None:
        """Frees what `model` occupies on every server that answers, and returns when it is gone from these.

        A server that does not answer is put aside.

        Raises:
            ModelUnavailable: none of them answers.
            ModelError: a server still has it loaded.
        """
        with self._flights.flight(None) as flight:
            retrying(flight, self._retries, [])(lambda: self._unload(model))

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
                key=lambda n: (self._servers[n].aside_until > now, self._servers[n].in_flight, self._servers[n].asked),
            )
            self._servers[number].in_flight += 1
            self._servers[number].asked = 1 + max(server.asked for server in self._servers)
        return number

    def _ask_in_turn(
        self, request: Request, flight: Flight, failures: list[ModelUnavailable], on_token: OnToken | None
    ) -> Completion:
        """The answer of the first server that is not unavailable; adds to `failures` those that are."""
        tried: set[int] = set()
        found: list[ModelUnavailable] = []
        while len(tried) < len(self._servers):
            left = self._left(request, flight, failures)
            number = self._choose(tried)
            tried.add(number)
            try:
                return self._ask(self._servers[number], left, on_token)
            except ModelUnavailable as error:
                if flight.cancelled:
                    raise
                found.append(error)
                failures.append(error)
                self._put_aside(self._servers[number])
        raise _all_of(found)

    def _ask(self, server: _Server, request: Request, on_token: OnToken | None) -> Completion:
        heard = threading.Event()

        def told() -> None:
            heard.set()
            if on_token is not None:
                on_token()

        try:
            completion = server.client.generate(request, told)
        except ModelTimeout:
            if not heard.is_set():  # It may hang, and others have time.
                self._put_aside(server)
            raise
        finally:
            with self._lock:
                server.in_flight -= 1
        server.aside_until = 0.0
        return completion

    def _put_aside(self, server: _Server) -> None:
        server.aside_until = time.monotonic() + self._aside_seconds

    def _left(self, request: Request, flight: Flight, failures: Sequence[ModelUnavailable]) -> Request:
        """The request with the time that is left for it."""
        if flight.cancelled:
            raise ModelUnavailable(f"the request for {request.model} was cancelled")
        if flight.deadline is None or not failures:
            return request
        if flight.expired:
            raise ModelTimeout(f"{request.model}: no answer within {request.deadline:g} s; before that, {failures[-1]}")
        return replace(request, deadline=flight.deadline - time.monotonic())

    def _described(self, model: str) -> list[ModelInfo]:
        def described(client: ModelClient) -> ModelInfo | ModelUnavailable:
            try:
                return client.describe(model)
            except ModelUnavailable as error:
                return error

        found = self._on_all(described)
        failures = [one for one in found if isinstance(one, ModelUnavailable)]
        if len(failures) == len(found):
            raise _all_of(failures)
        if failures:
            told = "; ".join(map(str, failures))
            raise ModelUnavailable(f"{len(failures)} of {len(found)} servers can't be used: {told}; or leave them out")
        return [one for one in found if not isinstance(one, ModelUnavailable)]

    def _unload(self, model: str) -> None:
        def unload(client: ModelClient) -> ModelUnavailable | None:
            try:
                client.unload(model)
            except ModelUnavailable as error:
                return error
            return None

        failures = self._on_all(unload)
        for server, failure in zip(self._servers, failures, strict=True):
            if failure is not None:
                self._put_aside(server)
        if None not in failures:
            raise _all_of([failure for failure in failures if failure is not None])

    def _on_all(self, act: Callable[[ModelClient], _Result]) -> list[_Result]:
        with ThreadPoolExecutor(len(self._servers)) as threads:
            return list(threads.map(act, [server.client for server in self._servers]))


def _all_of(failures: Sequence[ModelUnavailable]) -> ModelUnavailable:
    if len(failures) == 1:
        return failures[0]
    return ModelUnavailable("no server is available: " + "; ".join(map(str, failures)))
