"""The journal on a real disk: appended to by many threads, torn by crashes, locked, found again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallenough import journal
from smallenough.errors import InputError, JournalError, UnknownName
from smallenough.events import Event, Plan, SessionFinished, SessionResumed, SessionStarted, Status, TrialStarted
from smallenough.journal import Journal
from smallenough.records import Arm, Suite, Task, Test, TrialKey

SUITE = Suite("s", (Task("t", "Add.", "add", public_tests=(Test("assert add(1, 2) == 3"),), reference="x = 1"),))
PLAN = Plan("e", "s", SUITE.digest, (Arm("a", "m"),), ("t",))


def started(session: str, when: float = 1.0) -> SessionStarted:
    return SessionStarted(session, PLAN, {}, when)


def events_of(folder: Path) -> list[Event]:
    return [event for _, event in journal.read(folder)]


def test_what_is_appended_is_read_back_with_its_suite(tmp_path: Path) -> None:
    written: list[Event] = [
        started("one"),
        TrialStarted(TrialKey("a", "t"), 5, 2.0),
        SessionFinished("completed", None, 3.0),
    ]
    with Journal.create(tmp_path, "one", SUITE) as book:
        for event in written:
            book.append(event)
    assert events_of(tmp_path / "one") == written
    assert journal.read_suite(tmp_path / "one") == SUITE


def test_events_of_many_threads_are_all_there(tmp_path: Path) -> None:
    with Journal.create(tmp_path, "one", SUITE) as book, ThreadPoolExecutor(16) as pool:
        keys = [TrialKey("a", f"t{number}") for number in range(400)]
        list(pool.map(lambda key: book.append(TrialStarted(key, 1, 2.0)), keys))
    found = [event.key for event in events_of(tmp_path / "one") if isinstance(event, TrialStarted)]
    assert sorted(found) == sorted(keys)


def test_reading_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with Journal.create(tmp_path, "one", SUITE) as book:
        book.append(started("one"))
        *_, (offset, _event) = journal.read(book.folder)
        book.append(SessionResumed(2.0))
        assert [event for _, event in journal.read(book.folder, offset)] == [SessionResumed(2.0)]


@given(st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_a_torn_end_is_put_aside_and_what_was_whole_stays(
    tmp_path_factory: pytest.TempPathFactory, torn: bytes
) -> None:
    root = tmp_path_factory.mktemp("journals")
    with Journal.create(root, "one", SUITE) as book:
        book.append(started("one"))
    path = root / "one" / "journal.jsonl"
    whole = path.read_bytes()
    torn = torn.replace(b"\n", b"")
    path.write_bytes(whole + torn)
    with Journal(root / "one") as book:
        assert (book.repaired is not None) == bool(torn)
        if book.repaired:
            assert book.repaired.read_bytes() == torn
        book.append(SessionResumed(2.0))
    assert events_of(root / "one") == [started("one"), SessionResumed(2.0)]


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_cut_anywhere_it_keeps_every_whole_line(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    root = tmp_path_factory.mktemp("journals")
    with Journal.create(root, "one", SUITE) as book:
        for number in range(5):
            book.append(TrialStarted(TrialKey("a", str(number)), 0, 1.0))
    path = root / "one" / "journal.jsonl"
    content = path.read_bytes()
    cut = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:cut])
    Journal(root / "one").close()
    assert path.read_bytes() == content[: content.rfind(b"\n", 0, cut) + 1]


def test_damage_in_the_middle_is_named_not_guessed_at(tmp_path: Path) -> None:
    with Journal.create(tmp_path, "one", SUITE) as book:
        for _ in range(3):
            book.append(SessionResumed(1.0))
    path = tmp_path / "one" / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b"{oh no}\n" + lines[2])
    with pytest.raises(JournalError, match=r"journal\.jsonl, line 2: not an event"):
        events_of(tmp_path / "one")


def test_a_second_runner_is_refused_also_from_another_process(tmp_path: Path) -> None:
    with Journal.create(tmp_path, "one", SUITE):
        assert journal.is_locked(tmp_path / "one")
        with pytest.raises(InputError, match="session one is being run by another process"):
            Journal(tmp_path / "one")
        folder = str(tmp_path / "one")
        code = f"from smallenough.journal import Journal; from pathlib import Path; Journal(Path({folder!r}))"
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert "is being run by another process" in other.stderr
    assert not journal.is_locked(tmp_path / "one")


def test_a_killed_runner_releases_its_session(tmp_path: Path) -> None:
    Journal.create(tmp_path, "one", SUITE).close()
    code = (
        "from smallenough.journal import Journal; from pathlib import Path; import sys\n"
        f"book = Journal(Path({str(tmp_path / 'one')!r})); print('held', flush=True); sys.stdin.read()"
    )
    other = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert other.stdout
    assert other.stdout.readline() == b"held\n"
    assert journal.is_locked(tmp_path / "one")
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    other.stdout.close()
    if other.stdin:
        other.stdin.close()
    assert not journal.is_locked(tmp_path / "one")


def test_a_disk_that_takes_only_a_part_keeps_no_half_event(tmp_path: Path) -> None:
    """A limit on the file's size stops a write in its middle, as a full disk does."""
    code = f"""
import resource
from pathlib import Path
from smallenough.errors import JournalError
from smallenough.events import SessionResumed
from smallenough.journal import Journal
from smallenough.records import Suite

with Journal.create(Path({str(tmp_path)!r}), "one", Suite("s", ())) as book:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
    try:
        for _ in range(9):
            book.append(SessionResumed(1.0))
    except JournalError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("journal.jsonl: File too large")
    content = (tmp_path / "one" / "journal.jsonl").read_bytes()
    assert content.endswith(b"\n")
    assert len(events_of(tmp_path / "one")) == 100 // len(content.splitlines(keepends=True)[0])


def test_sessions_are_listed_with_what_became_of_them(tmp_path: Path) -> None:
    ends: list[tuple[str, float, Status | None]]
    ends = [("one", 1.0, "completed"), ("two", 5.0, None), ("three", 3.0, "failed")]
    for name, when, end in ends:
        with Journal.create(tmp_path, name, SUITE) as book:
            book.append(started(name, when))
            if end:
                book.append(SessionFinished(end, None, when + 1))
    (tmp_path / "empty").mkdir()
    found = journal.sessions(tmp_path)
    assert [(one.session, one.status) for one in found] == [
        ("two", "interrupted"),
        ("three", "failed"),
        ("one", "completed"),
    ]
    assert found[2].ended == 2.0
    with Journal(tmp_path / "two"):
        assert journal.summary(tmp_path / "two").status == "running"


def test_a_session_is_found_by_its_beginning_or_as_the_last(tmp_path: Path) -> None:
    for name, when in (("20260101-1", 1.0), ("20260102-1", 2.0)):
        with Journal.create(tmp_path, name, SUITE) as book:
            book.append(started(name, when))
    assert journal.find(tmp_path, "20260101").name == "20260101-1"
    assert journal.find(tmp_path, "last").name == "20260102-1"
    with pytest.raises(InputError, match="several sessions begin with"):
        journal.find(tmp_path, "2026")
    with pytest.raises(UnknownName, match="did you mean '20260102-1'"):
        journal.find(tmp_path, "20260102-7")
    with pytest.raises(UnknownName, match="there are no sessions yet"):
        journal.find(tmp_path / "nowhere", "x")


def test_new_ids_do_not_collide(tmp_path: Path) -> None:
    now = time.time()
    first = journal.new_id(tmp_path, now)
    (tmp_path / first).mkdir()
    assert journal.new_id(tmp_path, now) == f"{first}-2"


def test_sessions_that_can_t_be_read_are_told_and_do_not_hide_the_others(tmp_path: Path) -> None:
    with pytest.raises(UnknownName):
        journal.find(tmp_path, "last")
    Journal.create(tmp_path, "empty", SUITE).close()
    with pytest.raises(UnknownName, match="unknown session 'last'"):
        journal.find(tmp_path, "last")
    with Journal.create(tmp_path, "whole", SUITE) as book:
        book.append(started("whole"))
    with Journal.create(tmp_path, "torn", SUITE) as book:
        book.append(started("torn", 9.0))
    (tmp_path / "torn" / "journal.jsonl").write_bytes(b'{"kind": nonsense}\n')
    with Journal.create(tmp_path, "crashed", SUITE) as book:
        book.append(started("crashed", 0.5))
    with (tmp_path / "crashed" / "journal.jsonl").open("ab") as file:
        file.write(b'{"kind"\x00}\n')
    assert [(one.session, one.status) for one in journal.sessions(tmp_path)] == [
        ("whole", "interrupted"),
        ("crashed", "interrupted"),
    ]
    assert journal.find(tmp_path, "last").name == "whole"
    damaged = journal.damaged(tmp_path)
    assert list(damaged) == ["empty", "torn"]
    assert f"the session never began; remove {tmp_path / 'empty'}" in damaged["empty"]
    assert "journal.jsonl, line 1: not an event" in damaged["torn"]
