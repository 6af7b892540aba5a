"""The writer: brings MLflow up to date with a session's journal, from a process of its own.

It follows the journal while the runner works, in batches, at the lowest priority, so that tracking delays nothing;
once the runner has ended, and somebody may wait for the rest, at the usual one.
It can be killed and started again at any time: what the store holds already is found by its `smallenough.record` tag
and not written twice. Where the store can't be reached, it waits and tries again until the runner is gone; what is
left then is written by `smallenough flush`. A runner that was killed leaves its writer alive; it steps down when a
resume starts another. How far it is, and why it is not further, stands beside the journal (see
`behind`); where that is a fault, its traceback stands in `writer.log`.
"""

from __future__ import annotations

import argparse
import math
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import portalocker

from smallenough import journal
from smallenough.errors import JournalError, SmallenoughError, TrackingError
from smallenough.tracking import store as stores
from smallenough.tracking.behind import WriterState, claim, claimed
from smallenough.tracking.kept import KEPT, pack
from smallenough.tracking.masking import masked
from smallenough.tracking.runs import RunRecord
from smallenough.tracking.sinks import Known, Sink, open_sink
from smallenough.tracking.store import Store
from smallenough.tracking.suites import keep_used
from smallenough.tracking.translate import Translator

_BATCH = 400
"""Runs in one write."""
_PAUSE = 0.25
"""Seconds between two looks at a journal that has nothing new."""
_TURN = 60.0
"""Seconds to wait for another writer's end."""
_LOG = "writer.log"
_URI = "MLFLOW_TRACKING_URI"


class Writer:
    """Writes one session's journal into a store.

    Args:
        folder: the session's folder.
        store: where to.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self._folder, self._store = folder, store
        self._translator = Translator(journal.read_suite(folder), folder)
        self._sink: Sink | None = None
        self._known: dict[str, Known] = {}
        self._pending: dict[str, RunRecord] = {}
        self._offset = self._runs = 0
        self._slow = self._suite = ""
        self._left = False

    def advance(self) -> bool:
        """Writes what the journal holds beyond the last call; returns whether there was anything.

        Raises:
            TrackingError: the store can't be reached or written; what is pending stays pending.
            JournalError: the journal is damaged.
        """
        self._write()
        before = self._offset
        for offset, event in journal.read(self._folder, self._offset):
            self._queue(self._translator.take(event))
            self._offset = offset
            if len(self._pending) >= _BATCH:
                self._write()
        self._write()
        return self._offset > before

    def leave(self) -> None:
        """Writes the trials that are still open, as they stand, and the journal: nobody works on it any more.

        Raises:
            TrackingError: the store can't be reached or written.
        """
        self._left = True
        self._queue(self._translator.leave())
        self._write()

    def _queue(self, runs: Sequence[RunRecord]) -> None:
        for run in runs:
            if not self._written(run):
                self._pending.pop(run.record, None)
                self._pending[run.record] = run

    def _write(self) -> None:
        if self._pending:
            if self._sink is None:
                self._sink = self._open()
                self._pending = {name: run for name, run in self._pending.items() if not self._written(run)}
            runs = [self._with_journal(run) for run in sorted(self._pending.values(), key=_depth)]
            self._sink.write(runs, self._known)
            self._runs += len(runs)
            self._pending.clear()
        self._save()

    def _with_journal(self, run: RunRecord) -> RunRecord:
        """The run of a session that has ended, or that was left, with the journal; any other run as it is."""
        if run.kind != "session" or not (self._left or run.status != "RUNNING"):
            return run
        return replace(run, artifacts={**run.artifacts, KEPT: pack(self._folder)})

    def _written(self, run: RunRecord) -> bool:
        """Whether the store holds the run as it shall stay."""
        known = self._known.get(run.record)
        return bool(known and run.kind in ("trial", "attempt") and known.status == run.status != "RUNNING")

    def _open(self) -> Sink:
        context = self._translator.context
        client = stores.connect(self._store)
        experiment = stores.experiment_id(client, self._store, context.plan.experiment)
        sink, self._slow = open_sink(client, self._store, experiment)
        self._suite = self._keep_suite(experiment)
        self._known = sink.existing(context.started.session)
        return sink

    def _keep_suite(self, experiment: str) -> str:
        """Why the session's tasks are no dataset: a store may have none, and a session is written all the same."""
        try:
            keep_used(self._store, self._translator.context.suite, experiment)
        except TrackingError as error:
            return str(error)
        return ""

    def _save(self) -> None:
        session = self._known.get("session")
        run_id = session.run_id if session else ""
        WriterState(self._offset, self._runs, slow=self._slow, run_id=run_id, suite=self._suite).save(
            self._folder, self._store
        )


def _depth(run: RunRecord) -> int:
    return ("session", "arm", "resources", "trial", "attempt").index(run.kind)


