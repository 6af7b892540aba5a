"""Which tracking store is used, and that it exists.

The local store is SQLite in a folder (`mlruns` by default): `mlflow.db`, `artifacts/`, `journal/`.
`MLFLOW_TRACKING_URI` and `MLFLOW_EXPERIMENT_NAME` are respected as everywhere; a folder given there (`./mlruns`),
which current MLflow refuses, is mapped to the SQLite store in that folder, with a notice. Journals are always local.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlparse

from smallenough.errors import InputError, TrackingError
from smallenough.tracking import internals
from smallenough.tracking.access import mapped
from smallenough.tracking.masking import shown_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient

DATABASE = "mlflow.db"


@dataclass(frozen=True, slots=True)
class Store:
    """Where results go."""

    folder: Path
    """The local folder; holds the journals even where the store itself is elsewhere."""
    uri: str
    """MLflow's tracking URI."""
    notice: str = ""
    """What the user should know about how the store was chosen."""

    @classmethod
    def local(cls, folder: Path) -> Store:
        """The store of a local folder."""
        return cls(folder, f"sqlite:///{folder / DATABASE}")

    @property
    def journals(self) -> Path:
        """The folder of all journals."""
        return self.folder / "journal"

    @property
    def database(self) -> Path | None:
        """The SQLite file of a local store; None: the store is a server or another database."""
        return Path(unquote(self.uri.removeprefix("sqlite:///"))) if self.uri.startswith("sqlite:///") else None

    @property
    def artifacts(self) -> Path | None:
        """The folder of a local store's artifacts; None: the store decides where they go."""
        return self.database.parent / "artifacts" if self.database else None

    @classmethod
    def resolve(cls, uri: str | None = None, folder: Path | None = None) -> Store:
        """The store in force.

        Args:
            uri: a tracking URI; None: `MLFLOW_TRACKING_URI`, else the local store.
            folder: the local folder, which holds the journals; None: `SMALLENOUGH_STORE`, else the folder of the
                database that `uri` names, else `mlruns`.

        Raises:
            InputError: the URI is of no kind that MLflow can track to.
        """
        named = folder or (Path(named) if (named := os.environ.get("SMALLENOUGH_STORE")) else None)
        folder = (named or Path("mlruns")).absolute()
        given = uri or os.environ.get("MLFLOW_TRACKING_URI", "")
        if not given:
            return cls.local(folder)
        try:
            scheme = urlparse(given).scheme
        except ValueError as error:
            raise InputError(f"tracking URI {shown_uri(given)!r}: {error}") from error
        if scheme in ("", "file"):
            path = Path(unquote(urlparse(given).path if scheme else given)).absolute()
            notice = f"MLflow no longer tracks to folders such as {given}: using {path / DATABASE}"
            return cls(folder if named else path, f"sqlite:///{path / DATABASE}", notice)
        if scheme == "sqlite":
            database = Path(unquote(given.removeprefix("sqlite:///"))).absolute()
            return cls(folder if named else database.parent, f"sqlite:///{database}")
        if scheme in ("http", "https", "databricks", "postgresql", "mysql", "mssql") or "+" in scheme:
            return cls(folder, given)
        raise InputError(f"tracking URI {shown_uri(given)!r}: {scheme!r} is no kind of store that MLflow knows")


def connect(store: Store) -> MlflowClient:
    """A client of the store, which is created first where it is local and does not exist.

    Raises:
        TrackingError: the store can't be reached, created or read.
    """
    # A server that is away is noticed within seconds; MLflow's own patience is four minutes.
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR", "1")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # where our own output goes, JSON and all
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from mlflow import MlflowClient

        for name in ("mlflow", "alembic"):  # after the import, which sets levels of its own
            logging.getLogger(name).setLevel(logging.ERROR)
        if store.database:
            create(store)
        with mapped(store.uri):
            return MlflowClient(store.uri)


def create(store: Store) -> None:
    """Creates a local store, once, in WAL mode, so that reading and writing do not wait for each other.

    Raises:
        TrackingError: the folder can't be written.
    """
    import portalocker
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    assert store.database
    assert store.artifacts
    try:
        store.artifacts.mkdir(parents=True, exist_ok=True)
        store.journals.mkdir(parents=True, exist_ok=True)
        if store.database.exists() and store.database.stat().st_size:
            return
        with portalocker.Lock(store.folder / "create.lock", timeout=60):
            if store.database.exists() and store.database.stat().st_size:
                return
            # Made under another name first, so that a kill in between leaves nothing half-made.
            fresh = store.database.with_suffix(".new")
            fresh.unlink(missing_ok=True)
            internals.create_database(f"sqlite:///{fresh}", str(store.artifacts))
            with sqlite3.connect(fresh) as connection:
                connection.execute("PRAGMA journal_mode=WAL")
            connection.close()
            fresh.rename(store.database)
    except portalocker.LockException as error:
        raise TrackingError(f"{store.folder}: another process has been creating the store for a minute") from error
    except (OSError, sqlite3.Error, SQLAlchemyError, MlflowException) as error:
        raise TrackingError(f"{store.folder}: can't create the store: {error}") from error


def experiment_id(client: MlflowClient, store: Store, name: str) -> str:
    """The id of an experiment, which is created where it does not exist.

    Raises:
        TrackingError: the store can't be reached, or holds a deleted experiment of that name.
    """
    with mapped(store.uri):
        found = client.get_experiment_by_name(name)
        if found is None:
            location = str(store.artifacts / name.replace("/", "_")) if store.artifacts else None
            return client.create_experiment(name, artifact_location=location)
        if found.lifecycle_stage == "deleted":
            raise TrackingError(
                f"experiment {name!r} is deleted; restore it in MLflow (mlflow experiments restore "
                f"--experiment-id {found.experiment_id}), or choose another name"
            )
        return str(found.experiment_id)
