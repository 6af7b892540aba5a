"""Two ways to put runs into a tracking store, with the same result.

`ClientSink` uses MLflow's client and works with every store. `BulkSink` writes many trial and attempt runs to a local
database in one transaction, some fifty times as fast; it is used where the tables of runs are those that are known
(see `sqlite_runs`). A run is created with its `smallenough.record` tag in the same call or transaction, so that a run
which a crash left behind is found again.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from smallenough.tracking import sqlite_runs
from smallenough.tracking.access import find_runs, mapped, put_run
from smallenough.tracking.runs import TAG, RunRecord
from smallenough.tracking.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True, slots=True)
class Known:
    """A run that is in the store already."""

    run_id: str
    status: str


class Sink(Protocol):
    """Puts runs into a store."""

    def existing(self, session: str) -> dict[str, Known]:
        """The runs of a session that the store holds, by record.

        Raises:
            TrackingError: the store can't be reached or read.
        """
        ...

    def write(self, runs: Sequence[RunRecord], known: dict[str, Known]) -> None:
        """Writes runs, parents before their children, and notes in `known` what the store holds now.

        Raises:
            TrackingError: the store can't be reached or written; what was written before stays written.
        """
        ...


class ClientSink:
    """Writes through MLflow's client.

    Args:
        client: a client of the store.
        experiment: the id of the experiment that all runs belong to.
    """

    def __init__(self, client: MlflowClient, experiment: str) -> None:
        self._client, self._experiment = client, experiment

    def existing(self, session: str) -> dict[str, Known]:
        """The runs of a session that the store holds, by record."""
        with mapped(self._client.tracking_uri):
            found = find_runs(self._client, [self._experiment], session=session)
        return {
            run.data.tags[record]: Known(run.info.run_id, run.info.status)
            for run in found
            if (record := f"{TAG}record") in run.data.tags
        }

    def write(self, runs: Sequence[RunRecord], known: dict[str, Known]) -> None:
        """Writes runs one by one; a run that exists is brought up to date."""
        for run in runs:
            parent = known[run.parent].run_id if run.parent else None
            existing = known[run.record].run_id if run.record in known else None
            with mapped(self._client.tracking_uri):
                run_id = put_run(self._client, self._experiment, run, parent, existing)
            known[run.record] = Known(run_id, run.status)


class BulkSink:
    """Writes trial and attempt runs in one transaction a batch; everything else through a `ClientSink`.

    Args:
        slow: the client's way, for runs that are more than rows in the run tables.
        database: the store's SQLite file.
        experiment: the id of the experiment that all runs belong to.
        artifacts: the local folder of the experiment's artifacts.
    """

    def __init__(self, slow: ClientSink, database: Path, experiment: str, artifacts: Path) -> None:
        self._slow, self._database = slow, database
        self._experiment, self._artifacts = experiment, artifacts

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
        again = [known[run.record].run_id for run in batch if run.record in known]
        ids = {record: one.run_id for record, one in known.items()}
        ids |= {run.record: uuid.uuid4().hex for run in batch if run.record not in known}
        with mapped(str(self._database)):
            for run in batch:
                folder = self._artifacts / ids[run.record] / "artifacts"
                folder.mkdir(parents=True, exist_ok=True)
                for name, content in run.artifacts.items():
                    (folder / name).write_bytes(content)
            rows = sqlite_runs.rows_of(batch, ids, self._experiment, self._artifacts)
            sqlite_runs.lay(self._database, rows, again)
        for run in batch:
            known[run.record] = Known(ids[run.record], run.status)


def open_sink(client: MlflowClient, store: Store, experiment: str) -> tuple[Sink, str]:
    """The quickest sink that the store allows, and why it is not the bulk one, where it is not.

    Args:
        client: a client of the store.
        store: the store.
        experiment: the experiment's id.

    Raises:
        TrackingError: the store can't be reached or read.
    """
    slow = ClientSink(client, experiment)
    if store.database is None:
        return slow, "the store is not local"
    with mapped(store.uri):
        changed = sqlite_runs.unknown(store.database)
        artifacts = Path(client.get_experiment(experiment).artifact_location)
    if changed:
        return slow, f"this MLflow has other columns in {', '.join(changed)}"
    return BulkSink(slow, store.database, experiment, artifacts), ""
