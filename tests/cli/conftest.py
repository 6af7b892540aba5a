"""A store to begin with, made once, since that takes seconds."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from smallenough.tracking.store import Store, connect


@pytest.fixture(scope="session")
def fresh_database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The content of a new local store's database."""
    store = Store.resolve(None, tmp_path_factory.mktemp("fresh"))
    connect(store)
    path = store.folder / "mlflow.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path.read_bytes()


@pytest.fixture
def fresh_store(tmp_path: Path, fresh_database: bytes) -> Path:
    """The folder of a new local store."""
    folder = tmp_path / "store"
    folder.mkdir()
    (folder / "mlflow.db").write_bytes(fresh_database)
    return folder
