"""Many runs laid into MLflow's own tables of a SQLite database at once, as its store would lay them one by one.

The tables are written only where they have exactly the columns that are known here (see `unknown`).
"""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

from smallenough.tracking.runs import RunRecord, metric_rows, milliseconds, tags_of

_VALUES = ("key", "value", "run_uuid")
_METRICS = ("key", "value", "timestamp", "step", "is_nan", "run_uuid")
_COLUMNS = {
    "runs": (
        "run_uuid", "name", "source_type", "source_name", "entry_point_name", "user_id", "status", "start_time",
        "end_time", "deleted_time", "source_version", "lifecycle_stage", "artifact_uri", "experiment_id",
    ),
    "tags": _VALUES,
    "params": _VALUES,
    "metrics": _METRICS,
    "latest_metrics": _METRICS,
}  # fmt: skip
"""The tables of runs: `runs` before those that refer to it."""
_BUSY_SECONDS = 20
"""How long another writer is waited for; as long as MLflow itself waits."""

Rows: TypeAlias = dict[str, list[tuple[str | float | None, ...]]]


def unknown(database: Path) -> list[str]:
    """The tables that have other columns than are known here.

    Raises:
        sqlite3.Error: the database can't be read.
    """
    with closing(opened(database)) as connection:
        found = {name: {row[1] for row in connection.execute(f"PRAGMA table_info({name})")} for name in _COLUMNS}
    return sorted(name for name, columns in _COLUMNS.items() if found[name] != set(columns))


def lay(database: Path, rows: Rows, again: Iterable[str]) -> None:
    """Writes rows in one transaction.

    Args:
        database: MLflow's.
        rows: of `rows_of`.
        again: ids of runs that went on since they were written: their rows are laid anew.

    Raises:
        sqlite3.Error: the database can't be written, and nothing was.
    """
    ids = [(run_id,) for run_id in again]
    with closing(opened(database)) as connection, connection:  # the inner one commits, or rolls back
        connection.execute("BEGIN IMMEDIATE")
        for name in reversed(_COLUMNS):
            connection.executemany(f"DELETE FROM {name} WHERE run_uuid = ?", ids)
        for name, columns in _COLUMNS.items():
            places = ", ".join("?" * len(columns))
            connection.executemany(f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({places})", rows[name])


def rows_of(runs: Sequence[RunRecord], ids: Mapping[str, str], experiment: str, artifacts: Path) -> Rows:
    """The rows that make runs, by table.

    Args:
        runs: what shall stand there.
        ids: the runs' ids and those of their parents, by record.
        experiment: the id of the experiment that they belong to.
        artifacts: the local folder of the experiment's artifacts.
    """
    rows: Rows = {name: [] for name in _COLUMNS}
    for run in runs:
        run_id = ids[run.record]
        tags = {"mlflow.runName": run.name, **tags_of(run, ids[run.parent] if run.parent else None)}
        end = None if run.end is None else milliseconds(run.end)
        origin, version, place = ("UNKNOWN", "", ""), "", f"{artifacts}/{run_id}/artifacts"
        rows["runs"].append(
            (run_id, run.name, *origin, tags["mlflow.user"], run.status, milliseconds(run.start), end, None, version,
             "active", place, int(experiment))
        )  # fmt: skip
        rows["tags"] += [(key, value, run_id) for key, value in tags.items()]
        rows["params"] += [(key, value, run_id) for key, value in run.params.items()]
        for name, value, stamp, step in metric_rows(run):
            nan = math.isnan(value)
            row = (name, 0.0 if nan else value, stamp, step, nan, run_id)
            rows["metrics"].append(row)
            rows["latest_metrics"].append(row)
    return rows


def opened(database: Path) -> sqlite3.Connection:
    """A connection to a database that is there.

    Raises:
        sqlite3.Error: it can't be opened.
    """
    return sqlite3.connect(
        f"{database.absolute().as_uri()}?mode=rw", uri=True, timeout=_BUSY_SECONDS, isolation_level=None
    )
