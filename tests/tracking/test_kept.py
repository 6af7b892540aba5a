"""A session's journal as its run keeps it: whole, without passwords, and read back without trust."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from smallenough import journal
from smallenough.clock import now
from smallenough.errors import TrackingError
from smallenough.events import AttemptFinished, Failure, SessionFinished, SessionStarted
from smallenough.journal import Journal
from smallenough.records import Completion, TrialKey
from smallenough.tracking import kept
from smallenough.tracking.kept import KEPT, Stored
from smallenough.tracking.store import Store, connect
from tests import replayed

SECRET = "hunter2"
URL = f"http://me:{SECRET}@host:11434"
ANSWER = "fetch('https://user:word@example.org/?token=abc')"
"""What a model wrote has a password of its own, and stays as it is."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A session's folder, with passwords wherever they may come to stand in its journal."""
    ready = replayed.prepared(2)
    failure = Failure("ModelUnavailable", f"{URL} does not answer")
    completion = Completion(ANSWER, server=URL)
    key = TrialKey("m single", "double_0")
    with Journal.create(tmp_path / "journals", "s", ready.suite) as book:
        book.append(SessionStarted("s", replace(ready.plan, urls=(URL, "http://plain")), {}, now()))
        book.append(AttemptFinished(key, 0, now(), completion, None, None, now()))
        book.append(AttemptFinished(key, 1, now(), None, failure, None, now()))
        book.append(SessionFinished("failed", failure, now()))
    folder = tmp_path / "journals" / "s"
    journal.samples_file(folder, 0).write_text('{"time": 1.0}\n')
    with (folder / "journal.jsonl").open("a") as file:
        file.write('{"kind": "session_resum')  # under way
    return folder


def stored(store: Store, packed: bytes, tmp_path: Path) -> Stored:
    """The run of a session that keeps `packed`."""
    client = connect(store)
    run = client.create_run("0", tags={"smallenough.kind": "session", "smallenough.session": "s"})
    (tmp_path / KEPT).write_bytes(packed)
    client.log_artifact(run.info.run_id, str(tmp_path / KEPT))
    (found,) = [one for one in kept.stored_sessions(store) if one.run_id == run.info.run_id]
    return found


def test_what_is_packed_comes_back_without_passwords_and_with_what_models_wrote(
    folder: Path, tmp_path: Path, new_store: Callable[[Path], Store]
) -> None:
    packed = kept.pack(folder)
    store = new_store(tmp_path / "store")
    back = tmp_path / "back"
    back.mkdir()
    kept.fetch(store, stored(store, packed, tmp_path), back)
    assert SECRET not in (back / "journal.jsonl").read_text()
    before = [event for _, event in journal.read(folder)]
    after = [event for _, event in journal.read(back)]
    assert len(after) == len(before) == 4
    started, answered, failed, _ = after
    assert isinstance(started, SessionStarted)
    assert started.plan.urls == ("http://me:***@host:11434", "http://plain")
    assert replace(started.plan, urls=()) == replace(before[0].plan, urls=())  # type: ignore[union-attr]
    assert isinstance(answered, AttemptFinished)
    assert answered.completion == Completion(ANSWER, server="http://me:***@host:11434")
    assert isinstance(failed, AttemptFinished)
    assert failed.failure == Failure("ModelUnavailable", "http://me:***@host:11434 does not answer")
    assert journal.read_suite(back) == journal.read_suite(folder)
    assert journal.samples_file(back, 0).read_bytes() == journal.samples_file(folder, 0).read_bytes()


def test_nothing_is_written_beside_the_files_of_a_session(tmp_path: Path, new_store: Callable[[Path], Store]) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in ("../evil", "/evil", "samples/../../evil", "samples/x.jsonl", "evil", "lock", "samples/1.jsonl"):
            entry = tarfile.TarInfo(name)
            entry.size = 4
            archive.addfile(entry, io.BytesIO(b"evil"))
        link = tarfile.TarInfo("suite.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    store = new_store(tmp_path / "store")
    back = tmp_path / "deep" / "back"
    back.mkdir(parents=True)
    kept.fetch(store, stored(store, buffer.getvalue(), tmp_path), back)
    assert [path.relative_to(back) for path in back.rglob("*") if path.is_file()] == [Path("samples/1.jsonl")]
    assert not list(tmp_path.rglob("evil"))
    assert not Path("/evil").exists()


@pytest.mark.parametrize("packed", [b"", b"no archive", b"\x1f\x8b\x08\x00damaged"])
def test_a_damaged_one_is_told(packed: bytes, tmp_path: Path, new_store: Callable[[Path], Store]) -> None:
    store = new_store(tmp_path / "store")
    with pytest.raises(TrackingError, match=f"{KEPT} is damaged .* smallenough flush s"):
        kept.fetch(store, stored(store, packed, tmp_path), tmp_path)


def test_a_store_that_does_not_exist_has_no_sessions_and_is_not_made(tmp_path: Path) -> None:
    store = Store.resolve(folder=tmp_path / "none")
    assert kept.stored_sessions(store) == []
    assert not (tmp_path / "none").exists()
