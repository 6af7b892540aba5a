"""Reads sessions back: from the tracking store, or, where that can't be read, from the journals, and says so.

An arm's tables are read where they lie as artifacts; where they are missing (the arm is not complete, or someone
removed them), they are rebuilt from the runs, with the same values.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from smallenough import journal
from smallenough.errors import InputError, JournalError, TrackingError, UnknownName
from smallenough.tracking import arrow, layout
from smallenough.tracking.runs import TAG, Kind, RunRecord
from smallenough.tracking.sessions_table import session_runs
from smallenough.tracking.store import Store
from smallenough.tracking.stored_runs import Runs, StoredRun, stored_runs
from smallenough.tracking.tables import WORDS, Rows, Tables, arm_row, tables
from smallenough.tracking.translate import Translator

__all__ = ["Tables", "read", "read_journal"]


def read(store: Store, sessions: Sequence[str] = (), experiment: str | None = None) -> Tables:
    """Reads sessions.

    Args:
        store: where they are tracked.
        sessions: their ids, or beginnings of ids, or `last`; none: every session of the experiment.
        experiment: name of an MLflow experiment; None with no sessions: the newest session.

    Raises:
        UnknownName: no such session or experiment; names the nearest.
        InputError: there are no sessions yet.
        TrackingError: the store can't be reached, and there is no journal of what is asked for here.
    """
    if store.database is not None and not store.database.exists():  # to read makes no store
        if not journal.sessions(store.journals):
            _choose([], sessions, experiment)  # says so
        return _from_journals(store, sessions, experiment, f"{store.database} does not exist yet")
    try:
        return _from_store(store, sessions, experiment)
    except TrackingError as error:
        return _from_journals(store, sessions, experiment, str(error))


def _choose(known: list[str], sessions: Sequence[str], experiment: str | None) -> list[str]:
    """The ids that are meant, of those known (the newest first)."""
    if not sessions:
        if not known:
            where = f"experiment {experiment!r} has" if experiment else "there are"
            raise InputError(f"{where} no sessions yet; start one with: smallenough run --model NAME")
        return known if experiment else known[:1]
    chosen = []
    for name in sessions:
        matches = known[:1] if name == "last" else [one for one in known if one == name or one.startswith(name)]
        matches = [name] if name in matches else matches
        if not matches:
            raise UnknownName("session", name, known)
        if len(matches) > 1:
            raise InputError(f"several sessions begin with {name!r}: {', '.join(matches[:5])}")
        chosen += matches
    return list(dict.fromkeys(chosen))


# ------------------------------------------------------------------------------------------------ from the store


def _from_store(store: Store, sessions: Sequence[str], experiment: str | None) -> Tables:
    runs = stored_runs(store)
    known = {run.tags[f"{TAG}session"]: run for run, _ in session_runs(runs, experiment)}
    wanted = _choose(list(known), sessions, experiment)
    rows = Rows()
    for name in wanted:
        _read_session(runs, known[name], rows)
    experiments = tuple(dict.fromkeys(known[name].experiment_id for name in wanted))
    notes = tuple(note for name in wanted for note in _not_begun(known[name], rows))
    return tables(rows, wanted, experiments, notes)


def _read_session(runs: Runs, session: StoredRun, rows: Rows) -> None:
    name = session.tags[f"{TAG}session"]
    rows.parameters[name] = session.params
    experiment = [session.experiment_id]
    for arm in sorted(runs.find(experiment, kind="arm", session=name), key=lambda run: run.start):
        told = arm.tags[f"{TAG}arm"]
        trials = _artifact(runs, arm, layout.TRIALS)
        if trials is None:
            trials = _rebuild(runs, experiment, "trial", layout.TRIAL_TAGS, layout.TRIAL_NUMBERS, name, told)
        attempts = _artifact(runs, arm, layout.ATTEMPTS)
        if attempts is None:
            attempts = _rebuild(runs, experiment, "attempt", layout.ATTEMPT_TAGS, layout.ATTEMPT_NUMBERS, name, told)
        rows.trials.append(trials)
        rows.attempts.append(attempts)
        row = arm_row(arm.tags, arm.params, arm.metrics, arm.status)
        rows.arms.append({**row, "run_id": arm.run_id, **_training(runs, row["training_run_id"])})


def _training(runs: Runs, run_id: str | None) -> dict[str, float]:
    """What the training of an arm's adapter took.

    Nothing where it has none, the store does not hold its run, or a part of it ended without being measured.
    """
    run = None if run_id is None else runs.get(run_id)
    if run is not None and f"{TAG}unmeasured_parts" in run.tags:
        return {}
    taken = ("wall_seconds", "cpu_seconds", "energy_joules")
    return {f"training_{name}": run.metrics[name] for name in taken if name in run.metrics} if run else {}


def _not_begun(session: StoredRun, rows: Rows) -> list[str]:
    """Says how many of a session's arms there is nothing of."""
    name, planned = session.tags[f"{TAG}session"], int(session.params["arms"])
    begun = sum(row["session"] == name for row in rows.arms)
    word = WORDS[session.status]
    return [] if begun == planned else [f"session {name} is {word}: {planned - begun} of its arms have not begun"]


