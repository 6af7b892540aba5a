"""A search as a run, with a nested run for each candidate, linked to the session in which it was tried."""

from __future__ import annotations

import time
from collections.abc import Mapping

from smallenough.records import Json
from smallenough.tracking import store as stores
from smallenough.tracking.access import find_runs, mapped, put_run
from smallenough.tracking.runs import Kind, RunRecord, numbers, tags, texts
from smallenough.tracking.store import Store


class SearchRun:
    """The run of a search; one of the same identity is gone on with.

    Args:
        store: where to track.
        experiment: name of the MLflow experiment; made if it is not there.
        identity: of the search: the same for the same model, tasks and space.
        params: what went in.

    Raises:
        TrackingError: the store can't be written.
    """

    def __init__(self, store: Store, experiment: str, identity: str, params: Mapping[str, Json]) -> None:
        self._store, self._identity = store, identity
        self._client = stores.connect(store)
        self._experiment = stores.experiment_id(self._client, store, experiment)
        self.run_id = self._put("search", f"search:{identity}", f"search {params.get('model', '')}", None, params)

    def candidate(
        self, number: int, params: Mapping[str, Json], metrics: Mapping[str, float | None], session: str
    ) -> None:
        """Logs what a candidate came to.

        Raises:
            TrackingError: the store can't be written.
        """
        record = f"candidate:{self._identity}/{number}"
        self._put("candidate", record, f"candidate {number}", self.run_id, params, metrics, session=session)

    def best(self, number: int, metrics: Mapping[str, float | None], values: Mapping[str, Json]) -> None:
        """Logs the best of the first `number` candidates.

        Raises:
            TrackingError: the store can't be written.
        """
        with mapped(self._store.uri):
            for name, value in numbers(metrics).items():
                self._client.log_metric(self.run_id, f"best_{name}", value, step=number)
            self._client.log_dict(self.run_id, dict(values), "best.json")

    def end(self) -> None:
        """Notes that there are no more candidates.

        Raises:
            TrackingError: the store can't be written.
        """
        with mapped(self._store.uri):
            self._client.set_terminated(self.run_id)

    def _put(
        self,
        kind: Kind,
        record: str,
        name: str,
        parent: str | None,
        params: Mapping[str, Json],
        metrics: Mapping[str, float | None] | None = None,
        **more: Json,
    ) -> str:
        """Puts a run; the parameters of one that is there stay, since MLflow's can't change."""
        now = time.time()
        with mapped(self._store.uri):
            existing = find_runs(self._client, [self._experiment], kind=kind, record=record)
            run = RunRecord(
                record,
                None,
                kind,
                name,
                "RUNNING" if parent is None else "FINISHED",
                now,
                None if parent is None else now,
                tags(kind, record, **more),
                {} if existing else texts(params),
                numbers(metrics or {}),
            )
            return put_run(self._client, self._experiment, run, parent, existing[0].info.run_id if existing else None)
