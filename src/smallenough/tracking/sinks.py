"""Two ways to put runs into a tracking store, with the same result.

`ClientSink` uses MLflow's client and works with every store. `BulkSink` writes many trial and attempt runs to a
database in one transaction through MLflow's own table definitions, some fifty times as fast; it is used where the
store is a database that this process can open and whose run tables are the ones known here. A run is created with
its `smallenough.record` tag in the same call or transaction, so that a run which a crash left behind is found again.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from smallenough.errors import TrackingError
from smallenough.tracking.masking import masked, shown_uri
from smallenough.tracking.runs import TAG, RunRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from sqlalchemy.engine import Connection

_COLUMNS = {
    "runs": {
        "run_uuid", "name", "source_type", "source_name", "entry_point_name", "user_id", "status", "start_time",
        "end_time", "deleted_time", "source_version", "lifecycle_stage", "artifact_uri", "experiment_id",
    },
    "tags": {"key", "value", "run_uuid"},
    "params": {"key", "value", "run_uuid"},
    "metrics": {"key", "value", "timestamp", "step", "is_nan", "run_uuid"},
    "latest_metrics": {"key", "value", "timestamp", "step", "is_nan", "run_uuid"},
}  # fmt: skip
"""The tables and columns that `BulkSink` knows how to fill."""


@dataclass(frozen=True, slots=True)
class Known:
    """A run that is in the store already."""

    run_id: str
    status: str


class Sink(Protocol):
    """Puts runs into a store."""

    def existing(self, session: str) -> dict[str, Known]:
        """The runs of a session that the store holds, by record."""
        ...

    def write(self, runs: Sequence[RunRecord], known: dict[str, Known]) -> None:
        """Writes runs, parents before their children, and notes in `known` what the store holds now.

        Raises:
            TrackingError: the store can't be reached or written; what was written before stays written.
        """
        ...


@contextmanager
def mapped(uri: str) -> Iterator[None]:
    """Maps what MLflow and the network can raise to `TrackingError`, which does not tell the URI's password."""
    import requests
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except MlflowException as error:
        raise TrackingError(f"{shown_uri(uri)}: {masked(error.message, uri)}") from error
    except (SQLAlchemyError, requests.RequestException, OSError) as error:
        raise TrackingError(f"{shown_uri(uri)}: {masked(str(error), uri)}") from error


class ClientSink:
    """Writes through MLflow's client.

    Args:
        client: a client of the store.
        experiment_id: the experiment that all runs belong to.
    """

    def __init__(self, client: MlflowClient, experiment_id: str) -> None:
        self._client, self._experiment_id = client, experiment_id

    def existing(self, session: str) -> dict[str, Known]:
        """The runs of a session that the store holds, by record."""
        found: dict[str, Known] = {}
        token = None
        with mapped(self._client.tracking_uri):
            while True:
                page = self._client.search_runs(
                    [self._experiment_id], f"tags.`{TAG}session` = '{session}'", max_results=1000, page_token=token
                )
                for run in page:
                    found[run.data.tags[f"{TAG}record"]] = Known(run.info.run_id, run.info.status)
                token = page.token
                if not token:
                    return found

    def write(self, runs: Sequence[RunRecord], known: dict[str, Known]) -> None:
        """Writes runs one by one; a run that exists is brought up to date."""
        for run in runs:
            with mapped(self._client.tracking_uri):
                self._write(run, known[run.parent].run_id if run.parent else None, known)

    def _write(self, run: RunRecord, parent: str | None, known: dict[str, Known]) -> None:
        from mlflow.entities import Metric, Param, RunTag

        client = self._client
        if run.record in known:
            run_id = known[run.record].run_id
        else:
            created = client.create_run(
                self._experiment_id, _milliseconds(run.start), tags_of(run, parent), run_name=run.name
            )
            run_id = created.info.run_id
            known[run.record] = Known(run_id, "RUNNING")
        metrics = [Metric(name, value, stamp, step) for name, value, stamp, step in metric_rows(run)]
        params = [Param(name, value) for name, value in run.params.items()]
        tags = [RunTag(name, value) for name, value in tags_of(run, parent).items()]
        client.log_batch(run_id, metrics[:500], params[:100], tags[:100])
        for start in range(500, len(metrics), 1000):
            client.log_batch(run_id, metrics[start : start + 1000])
        if run.dataset:
            self._log_dataset(run_id, run.dataset)
        for name, content in run.artifacts.items():
            self._log_artifact(run_id, name, content)
        end = None if run.end is None else _milliseconds(run.end)
        if run.status == "RUNNING":
            client.update_run(run_id, "RUNNING")
        else:
            client.set_terminated(run_id, run.status, end)
        known[run.record] = Known(run_id, run.status)

    def _log_dataset(self, run_id: str, dataset: Mapping[str, str]) -> None:
        from mlflow.entities import Dataset, DatasetInput

        self._client.log_inputs(run_id, [DatasetInput(Dataset(**dataset), [])])

    def _log_artifact(self, run_id: str, name: str, content: bytes) -> None:
        import tempfile

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, name)
            path.write_bytes(content)
            self._client.log_artifact(run_id, str(path))


