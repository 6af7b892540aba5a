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
from smallenough.tracking import internals
from smallenough.tracking.access import mapped
from smallenough.tracking.masking import shown_uri
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
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=_SECONDS)) as connection:
            mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
            revisions = [row[0] for row in connection.execute("SELECT version_num FROM alembic_version")]
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
    except sqlite3.Error as error:
        return [Health("broken", f"{path}: {error}", _mend(path, str(error)))]
    newest = internals.newest_schema()
    if newest is not None and revisions != [newest]:
        mend = f"back it up, then run: mlflow db upgrade {store.uri}; if MLflow is older than the store, upgrade MLflow"
        return [Health("broken", f"{path} has MLflow's schema {', '.join(revisions)}; this MLflow's is {newest}", mend)]
    schema = ", ".join(revisions) + ("" if newest else ", not compared with this MLflow's")
    told = f"{path} is writable, {size(path.stat().st_size)}, schema {schema}"
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
    place, answers = shown_uri(store.uri), "answers; whether it can be written is not tried"
    try:
        with mapped(store.uri):
            reply = internals.ask_once(store.uri, "/api/2.0/mlflow/experiments/search", {"max_results": 1}, _SECONDS)
            if reply is None:  # this MLflow can't be told to try only once: its client tries for longer
                connect(store).search_experiments(max_results=1)
                return Health("ok", f"{place} {answers}")
    except TrackingError as error:
        detail, _, mend = str(error).partition("; ")
        return Health("broken", detail, mend)
    mend = "check MLFLOW_TRACKING_URI, and MLFLOW_TRACKING_USERNAME and _PASSWORD or MLFLOW_TRACKING_TOKEN"
    if reply.status_code != 200:
        return Health("broken", f"{place} answers with status {reply.status_code}", mend)
    try:
        answer = reply.json()
    except ValueError:
        answer = None
    if not isinstance(answer, dict) or (answer and "experiments" not in answer):
        return Health("broken", f"{place} answers, and is no MLflow server", mend)
    return Health("ok", f"{place} {answers}")


__all__ = ["Health", "check", "reach"]
