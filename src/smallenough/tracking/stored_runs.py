"""Runs as they stand in a store, to be read: through MLflow, and of a local store straight from its database.

MLflow takes half a second to open a SQLite database. Where that has exactly the columns that are known here (see
`sqlite_runs.unknown`), the same is read from it at once.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

from smallenough.errors import TrackingError
from smallenough.tracking import sqlite_runs
from smallenough.tracking import store as stores
from smallenough.tracking.access import every, find_runs, mapped, told
from smallenough.tracking.runs import TAG
from smallenough.tracking.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_MANY = 500
"""Runs that are asked for at once: SQLite takes a limited number of values in a statement."""


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run."""

    run_id: str
    experiment_id: str
    status: str
    """`RUNNING`, `FINISHED`, `FAILED`, `KILLED`, as MLflow has it."""
    start: int
    """In milliseconds since the epoch, like `end`."""
    end: int | None
    artifact_uri: str
    tags: Mapping[str, str]
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    """The last value of each."""


class Runs(Protocol):
    """What can be asked of a store. Every method raises TrackingError where the store can't be read."""

    def experiments(self) -> dict[str, str]:
        """The names of the experiments that are not deleted, by id."""
        ...

    def find(self, experiments: Sequence[str], **tags: str) -> list[StoredRun]:
        """The runs that have these tags of ours, such as `kind="arm"`, the newest first."""
        ...

    def get(self, run_id: str) -> StoredRun | None:
        """One run; None: there is none."""
        ...

    def artifact(self, run: StoredRun, name: str, folder: Path) -> Path | None:
        """A file of a run, on this machine; None: it has none.

        Args:
            run: whose.
            name: of the file.
            folder: where it is put, if it has to be fetched.
        """
        ...


def stored_runs(store: Store) -> Runs:
    """The quickest way to read a store.

    Raises:
        TrackingError: it can't be read.
    """
    if store.database is not None:
        with _told(store):
            if not sqlite_runs.unknown(store.database):
                return SqliteRuns(store)
    return MlflowRuns(store)


class SqliteRuns:
    """A local store's runs, from its database."""

    def __init__(self, store: Store) -> None:
        assert store.database is not None
        self._store, self._database = store, store.database

    def experiments(self) -> dict[str, str]:
        """See `Runs`."""
        query = "SELECT experiment_id, name FROM experiments WHERE lifecycle_stage = 'active'"
        return {str(number): name for number, name in self._rows(query)}

    def find(self, experiments: Sequence[str], **tags: str) -> list[StoredRun]:
        """See `Runs`."""
        if not experiments:
            return []
        joined = "".join(
            f" JOIN tags AS t{at} ON t{at}.run_uuid = runs.run_uuid AND t{at}.key = ? AND t{at}.value = ?"
            for at in range(len(tags))
        )
        wanted = [part for name, value in tags.items() for part in (f"{TAG}{name}", value)]
        places = ", ".join("?" * len(experiments))
        return self._runs(f"{joined} WHERE runs.experiment_id IN ({places}) AND", [*wanted, *map(int, experiments)])

    def get(self, run_id: str) -> StoredRun | None:
        """See `Runs`."""
        return next(iter(self._runs(" WHERE runs.run_uuid = ? AND", [run_id])), None)

    def artifact(self, run: StoredRun, name: str, folder: Path) -> Path | None:
        """See `Runs`."""
        return MlflowRuns(self._store).artifact(run, name, folder)  # which looks at this machine first

    def _runs(self, which: str, values: Sequence[str | int]) -> list[StoredRun]:
        columns = "run_uuid, experiment_id, status, start_time, end_time, artifact_uri"
        rows = self._rows(
            f"SELECT {', '.join(f'runs.{name}' for name in columns.split(', '))} FROM runs{which}"
            " runs.lifecycle_stage = 'active' ORDER BY runs.start_time DESC, runs.run_uuid",
            values,
        )
        ids = [row[0] for row in rows]
        tags, params = (self._values(f"SELECT run_uuid, key, value FROM {name}", ids) for name in ("tags", "params"))
        value = "CASE WHEN is_nan THEN NULL ELSE value END"
        metrics = self._values(f"SELECT run_uuid, key, {value} FROM latest_metrics", ids)
        return [
            StoredRun(
                run_id=row[0],
                experiment_id=str(row[1]),
                status=row[2],
                start=row[3],
                end=row[4],
                artifact_uri=unquote(row[5]),
                tags=tags[row[0]],
                params=params[row[0]],
                metrics={name: float("nan") if value is None else value for name, value in metrics[row[0]].items()},
            )
            for row in rows
        ]

    def _values(self, query: str, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Keys and values of runs, by run."""
        found: dict[str, dict[str, Any]] = {run_id: {} for run_id in ids}
        for start in range(0, len(ids), _MANY):
            some = ids[start : start + _MANY]
            for run_id, key, value in self._rows(f"{query} WHERE run_uuid IN ({', '.join('?' * len(some))})", some):
                found[run_id][key] = value
        return found

    def _rows(self, query: str, values: Sequence[str | int] = ()) -> list[tuple[Any, ...]]:
        with _told(self._store), closing(sqlite_runs.opened(self._database)) as connection:
            return connection.execute(query, values).fetchall()


class MlflowRuns:
    """Any store's runs, through MLflow."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @cached_property
    def _client(self) -> MlflowClient:
        return stores.connect(self._store)

    def experiments(self) -> dict[str, str]:
        """See `Runs`."""
        with mapped(self._store.uri):
            found = every(lambda token: self._client.search_experiments(page_token=token))
            return {str(one.experiment_id): one.name for one in found}

    def find(self, experiments: Sequence[str], **tags: str) -> list[StoredRun]:
        """See `Runs`."""
        with mapped(self._store.uri):
            return [_stored(run) for run in find_runs(self._client, list(experiments), **tags)]

    def get(self, run_id: str) -> StoredRun | None:
        """See `Runs`."""
        from mlflow.exceptions import MlflowException

        with mapped(self._store.uri):
            try:
                return _stored(self._client.get_run(run_id))
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                return None

    def artifact(self, run: StoredRun, name: str, folder: Path) -> Path | None:
        """See `Runs`."""
        from mlflow.exceptions import MlflowException

        path = Path(run.artifact_uri.removeprefix("file://"), name)
        if path.is_absolute() and path.exists():  # it lies on this machine
            return path
        try:
            return Path(self._client.download_artifacts(run.run_id, name, str(folder)))
        except (MlflowException, OSError):
            return None


def _stored(run: Run) -> StoredRun:
    """A run as MLflow tells it."""
    info, data = run.info, run.data
    return StoredRun(
        run_id=info.run_id,
        experiment_id=str(info.experiment_id),
        status=info.status,
        start=info.start_time,
        end=info.end_time,
        artifact_uri=unquote(info.artifact_uri),
        tags=data.tags,
        params=data.params,
        metrics=data.metrics,
    )


@contextmanager
def _told(store: Store) -> Iterator[None]:
    """Maps what a database can raise to `TrackingError`."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise TrackingError(told(error, store.uri)) from error