class BulkSink:
    """Writes trial and attempt runs in one transaction a batch; everything else through a `ClientSink`.

    Args:
        slow: the client's way, for runs that are more than rows in the run tables.
        connect: opens a connection to the store's database within a transaction.
        experiment_id: the experiment that all runs belong to.
        artifacts: the local folder of the experiment's artifacts.
    """

    def __init__(self, slow: ClientSink, connect: Callable[[], Any], experiment_id: str, artifacts: Path) -> None:
        self._slow, self._connect = slow, connect
        self._experiment_id, self._artifacts = experiment_id, artifacts

    def existing(self, session: str) -> dict[str, Known]:
        """The runs of a session that the store holds, by record."""
        return self._slow.existing(session)

    def write(self, runs: Sequence[RunRecord], known: dict[str, Known]) -> None:
        """Writes runs in their order: those of other kinds one by one, trials and attempts between them at once."""
        batch: list[RunRecord] = []
        for run in runs:
            if run.kind in ("trial", "attempt"):
                batch.append(run)
                continue
            self._flush(batch, known)
            batch = []
            self._slow.write([run], known)
        self._flush(batch, known)

    def _flush(self, batch: Sequence[RunRecord], known: dict[str, Known]) -> None:
        if not batch:
            return
        ids: dict[str, str] = {}
        for run in batch:
            ids[run.record] = known[run.record].run_id if run.record in known else uuid.uuid4().hex
        with mapped(str(self._artifacts)):
            for run in batch:
                folder = self._artifacts / ids[run.record] / "artifacts"
                folder.mkdir(parents=True, exist_ok=True)
                for name, content in run.artifacts.items():
                    (folder / name).write_bytes(content)
            with self._connect() as connection:
                self._insert(connection, batch, ids, known)
        for run in batch:
            known[run.record] = Known(ids[run.record], run.status)

    def _insert(
        self, connection: Connection, batch: Sequence[RunRecord], ids: Mapping[str, str], known: Mapping[str, Known]
    ) -> None:
        from mlflow.store.tracking.dbmodels import models
        from sqlalchemy import bindparam

        again = [{"id": ids[run.record]} for run in batch if run.record in known]
        rows = _rows(batch, ids, known, self._experiment_id, self._artifacts)
        if again:  # a run that went on since it was written: its rows are laid anew, under the same id
            for model in _tables(models).values():
                table = model.__table__
                connection.execute(table.delete().where(table.c.run_uuid == bindparam("id")), again)
        for name, model in reversed(_tables(models).items()):
            if rows[name]:
                connection.execute(model.__table__.insert(), rows[name])


