"""`run` when a signal comes: Ctrl-C once and twice, SIGTERM, and what is running then."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from smallenough import journal
from smallenough.tracking.behind import left
from tests.cli.calling import call
from tests.cli.conftest import ADD
from tests.servers.faulty import Answer, FaultyServer

ROOT = Path(__file__).parents[2]


def started(
    server: FaultyServer, store: Path, *more: object, stderr: int = subprocess.PIPE, **variables: str
) -> subprocess.Popen[str]:
    """A session of its own process, to send signals to."""
    command = [
        sys.executable,
        str(ROOT / "run_experiments.py"),
        "--model",
        "tiny",
        "--url",
        server.url,
        *map(str, more),
    ]
    return subprocess.Popen(
        [*command, "--store", str(store)],
        stderr=stderr,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **variables},
    )


def test_twice_ctrl_c_stops_at_once_with_its_own_exit_code(server: FaultyServer, fresh_store: Path) -> None:
    server.program(*[Answer(fault="hang")] * 9)
    process = started(server, fresh_store)
    server.wait(lambda state: state.begun >= 1, seconds=60)
    process.send_signal(signal.SIGINT)
    assert process.stderr
    while "press Ctrl-C again" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "smallenough resume" in said
    assert "comparison" not in said, "nothing is waited for and nothing compared"
    assert "lacks the columns" not in said
    assert "a process goes on writing them" in said
    server.wait(lambda state: state.disconnects >= 1)
    (one,) = journal.sessions(fresh_store / "journal")
    assert (one.status, one.done) == ("interrupted", 0)


def test_sigterm_saves_all_stops_at_once_and_can_be_resumed(
    server: FaultyServer, fresh_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server.program(Answer(ADD), *[Answer(fault="hang")] * 9)
    process = started(server, fresh_store, "--task-type", "add", "--repeats", "2")
    server.wait(lambda state: state.begun >= 1, seconds=60)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "smallenough resume" in said
    (one,) = journal.sessions(fresh_store / "journal")
    assert (one.status, one.done, one.trials) == ("interrupted", 1, 2)
    server.state.programmed.clear()
    assert call(capsys, "resume", "last", "--store", fresh_store).code == 0
    (one,) = journal.sessions(fresh_store / "journal")
    assert (one.status, one.done) == ("completed", 2)


def test_ctrl_c_while_mlflow_is_written_says_how_to_go_on(server: FaultyServer, fresh_store: Path) -> None:
    server.program(Answer(status=404, error="model 'tiny' not found"))
    screen, stderr = os.openpty()  # on a terminal it says when it waits for MLflow
    with closing(sqlite3.connect(fresh_store / "mlflow.db")) as held:
        held.execute("BEGIN IMMEDIATE")  # nobody else writes to the store meanwhile
        process = started(server, fresh_store, "--task-type", "add", stderr=stderr, TERM="xterm")
        os.close(stderr)
        said = ""
        while "writing to MLflow" not in said:
            said += os.read(screen, 4096).decode(errors="replace")
        writers = psutil.Process(process.pid).children()
        process.send_signal(signal.SIGINT)
        while part := _read(screen):
            said += part
        held.rollback()
    os.close(screen)
    assert process.wait(timeout=60) == 130, said
    assert process.stdout is not None
    process.stdout.close()
    assert re.search(r"session (\S+): completed; a process goes on writing it to MLflow", said)
    assert "go on with it: smallenough resume 2" in said
    assert psutil.wait_procs(writers, timeout=60)[1] == [], "it writes all, and ends"
    (one,) = journal.sessions(fresh_store / "journal")
    assert left(one.folder) == 0


def _read(terminal: int) -> str:
    """What is shown next; empty: its program has ended, and Linux calls that an error."""
    try:
        return os.read(terminal, 4096).decode(errors="replace")
    except OSError:
        return ""


def test_ctrl_c_while_the_references_run_leaves_nothing_behind(
    server: FaultyServer, mine: Path, tmp_path: Path
) -> None:
    task = json.loads(mine.read_text())
    task["canonical_solution"] = "def add(a, b):\n    import time\n    time.sleep(100)\n    return a + b"
    mine.write_text(json.dumps(task))
    process = started(server, tmp_path / "store", "--import-data", "--jsonl-file", mine)
    running: list[psutil.Process] = []
    while not running:
        assert process.poll() is None, process.stderr and process.stderr.read()
        running = [one for one in psutil.Process(process.pid).children(recursive=True) if one.name() == "bwrap"]
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    assert psutil.wait_procs(running, timeout=60)[1] == []
    assert server.state.requests["/api/chat"] == 0
    assert not list((tmp_path / "store").rglob("journal.jsonl"))
