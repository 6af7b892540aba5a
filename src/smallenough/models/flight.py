"""Requests on their way: when each must end, how it is stopped from another thread, and how long silence is borne."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator


class Unreachable(ConnectionError):
    """No connection could be made."""


class Stalled(ConnectionError):
    """The server hangs; the message says what shows it."""


class Flight:
    """One request on its way, with all its tries: when it must end, how it is stopped, how long silence is borne."""

    def __init__(self, seconds: float | None = None) -> None:
        self.deadline = None if seconds is None else time.monotonic() + seconds
        self._every: float | None = None
        self._hangs: Callable[[float], str | None] = lambda _: None
        self._stopped = threading.Event()
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()

    @property
    def cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._stopped.is_set()

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    def remaining(self) -> float | None:
        """Seconds until the deadline; None: there is none.

        Raises:
            TimeoutError: it has passed.
            ConnectionAbortedError: the flight was cancelled.
        """
        if self._stopped.is_set():
            raise ConnectionAbortedError("cancelled")
        if self.deadline is None:
            return None
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("deadline passed")
        return left

    def listen(self, every: float, hangs: Callable[[float], str | None]) -> None:
        """From now on, silence is looked into.

        Args:
            every: after so many seconds without a byte, and again after as many.
            hangs: given the seconds of silence so far, what shows that the server hangs; None: nothing does.
        """
        self._every, self._hangs = every, hangs

    def wait(self) -> float | None:
        """Seconds to wait for a byte: until silence is looked into, or the deadline. Raises as `remaining`."""
        left = self.remaining()
        return left if self._every is None else self._every if left is None else min(left, self._every)

    def doubt(self, silent: float) -> str | None:
        """What shows that the server hangs, which said nothing for `silent` seconds. Raises as `remaining`."""
        self.remaining()
        reason = self._hangs(silent)
        self.remaining()
        return reason

    def pause(self, seconds: float) -> None:
        """Waits, but not beyond the deadline, and not after `cancel`."""
        if self.deadline is not None:
            seconds = min(seconds, self.deadline - time.monotonic())
        if seconds > 0:
            self._stopped.wait(seconds)

    def board(self, sock: socket.socket) -> None:
        """From now on, `cancel` shuts `sock` down."""
        with self._lock:
            self._socket = sock
        self.remaining()

    def hurry(self, seconds: float) -> None:
        """Moves the deadline to at most `seconds` from now."""
        soon = time.monotonic() + seconds
        self.deadline = soon if self.deadline is None else min(self.deadline, soon)

    def leave(self) -> None:
        """The socket is no longer this flight's."""
        with self._lock:
            self._socket = None

    def cancel(self) -> None:
        """Ends the flight: what its thread waits for fails at once, and the server sees the connection close."""
        self._stopped.set()
        with self._lock:
            if self._socket is not None:
                # Already closed by the server: there is nothing left to shut down.
                with contextlib.suppress(OSError):
                    self._socket.shutdown(socket.SHUT_RDWR)


class Flights:
    """The flights that are under way. Safe to use from several threads."""

    def __init__(self) -> None:
        self._flights: set[Flight] = set()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def flight(self, seconds: float | None) -> Iterator[Flight]:
        """A flight that has `seconds`; None: as long as it takes."""
        flight = Flight(seconds)
        with self._lock:
            self._flights.add(flight)
        try:
            yield flight
        finally:
            with self._lock:
                self._flights.discard(flight)

    def cancel(self) -> None:
        """Cancels all of them."""
        with self._lock:
            flights = list(self._flights)
        for flight in flights:
            flight.cancel()
