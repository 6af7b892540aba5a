"""Whether a tracking store can be used, told without creating or changing anything."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from smallenough.errors import TrackingError
from smallenough.machine import nearest_folder
from smallenough.tracking.masking import masked, shown_uri
from smallenough.tracking.sinks import mapped
from smallenough.tracking.store import Store, connect
from smallenough.wording import size

_SECONDS = 5
"""How long a server may take to answer."""


@dataclass(frozen=True, slots=True)
class Health:
    """What was found."""

    state: Literal["ok", "broken"]
    detail: str
    mend: str = ""
    fatal: bool = True
    """Whether nothing can be tracked unless it is mended."""


def check(store: Store) -> list[Health]:
    """What can be said of a store.

    Raises:
        TrackingError: it can't be reached or read.
    """
    if store.database is not None:
        return _database(store, store.database) if store.database.exists() else [_absent(store)]
    if store.uri.startswith(("http://", "https://")):
        return [_server(store)]
    with mapped(store.uri):
        connect(store).search_experiments(max_results=1)
    return [Health("ok", f"{store.uri.partition('://')[0]} database answers")]


def _absent(store: Store) -> Health:
    place = nearest_folder(store.folder)
    if os.access(place, os.W_OK | os.X_OK):
        return Health("ok", f"not there yet; the first run makes it: {store.database}")
    return Health("broken", f"{place} can't be written", "make it writable, or name another folder with --store")


def _database(store: Store, path: Path) -> list[Health]:
    from mlflow.store.db.utils import _get_latest_schema_revision

    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=_SECONDS)) as connection:
            mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
            revisions = [row[0] for row in connection.execute("SELECT version_num FROM alembic_version")]
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
    except sqlite3.Error as error:
        return [Health("broken", f"{path}: {error}", _mend(path, str(error)))]
    newest = _get_latest_schema_revision()
    if revisions != [newest]:
        mend = f"back it up, then run: mlflow db upgrade {store.uri}; if MLflow is older than the store, upgrade MLflow"
        return [Health("broken", f"{path} has MLflow's schema {', '.join(revisions)}; this MLflow's is {newest}", mend)]
    told = f"{path} is writable, {size(path.stat().st_size)}, schema {newest}"
    if mode == "wal":
        return [Health("ok", f"{told}, in WAL mode")]
    mend = f"run: sqlite3 {path} 'PRAGMA journal_mode=WAL'"
    return [
        Health("ok", told),
        Health("broken", f"its journal mode is {mode}: reading and writing wait for each other", mend, fatal=False),
    ]


def _mend(path: Path, said: str) -> str:
    if "readonly" in said or "unable to open" in said:
        return f"make {path} and its folder writable, or name another folder with --store"
    if "locked" in said:
        return "another program holds it: end that program, or wait for it"
    return "it is no MLflow database: move it away (journals stay, and `smallenough flush` writes them anew)"


def reach(store: Store) -> None:
    """Makes sure within seconds that a tracking server answers, where MLflow's client would try for minutes.

    Raises:
        TrackingError: nothing answers, or it is no MLflow server, or it wants other credentials; names the mend.
    """
    if store.uri.startswith(("http://", "https://")):
        found = _server(store)
        if found.state != "ok":
            raise TrackingError(f"{found.detail}; {found.mend}")


def _server(store: Store) -> Health:
    import requests
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    # Like MLflow's client, with its credentials, but without its retries, which take minutes.
    try:
        reply = http_request(
            get_default_host_creds(store.uri),
            "/api/2.0/mlflow/experiments/search",
            "POST",
            max_retries=0,
            timeout=_SECONDS,
            raise_on_status=False,
            json={"max_results": 1},
        )
    except (MlflowException, requests.RequestException, OSError) as error:
        mend = "start it, or unset MLFLOW_TRACKING_URI to track to the local store"
        return Health(
            "broken", f"{shown_uri(store.uri)} does not answer ({masked(str(_first_cause(error)), store.uri)})", mend
        )
    mend = "check MLFLOW_TRACKING_URI, and MLFLOW_TRACKING_USERNAME and _PASSWORD or MLFLOW_TRACKING_TOKEN"
    if reply.status_code != 200:
        return Health("broken", f"{shown_uri(store.uri)} answers with status {reply.status_code}", mend)
    try:
        answer = reply.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or (answer and "experiments" not in answer):
        return Health("broken", f"{shown_uri(store.uri)} answers, and is no MLflow server", mend)
    return Health("ok", f"{shown_uri(store.uri)} answers; whether it can be written is not tried")


def _first_cause(error: BaseException) -> BaseException:
    """What the libraries between have wrapped."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return error


__all__ = ["Health", "check", "reach"]
