"""What models were asked and what they answered: the `trial.json` and `attempt.json` of trials, from either source."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from smallenough import journal
from smallenough.errors import JournalError, TrackingError
from smallenough.records import Json
from smallenough.tracking import layout
from smallenough.tracking import store as stores
from smallenough.tracking.access import find_runs, mapped
from smallenough.tracking.artifacts import Advance, fetch
from smallenough.tracking.reader import Tables
from smallenough.tracking.runs import TAG
from smallenough.tracking.store import Store
from smallenough.tracking.translate import Translator


class TrialName(NamedTuple):
    """A trial of a store."""

    session: str
    arm: str
    task: str
    repeat: int


@dataclass(frozen=True)
class Answers:
    """What was read. Both are as `layout` writes them."""

    trials: Mapping[TrialName, Mapping[str, Json]]
    """`trial.json`: the task as it was asked, the answer that was chosen."""
    attempts: Mapping[tuple[TrialName, int], Mapping[str, Json]]
    """`attempt.json`, by trial and the attempt's number: prompt, response, code, test output."""
    missing: int = 0
    """Artifacts that a run should have, and that are not there or can't be read."""


def read_answers(
    store: Store, tables: Tables, wanted: Collection[TrialName], advance: Advance | None = None
) -> Answers:
    """Reads the answers of trials: where their tables came from, there.

    Args:
        store: as the tables were read from.
        tables: as the reader brought them.
        wanted: trials of these tables.
        advance: is told how many artifacts are read, of how many.

    Raises:
        TrackingError: the store, or the journal in place of it, can't be read.
    """
    names = frozenset(wanted)
    return _from_store(store, tables, names, advance) if tables.experiments else _from_journals(store, tables, names)


def _from_store(store: Store, tables: Tables, wanted: frozenset[TrialName], advance: Advance | None) -> Answers:
    client, experiments = stores.connect(store), list(tables.experiments)
    with mapped(store.uri):
        runs = [
            (run, name)
            for session in tables.sessions
            for kind, name in (("trial", layout.TRIAL), ("attempt", layout.ATTEMPT))
            for run in find_runs(client, experiments, kind=kind, session=session)
            if run.info.status != "RUNNING" and _trial(run.data.tags) in wanted
        ]
    read = [_parsed(content) for content in fetch(client, runs, advance)]
    known = [(run.data.tags, name, body) for (run, name), body in zip(runs, read, strict=True) if body is not None]
    return Answers(
        trials={_trial(tags): body for tags, name, body in known if name == layout.TRIAL},
        attempts={
            (_trial(tags), int(tags[f"{TAG}attempt"])): body for tags, name, body in known if name == layout.ATTEMPT
        },
        missing=len(runs) - len(known),
    )


def _from_journals(store: Store, tables: Tables, wanted: frozenset[TrialName]) -> Answers:
    trials: dict[TrialName, Mapping[str, Json]] = {}
    attempts: dict[tuple[TrialName, int], Mapping[str, Json]] = {}
    for session in tables.sessions:
        folder = store.journals / session
        try:
            translator = Translator(journal.read_suite(folder), folder)
            for _, event in journal.read(folder):
                for run in translator.take(event):
                    if run.kind not in ("trial", "attempt") or _trial(run.tags) not in wanted:
                        continue
                    if run.kind == "trial":
                        trials[_trial(run.tags)] = json.loads(run.artifacts[layout.TRIAL])
                    else:
                        number = int(run.tags[f"{TAG}attempt"])
                        attempts[_trial(run.tags), number] = json.loads(run.artifacts[layout.ATTEMPT])
        except JournalError as error:
            raise TrackingError(str(error)) from error
    return Answers(trials, attempts)


def _trial(tags: Mapping[str, str]) -> TrialName:
    """The trial that a trial's or an attempt's run belongs to."""
    session, arm, task = (tags[f"{TAG}{name}"] for name in ("session", "arm", "task"))
    return TrialName(session, arm, task, int(tags[f"{TAG}repeat"]))


def _parsed(content: bytes | None) -> Mapping[str, Json] | None:
    """The artifact as it was written; None: it is not there, or damaged."""
    try:
        found = json.loads(content) if content is not None else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
