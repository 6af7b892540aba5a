"""The journal: the record of a session on disk, before anything else is done with it.

A session has a folder `STORE/journal/SESSION/` with

* `journal.jsonl`: one event a line (see `events`), only ever appended to;
* `suite.json`: the tasks as they were when the session began;
* `samples/`: the resource monitor's readings, a file an arm;
* `lock`: held by the one runner that works on the session.

`append` returns when the event has reached the disk; events of several threads share one flush. `write` leaves the
flush to whoever acts on the event. After a crash the
last line may be torn: it is put aside (`damaged-N`), and the session goes on from the line before. A line that is
damaged in the middle of the file is an error that names it: the journal is the truth, so it is never guessed at.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import IO

import portalocker
from pydantic import TypeAdapter, ValidationError

from smallenough.errors import InputError, JournalError, UnknownName
from smallenough.events import Event, SessionFinished, SessionStarted, Status, decode, encode
from smallenough.records import Suite

_EVENTS = "journal.jsonl"
_SAMPLES = "samples"
_FAILED = re.compile(rb'"outcome":"\w+_failed"')
_SUITE = "suite.json"


def samples_file(folder: Path, position: int) -> Path:
    """Where the resource samples of a session's arm are: a JSON object a line.

    Args:
        folder: the session's folder.
        position: the arm's place in the plan, from 0.
    """
    return folder / _SAMPLES / f"{position}.jsonl"


class Journal:
    """A session's journal, open for appending. Holds the session's lock until it is closed.

    Args:
        folder: the session's folder, which exists.

    Raises:
        InputError: another process works on the session.
        JournalError: the folder can't be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._write_lock, self._sync_lock = threading.Lock(), threading.Lock()
        self._written = self._synced = 0
        self._runner_lock = _hold(folder / "lock", f"session {folder.name} is being run by another process")
        try:
            self.repaired = repair(folder / _EVENTS)
            self._file: IO[bytes] = (folder / _EVENTS).open("ab", buffering=0)
        except OSError as error:
            self._runner_lock.release()
            raise JournalError(f"{folder}: {error.strerror or error}") from error

    @classmethod
    def create(cls, root: Path, session: str, suite: Suite) -> Journal:
        """Begins the journal of a new session.

        Args:
            root: the folder of all journals.
            session: the session's id.
            suite: the tasks, kept beside the journal for a later resume.

        Raises:
            JournalError: the folder can't be made or written.
        """
        folder = root / session
        try:
            (folder / _SAMPLES).mkdir(parents=True)
            (folder / _SUITE).write_bytes(_suite_adapter().dump_json(suite))
            return cls(folder)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise JournalError(f"{folder}: {error.strerror or error}") from error
        except JournalError:
            shutil.rmtree(folder, ignore_errors=True)
            raise

    def begin(self, event: SessionStarted) -> None:
        """Writes the first event. A session that can't begin leaves nothing behind.

        Raises:
            JournalError: the disk is full or can't be written.
        """
        try:
            self.append(event)
        except JournalError:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def append(self, event: Event) -> None:
        """Writes `event`, and returns when it is on the disk.

        Raises:
            JournalError: the disk is full or can't be written.
        """
        self._flush(self.write(event))

    def write(self, event: Event) -> int:
        """Writes `event` without waiting for the disk: `flush` has to follow before anything is done with it.

        Returns:
            How many events this journal has written since it was opened.

        Raises:
            JournalError: the disk is full or can't be written.
        """
        line = encode(event) + b"\n"
        with self._errors(), self._write_lock:
            write_all(self._file.fileno(), line)
            self._written += 1
            return self._written

    def flush(self) -> None:
        """Returns when all that was written before this call is on the disk.

        Raises:
            JournalError: the disk can't be written.
        """
        self._flush(self._written)

    def _flush(self, upto: int) -> None:
        if self._synced >= upto:
            return
        with self._errors(), self._sync_lock:
            if self._synced < upto:
                written = self._written
                os.fsync(self._file.fileno())
                self._synced = written

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise JournalError(f"{self.folder / _EVENTS}: {error.strerror or error}") from error

    def close(self) -> None:
        """Closes the file and releases the session."""
        self._file.close()
        self._runner_lock.release()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _hold(path: Path, refusal: str) -> portalocker.Lock:
    lock = portalocker.Lock(path, mode="a", timeout=0, flags=portalocker.LOCK_EX | portalocker.LOCK_NB)
    try:
        lock.acquire()
    except portalocker.LockException as error:
        raise InputError(refusal) from error
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror or error}") from error
    return lock


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Within, nobody else runs the session in `folder`, which may be removed meanwhile.

    Raises:
        InputError: a process works on it.
    """
    lock = _hold(folder / "lock", f"session {folder.name} is being run by another process")
    try:
        yield
    finally:
        lock.release()


def write_all(file: int, data: bytes) -> None:
    """Writes all of `data` or, where the disk refuses a part, none of it."""
    start = os.fstat(file).st_size
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(file, view) :]
    except OSError:
        os.ftruncate(file, start)
        raise


def repair(path: Path) -> Path | None:
    """Puts a torn last line aside. Returns the file that it was put into, or None where nothing was torn."""
    if not path.exists():
        return None
    data = _tail(path)
    whole = data[: data.rfind(b"\n") + 1]
    last = whole.rstrip(b"\n").rsplit(b"\n", 1)[-1]
    torn = data[len(whole) :]
    if not torn and last:
        try:
            decode(last)
        except JournalError:
            torn = last + b"\n"
    if not torn:
        return None
    aside = next(
        candidate for number in range(1, 10_000) if not (candidate := path.with_name(f"damaged-{number}")).exists()
    )
    aside.write_bytes(torn)
    os.truncate(path, path.stat().st_size - len(torn))
    return aside


def _tail(path: Path, block: int = 1 << 20) -> bytes:
    """The end of the file, from the start of its last whole line or earlier."""
    size = path.stat().st_size
    with path.open("rb") as file:
        while True:
            file.seek(max(0, size - block))
            data = file.read(size - file.tell())
            if block >= size or data.count(b"\n") > 2:
                return data
            block *= 4


def read(folder: Path, offset: int = 0) -> Iterator[tuple[int, Event]]:
    """The events of a session, each with the offset at which the next one begins.

    A last line that is not finished is left alone: it may be under way.

    Raises:
        JournalError: there is no journal, or a line within it is damaged; names file and line.
    """
    path, whole = folder / _EVENTS, offset == 0
    try:
        with path.open("rb") as file:
            file.seek(offset)
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return
                end = offset + len(line)
                try:
                    event = decode(line)
                except JournalError as error:
                    if file.read(1) == b"":
                        return
                    place = f"line {number}" if whole else f"byte {offset}"
                    raise JournalError(f"{path}, {place}: {error}") from error
                offset = end
                yield offset, event
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror or error}") from error


@cache
def _suite_adapter() -> TypeAdapter[Suite]:
    return TypeAdapter(Suite)


def read_suite(folder: Path) -> Suite:
    """The tasks of a session as they were when it began.

    Raises:
        JournalError: they can't be read.
    """
    try:
        return _suite_adapter().validate_json((folder / _SUITE).read_bytes())
    except OSError as error:
        raise JournalError(f"{folder / _SUITE}: {error.strerror or error}") from error
    except ValidationError as error:
        raise JournalError(f"{folder / _SUITE}: {error.errors(include_url=False)[0]['msg']}") from error


# ------------------------------------------------------------------------------------------------ all sessions


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """A session as a list shows it."""

    session: str
    experiment: str
    suite: str
    arms: tuple[str, ...]
    started: float
    ended: float | None
    status: Status
    trials: int
    """How many trials were planned."""
    done: int
    """How many ended."""
    failed: int
    """Of those, how many an infrastructure failure ended: a resume does them again."""
    folder: Path
    scored_from: str | None = None
    """The session whose answers it scored again; None: it asked models itself."""


def sessions(root: Path) -> list[SessionSummary]:
    """All sessions below `root` that can be read, the newest first."""
    found = [one for _, one in _all(root) if isinstance(one, SessionSummary)]
    return sorted(found, key=lambda item: item.started, reverse=True)


def damaged(root: Path) -> dict[str, str]:
    """The sessions below `root` that can't be read, by name: why, and what to do."""
    return {folder.name: str(one) for folder, one in _all(root) if isinstance(one, JournalError)}


