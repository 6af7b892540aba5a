"""Putting sessions away: into an archive that can be restored, or out of journal and tracking store for good."""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import shlex
import shutil
import tarfile
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from smallenough import journal, wording
from smallenough.config.form import age_seconds
from smallenough.errors import InputError, JournalError, UnknownName
from smallenough.journal import SessionSummary
from smallenough.tracking.behind import own_store
from smallenough.tracking.removal import remove_runs
from smallenough.tracking.store import Store
from smallenough.tracking.writer import only_writer

_SUFFIX = ".tar.gz"
_CAREFUL: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
"""How it is unpacked: nothing outside the folder, where this Python knows how to see to that."""


def age(text: str) -> float:
    """Seconds that `12h`, `30d`, `8w` or `1y` are.

    Raises:
        InputError: it is not of that form.
    """
    try:
        return age_seconds(text)
    except ValueError as error:
        raise InputError(f"{text!r} is no age; {error}") from error


def reminder(store: Store, keep: str | None) -> str:
    """Which sessions are older than they shall be kept, and the command that puts them away; empty: none is.

    Nothing is done to them. One that a process works on is left out, as is what can't be read.

    Args:
        store: where they are.
        keep: an age (see `age`); None: they are kept for ever.
    """
    if keep is None or not store.journals.is_dir():
        return ""
    before, found, room = time.time() - age(keep), 0, 0
    for folder in store.journals.iterdir():
        with contextlib.suppress(OSError, JournalError, StopIteration):
            _, first = next(journal.read(folder))
            if first.time < before and not journal.is_locked(folder):
                found, room = found + 1, room + size(folder)
    if not found:
        return ""
    command = shlex.join(["smallenough", "sessions", "archive", "--older-than", keep, *_where(store)])
    are = "1 session is" if found == 1 else f"{found} sessions are"
    return f"{are} older than {keep} ({wording.size(room)}): {command}"


def choose(store: Store, names: Sequence[str], older_than: float | None = None) -> list[SessionSummary]:
    """The sessions that are named, or all that began longer ago.

    Raises:
        UnknownName: there is no such session.
        InputError: nothing is named, one is in the archive, or a process works on one.
    """
    if not names and older_than is None:
        raise InputError("name sessions, or say --older-than AGE")
    if names:
        found = [journal.summary(_folder(store, name)) for name in dict.fromkeys(names)]
    else:
        found = journal.sessions(store.journals)
    if older_than is not None:
        found = [one for one in found if one.started < time.time() - older_than]
    running = [one.session for one in found if one.status == "running"]
    if running:
        raise InputError(f"a process works on {', '.join(running)}; end that first")
    return found


def _folder(store: Store, name: str) -> Path:
    try:
        return journal.find(store.journals, name)
    except UnknownName:
        if name in archived(store):
            mend = shlex.join(["smallenough", "sessions", "restore", name, *_where(store)])
            raise InputError(f"session {name} is in the archive; put it back first: {mend}") from None
        raise


def _where(store: Store) -> list[str]:
    """The option that names the store; none, where that is the default."""
    return [] if store.folder == Path("mlruns").absolute() else ["--store", str(store.folder)]


def size(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def archive_folder(store: Store) -> Path:
    """Where archived sessions lie."""
    return store.folder / "archive"


def archived(store: Store) -> list[str]:
    """The sessions in the archive, the newest first."""
    return sorted((path.name.removesuffix(_SUFFIX) for path in archive_folder(store).glob(f"*{_SUFFIX}")), reverse=True)


def archive(store: Store, session: SessionSummary) -> Path:
    """Packs a session's journal into one file, and removes its folder. What MLflow holds of it stays.

    Returns:
        The file.

    Raises:
        InputError: a process works on the session, or the archive has one of that name.
        JournalError: a folder can't be written, or the session is being written to MLflow.
    """
    target = archive_folder(store) / f"{session.session}{_SUFFIX}"
    partly = target.with_suffix(".part")
    if target.exists():
        raise InputError(f"{target} is there already; move it away first")
    with _errors(target), _alone(session.folder):
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partly.open("wb") as whole, tarfile.open(fileobj=whole, mode="w:gz") as file:
                file.add(session.folder, session.session)
            on_disk(partly)
            partly.replace(target)
            on_disk(target.parent)
        finally:
            partly.unlink(missing_ok=True)
        shutil.rmtree(session.folder)
    return target


def restore(store: Store, name: str) -> Path:
    """Puts an archived session back, and removes its file from the archive.

    Returns:
        The session's folder.

    Raises:
        UnknownName: the archive has no such session.
        InputError: a session of that name is there.
        JournalError: the file is damaged, or a folder can't be written.
    """
    if name not in (known := archived(store)):
        raise UnknownName("archived session", name, known)
    source, folder = archive_folder(store) / f"{name}{_SUFFIX}", store.journals / name
    if folder.exists():
        raise InputError(f"{folder} is there already; move it away first")
    staging = source.with_name(f"{name}.restoring")
    with _errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(staging, ignore_errors=True)
        try:
            with tarfile.open(source) as file:
                file.extractall(staging, **_CAREFUL)
            for path in [*staging.rglob("*"), staging]:
                on_disk(path)
            (staging / name).rename(folder)
            on_disk(folder.parent)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
        source.unlink()
    return folder


def remove(store: Store, session: SessionSummary, on_run: Callable[[int, int], None] | None = None) -> int:
    """Removes a session: its runs from the store, where MLflow can restore them until `mlflow gc`, and its journal.

    Args:
        store: where it is.
        session: which.
        on_run: told how many runs are removed, and of how many.

    Returns:
        How many runs were removed.

    Raises:
        InputError: a process works on the session.
        TrackingError: the store can't be written; the journal is kept.
        JournalError: the journal can't be removed, or is being written to MLflow.
    """
    with _errors(session.folder), _alone(session.folder):
        removed = remove_runs(own_store(session.folder, store), session.session, on_run)
        shutil.rmtree(session.folder)
    return removed


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Within, nobody runs the session or writes it to a store."""
    with journal.held(folder), only_writer(folder, 0.0):
        yield


def on_disk(path: Path) -> None:
    """Returns when what was written to a file, or into a folder, is on the disk, so that the other copy can go."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextlib.contextmanager
def _errors(place: Path) -> Iterator[None]:
    """Words for what goes wrong at, or on the way to, `place`."""
    try:
        yield
    except (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise JournalError(f"{place} is damaged: {error}; take it from a backup") from error
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        mend = "; nothing was lost: make room there, and give the same command again" if full else ""
        raise JournalError(f"{error.filename or place}: {error.strerror or error}{mend}") from error
