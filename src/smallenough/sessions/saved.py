"""A session whose completions are saved: found here or in the tracking store, and the newer tasks that suit it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from smallenough import journal, plugins
from smallenough.errors import InputError, JournalError, TrackingError
from smallenough.events import Plan, SessionStarted
from smallenough.records import Suite, Task
from smallenough.sessions.suites import open_suite
from smallenough.tracking import kept
from smallenough.tracking.kept import Stored
from smallenough.tracking.store import Store

Say = Callable[[str], None]

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Saved:
    """A session whose completions are saved."""

    session: str
    folder: Path
    """Where its journal, its tasks and its samples can be read: here, or fetched from the store."""
    started: SessionStarted
    suite: Suite
    """The tasks as they were."""

    @property
    def plan(self) -> Plan:
        """Its plan."""
        return self.started.plan


@contextmanager
def opened(store: Store, session: str | None, say: Say) -> Iterator[Saved]:
    """Within, a session can be read: from its journal where that lies here, else from the tracking store.

    Args:
        store: where it is tracked.
        session: its id, the beginning of one, or `last`; None: `last`, which is the newest.
        say: told where it is read from, unless that is here.

    Raises:
        UnknownName: there is no such session, here or in the store; names the nearest.
        InputError: several begin like that, or it is being run.
        JournalError: the journal is damaged.
        TrackingError: the store has no journal of the session.
    """
    name, stored = _found(store, session, say)
    folder = store.journals / name
    if stored is None:
        if journal.is_locked(folder):
            raise InputError(f"session {name} is being run by another process; wait for its end")
        yield _read(name, folder)
        return
    with tempfile.TemporaryDirectory(prefix="smallenough-") as place:
        say(f"session {name}: its journal is not here; it is read from the tracking store")
        kept.fetch(store, stored, Path(place))
        yield _read(name, Path(place))


def _found(store: Store, session: str | None, say: Say) -> tuple[str, Stored | None]:
    """The id of the session that is meant and, if its journal is not here, where the store has it."""
    wanted, here = session or "last", {path.parent.name for path in store.journals.glob("*/journal.jsonl")}
    if wanted in here:
        return wanted, None
    stored: dict[str, Stored] = {}
    try:
        stored = {one.session: one for one in kept.stored_sessions(store)}
    except TrackingError as error:
        if not here:
            raise
        say(f"looking among the journals alone: {error}")
    began = {name: one.started for name, one in stored.items()}
    began |= {one.session: one.started for one in journal.sessions(store.journals)}
    newest = max(began, key=lambda name: began[name], default=None)
    name = newest if wanted == "last" and newest else journal.pick(sorted({*began, *here}), wanted)
    return name, None if name in here else stored[name]


def _read(name: str, folder: Path) -> Saved:
    _, started = next(journal.read(folder), (0, None))
    if not isinstance(started, SessionStarted):
        raise JournalError(f"session {name}: its journal does not begin as one; nothing can be read from it")
    return Saved(name, folder, started, journal.read_suite(folder))


# -------------------------------------------------------------------------------------------------------- tasks


def tasks_for(saved: Saved, name: str | None, store: Store, *, common: bool, say: Say) -> Suite:
    """The tasks by which a session is scored again, in the session's order.

    Args:
        saved: the session.
        name: the suite, as `open_suite` takes it; None: what the session's own is now: the built-in one, or the newest
            version in the store; where there is none, the tasks as they were.
        store: where imported suites are.
        common: whether tasks that are missing, or that ask something else now, are left out.
        say: told what is left out, and why the tasks are those that they were.

    Raises:
        UnknownName: there is no such suite.
        InputError: it can't be opened; or tasks are missing or ask something else, and `common` is not said, or nothing
            would be left.
        TrackingError: the store, where the suite is looked for, can't be read.
    """
    suite = _as_it_is_now(saved, store, say) if name is None else _named(saved, name, store)
    now = {task.id: task for task in suite.tasks}
    before = {task.id: task for task in saved.suite.tasks}
    faults = {task: _fault(before[task], now.get(task), suite) for task in saved.plan.task_ids}
    wrong = [fault for fault in faults.values() if fault]
    left = tuple(now[task] for task, fault in faults.items() if not fault)
    if wrong:
        shown = "\n".join(wrong[:_SHOWN]) + (f"\n… and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else "")
        if not left:
            raise InputError(f"{shown}\nno task of session {saved.session} is left; name another suite with --suite")
        if not common:
            raise InputError(f"{shown}\n--common scores the other {len(left)} of {len(faults)} tasks alone")
        say(f"{shown}\nleft out; the other {len(left)} of {len(faults)} tasks are scored")
    return replace(suite, tasks=left)


def _named(saved: Saved, name: str, store: Store) -> Suite:
    return open_suite(name, store, protocol=saved.suite.protocol if name == saved.suite.name else None)


def _as_it_is_now(saved: Saved, store: Store, say: Say) -> Suite:
    from smallenough.tracking.suites import newest

    own = saved.suite
    why = "it is neither built in nor in the store"
    try:
        if own.name in plugins.names("tasks") or newest(store, own.name):
            return open_suite(own.name, store, protocol=own.protocol)
    except (InputError, TrackingError) as error:
        why = str(error)
    say(f"suite {own.name!r}: the tasks are those of the session, since {why}; --suite names others")
    return own


def _fault(old: Task, new: Task | None, suite: Suite) -> str:
    """Why a task's answers can't be scored by the newer one; empty: they can."""
    if new is None:
        return f"task {old.id!r} is not in suite {suite.name!r}"
    changed = [name for name, (before, now) in _asked(old, new).items() if before != now]
    if not changed:
        return ""
    said = " and ".join(changed)
    return f"task {old.id!r} has changed in suite {suite.name!r} ({said}), so that the answers are to another question"


def _asked(old: Task, new: Task) -> Mapping[str, tuple[object, object]]:
    """What a strategy and a model see of a task, before and now."""
    return {
        "prompt": (old.prompt, new.prompt),
        "name": ((old.entry_point, old.kind, old.alias), (new.entry_point, new.kind, new.alias)),
        "public tests": (old.public_tests, new.public_tests),
        "labels": ((old.labels, old.meanings), (new.labels, new.meanings)),
    }
