"""The connections under a model client: every request has a strict deadline and can be cancelled at any moment.

`Wire` is a transport for httpx on the standard library's `http.client`. It owns its sockets, so that a deadline
holds between connecting, sending and any two bytes that arrive, so that a silence is noticed while it lasts (see
`Flight.listen`), and so that `Flight.cancel` ends a request from another thread by shutting its socket down, which the
server notices. It takes less time for an answer than httpx's own transport. What fails leaves it as the built-in
OSError or `HTTPException`; the client that uses it maps these.
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

from smallenough.models.flight import Flight, Flights, Stalled, Unreachable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CONNECT_SECONDS = 10.0
"""A server that does not accept a connection within this time is not there."""

_IDLE_CONNECTIONS = 64


class _Stream(io.RawIOBase):
    """What arrives at a socket; each wait for it ends at the flight's deadline, or when the server seems to hang."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        sock, flight = self._connection.socket, self._connection.flight
        since = time.monotonic()
        while True:
            sock.settimeout(flight.wait())
            try:
                return sock.recv_into(buffer)
            except TimeoutError:
                reason = flight.doubt(time.monotonic() - since)
                # What has come while it was doubted counts.
                if reason and not self._connection.has_input():
                    raise Stalled(reason) from None


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

    def has_input(self) -> bool:
        """Whether something has arrived, or the server has closed it."""
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
        self._flights = Flights()
        self._lock = threading.Lock()
        self._here = threading.local()

    @contextlib.contextmanager
    def flight(self, seconds: float | None) -> Iterator[Flight]:
        """All requests that this thread sends within belong to one flight, which has `seconds`."""
        with self._flights.flight(seconds) as flight:
            outer = getattr(self._here, "flight", None)
            self._here.flight = flight
            try:
                yield flight
            finally:
                self._here.flight = outer

    def cancel(self) -> None:
        """Cancels all flights."""
        self._flights.cancel()

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
            elif connection.has_input():  # Closed, or sent what nobody asked for.
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
