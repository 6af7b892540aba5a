"""What may befall a session: the disk fills, the store is locked, servers die and return, a model goes, clocks jump."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
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
from smallenough.sessions import experiment, upkeep
from smallenough.tracking import writer
from smallenough.tracking.behind import WriterState, left
from smallenough.tracking.store import Store, connect
from tests import replayed
from tests.full_disk import fill, make_room, on_small_disk
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


def told(*command: object) -> str:
    """The shell's words for: run it, and tell what it said and how it ended."""
    return f"{shlex.join([*SMALLENOUGH, *map(str, command)])} 2>&1; echo $?"


def listed(*folders: Path) -> str:
    """The shell's words for: list all that lies in these folders."""
    return f"find {shlex.join(map(str, folders))} -type f | sort"


@pytest.fixture(scope="module")
def one_session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal of some hundred kilobytes, in a store's folder."""
    store = Store.resolve(folder=tmp_path_factory.mktemp("full") / "mlruns")
    assert experiment.run(replayed.prepared(40, concurrency=3), store).writer.wait(GUARD) == 0
    return store.journals


@pytest.mark.parametrize("left_over", [0, 4, 12])
@pytest.mark.parametrize("verb", ["archive", "restore"])
def test_putting_a_session_away_or_back_on_a_full_disk_loses_nothing(
    verb: str, left_over: int, one_session: Path, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    store, (session,) = disk / "mlruns", [path.name for path in one_session.iterdir()]
    away = told("sessions", "archive", session, "--yes", "--store", store)
    back = told("sessions", "restore", session, "--store", store)
    before, command = ("true", away) if verb == "archive" else (f"({away}) > {tmp_path}/said", back)
    lines = (
        f"mkdir {store} && cp -r {one_session} {store}/journal && mkdir {store}/archive",
        f"{before}; {listed(store)} > {tmp_path}/before",
        fill(disk, left_over),
        f"({command}) > {tmp_path}/full; {listed(store)} > {tmp_path}/after",
        make_room(disk),
        f"({command}) > {tmp_path}/room; {listed(store)} > {tmp_path}/end",
        f"({away}) > {tmp_path}/said; cp -r {store} {tmp_path}/kept",
    )
    on_small_disk(disk, 4000, ["sh", "-c", "; ".join(lines)], dict(os.environ))
    words, code = (tmp_path / "full").read_text().strip().rsplit("\n", 1)
    assert code == "3", words
    assert f"{store}/" in words
    assert "No space left on device; nothing was lost: make room there, and give the same command again" in words
    assert (tmp_path / "after").read_text() == (tmp_path / "before").read_text(), "nothing lost, nothing half-there"
    assert (tmp_path / "room").read_text().endswith("\n0\n")
    where = "archive" if verb == "archive" else "journal"
    lie = {Path(line).relative_to(store).parts[0] for line in (tmp_path / "end").read_text().split()}
    assert lie == {where}
    kept = Store.local(tmp_path / "kept")
    folder = upkeep.restore(kept, session)
    assert list(journal.read(folder)) == list(journal.read(one_session / session))


@pytest.mark.slow
def test_a_search_on_a_full_disk_goes_on_where_it_was_when_there_is_room(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    store, room = disk / "mlruns", (0, 300)
    (tmp_path / "e.yaml").write_text(
        "models: [{name: tiny}]\nsuite: {limit: 3}\nsearch: {space: {temperature: [0.0, 0.3, 0.6]}, candidates: 2}"
    )
    with FaultyServer(lambda _: Answer("I can't."), models={"tiny:latest": Model()}) as server:
        given = ["search", "--config", tmp_path / "e.yaml", "--url", server.url, "--store", store, "--no-compare"]
        search = told(*given)
        first = f"sed 's/candidates: 2/candidates: 1/' {tmp_path}/e.yaml > {tmp_path}/first.yaml; "
        first += search.replace("e.yaml", "first.yaml")
        lines = [f"({first}) > {tmp_path}/first", f"cat {store}/search/*.jsonl > {tmp_path}/book"]
        for left_over in room:
            lines += [fill(disk, left_over), f"({search}) > {tmp_path}/full-{left_over}"]
            lines += [f"{listed(store / 'search')} > {tmp_path}/search-{left_over}", make_room(disk)]
        lines += [f"({search}) > {tmp_path}/room", f"cp -r {store} {tmp_path}/kept"]
        done = on_small_disk(disk, 60_000, ["sh", "-c", "; ".join(lines)], dict(os.environ))
    assert (tmp_path / "first").read_text().endswith("\n0\n"), done.stderr
    for left_over in room:
        words, code = (tmp_path / f"full-{left_over}").read_text().strip().rsplit("\n", 1)
        assert code in ("0", "3"), words
        if code == "3":
            assert f"{store}/" in words
            assert "No space left on device" in words
            assert "same command" in words
        assert not re.search(r"\.new$", (tmp_path / f"search-{left_over}").read_text(), re.MULTILINE)
    assert (tmp_path / f"full-{room[0]}").read_text().endswith("\n3\n")
    assert (tmp_path / "room").read_text().endswith("\n0\n")
    (book,) = (tmp_path / "kept" / "search").glob("*.jsonl")
    assert book.read_text().startswith((tmp_path / "book").read_text()), "what was tried is not tried again"
    assert len(book.read_text().splitlines()) == 2
    assert journal.damaged(tmp_path / "kept" / "journal") == {}, "nothing half-there"


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


@pytest.mark.slow
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
