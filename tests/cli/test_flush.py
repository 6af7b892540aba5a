"""`flush`: what a session could not write goes where the session belongs, and one that fails stops no other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient

from smallenough.cli.ending import flush_command
from smallenough.sessions import experiment
from smallenough.tracking.behind import WriterState, left
from smallenough.tracking.runs import TAG
from smallenough.tracking.store import Store
from tests import replayed
from tests.cli.calling import Called, call

SECRET = "S3cr3t-pass"
AWAY = f"http://me:{SECRET}@127.0.0.1:9"
"""Nobody listens there."""


def no_writer(folder: Path, store: Store) -> subprocess.Popen[bytes]:
    """In place of a writer: a process that does nothing."""
    return subprocess.Popen([sys.executable, "-c", ""])


def ran(store: Store, **more: Any) -> str:
    """A session whose writer has ended, one way or the other."""
    ready = replayed.prepared(1, arms=replayed.ARMS[:1])
    result = experiment.run(replace(ready, plan=replace(ready.plan, **more)), store)
    result.writer.wait(600)
    return result.session


def written(store: Store) -> set[str]:
    """The sessions that a store holds."""
    client = MlflowClient(store.uri)
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()], max_results=1000)
    return {run.data.tags[f"{TAG}session"] for run in runs}


@pytest.fixture
def flush(capsys: pytest.CaptureFixture[str], fresh_store: Path) -> Any:
    return lambda *arguments: call(capsys, "flush", *arguments, "--store", fresh_store)


def test_a_session_goes_to_the_store_that_it_was_run_for(fresh_store: Path, tmp_path: Path, flush: Any) -> None:
    blocked = tmp_path / "away"
    blocked.write_text("a file, where the store's folder should be")
    away = Store.resolve(f"sqlite:///{blocked}/mlflow.db", fresh_store)
    session = ran(away)
    state = WriterState.read(fresh_store / "journal" / session)
    assert state
    assert "away" in state.error
    failed: Called = flush()
    assert failed.code == 3
    assert f"1 of 1 sessions are not written:\n{session}: " in failed.err
    assert written(Store.local(fresh_store)) == set()

    blocked.unlink()
    assert flush().out == "1 sessions written\n"
    assert written(away) == {session}
    assert written(Store.local(fresh_store)) == set()
    assert flush().out == "nothing was left to write\n"


def test_another_store_can_be_named_and_has_a_state_of_its_own(fresh_store: Path, tmp_path: Path, flush: Any) -> None:
    own, other = Store.local(fresh_store), Store.resolve(f"sqlite:///{tmp_path}/other/mlflow.db", fresh_store)
    session = ran(own)
    folder = fresh_store / "journal" / session
    assert (left(folder), left(folder, other)) == (0, (folder / "journal.jsonl").stat().st_size)
    assert flush().out == "nothing was left to write\n"
    assert flush("--tracking-uri", other.uri).out == "1 sessions written\n"
    assert written(other) == written(own) == {session}
    assert (left(folder), left(folder, other)) == (0, 0)


def test_the_environments_store_is_not_taken_for_the_sessions(
    fresh_store: Path, tmp_path: Path, flush: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = replayed.prepared(1, arms=replayed.ARMS[:1])
    result = experiment.run(ready, Store.local(fresh_store))
    result.writer.kill()
    result.writer.wait()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/other/mlflow.db")
    flush(result.session)
    assert written(Store.local(fresh_store)) == {result.session}
    assert not (tmp_path / "other").exists()


def test_one_that_cannot_be_written_is_told_in_words_and_stops_no_other(
    fresh_store: Path, flush: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.local(fresh_store)
    behind = experiment.run(replayed.prepared(1, arms=replayed.ARMS[:1]), store, start_writer=no_writer)
    behind.writer.wait()
    spoilt = ran(store, weights={"latancy": 1.0})
    state = WriterState.read(store.journals / spoilt)
    assert state
    assert state.error == "unknown efficiency weight 'latancy'; did you mean 'latency'?"
    done: Called = flush("--json")
    assert done.code == 3
    assert [(one["session"], bool(one["error"])) for one in json.loads(done.out)] == [
        (spoilt, True),
        (behind.session, False),
    ]
    assert f"1 of 2 sessions are not written:\n{spoilt}: unknown efficiency weight" in done.err
    assert behind.session in written(store)


def test_a_fault_is_told_in_words_with_its_traceback_in_the_log(
    fresh_store: Path, flush: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.local(fresh_store)
    result = experiment.run(replayed.prepared(1, arms=replayed.ARMS[:1]), store, start_writer=no_writer)
    result.writer.wait()
    lines = (result.folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    strange = lines[-3].replace(b'"double_0"', b'"nowhere"')
    (result.folder / "journal.jsonl").write_bytes(b"".join([*lines[:-3], strange, *lines[-2:]]))
    done: Called = flush()
    assert done.code == 3
    assert "a fault of smallenough's (KeyError" in done.err
    state = WriterState.read(result.folder)
    assert state
    assert "KeyError" in state.error
    assert "Traceback" in (result.folder / "writer.log").read_text()


def test_no_password_of_a_tracking_uri_gets_out(
    fresh_store: Path, flush: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["smallenough", "run", "--tracking-uri", AWAY])
    away = Store.resolve(AWAY, fresh_store)
    result = experiment.run(replayed.prepared(1, arms=replayed.ARMS[:1]), away)
    command, environment = psutil.Process(result.writer.pid).cmdline(), dict(os.environ)
    assert "smallenough.tracking.writer" in command
    assert not any(SECRET in part for part in command), "everyone can read command lines"
    assert result.writer.wait(600)
    state = WriterState.read(result.folder)
    assert state
    assert state.error.startswith("http://me:***@127.0.0.1:9")
    assert environment == dict(os.environ)

    without = flush()
    assert without.code == 3
    assert "belongs to http://me:***@127.0.0.1:9, whose password is not kept" in without.err
    said = [
        without,
        flush("--tracking-uri", AWAY),
        call(capsys, "compare", "--tracking-uri", AWAY, "--store", fresh_store),
    ]
    assert [one.code for one in said] == [3, 3, 0]
    assert not any(SECRET in one.err + one.out for one in said)
    assert SECRET not in flush_command(result.session, away)
    assert flush("--tracking-uri", Store.local(fresh_store).uri).code == 0
    for path in fresh_store.rglob("*"):
        assert path.is_dir() or SECRET.encode() not in path.read_bytes(), path


def test_the_command_that_is_told_names_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    home, away = Store.resolve(), Store.resolve("http://127.0.0.1:5000")
    assert flush_command("s", home) == "smallenough flush s"
    assert flush_command("s", away) == "smallenough flush s --tracking-uri http://127.0.0.1:5000"
    apart = Store.resolve(f"sqlite:///{tmp_path}/other/x.db", tmp_path / "j")
    assert flush_command("s", apart) == (
        f"smallenough flush s --tracking-uri sqlite:///{tmp_path}/other/x.db --store {tmp_path}/j"
    )
