"""What may befall a session: the disk fills, the store is locked, servers die and return, a model goes, clocks jump."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shlex
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smallenough import journal
from smallenough.events import ArmFinished, AttemptFinished, TrialFinished
from smallenough.sessions import experiment
from smallenough.tracking import writer
from smallenough.tracking.behind import WriterState, left
from smallenough.tracking.store import Store, connect
from tests import replayed
from tests.full_disk import on_small_disk
from tests.servers.faulty import Answer, FaultyServer, Model
from tests.servers.own_mlflow import OwnMlflow
from tests.servers.own_ollama import OwnOllama
from tests.sessions.test_faults import GUARD, TASKS, content, wait_until

ROOT = Path(__file__).parents[2]
SMALLENOUGH = [sys.executable, "-m", "smallenough"]

pytestmark = pytest.mark.xdist_group("disturbances")  # a store to compare with is shared


def events(folder: Path, kind: type[Any]) -> list[Any]:
    return [event for _, event in journal.read(folder) if isinstance(event, kind)]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The store of a session that nothing disturbed."""
    store = Store.resolve(folder=tmp_path_factory.mktemp("undisturbed"))
    result = experiment.run(replayed.prepared(TASKS, concurrency=3), store)
    assert result.writer.wait(GUARD) == 0
    return content(store)


