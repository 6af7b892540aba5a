"""`sessions` and `resume` where journals are damaged: told with the mend, never a traceback."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from smallenough import journal
from smallenough.events import encode
from smallenough.journal import Journal
from smallenough.records import Suite
from smallenough.sessions import experiment
from smallenough.tracking import writer
from smallenough.tracking.store import Store
from tests import replayed
from tests.cli.calling import call
from tests.servers.faulty import Answer, FaultyServer, Model


def test_a_session_that_never_began_is_listed_with_its_mend_and_is_never_the_last(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    Journal.create(tmp_path / "journal", "20260101-1", Suite("s", ())).close()
    done = call(capsys, "sessions", "--store", tmp_path)
    assert done.code == 0
    assert "session 20260101-1 is damaged" in done.err
    assert f"remove {tmp_path / 'journal' / '20260101-1'}" in done.err
    (one,) = json.loads(call(capsys, "sessions", "--json", "--store", tmp_path).out)
    assert (one["session"], one["status"]) == ("20260101-1", "damaged")
    for verb in ("resume", "compare"):
        done = call(capsys, verb, "last", "--store", tmp_path)
        assert (done.code, "unknown session 'last'" in done.err) == (2, True)
    done = call(capsys, "resume", "20260101-1", "--store", tmp_path)
    assert done.code == 3
    assert "the session never began" in done.err


# -------------------------------------------------------------------------------------------------- putting them away


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], Store]) -> Path:
    """A store with two sessions, to be copied."""
    store = new_store(tmp_path_factory.mktemp("mlruns"))
    for _ in range(2):
        result = experiment.run(replayed.prepared(2), store)
        assert result.writer.wait(600) == 0
    return store.folder


@pytest.fixture
def two(kept: Path, tmp_path: Path) -> tuple[Store, list[str]]:
    """A store with two sessions of its own, and their ids, the newest first."""
    shutil.copytree(kept, tmp_path / "mlruns")
    with sqlite3.connect(tmp_path / "mlruns" / "mlflow.db") as database:
        database.execute(
            "UPDATE experiments SET artifact_location = replace(artifact_location, ?, ?)",
            (str(kept), str(tmp_path / "mlruns")),
        )
        database.execute(
            "UPDATE runs SET artifact_uri = replace(artifact_uri, ?, ?)", (str(kept), str(tmp_path / "mlruns"))
        )
    database.close()
    store = Store.local(tmp_path / "mlruns")
    return store, [one.session for one in journal.sessions(store.journals)]


def test_a_session_is_archived_and_comes_back_as_it_was(
    two: tuple[Store, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    store, (newer, older) = two
    before = [event for _, event in journal.read(store.journals / older)]
    done = call(capsys, "sessions", "archive", older, "--store", store.folder)
    assert (done.code, "There is no terminal to ask; say --yes" in done.err) == (2, True)
    assert (store.journals / older).is_dir(), "nothing is done without asking"
    done = call(capsys, "sessions", "archive", older, "--yes", "--store", store.folder)
    assert (done.code, done.out) == (0, f"{older}: {store.folder / 'archive' / older}.tar.gz\n")
    assert "completed, 4 of 4 trials, replayed" in done.err
    assert [one["session"] for one in json.loads(call(capsys, "sessions", "--json", "--store", store.folder).out)] == [
        newer
    ]
    assert call(capsys, "compare", older, "--no-log", "--store", store.folder).code == 0, "MLflow has it still"
    assert call(capsys, "sessions", "restore", "--store", store.folder).out == f"{older}\n"
    done = call(capsys, "sessions", "restore", older[:-1], "--store", store.folder)
    assert (done.code, f"did you mean {older!r}" in done.err) == (2, True)
    assert call(capsys, "sessions", "restore", older, "--store", store.folder).code == 0
    assert [event for _, event in journal.read(store.journals / older)] == before
    assert list((store.folder / "archive").iterdir()) == []


def test_a_session_is_removed_with_its_runs_and_no_other(
    two: tuple[Store, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    store, (newer, older) = two
    done = call(capsys, "sessions", "rm", older, "--yes", "--json", "--store", store.folder)
    (told,) = json.loads(done.out)
    assert (told["session"], told["runs"] > 8) == (older, True)
    assert [one.session for one in journal.sessions(store.journals)] == [newer]
    done = call(capsys, "compare", older, "--store", store.folder)
    assert (done.code, "unknown session" in done.err) == (2, True)
    assert call(capsys, "compare", newer, "--no-log", "--store", store.folder).code == 0


def test_one_in_the_archive_is_removed_once_it_is_restored(
    two: tuple[Store, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    store, (_, older) = two
    assert call(capsys, "sessions", "archive", older, "--yes", "--store", store.folder).code == 0
    for verb in ("rm", "archive"):
        done = call(capsys, "sessions", verb, older, "--yes", "--store", store.folder)
        said = f"session {older} is in the archive; put it back first: smallenough sessions restore {older}"
        assert (done.code, said in done.err) == (2, True)
    assert call(capsys, "sessions", "restore", older, "--store", store.folder).code == 0
    assert call(capsys, "sessions", "rm", older, "--yes", "--store", store.folder).code == 0
    done = call(capsys, "sessions", "rm", older, "--yes", "--store", store.folder)
    assert (done.code, f"unknown session {older!r}" in done.err) == (2, True)


def test_a_journal_that_is_shorter_than_what_was_tracked_of_it_lacks_nothing(
    two: tuple[Store, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    store, (_, older) = two
    path = store.journals / older / "journal.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))
    told = json.loads(call(capsys, "sessions", "--json", "--store", store.folder).out)
    assert {one["left_bytes"] for one in told} == {0}
    assert "-" not in call(capsys, "sessions", "--store", store.folder).out.rpartition(older)[2]


def test_old_ones_are_chosen_by_age_and_one_at_work_is_left_alone(
    two: tuple[Store, list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    store, (newer, older) = two
    done = call(capsys, "sessions", "rm", "--older-than", "1h", "--yes", "--store", store.folder)
    assert (done.code, "there are no sessions of that age" in done.err) == (2, True)
    assert call(capsys, "sessions", "rm", "--older-than", "soon", "--store", store.folder).code == 2
    assert call(capsys, "sessions", "rm", "--store", store.folder).code == 2
    with Journal(store.journals / newer):
        for verb in ("rm", "archive"):
            done = call(capsys, "sessions", verb, newer, "--yes", "--store", store.folder)
            assert (done.code, f"a process works on {newer}; end that first" in done.err) == (2, True)
    with writer.only_writer(store.journals / newer, 0.0):
        done = call(capsys, "sessions", "rm", newer, "--yes", "--store", store.folder)
        assert (done.code, "another writer is at work" in done.err) == (3, True)
    assert len(journal.sessions(store.journals)) == 2
    done = call(capsys, "sessions", "archive", "--older-than", "0h", "--yes", "--json", "--store", store.folder)
    assert {one["session"] for one in json.loads(done.out)} == {newer, older}


def test_a_damaged_archive_is_told_and_kept(two: tuple[Store, list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    store, (newer, _) = two
    assert call(capsys, "sessions", "archive", newer, "--yes", "--store", store.folder).code == 0
    (file,) = (store.folder / "archive").iterdir()
    content = file.read_bytes()
    for damaged in (content[: len(content) // 2], content[:200] + bytes(200) + content[400:]):
        file.write_bytes(damaged)
        done = call(capsys, "sessions", "restore", newer, "--store", store.folder)
        assert done.code == 3, done.err
        assert file.exists()
        assert not (store.journals / newer).exists()
    file.write_bytes(content)
    assert call(capsys, "sessions", "restore", newer, "--store", store.folder).code == 0


# ------------------------------------------------------------------------------------------------------- retention


def began(store: Store, session: str, days_ago: float) -> None:
    """Puts the beginning of a session into the past, in its journal."""
    path = store.journals / session / "journal.jsonl"
    _, rest = path.read_bytes().split(b"\n", 1)
    started = next(event for _, event in journal.read(path.parent))
    path.write_bytes(encode(replace(started, time=time.time() - days_ago * 86400)) + b"\n" + rest)


def test_sessions_older_than_they_shall_be_kept_are_told_and_nothing_is_done_to_them(
    two: tuple[Store, list[str]], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, (newer, older) = two
    monkeypatch.chdir(tmp_path)
    began(store, older, 91)
    assert "archive" not in call(capsys, "sessions").err, "by default nothing is told"
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "experiment_config.yaml").write_text("tracking: {keep_sessions: 90d}")
    done = call(capsys, "sessions")
    told, _, command = done.err.strip().partition(": ")
    assert re.fullmatch(r"1 session is older than 90d \([0-9.]+ [kM]B\)", told)
    assert command == "smallenough sessions archive --older-than 90d"
    assert {one.session for one in journal.sessions(store.journals)} == {newer, older}
    began(store, newer, 100)
    with Journal(store.journals / newer):
        assert "1 session is older" in call(capsys, "sessions").err, "one that a process works on is not put away"
    assert "2 sessions are older" in call(capsys, "sessions").err
    assert json.loads(call(capsys, "sessions", "--json").out)
    shutil.copytree(store.folder, tmp_path / "else where")
    done = call(capsys, "sessions", "--store", tmp_path / "else where")
    assert f"archive --older-than 90d --store '{tmp_path}/else where'" in done.err
    assert call(capsys, *shlex.split(command)[1:], "--yes").code == 0
    assert "older than" not in call(capsys, "sessions").err


def test_run_tells_at_its_end_of_sessions_older_than_they_shall_be_kept(
    two: tuple[Store, list[str]], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, (_, older) = two
    monkeypatch.chdir(tmp_path)
    began(store, older, 15)
    (store.journals / "damaged").mkdir()
    (store.journals / "damaged" / "journal.jsonl").write_text("no event\n\n")
    (tmp_path / "e.yaml").write_text("tracking: {keep_sessions: 2w}")
    with FaultyServer(lambda _: Answer("I can't."), models={"tiny:latest": Model()}) as server:
        command = ("run", "--config", "e.yaml", "--model", "tiny", "--url", server.url, "--limit", "1")
        done = call(capsys, *command)
        told = done.err.strip().splitlines()[-1]
        assert (done.code, told.startswith("1 session is older than 2w (")) == (0, True)
        assert "older than" not in call(capsys, *command, "--json").err
    assert len(journal.sessions(store.journals)) == 4


@pytest.mark.parametrize("age", ["90", "soon", "-1d", "1m", "1e3d", "9" * 400 + "d", "", "٣d"])
def test_an_age_that_is_none_is_told_with_its_place(
    age: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "e.yaml").write_text(f"models: [{{name: tiny}}]\ntracking:\n  keep_sessions: {json.dumps(age)}")
    done = call(capsys, "config", "check", tmp_path / "e.yaml")
    assert (done.code, "line 3: tracking.keep_sessions: " in done.err, "as in 30d" in done.err) == (2, True, True)
    done = call(capsys, "sessions", "archive", "--older-than", age, "--store", tmp_path)
    assert (done.code, "as in 30d" in done.err) == (2, True)
