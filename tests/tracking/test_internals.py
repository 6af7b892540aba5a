"""What happens where MLflow lacks a part that is no public interface of it: a refusal in words, or the public way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mlflow.store.db.utils
import mlflow.utils.credentials
import pytest
from mlflow.store.tracking.abstract_store import AbstractStore
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

from smallenough.errors import TrackingError
from smallenough.records import Suite, Task
from smallenough.tracking import health, internals, suites
from smallenough.tracking.store import Store
from tests.servers.own_mlflow import OwnMlflow


@pytest.fixture
def store(tmp_path: Path, new_store: Callable[[Path], Store]) -> Store:
    return new_store(tmp_path)


def test_the_schema_of_a_store_is_compared_only_with_one_that_mlflow_tells(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = internals.newest_schema()
    assert newest is not None
    assert f"schema {newest}" in health.check(store)[0].detail
    monkeypatch.delattr(mlflow.store.db.utils, "_get_latest_schema_revision")
    found = health.check(store)[0]
    assert (found.state, f"schema {newest}, not compared with this MLflow's" in found.detail) == ("ok", True)


def lacks(part: str) -> str:
    return rf"^MLflow 3\.\S+ lacks `{part}`.*; install one of these: pip install 'mlflow>=3\.4,<4'"


def test_suites_are_refused_where_records_can_t_be_reached_and_nothing_is_left(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = suites.save_suite(store, Suite("kept", (Task("a", "P"),)), merge=False)
    with monkeypatch.context() as patch:
        for kind in (AbstractStore, SqlAlchemyStore):
            patch.delattr(kind, "_load_dataset_records")
            patch.delattr(kind, "upsert_dataset_records")
        with pytest.raises(TrackingError, match=lacks("_load_dataset_records")):
            suites.load_suite(store, "kept")
        with pytest.raises(TrackingError, match=lacks("upsert_dataset_records")):
            suites.save_suite(store, Suite("new", (Task("a", "P"),)), merge=False)
    assert [info.name for info in suites.list_suites(store)] == ["kept"]
    assert suites.load_suite(store, "kept") == saved


def test_a_server_is_asked_by_mlflow_s_client_where_one_request_can_t_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    own = OwnMlflow(tmp_path)
    own.start()
    try:
        once = health.check(Store(tmp_path, own.uri))
        monkeypatch.delattr(mlflow.utils.credentials, "get_default_host_creds")
        assert internals.ask_once(own.uri, "/", None, 1) is None
        assert health.check(Store(tmp_path, own.uri)) == once
        assert once[0].state == "ok"
    finally:
        own.end()
    with pytest.raises(TrackingError, match=r"does not answer \(Connection refused\); start it"):
        health.reach(Store(tmp_path, own.uri))
