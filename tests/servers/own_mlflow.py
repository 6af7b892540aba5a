"""A real MLflow tracking server on loopback, which can be ended and started again, and a way to it that breaks."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_START_SECONDS = 90.0


class OwnMlflow:
    """A server of one worker.

    Args:
        folder: where its artifacts and its log go, and its database unless one is given.
        database: an MLflow database; None: a new one.
    """

    def __init__(self, folder: Path, database: Path | None = None) -> None:
        self.folder, self.database = folder, database or folder / "server.db"
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Starts it, and waits until it answers."""
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self.database}"]
        command += ["--artifacts-destination", str(self.folder / "artifacts")]
        quiet = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}  # eight processes that have no part here
        log = self.folder / "mlflow-server.log"
        with log.open("ab") as file:
            self.process = subprocess.Popen(
                command, stdout=file, stderr=file, cwd=self.folder, env=quiet, start_new_session=True
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self.answers():
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether it does."""
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.uri}/health", timeout=5) as reply:
            return bool(reply.status == 200)
        return False

    def end(self) -> None:
        """Kills it, and its worker with it."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(30)
            self.process = None


class BreakingWay:
    """Passes requests on to a server until there were so many; from then on nothing listens here.

    Args:
        to: the server's URL.
        requests: how many.
    """

    def __init__(self, to: str, requests: int) -> None:
        self.left = requests
        way = self

        class Handler(BaseHTTPRequestHandler):
            def pass_on(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                kept = {
                    name: value for name, value in self.headers.items() if name.lower() in ("content-type", "accept")
                }
                asked = urllib.request.Request(to + self.path, body or None, kept, method=self.command)
                try:
                    reply = urllib.request.urlopen(asked, timeout=60)
                except urllib.error.HTTPError as error:
                    reply = error
                with reply:
                    content = reply.read()
                    self.send_response(reply.status)
                self.send_header("Content-Type", reply.headers.get("Content-Type", ""))
                self.send_header("Content-Length", str(len(content)))
                self.send_header("Connection", "close")
                self.close_connection = True
                way.left -= 1
                if way.left <= 0:  # before the last answer goes out, so that nobody asks in between
                    way.end()
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = pass_on  # noqa: N815  # as the library looks for them

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.uri = f"http://127.0.0.1:{self.server.server_port}"

    def end(self) -> None:
        """From now on nothing listens here."""
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self) -> BreakingWay:
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