def test_a_full_disk_is_told_and_the_session_goes_on_when_there_is_room(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    store = tmp_path / "disk" / "mlruns"
    with FaultyServer(lambda _: Answer("I can't."), models={"tiny:latest": Model()}) as server:
        run = [*SMALLENOUGH, "run", "--model", "tiny", "--url", server.url, "--limit", "60", "--store", str(store)]
        resume = [*SMALLENOUGH, "resume", "last", "--store", str(store), "--json"]
        lines = (
            f"head -c 29700000 /dev/zero > {tmp_path}/disk/ballast",
            f"{shlex.join(run)} >&2; echo $?",
            f"rm {tmp_path}/disk/ballast",
            f"{shlex.join(resume)} > {tmp_path}/disk/resumed; echo $?",
            f"{shlex.join([*SMALLENOUGH, 'sessions', '--json', '--store', str(store)])}",
        )
        done = on_small_disk(tmp_path / "disk", 29_200, ["sh", "-c", "; ".join(lines)], dict(os.environ))
    first, second, rest = done.stdout.split("\n", 2)
    assert (first, second) == ("3", "0"), done.stderr
    assert "No space left on device" in done.stderr
    assert "go on with it: smallenough resume 20" in done.stderr
    (session,) = json.loads(rest)
    assert (session["status"], session["done"], session["left_bytes"]) == ("completed", 60, 0)


def test_a_locked_store_delays_nothing_and_loses_nothing(undisturbed: dict[str, Any], fresh_store: Path) -> None:
    store = Store.resolve(folder=fresh_store)
    assert store.database
    with contextlib.closing(sqlite3.connect(store.database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        result = experiment.run(replayed.prepared(TASKS, concurrency=3), store)
        assert result.status == "completed"
        wait_until(lambda: bool((state := WriterState.read(result.folder)) and "locked" in state.error), None)
        other.execute("ROLLBACK")
    if result.writer.wait(GUARD):
        writer.write(result.folder, store, follow=False)
    assert left(result.folder) == 0
    assert content(store) == undisturbed


@pytest.fixture
def mlflow_server(tmp_path: Path) -> Iterator[OwnMlflow]:
    server = OwnMlflow(tmp_path)
    server.start()
    yield server
    server.end()


def test_a_tracking_server_that_dies_and_returns_gets_everything_once(
    undisturbed: dict[str, Any], mlflow_server: OwnMlflow, tmp_path: Path
) -> None:
    store = Store.resolve(mlflow_server.uri, tmp_path / "mlruns")
    seen = threading.Event()

    def observe(event: Any) -> None:
        if isinstance(event, TrialFinished) and not seen.is_set():
            seen.set()
            mlflow_server.end()

    result = experiment.run(replayed.prepared(TASKS, concurrency=3), store, observe)
    assert (result.status, seen.is_set()) == ("completed", True)
    assert result.writer.wait(GUARD) != 0
    assert left(result.folder) > 0, "the server died before it had everything"
    mlflow_server.start()
    writer.write(result.folder, store, follow=False)
    assert left(result.folder) == 0
    assert content(store) == undisturbed


def test_a_clock_that_jumps_harms_no_measurement(
    undisturbed: dict[str, Any], fresh_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = time.time, itertools.count()
    monkeypatch.setattr(time, "time", lambda: real() + (7200.0 if next(calls) % 5 > 2 else -7200.0))
    store = Store.resolve(folder=fresh_store)
    result = experiment.run(replayed.prepared(TASKS, concurrency=3), store)
    monkeypatch.undo()
    assert result.status == "completed"
    if result.writer.wait(GUARD):
        writer.write(result.folder, store, follow=False)
    assert content(store) == undisturbed
    for attempt in events(result.folder, AttemptFinished):
        assert attempt.usage is None or 0 <= attempt.usage.seconds < 600
    for arm in events(result.folder, ArmFinished):
        assert 0 <= arm.usage.seconds < 600
    client = connect(store)
    found = client.search_runs([one.experiment_id for one in client.search_experiments()])
    for run in found:
        wall = run.data.metrics.get("wall_seconds")
        assert wall is None or 0 <= wall < 600, run.data.tags["mlflow.runName"]


# ------------------------------------------------------------------------------------------------ a real model server


@pytest.fixture
def own_ollama(ollama_url: str, tmp_path: Path) -> Iterator[OwnOllama]:
    server = OwnOllama(ollama_url, tmp_path)
    server.start()
    yield server
    server.end()


def disturbed(store: Path, own: OwnOllama, model: str, disturb: Callable[[], None]) -> subprocess.CompletedProcess[str]:
    """Runs four short tasks, and disturbs them after the first answer."""
    command = [*SMALLENOUGH, "run", "--model", model, "--url", own.url, "--limit", "4", "--max-tokens", "12"]
    process = subprocess.Popen(
        [*command, "--store", str(store), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    journals = store / "journal"
    wait_until(
        lambda: any('"kind":"attempt_finished"' in path.read_text() for path in journals.glob("*/journal.jsonl")),
        process,
    )
    disturb()
    out, err = process.communicate(timeout=600)
    return subprocess.CompletedProcess(command, process.returncode, out, err)


@pytest.mark.ollama
@pytest.mark.timeout(900)
def test_an_ollama_that_is_restarted_in_the_middle_is_waited_for(own_ollama: OwnOllama, tmp_path: Path) -> None:
    def restart() -> None:
        own_ollama.end()
        own_ollama.start()

    done = disturbed(tmp_path / "mlruns", own_ollama, "smollm2:135m", restart)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["comparison"]["rows"]
    assert (row["counts"]["trials"], row["counts"]["model_failed"]) == (4, 0)


@pytest.mark.ollama
@pytest.mark.timeout(900)
def test_a_model_that_is_deleted_under_us_is_told_and_the_session_goes_on_when_it_is_back(
    own_ollama: OwnOllama, tmp_path: Path
) -> None:
    own_ollama.call("/api/copy", "POST", source="smollm2:135m", destination="passing")
    done = disturbed(
        tmp_path / "mlruns", own_ollama, "passing", lambda: own_ollama.call("/api/delete", "DELETE", model="passing")
    )
    assert done.returncode == 3, done.stdout + done.stderr
    (folder,) = (tmp_path / "mlruns" / "journal").iterdir()
    failures = [trial.failure for trial in events(folder, TrialFinished) if trial.failure]
    assert failures
    assert {failure.error for failure in failures} == {"ModelNotFound"}
    assert "passing" in failures[0].message
    own_ollama.call("/api/copy", "POST", source="smollm2:135m", destination="passing")
    resume = [*SMALLENOUGH, "resume", "last", "--store", str(tmp_path / "mlruns"), "--json"]
    done = subprocess.run(resume, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(done.stdout)["comparison"]["rows"]
    assert (row["counts"]["trials"], row["counts"]["model_failed"]) == (4, 0)