def _tables(models: Any) -> dict[str, Any]:
    """MLflow's run tables, those that refer to runs before `runs` itself."""
    return {
        "latest_metrics": models.SqlLatestMetric,
        "metrics": models.SqlMetric,
        "params": models.SqlParam,
        "tags": models.SqlTag,
        "runs": models.SqlRun,
    }


def _rows(
    batch: Sequence[RunRecord],
    ids: Mapping[str, str],
    known: Mapping[str, Known],
    experiment_id: str,
    artifacts: Path,
) -> dict[str, list[dict[str, Any]]]:
    """The rows that make `batch`, by table, as MLflow's own store would write them."""
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in _COLUMNS}
    for run in batch:
        run_id = ids[run.record]
        parent = ids.get(run.parent or "") or known[run.parent or ""].run_id
        tags = {"mlflow.runName": run.name, **tags_of(run, parent)}
        rows["runs"].append(
            {
                "run_uuid": run_id,
                "name": run.name,
                "source_type": "UNKNOWN",
                "source_name": "",
                "entry_point_name": "",
                "user_id": tags["mlflow.user"],
                "status": run.status,
                "start_time": _milliseconds(run.start),
                "end_time": None if run.end is None else _milliseconds(run.end),
                "deleted_time": None,
                "source_version": "",
                "lifecycle_stage": "active",
                "artifact_uri": f"{artifacts}/{run_id}/artifacts",
                "experiment_id": int(experiment_id),
            }
        )
        rows["tags"] += [{"key": key, "value": value, "run_uuid": run_id} for key, value in tags.items()]
        rows["params"] += [{"key": key, "value": value, "run_uuid": run_id} for key, value in run.params.items()]
        for name, value, stamp, step in metric_rows(run):
            nan = math.isnan(value)
            row = {"key": name, "value": 0.0 if nan else value, "timestamp": stamp, "step": step, "is_nan": nan}
            rows["metrics"].append({**row, "run_uuid": run_id})
            rows["latest_metrics"].append({**row, "run_uuid": run_id})
    return rows


def tags_of(run: RunRecord, parent: str | None) -> dict[str, str]:
    """A run's tags, with those by which MLflow nests and attributes it."""
    nested = {"mlflow.parentRunId": parent} if parent else {}
    return {**run.tags, **nested, "mlflow.user": user(), "mlflow.source.name": "smallenough"}


def metric_rows(run: RunRecord) -> list[tuple[str, float, int, int]]:
    """A run's metrics: name, value, milliseconds since the epoch, step."""
    at = _milliseconds(run.end if run.end is not None else run.start)
    single = [(name, value, at, 0) for name, value in run.metrics.items()]
    return single + [(name, value, _milliseconds(stamp), step) for name, value, stamp, step in run.series]


def user() -> str:
    """Who the runs belong to, by MLflow's tag `mlflow.user`."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user need not have a name
        return "unknown"


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


def open_sink(client: MlflowClient, uri: str, experiment: str, artifacts: Path | None) -> tuple[Sink, str]:
    """The quickest sink that the store allows, and why it is not the bulk one, where it is not.

    Args:
        client: a client of the store.
        uri: the store's tracking URI.
        experiment: the experiment's id.
        artifacts: the experiment's local artifact folder; None: the store decides where artifacts go.
    """
    slow = ClientSink(client, experiment)
    if artifacts is None:
        return slow, "the store is not local"
    from mlflow.store.tracking.dbmodels import models
    from mlflow.tracking._tracking_service.utils import _get_store

    tables = {name: {column.name for column in model.__table__.columns} for name, model in _tables(models).items()}
    changed = sorted(name for name, columns in _COLUMNS.items() if tables[name] != columns)
    if changed:
        return slow, f"this MLflow has other columns in {', '.join(changed)}"
    engine = getattr(_get_store(uri), "engine", None)
    if engine is None:
        return slow, "this MLflow does not show its database"
    return BulkSink(slow, engine.begin, experiment, artifacts), ""


__all__ = ["BulkSink", "ClientSink", "Known", "Sink", "open_sink"]