def _all(root: Path) -> Iterator[tuple[Path, SessionSummary | JournalError]]:
    for folder in sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else ():
        try:
            yield folder, summary(folder)
        except JournalError as error:
            yield folder, error


def summary(folder: Path) -> SessionSummary:
    """What a list shows of the session in `folder`.

    Raises:
        JournalError: there is no readable journal.
    """
    path = folder / _EVENTS
    done, failed, last = 0, 0, b""
    try:
        with path.open("rb") as file:
            first = file.readline()
            for line in file:
                ended_one = line.endswith(b'"kind":"trial_finished"}\n')
                reopened = line.endswith(b'"kind":"trial_reopened"}\n')  # only what failed is
                done += ended_one - reopened
                failed += (ended_one and _FAILED.search(line) is not None) - reopened
                last = line if line.endswith(b"}\n") else last
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror or error}") from error
    if not first.endswith(b"\n"):
        raise JournalError(f"{path}: the session never began; remove {folder}")
    try:
        started = decode(first)
    except JournalError as error:
        raise JournalError(f"{path}, line 1: {error}; take the file from a backup, or remove {folder}") from error
    if not isinstance(started, SessionStarted):
        raise JournalError(f"{path}, line 1: no session begins like that; remove {folder}")
    try:
        ended = decode(last or first)
    except JournalError:  # torn by a crash; a resume puts it aside
        ended = started
    finished = ended if isinstance(ended, SessionFinished) else None
    status: Status = "running" if is_locked(folder) else finished.status if finished else "interrupted"
    plan = started.plan
    return SessionSummary(
        started.session,
        plan.experiment,
        plan.suite,
        tuple(arm.name for arm in plan.arms),
        started.time,
        None if status == "running" else ended.time,
        status,
        plan.trials,
        done,
        failed,
        folder,
        plan.scored_from,
    )


