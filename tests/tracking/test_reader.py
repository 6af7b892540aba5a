"""Reading when the store goes away in the middle of it, and what is found damaged."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pandas as pd
import pytest

from smallenough import journal as journals
from smallenough.errors import TrackingError
from smallenough.sessions import experiment
from smallenough.tracking import arrow, layout, reader, writer
from smallenough.tracking.access import every, find_runs
from smallenough.tracking.columns import TRIALS
from smallenough.tracking.runs import TAG
from smallenough.tracking.store import Store, connect
from smallenough.tracking.stored_runs import MlflowRuns, SqliteRuns, stored_runs
from tests import replayed
from tests.cli.calling import call
from tests.servers.own_mlflow import BreakingWay, OwnMlflow

pytestmark = pytest.mark.xdist_group("reader")  # a server and a session are shared


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], Store]) -> Iterator[Store]:
    """A session in a local store and at a real server; the store is the local one, beside it lies the server's URI."""
    store = new_store(tmp_path_factory.mktemp("tracked"))
    result = experiment.run(replayed.prepared(3), store)
    assert result.writer.wait(120) == 0
    own = OwnMlflow(tmp_path_factory.mktemp("server"))
    own.start()
    writer.write(result.folder, Store(store.folder, own.uri), follow=False)
    (store.folder / "server").write_text(own.uri)
    yield store
    own.end()


def same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    keys = [name for name in ("arm", "task", "repeat", "attempt") if name in left]
    left, right = (one.dropna(axis="columns", how="all").sort_values(keys, ignore_index=True) for one in (left, right))
    pd.testing.assert_frame_equal(left, right[left.columns])


@pytest.mark.parametrize("after", [1, 2, 3, 4, 5])
def test_a_server_that_goes_away_in_the_middle_is_told_and_the_journals_are_read(
    tracked: Store, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with BreakingWay((tracked.folder / "server").read_text(), after) as way:
        found = reader.read(Store(tracked.folder, way.uri))
    assert way.left == 0
    (note,) = found.notes
    assert note == (
        f"read from the journals, since the tracking store can't be read: {way.uri} does not answer "
        "(Connection refused); start it, or unset MLFLOW_TRACKING_URI to track to the local store"
    )
    whole = reader.read(tracked)
    assert whole.notes == ()
    same(whole.trials, found.trials)
    same(whole.attempts, found.attempts)


def test_a_server_that_stays_tells_the_same_as_the_local_store(tracked: Store) -> None:
    there, here = reader.read(Store(tracked.folder, (tracked.folder / "server").read_text())), reader.read(tracked)
    assert there.notes == here.notes == ()
    same(there.trials, here.trials)
    same(there.attempts, here.attempts)


def test_without_a_journal_of_it_a_server_that_is_away_is_an_error_in_words(tracked: Store, tmp_path: Path) -> None:
    away = r"^http://127\.0\.0\.1:9 does not answer \(Connection refused\); start it, or unset MLFLOW_TRACKING_URI"
    with pytest.raises(TrackingError, match=away + ".*; and no journal of it lies in") as told:
        reader.read(Store(tmp_path, "http://127.0.0.1:9"))
    assert "HTTPConnectionPool" not in str(told.value)
    with pytest.raises(TrackingError, match=away + ".*; and .* has no journal of it: unknown session '1999'"):
        reader.read(Store(tracked.folder, "http://127.0.0.1:9"), ["1999"])


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:99])])
def test_a_table_that_is_missing_or_damaged_is_rebuilt_from_the_runs(
    tracked: Store, damage: Callable[[Path], object]
) -> None:
    before, client = reader.read(tracked), connect(tracked)
    arm = find_runs(client, list(before.experiments), kind="arm")[0]
    table = Path(arm.info.artifact_uri, layout.TRIALS)
    content = table.read_bytes()
    damage(table)
    try:
        same(before.trials, reader.read(tracked).trials)
    finally:
        table.write_bytes(content)


def test_every_page_of_a_search_is_read(tracked: Store) -> None:
    client = connect(tracked)
    (experiment_id,) = reader.read(tracked).experiments
    whole = {run.info.run_id for run in client.search_runs([experiment_id])}
    paged = every(lambda token: client.search_runs([experiment_id], max_results=2, page_token=token))
    ids = [run.info.run_id for run in paged]
    assert len(ids) > 10
    assert (len(ids), set(ids)) == (len(whole), whole)