def _artifact(runs: Runs, arm: StoredRun, name: str) -> Any | None:
    """An Arrow table of an arm that is complete; None: it is not, or the table is missing."""
    import pyarrow.parquet as pq

    if arm.status != "FINISHED":
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = runs.artifact(arm, name, Path(folder))
        try:
            return None if path is None else pq.ParquetFile(path).read()
        except (OSError, ValueError):  # what Arrow finds damaged is a ValueError
            return None


def _rebuild(
    runs: Runs, experiments: list[str], kind: Kind, tags: Sequence[str], numbers: Sequence[str], session: str, arm: str
) -> Any:
    """An Arrow table from the runs of an arm that are complete, the oldest first."""
    found = [run for run in runs.find(experiments, kind=kind, session=session, arm=arm) if run.status != "RUNNING"]
    rows = []
    for run in sorted(found, key=lambda run: (run.end, run.tags[f"{TAG}record"])):
        texts = {name: run.tags.get(f"{TAG}{name}") for name in (*tags, "note", "error")}
        values = {name: json.loads(run.params[name]) for name in numbers if name in run.params}
        rows.append({**texts, **values, **run.metrics})
    return arrow.table(rows)


# --------------------------------------------------------------------------------------------- from the journals


def read_journal(store: Store, session: str) -> Tables:
    """Reads one session from its journal alone, also while MLflow is behind.

    Raises:
        TrackingError: there is no readable journal.
    """
    rows = Rows()
    _read_journal(store.journals / session, rows)
    return tables(rows, [session], (), ())


def _from_journals(store: Store, sessions: Sequence[str], experiment: str | None, reason: str) -> Tables:
    found = journal.sessions(store.journals)
    known = [one.session for one in found if experiment is None or one.experiment == experiment]
    if not known:
        raise TrackingError(f"{reason}; and no journal of it lies in {store.journals}")
    try:
        wanted = _choose(known, sessions, experiment)
    except UnknownName as error:
        raise TrackingError(f"{reason}; and {store.journals} has no journal of it: {error}") from error
    rows = Rows()
    for name in wanted:
        _read_journal(store.journals / name, rows)
    return tables(rows, wanted, (), (f"read from the journals, since the tracking store can't be read: {reason}",))


def _read_journal(folder: Path, rows: Rows) -> None:
    translator = Translator(journal.read_suite(folder), folder)
    arms: dict[str, RunRecord] = {}
    try:
        for _, event in journal.read(folder):
            for run in translator.take(event):
                if run.kind == layout.ARM:
                    arms[run.record] = run
                elif run.kind == "session":
                    rows.parameters[folder.name] = run.params
    except JournalError as error:
        raise TrackingError(str(error)) from error
    trials, attempts = translator.rows()
    rows.trials.append(arrow.table(trials))
    rows.attempts.append(arrow.table(attempts))
    cut_off = not journal.is_locked(folder)  # nobody works on it: what has no end was killed
    for run in arms.values():
        status = "KILLED" if cut_off and run.status == "RUNNING" else run.status
        rows.arms.append(arm_row(run.tags, run.params, run.metrics, status))
