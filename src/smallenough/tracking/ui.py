"""Runs MLflow's own UI on a store, as a process of its own that ends with us."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import signal
import socket
import subprocess
import sys

from smallenough.errors import InputError, TrackingError
from smallenough.tracking.masking import shown_uri
from smallenough.tracking.store import Store

_GRACE_SECONDS = 10
"""How long the UI may take to end when it is asked to."""
_TRIED_PORTS = 100


def plain_command(store: Store, host: str, port: int) -> str:
    """The command that does the same by hand. A password in the URI is not shown; put it back for `***`."""
    return shlex.join(["mlflow", "ui", "--backend-store-uri", shown_uri(store.uri), *_options(host, port)])


def is_server(store: Store) -> bool:
    """Whether the store is a tracking server, which has a UI of its own."""
    return store.uri.startswith(("http://", "https://", "databricks"))


def check_port(host: str, port: int) -> None:
    """Makes sure that the UI can listen there.

    Raises:
        InputError: the port is in use (names the next free one) or not ours to take, or there is no such host.
    """
    fault = _fault(host, port)
    if fault is None:
        return
    if fault.errno == errno.EADDRINUSE:
        others = range(port + 1, min(port + 1 + _TRIED_PORTS, 65536))
        free = next((other for other in others if _fault(host, other) is None), None)
        mend = f"take a free one: --port {free}" if free else "name a free one with --port"
        raise InputError(f"port {port} of {host} is in use; {mend}")
    raise InputError(f"can't listen on {host}, port {port}: {fault.strerror or fault}; name another --host or --port")


def serve(store: Store, host: str, port: int) -> None:
    """Runs the UI until it is interrupted, and ends it then.

    Raises:
        TrackingError: the UI ended by itself.
    """
    command = [sys.executable, "-m", "mlflow", "ui", *_options(host, port)]
    # The URI, which may hold a password, goes by the environment: everyone can read command lines. MLflow's warnings
    # about its own libraries are of no use to a user. Its runners of jobs, eight processes of 200 MB each, serve judges
    # that are started from its pages; who wants them says so.
    environment = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        **os.environ,
        "MLFLOW_BACKEND_STORE_URI": store.uri,
        "PYTHONWARNINGS": "ignore",
    }
    # In a session of its own, so that Ctrl-C reaches us alone, and the UI and its workers are ended together.
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        code = process.wait()
    except KeyboardInterrupt:
        return
    finally:
        _end(process)
    raise TrackingError(f"MLflow's UI ended by itself, with exit code {code}; what it said stands above")


def _options(host: str, port: int) -> list[str]:
    # One worker serves a person, and starts in a quarter of the time of MLflow's four.
    return ["--host", host, "--port", str(port), "--workers", "1"]


def _fault(host: str, port: int) -> OSError | None:
    """Why nothing can listen there; None: something can."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None


def _end(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
