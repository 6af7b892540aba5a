"""The sessions of a store as a table: from the tracking store, or, where that can't be read, from the journals."""

from __future__ import annotations

from typing import Any

import pandas as pd

from smallenough import journal
from smallenough.errors import TrackingError, UnknownName
from smallenough.tracking.columns import SESSIONS, typed
from smallenough.tracking.runs import TAG
from smallenough.tracking.store import Store
from smallenough.tracking.stored_runs import Runs, StoredRun, stored_runs
from smallenough.tracking.tables import WORDS


def read_sessions(store: Store, experiment: str | None = None) -> pd.DataFrame:
    """One row a session, the newest first; `trials` are those that ended.

    Args:
        store: where they are tracked.
        experiment: name of an MLflow experiment; None: all.

    Raises:
        UnknownName: no such experiment; names the nearest.
        TrackingError: the store can't be read, and no journal lies here.
    """
    if store.database is not None and not store.database.exists():  # to read makes no store
        return _frame(_from_journals(store, experiment))
    try:
        return _frame(_from_store(stored_runs(store), experiment))
    except TrackingError:
        found = _from_journals(store, experiment)
        if not found:
            raise
        return _frame(found)


def session_runs(runs: Runs, experiment: str | None) -> list[tuple[StoredRun, str]]:
    """The runs of sessions, the newest first, each with the name of its experiment.

    Raises:
        UnknownName: no such experiment; names the nearest.
        TrackingError: the store can't be read.
    """
    names = runs.experiments()
    if experiment is not None and experiment not in names.values():
        raise UnknownName("experiment", experiment, list(names.values()))
    wanted = [number for number, name in names.items() if experiment in (None, name)]
    return [(run, names[run.experiment_id]) for run in runs.find(wanted, kind="session")]


def _from_store(runs: Runs, experiment: str | None) -> list[dict[str, Any]]:
    return [
        {
            "session": run.tags[f"{TAG}session"],
            "experiment": where,
            "status": WORDS[run.status],
            "started": run.start,
            "ended": run.end,
            "suite": run.tags[f"{TAG}suite"],
            "scored_from": run.tags.get(f"{TAG}scored_from"),
            "arms": int(run.params["arms"]),
            **{name: run.metrics.get(name) for name in ("trials", "infrastructure_failures")},
        }
        for run, where in session_runs(runs, experiment)
    ]


def _from_journals(store: Store, experiment: str | None) -> list[dict[str, Any]]:
    return [
        {
            "session": one.session,
            "experiment": one.experiment,
            "status": one.status,
            "started": 1000 * one.started,
            "ended": None if one.ended is None else 1000 * one.ended,
            "suite": one.suite,
            "scored_from": one.scored_from,
            "arms": len(one.arms),
            "trials": one.done,
            "infrastructure_failures": one.failed,
        }
        for one in journal.sessions(store.journals)
        if experiment in (None, one.experiment)
    ]


def _frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=[column.name for column in SESSIONS])
    for name in ("started", "ended"):
        frame[name] = pd.to_datetime(pd.to_numeric(frame[name]), unit="ms", utc=True)
    return typed(frame, SESSIONS)
