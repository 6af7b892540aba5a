"""The connections under a model client: every request has a strict deadline and can be cancelled at any moment.

`Wire` is a transport for httpx on the standard library's `http.client`. It owns its sockets, so that a deadline
holds between connecting, sending and any two bytes that arrive, and so that `Flight.cancel` ends a request from
another thread by shutting its socket down, which the server notices. It takes less time for an answer than httpx's
own transport. What fails leaves it as the built-in OSError or `HTTPException`; the client that uses it maps these.
It can't interrupt the look-up of a host's name, nor, before its time is over, an attempt to connect to one of the
host's addresses. It speaks HTTP/1.1, and to proxies plain HTTP.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, cast
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CONNECT_SECONDS = 10.0
"""A server that does not accept a connection within this time is not there."""

_IDLE_CONNECTIONS = 64


class Unreachable(ConnectionError):
    """No connection could be made."""


class Flight:
    """One request on its way, with all its tries: when it must end, and how it is stopped."""

    def __init__(self, seconds: float | None = None) -> None:
        self.deadline = None if seconds is None else time.monotonic() + seconds
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


class _Stream(io.RawIOBase):
    """What arrives at a socket; each wait for it ends at the deadline of the flight that waits."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        sock, flight = self._connection.socket, self._connection.flight
        sock.settimeout(flight.remaining())
        return sock.recv_into(buffer)


class _Guarded:
    """The part of a socket that `http.client` uses, under the deadline of the flight that uses it."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def sendall(self, data: bytes) -> None:
        sock, flight = self._connection.socket, self._connection.flight
        sock.settimeout(flight.remaining())
        sock.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Stream(self._connection), 65536)

    def close(self) -> None:
        self._connection.socket.close()


class _Connection:
    """One connection to the server, used by one flight at a time."""

    def __init__(self, sock: socket.socket, host: str, port: int) -> None:
        self.socket = sock
        self.flight = Flight()
        self.http = http.client.HTTPConnection(host, port)
        # http.client asks of its socket only what `_Guarded` has.
        self.http.sock = cast(socket.socket, _Guarded(self))

    def is_stale(self) -> bool:
        """Whether the server has closed it, or sent what nobody asked for."""
        poll = select.poll() if hasattr(select, "poll") else None
        if poll is None:
            return bool(select.select([self.socket], [], [], 0)[0])
        poll.register(self.socket, select.POLLIN)
        return bool(poll.poll(0))

    def close(self) -> None:
        self.flight.leave()
        self.http.close()


class _Body(httpx.SyncByteStream):
    """An answer's bytes as they come. Read to its end, the connection is kept for the next request."""

    def __init__(self, wire: Wire, connection: _Connection, response: http.client.HTTPResponse) -> None:
        self._wire = wire
        self._connection: _Connection | None = connection
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        response = self._response
        while chunk := response.read1(65536):
            yield chunk
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
        if self._connection is not None and response.isclosed() and not response.will_close:
            self._wire.give_back(self._connection)
            self._connection = None

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Wire(httpx.BaseTransport):
    """A pool of connections to one server. Safe to use from several threads."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._secure = parts.scheme == "https"
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port or (443 if self._secure else 80)
        self._tls = httpx.create_ssl_context() if self._secure else None
        self._proxy = _environment_proxy(parts.scheme, self._host)
        self._idle: list[_Connection] = []
        self._flights: set[Flight] = set()
        self._lock = threading.Lock()
        self._here = threading.local()

    @contextlib.contextmanager
    def flight(self, seconds: float | None) -> Iterator[Flight]:
        """All requests that this thread sends within belong to one flight, which has `seconds`."""
        flight = Flight(seconds)
        with self._lock:
            self._flights.add(flight)
        outer = getattr(self._here, "flight", None)
        self._here.flight = flight
        try:
            yield flight
        finally:
            self._here.flight = outer
            with self._lock:
                self._flights.discard(flight)

    def cancel(self) -> None:
        """Cancels all flights."""
        with self._lock:
            flights = list(self._flights)
        for flight in flights:
            flight.cancel()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Sends `request` within the current thread's flight, and returns when the answer's head is there."""
        flight: Flight = self._here.flight
        connection = self._connection(flight)
        try:
            target = request.url.raw_path.decode("ascii")
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in request.headers.raw}
            if self._proxy and not self._secure:
                target = str(request.url)
                headers |= _proxy_authorization(urlsplit(self._proxy))
            connection.http.request(request.method, target, body=request.read(), headers=headers)
            response = connection.http.getresponse()
        except BaseException:
            connection.close()
            raise
        return httpx.Response(response.status, headers=response.getheaders(), stream=_Body(self, connection, response))

    def give_back(self, connection: _Connection) -> None:
        """Keeps `connection` for the next request."""
        connection.flight.leave()
        with self._lock:
            if len(self._idle) < _IDLE_CONNECTIONS:
                self._idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Closes the connections that no flight uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _connection(self, flight: Flight) -> _Connection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                connection = self._connect(flight)
            elif connection.is_stale():
                connection.close()
                continue
            try:
                flight.board(connection.socket)
            except OSError:
                connection.close()
                raise
            connection.flight = flight
            return connection

    def _connect(self, flight: Flight) -> _Connection:
        left = flight.remaining()
        seconds = _CONNECT_SECONDS if left is None else min(left, _CONNECT_SECONDS)
        proxy = urlsplit(self._proxy) if self._proxy else None
        if proxy is None:
            dial = http.client.HTTPConnection(self._host, self._port, timeout=seconds)
        else:
            dial = http.client.HTTPConnection(proxy.hostname or "", proxy.port or 80, timeout=seconds)
            if self._secure:
                dial.set_tunnel(self._host, self._port, _proxy_authorization(proxy))
        try:
            dial.connect()
            sock = dial.sock if self._tls is None else self._tls.wrap_socket(dial.sock, server_hostname=self._host)
        except (OSError, http.client.HTTPException) as error:
            dial.close()
            raise Unreachable(str(error)) from error
        return _Connection(sock, self._host, self._port)


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine by its loopback name or address."""
    return host == "localhost" or host.endswith(".localhost") or host.startswith("127.") or host == "::1"


def _environment_proxy(scheme: str, host: str) -> str | None:
    """The proxy that the environment names for `host`; never one for this machine itself."""
    proxy = None if is_loopback(host) or proxy_bypass(host) else getproxies().get(scheme)
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def _proxy_authorization(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return {"Proxy-Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
