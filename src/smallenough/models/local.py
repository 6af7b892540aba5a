"""Where a model's server is: its URL as Ollama's own programs read it, and its processes on this machine.

Processes are found by the port on which they listen; where this user may not see whose port it is, by name.
A server behind a tunnel, and a name that several servers share, are not guessed at: the answer is None.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

import psutil

from smallenough.errors import InputError

_DEFAULT_PORTS = {"http": 80, "https": 443}
_OLLAMA_PORT = 11434

_FORWARDERS = frozenset({"docker-proxy", "rootlessport", "slirp4netns", "pasta", "com.docker.backend"})
"""What listens for a container: the server is on this machine, under its own name."""

_TUNNELS = frozenset({"ssh", "autossh", "kubectl", "socat"})
"""What listens for a server elsewhere."""


def server_url(text: str | None = None) -> str:
    """The URL that `text` means, by the rules of `OLLAMA_HOST`; None: that variable, else Ollama's default.

    Raises:
        InputError: it has no meaning as an address; says where it came from.
    """
    place = "URL"
    if text is None:
        text, place = os.environ.get("OLLAMA_HOST", ""), "OLLAMA_HOST:"
    address = text.strip().strip("\"'")
    scheme, separator, rest = address.partition("://")
    if not separator:
        scheme, rest = "http", address
    mend = f"{place} {text!r} is not a server's address; write HOST, HOST:PORT or http://HOST:PORT"
    if scheme not in _DEFAULT_PORTS:
        raise InputError(mend)
    if ":" in rest and "[" not in rest and _is_ip(rest):
        rest = f"[{rest}]"
    try:
        parts = urlsplit(f"{scheme}://{rest}")
        host, port = parts.hostname or "127.0.0.1", parts.port
    except ValueError as error:
        raise InputError(mend) from error
    if any(letter.isspace() for letter in rest) or parts.query or parts.fragment or parts.username:
        raise InputError(mend)
    # A server may listen on every address; a client has to choose one.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    port = port or (_DEFAULT_PORTS[scheme] if separator else _OLLAMA_PORT)
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}{parts.path.rstrip('/')}"


def server_processes(url: str, name: str) -> list[int] | None:
    """Ids of the processes of the server at `url`; None: it is elsewhere, or can't be told.

    Args:
        url: where the server answers, with its port.
        name: what its program is called, for when its sockets can't be seen.
    """
    parts = urlsplit(url)
    if not _is_here(parts.hostname or "") or parts.port is None:
        return None
    pids = _listeners(parts.port)
    if pids is not None:
        names = {_name(pid) for pid in pids}
        if names & _TUNNELS:
            return None
        if pids and not names & _FORWARDERS:
            return _roots(pids)
    named = _roots(process.pid for process in psutil.process_iter() if _name(process.pid) == name)
    return named if len(named) == 1 else None


def _listeners(port: int) -> set[int] | None:
    """Who listens on `port`; None: nobody does, as far as can be seen; empty: somebody whom this user can't see."""
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:
        return set()
    here = [c for c in connections if c.status == psutil.CONN_LISTEN and c.laddr and c.laddr.port == port]
    return {c.pid for c in here if c.pid is not None} if here else None


def _roots(pids: Iterable[int]) -> list[int]:
    """Those of `pids` that descend from none of the others."""
    found = set(pids)
    return sorted(pid for pid in found if not found & set(_ancestors(pid)))


def _ancestors(pid: int) -> list[int]:
    try:
        return [process.pid for process in psutil.Process(pid).parents()]
    except psutil.Error:
        return []


def _name(pid: int) -> str:
    try:
        return psutil.Process(pid).name().removesuffix(".exe")
    except psutil.Error:
        return ""


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _is_here(host: str) -> bool:
    """Whether `host` is this machine, by any of its addresses."""
    try:
        addresses = {str(info[4][0]) for info in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    own = {address.address.partition("%")[0] for every in psutil.net_if_addrs().values() for address in every}
    return any(ipaddress.ip_address(address).is_loopback or address in own for address in addresses)
