"""The sessions of a store as a table: from the tracking store, or, where that can't be read, from the journals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from smallenough import journal
from smallenough.errors import TrackingError, UnknownName
from smallenough.tracking import store as stores
from smallenough.tracking.access import every, find_runs, mapped
from smallenough.tracking.columns import SESSIONS, typed
from smallenough.tracking.runs import TAG
from smallenough.tracking.store import Store
from smallenough.tracking.tables import WORDS

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run


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
        with mapped(store.uri):
            return _frame(_from_store(stores.connect(store), experiment))
    except TrackingError:
        found = _from_journals(store, experiment)
        if not found:
            raise
        return _frame(found)


def session_runs(client: MlflowClient, experiment: str | None) -> list[tuple[Run, str]]:
    """The runs of sessions, the newest first, each with the name of its experiment.

    Raises:
        UnknownName: no such experiment; names the nearest.
    """
    found = list(every(lambda token: client.search_experiments(page_token=token)))
    names = {one.experiment_id: one.name for one in found}
    if experiment is not None and experiment not in names.values():
        raise UnknownName("experiment", experiment, list(names.values()))
    wanted = [number for number, name in names.items() if experiment in (None, name)]
    return [(run, names[run.info.experiment_id]) for run in find_runs(client, wanted, kind="session")]


def _from_store(client: MlflowClient, experiment: str | None) -> list[dict[str, Any]]:
    return [
        {
            "session": run.data.tags[f"{TAG}session"],
            "experiment": where,
            "status": WORDS[run.info.status],
            "started": run.info.start_time,
            "ended": run.info.end_time,
            "suite": run.data.tags[f"{TAG}suite"],
            "scored_from": run.data.tags.get(f"{TAG}scored_from"),
            "arms": int(run.data.params["arms"]),
            **{name: run.data.metrics.get(name) for name in ("trials", "infrastructure_failures")},
        }
        for run, where in session_runs(client, experiment)
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
