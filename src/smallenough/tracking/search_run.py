"""A search as a run, with a nested run for each candidate, linked to the session in which it was tried."""

from __future__ import annotations

from collections.abc import Mapping

from smallenough.records import Json
from smallenough.tracking import store as stores
from smallenough.tracking.reader import search as find
from smallenough.tracking.runs import TAG, Kind, texts
from smallenough.tracking.sinks import mapped, user
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
        self.run_id = self._made("search", f"search:{identity}", f"search {params.get('model', '')}", None, params)

    def candidate(
        self, number: int, params: Mapping[str, Json], metrics: Mapping[str, float | None], session: str
    ) -> None:
        """Logs what a candidate came to.

        Raises:
            TrackingError: the store can't be written.
        """
        record = f"candidate:{self._identity}/{number}"
        run_id = self._made("candidate", record, f"candidate {number}", self.run_id, params, session)
        with mapped(self._store.uri):
            for name, value in metrics.items():
                if value is not None:
                    self._client.log_metric(run_id, name, value)
            self._client.set_terminated(run_id)

    def best(self, number: int, metrics: Mapping[str, float | None], values: Mapping[str, Json]) -> None:
        """Logs the best of the first `number` candidates.

        Raises:
            TrackingError: the store can't be written.
        """
        with mapped(self._store.uri):
            for name, value in metrics.items():
                if value is not None:
                    self._client.log_metric(self.run_id, f"best_{name}", value, step=number)
            self._client.log_dict(self.run_id, dict(values), "best.json")

    def end(self) -> None:
        """Notes that there are no more candidates.

        Raises:
            TrackingError: the store can't be written.
        """
        with mapped(self._store.uri):
            self._client.set_terminated(self.run_id)

    def _made(
        self,
        kind: Kind,
        record: str,
        name: str,
        parent: str | None,
        params: Mapping[str, Json],
        session: str | None = None,
    ) -> str:
        with mapped(self._store.uri):
            existing = find(self._client, [self._experiment], kind, record=record)
            if existing:
                found: str = existing[0].info.run_id
                return found
            tags = {f"{TAG}kind": kind, f"{TAG}record": record, "mlflow.user": user()}
            tags |= {"mlflow.source.name": "smallenough"}
            tags |= {"mlflow.parentRunId": parent} if parent else {}
            tags |= {f"{TAG}session": session} if session else {}
            run_id: str = self._client.create_run(self._experiment, tags=tags, run_name=name[:250]).info.run_id
            for key, value in texts(params).items():
                self._client.log_param(run_id, key, value)
        return run_id