def test_an_arm_tells_what_the_training_of_its_adapter_took(tracked: Store) -> None:
    before, client = reader.read(tracked), connect(tracked)
    assert before.arms["training_run_id"].isna().all()
    (experiment_id,) = before.experiments
    training = client.create_run(experiment_id)
    client.log_metric(training.info.run_id, "wall_seconds", 60.0)
    client.log_metric(training.info.run_id, "energy_joules", 900.0)
    arm, other = find_runs(client, [experiment_id], kind="arm")[:2]
    client.log_param(arm.info.run_id, "adapter_run_id", training.info.run_id)
    client.log_param(arm.info.run_id, "adapter_base", "tiny")
    client.log_param(arm.info.run_id, "adapter_suite", "learned")
    client.log_param(other.info.run_id, "adapter_run_id", 32 * "0")  # of another store
    found = reader.read(tracked).arms.set_index("run_id")
    told = found.loc[arm.info.run_id, ["training_run_id", "training_wall_seconds", "training_energy_joules"]]
    assert list(told) == [training.info.run_id, 60.0, 900.0]
    assert list(found.loc[arm.info.run_id, ["base_model", "training_suite"]]) == ["tiny", "learned"]
    assert found["training_cpu_seconds"].isna().all()
    assert found.loc[other.info.run_id, "training_run_id"] == 32 * "0"
    assert found["training_wall_seconds"].notna().sum() == 1
    client.set_tag(training.info.run_id, f"{TAG}unmeasured_parts", "1")  # so that not all that it took is known
    again = reader.read(tracked).arms.set_index("run_id")
    assert again.loc[arm.info.run_id, "training_run_id"] == training.info.run_id
    assert again["training_wall_seconds"].isna().all()


def test_a_journal_that_was_cut_off_is_one_of_an_interrupted_session(tracked: Store, tmp_path: Path) -> None:
    (folder,), store = tracked.journals.iterdir(), Store.local(tmp_path / "mlruns")
    copy = store.journals / folder.name
    shutil.copytree(folder, copy)
    lines = (copy / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (copy / "journal.jsonl").write_bytes(b"".join(lines[: len(lines) // 2]))
    assert set(reader.read(store).arms["status"]) <= {"completed", "interrupted"}
    with journals.held(copy):
        assert "running" in set(reader.read(store).arms["status"])


def test_straight_from_the_database_comes_what_mlflow_tells(tracked: Store) -> None:
    client, straight, through = connect(tracked), SqliteRuns(tracked), MlflowRuns(tracked)
    experiments = straight.experiments()
    assert experiments == through.experiments()
    strange = client.create_run(next(iter(experiments)), tags={f"{TAG}kind": "odd 'kind'"}, run_name="ä")
    client.log_metric(strange.info.run_id, "lost", float("nan"))
    client.log_metric(strange.info.run_id, "later", 1.0, step=1)
    client.log_metric(strange.info.run_id, "later", 2.0, step=2)
    client.log_param(strange.info.run_id, "long", "x" * 5000)
    gone = client.create_run(next(iter(experiments)), tags={f"{TAG}kind": "arm"})
    client.delete_run(gone.info.run_id)
    for kind in ("session", "arm", "trial", "attempt", "odd 'kind'"):
        ours, theirs = (runs.find(list(experiments), kind=kind) for runs in (straight, through))
        assert ours
        assert repr(ours) == repr(theirs)  # in which NaN is NaN
    assert repr(straight.get(strange.info.run_id)) == repr(through.get(strange.info.run_id))
    assert straight.get(32 * "0") is through.get(32 * "0") is None
    assert straight.find([], kind="arm") == []


def test_a_database_of_another_form_is_read_through_mlflow(tracked: Store) -> None:
    assert isinstance(stored_runs(tracked), SqliteRuns)
    with closing(sqlite3.connect(str(tracked.database))) as connection, connection:
        connection.execute("ALTER TABLE tags ADD COLUMN more TEXT")
    try:
        assert isinstance(stored_runs(tracked), MlflowRuns)
        assert len(reader.read(tracked).trials) > 0
    finally:
        with closing(sqlite3.connect(str(tracked.database))) as connection, connection:
            connection.execute("ALTER TABLE tags DROP COLUMN more")
    assert isinstance(stored_runs(tracked), SqliteRuns)


def test_a_damaged_database_is_told_and_the_journals_are_read(tracked: Store, tmp_path: Path) -> None:
    shutil.copytree(tracked.journals, tmp_path / "journal")
    (tmp_path / "mlflow.db").write_bytes(b"no database at all" * 100)
    found = reader.read(Store.local(tmp_path))
    assert len(found.trials) == len(reader.read(tracked).trials)
    assert "file is not a database" in found.notes[0]


def test_what_is_no_number_is_not_measured() -> None:
    rows = [arrow.table([{"session": "s", "latency_seconds": float("nan")}]), arrow.table([{"session": "t"}])]
    found = arrow.frame(rows, TRIALS)
    assert found["latency_seconds"].isna().all()
    assert str(found["latency_seconds"].dtype) == "Float64"
    assert list(found["session"]) == ["s", "t"]


def test_what_is_printed_of_a_remote_store_is_json_alone(tracked: Store, capsys: pytest.CaptureFixture[str]) -> None:
    uri = (tracked.folder / "server").read_text()
    done = call(capsys, "compare", "--json", "--tracking-uri", uri, "--store", tracked.folder)
    assert done.code == 0, done.err
    assert json.loads(done.out)["rows"]