def write(folder: Path, store: Store, *, follow: bool, name: str = "") -> None:
    """Brings the store up to date with a session. What goes wrong is also noted beside the journal.

    Args:
        folder: the session's folder.
        store: where to.
        follow: go on until the session's runner has gone, and bear with a store that can't be reached meanwhile.
        name: what this writer is called (see `behind.claim`): it steps down when another is; empty: it never does.

    Raises:
        TrackingError: the store can't be reached or written (not while following a runner), or a fault of ours.
        InputError: the session's plan is not as it should be.
        JournalError: the journal is damaged, or, if it is not to be followed, another writer has been at work for a
            minute.
    """
    with only_writer(folder, math.inf if follow else _TURN):
        try:
            _bring_up_to_date(folder, store, follow=follow, name=name)
        except SmallenoughError as error:
            _note(folder, store, str(error))
            raise
        except Exception as error:
            _keep_traceback(folder, store, error)
            told = f"a fault of smallenough's ({type(error).__name__}: {error}); see {folder / _LOG}"
            fault = TrackingError(masked(told, store.uri))
            _note(folder, store, str(fault))
            raise fault from error


def _bring_up_to_date(folder: Path, store: Store, *, follow: bool, name: str) -> None:
    writer, patience = Writer(folder, store), 1.0
    while not name or claimed(folder) == name:
        running = journal.is_locked(folder)
        try:
            progress = writer.advance()
            patience = 1.0
        except TrackingError as error:
            if not (follow and running):
                raise
            _note(folder, store, str(error))
            time.sleep(patience)
            patience = min(30.0, patience * 2)
            continue
        if not progress and not running:
            writer.leave()
            return
        if not progress:
            time.sleep(_PAUSE)


def _note(folder: Path, store: Store, error: str) -> None:
    """Notes beside the journal why the store can't be written."""
    state = WriterState.read(folder, store) or WriterState()
    replace(state, error=error).save(folder, store)


def _keep_traceback(folder: Path, store: Store, error: Exception) -> None:
    with suppress(OSError), (folder / _LOG).open("a", encoding="utf-8") as log:
        log.write(masked("".join(traceback.format_exception(error)), store.uri))


@contextmanager
def only_writer(folder: Path, seconds: float) -> Iterator[None]:
    """Within, nobody else writes the session in `folder` to a store.

    Raises:
        JournalError: somebody does so, and goes on with it for so many seconds.
    """
    lock = portalocker.Lock(folder / "writer.lock", mode="a", timeout=seconds, check_interval=0.2)
    try:
        lock.acquire()
    except (portalocker.LockException, OSError) as error:
        raise JournalError(f"{folder}: another writer is at work on this session, or it can't be locked") from error
    try:
        yield
    finally:
        lock.release()


def start(folder: Path, store: Store) -> subprocess.Popen[bytes]:
    """Starts a writer that follows the session in `folder`, as a process of its own.

    It is out of reach of the terminal's Ctrl-C, and outlives the runner until all is written. The store becomes the
    session's own.

    Raises:
        JournalError: the session's folder can't be written.
    """
    name = claim(folder, store)
    command = [sys.executable, "-m", "smallenough.tracking.writer", str(folder), str(store.folder), name]
    # The URI, which may hold a password, goes by the environment: everyone can read command lines.
    environment = {**os.environ, _URI: store.uri}
    with (folder / _LOG).open("ab") as log:
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def _step_back() -> None:
    """Takes the lowest priority, so that the runner goes first.

    Where Linux groups processes by session, `nice` counts only within the session, and this one is the writer's own:
    there the group has to step back as well.
    """
    os.nice(19)
    if os.getsid(0) == os.getpid():  # not where it was started by hand: the group is the terminal's then
        with suppress(OSError):  # another system, or a kernel without such groups
            Path("/proc/self/autogroup").write_text("19")


def step_forward(process: subprocess.Popen[bytes]) -> None:
    """Gives a writer the usual priority, since its runner has ended; as far as the system lets us."""
    with suppress(OSError):  # it has ended, or the priority can't be raised again, which takes a privilege
        os.setpriority(os.PRIO_PROCESS, process.pid, os.getpriority(os.PRIO_PROCESS, 0))
    with suppress(OSError):
        Path(f"/proc/{process.pid}/autogroup").write_text("0")


def main() -> None:
    """The writer's process."""
    parser = argparse.ArgumentParser(prog="python -m smallenough.tracking.writer", description=__doc__)
    parser.add_argument("session", type=Path, help="the session's folder")
    parser.add_argument("store", type=Path, help=f"the local folder of the store, whose URI is in {_URI}")
    parser.add_argument("name", help="what this writer is called (see `behind.claim`)")
    arguments = parser.parse_args()
    if journal.is_locked(arguments.session):
        _step_back()
    try:
        write(arguments.session, Store(arguments.store, os.environ[_URI]), follow=True, name=arguments.name)
    except SmallenoughError as error:
        sys.exit(f"smallenough: {error}")


if __name__ == "__main__":
    main()
