from __future__ import annotations

import json
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from smallenough.tracking.store import Store, connect
from tests.cli.calling import call

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def fetch(url: str, data: bytes | None = None) -> bytes:
    """What stands there; empty: nobody answers yet."""
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as reply:
            return bytes(reply.read())
    except OSError:
        return b""


@dataclass(frozen=True)
class Ui:
    """A running UI."""

    process: subprocess.Popen[str]
    url: str
    store: Path
    log: Path

    def until(self, done: Callable[[], bool], seconds: float = 90) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)


@pytest.fixture(scope="module")
def ui(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], Store]) -> Iterator[Ui]:
    """The real UI on a real store with an experiment `seen`."""
    folder = tmp_path_factory.mktemp("ui")
    connect(new_store(folder / "store")).create_experiment("seen")
    port = free_port()
    command = [sys.executable, str(ROOT / "run_experiments.py"), "ui", "--store", str(folder / "store"), "--port"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, str(port)], stdout=subprocess.PIPE, stderr=log, text=True)
    found = Ui(process, f"http://127.0.0.1:{port}", folder / "store", folder / "log")
    try:
        found.until(lambda: process.poll() is not None or fetch(f"{found.url}/health") == b"OK")
        yield found
    finally:
        for child in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else ():
            child.kill()
        process.kill()
        process.communicate()


def test_it_shows_the_store_and_ends_cleanly_at_ctrl_c(ui: Ui, capsys: pytest.CaptureFixture[str]) -> None:
    assert b"<title>MLflow</title>" in fetch(ui.url)
    experiments = json.loads(fetch(f"{ui.url}/api/2.0/mlflow/experiments/search", b'{"max_results": 9}'))
    assert "seen" in [one["name"] for one in experiments["experiments"]]

    told = call(capsys, "ui", "--tracking-uri", ui.url, "--store", ui.store)
    assert told.code == 0
    assert told.out == f"results are tracked by the server at {ui.url}: open that address in a browser\n"

    health = call(capsys, "doctor", "--json", "--tracking-uri", ui.url, "--url", "127.0.0.1:9", "--store", ui.store)
    store = next(one for one in json.loads(health.out)["findings"] if one["part"] == "tracking store")
    assert (store["state"], store["detail"].startswith(f"{ui.url} answers")) == ("ok", True)

    children = psutil.Process(ui.process.pid).children(recursive=True)
    assert children
    ui.process.send_signal(signal.SIGINT)
    out, _ = ui.process.communicate(timeout=150)
    assert ui.process.returncode == 0
    first, second = out.splitlines()[:2]
    port = ui.url.rpartition(":")[2]
    database = f"sqlite:///{ui.store / 'mlflow.db'}"
    expected = [
        "mlflow",
        "ui",
        "--backend-store-uri",
        database,
        "--host",
        "127.0.0.1",
        "--port",
        port,
        "--workers",
        "1",
    ]
    assert shlex.split(first) == expected
    assert second.startswith(f"{ui.url} shows {ui.store}")
    assert "Traceback" not in ui.log.read_text()
    gone, alive = psutil.wait_procs(children, timeout=30)
    assert (len(gone), alive) == (len(children), [])
    assert fetch(f"{ui.url}/health") == b""


def test_print_starts_and_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = call(capsys, "ui", "--print", "--store", tmp_path / "a store", "--port", 5005)
    assert said.code == 0
    assert shlex.split(said.out)[:4] == [
        "mlflow",
        "ui",
        "--backend-store-uri",
        f"sqlite:///{tmp_path}/a store/mlflow.db",
    ]
    assert not (tmp_path / "a store").exists()


def test_a_used_port_names_the_next_free_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        port = used.getsockname()[1]
        said = call(capsys, "ui", "--port", port, "--store", tmp_path)
    assert (said.code, said.out) == (2, "")
    offered = int(said.err.rpartition("--port ")[2])
    assert f"port {port} of 127.0.0.1 is in use" in said.err
    assert port < offered <= port + 100


def test_a_host_that_is_not_ours_is_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = call(capsys, "ui", "--host", "192.0.2.1", "--store", tmp_path)
    assert said.code == 2
    assert "can't listen on 192.0.2.1, port 5000" in said.err


def test_a_password_is_not_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    uri = "postgresql://me:secret@127.0.0.1/runs"
    assert "secret" not in call(capsys, "ui", "--print", "--tracking-uri", uri, "--store", tmp_path).out
    said = call(capsys, "ui", "--tracking-uri", "http://me:secret@127.0.0.1:9", "--store", tmp_path).out
    assert "http://me:***@127.0.0.1:9" in said


def test_help_teaches_by_example(capsys: pytest.CaptureFixture[str]) -> None:
    said = call(capsys, "ui", "--help")
    assert said.code == 0
    assert said.out.count("  smallenough ui") == 3
