"""The parts of MLflow that are no public interface of it, gathered here, each looked for before it is used.

There is no public way to a dataset's records in a store other than the process's one tracking URI, to the schema that
a database must have, to a new database whose artifacts lie where we say, or to one request without retries. Where a
part is missing, what is asked for here is refused in words, or, where its caller can do without, is None.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from smallenough.errors import TrackingError
from smallenough.records import Json

if TYPE_CHECKING:
    import requests
    from mlflow.entities import DatasetRecord


def read_records(uri: str, dataset: str) -> list[DatasetRecord]:
    """Every record of an evaluation dataset, in no order of ours.

    Raises:
        TrackingError: this MLflow has no such part.
    """
    found: list[DatasetRecord] = _required(_store(uri), "_load_dataset_records")(dataset)[0]
    return found


def add_records(uri: str, dataset: str, records: Sequence[dict[str, Json]]) -> None:
    """Adds records to an evaluation dataset.

    Raises:
        TrackingError: this MLflow has no such part.
    """
    _required(_store(uri), "upsert_dataset_records")(dataset, list(records))


def create_database(uri: str, artifacts: str) -> None:
    """Makes the tables of a new database, whose first experiment keeps its artifacts in `artifacts`.

    Raises:
        TrackingError: this MLflow has no such part.
    """
    kind = _required(_module("mlflow.store.tracking.sqlalchemy_store"), "SqlAlchemyStore")
    kind(uri, artifacts).engine.dispose()


def newest_schema() -> str | None:
    """The revision that a database must have for this MLflow; None: it does not tell."""
    told = getattr(_module("mlflow.store.db.utils"), "_get_latest_schema_revision", None)
    return None if told is None else str(told())


def ask_once(uri: str, endpoint: str, body: Json, seconds: float) -> requests.Response | None:
    """One request to a server with the client's credentials, without its retries, which take minutes.

    Returns:
        What it answered; None: this MLflow has no such part.
    """
    credentials = getattr(_module("mlflow.utils.credentials"), "get_default_host_creds", None)
    request = getattr(_module("mlflow.utils.rest_utils"), "http_request", None)
    if credentials is None or request is None:
        return None
    reply: requests.Response = request(
        credentials(uri), endpoint, "POST", max_retries=0, timeout=seconds, raise_on_status=False, json=body
    )
    return reply


def _store(uri: str) -> Any:
    return _required(_module("mlflow.tracking._tracking_service.utils"), "_get_store")(uri)


def _module(name: str) -> Any:
    """A module of MLflow; None: there is none of that name."""
    try:
        return import_module(name)
    except ModuleNotFoundError:
        return None


def _required(owner: Any, name: str) -> Any:
    try:
        return getattr(owner, name)
    except AttributeError as error:
        from mlflow import __version__

        raise TrackingError(
            f"MLflow {__version__} lacks `{name}`, which smallenough needs here and knows from MLflow 3.4 to 3.17; "
            "install one of these: pip install 'mlflow>=3.4,<4'"
        ) from error