def is_locked(folder: Path) -> bool:
    """Whether a runner works on the session right now."""
    try:
        _hold(folder / "lock", "").release()
    except InputError:
        return True
    return False


def find(root: Path, session: str) -> Path:
    """The folder of a session, named whole or by a beginning that only it has, or `last`.

    Raises:
        UnknownName: there is no such session; names the nearest. Of `last`: there is none that can be read.
        InputError: several begin like that.
    """
    known = sorted(path.name for path in root.iterdir() if (path / _EVENTS).exists()) if root.is_dir() else []
    if session == "last" and (readable := sessions(root)):
        return readable[0].folder
    return root / pick(known, session)


def pick(known: Sequence[str], session: str) -> str:
    """The one that is meant, of the sessions that are known: named whole, or by a beginning that only it has.

    Raises:
        UnknownName: there is no such session; names the nearest.
        InputError: several begin like that.
    """
    matches = [name for name in known if name == session] or [name for name in known if name.startswith(session)]
    if len(matches) > 1:
        raise InputError(f"several sessions begin with {session!r}: {', '.join(matches[:5])}")
    if not matches:
        raise UnknownName("session", session, known, "" if known else "(there are no sessions yet)")
    return matches[0]


def new_id(root: Path, now: float | None = None) -> str:
    """An id for a new session: when it begins, to the second, and a number where that second has one already."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    number = 1
    while (root / (name := stamp if number == 1 else f"{stamp}-{number}")).exists():
        number += 1
    return name
