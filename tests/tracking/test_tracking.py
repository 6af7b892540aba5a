"""From a journal to MLflow and back: what stands in a real store after a session, whichever way it was written."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from smallenough import journal
from smallenough.events import Event
from smallenough.sessions import experiment
from smallenough.strategies import branching
from smallenough.tracking import internals, layout, reader, writer
from smallenough.tracking.behind import WriterState, left
from smallenough.tracking.runs import TAG
from smallenough.tracking.store import Store, connect
from smallenough.tracking.suites import keep_used, list_suites, save_suite
from tests import replayed

pytestmark = pytest.mark.xdist_group("tracking")  # a session is shared

TASKS = 6
TEXTS = ("strategy_feedback", "strategy_answers")
"""Options of `branching` that are text."""


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], Store]) -> tuple[Store, str]:
    """A store with one session in it, and the session's id."""
    store = new_store(tmp_path_factory.mktemp("mlruns"))
    result = experiment.run(replayed.prepared(TASKS, concurrency=2), store)
    assert result.status == "completed"
    assert result.writer.wait(600) == 0
    return store, result.session


def runs_of(store: Store, experiment_name: str = "replayed") -> list[Run]:
    client = connect(store)
    found = client.get_experiment_by_name(experiment_name)
    assert found
    return list(client.search_runs([found.experiment_id], max_results=5000))


def by_kind(runs: list[Run], kind: str) -> list[Run]:
    return [run for run in runs if run.data.tags[f"{TAG}kind"] == kind]


def test_every_inference_and_every_trial_is_a_run_nested_in_its_parent(ended: tuple[Store, str]) -> None:
    store, session = ended
    runs = runs_of(store)
    finished = [event for _, event in journal.read(store.journals / session) if event.kind == "attempt_finished"]
    kinds = Counter(run.data.tags[f"{TAG}kind"] for run in runs)
    assert kinds == {"session": 1, "arm": 2, "resources": 2, "trial": 2 * TASKS, "attempt": len(finished)}
    ids = {run.info.run_id: run.data.tags[f"{TAG}kind"] for run in runs}
    above = {"arm": "session", "resources": "arm", "trial": "arm", "attempt": "trial"}
    for run in runs:
        kind = run.data.tags[f"{TAG}kind"]
        if kind != "session":
            assert ids[run.data.tags["mlflow.parentRunId"]] == above[kind]
        assert run.info.status == "FINISHED"
        assert run.info.start_time <= run.info.end_time
        assert len(run.data.metrics) < 50


def test_a_trial_says_what_it_is_what_was_solved_and_what_it_took(ended: tuple[Store, str]) -> None:
    store, session = ended
    trials = by_kind(runs_of(store), "trial")
    found = next(
        run
        for run in trials
        if run.data.tags[f"{TAG}task"] == "double_1" and run.data.tags[f"{TAG}arm"] == "m branching"
    )
    tags = {name.removeprefix(TAG): value for name, value in found.data.tags.items() if name.startswith(TAG)}
    assert tags == {
        "kind": "trial", "record": "trial:m branching/double_1/0", "session": session, "arm": "m branching",
        "model": "m", "provider": "replay", "strategy": "branching", "suite": "doubles", "task": "double_1",
        "category": "c1", "repeat": "0", "outcome": "solved",
    }  # fmt: skip
    metrics = found.data.metrics
    assert metrics["solved"] == 1
    assert metrics["first_attempt_solved"] == 0
    assert metrics["model_calls"] == 3
    assert metrics["branching_depth"] == 1
    assert metrics["latency_seconds"] == pytest.approx(1.5)
    assert "energy_joules" not in metrics, "what was not measured is not there"


def test_an_attempt_keeps_prompt_response_code_and_test_output(ended: tuple[Store, str]) -> None:
    store, _ = ended
    attempts = by_kind(runs_of(store), "attempt")
    wrong = next(run for run in attempts if run.data.tags[f"{TAG}outcome"] == "unsolved")
    kept = connect(store).download_artifacts(wrong.info.run_id, layout.ATTEMPT)
    body = json.loads(Path(kept).read_text())
    assert "double_" in body["messages"][0]["content"]
    assert "n + 7" in body["completion"]["text"]
    assert "n + 7" in body["code"]
    assert body["public"]["results"][0]["actual"] == "9"
    assert body["hidden"]["results"][0]["passed"] is False
    assert wrong.data.tags[f"{TAG}error"] == "AssertionError"


def test_parameters_hold_everything_that_went_in(ended: tuple[Store, str]) -> None:
    store, _ = ended
    runs = runs_of(store)
    session, arm = by_kind(runs, "session")[0].data.params, by_kind(runs, "arm")[0].data.params
    for name in (
        "suite_digest",
        "seed",
        "concurrency",
        "sandbox",
        "limit_memory_bytes",
        "version_mlflow",
        "hardware_cores_logical",
    ):
        assert session[name]
    for name in ("model", "model_digest", "model_parameters", "strategy", "prompt_templates"):
        assert arm[name]


def test_an_arm_tells_every_option_of_its_strategy_also_those_left_at_their_defaults(ended: tuple[Store, str]) -> None:
    store, _ = ended
    arm = next(run for run in by_kind(runs_of(store), "arm") if run.data.tags[f"{TAG}strategy"] == "branching")
    told = {name: value for name, value in arm.data.params.items() if name.startswith("strategy_")}
    options = asdict(branching.Options(max_depth=1, width=2))
    assert {name: json.loads(value) for name, value in told.items() if name not in TEXTS} == {
        f"strategy_{name}": list(value) if isinstance(value, tuple) else value
        for name, value in options.items()
        if value is not None and f"strategy_{name}" not in TEXTS
    }
    assert told["strategy_feedback"] == "chat"


def test_the_suite_is_the_dataset_used(ended: tuple[Store, str]) -> None:
    store, _ = ended
    session = by_kind(runs_of(store), "session")[0]
    inputs = connect(store).get_run(session.info.run_id).inputs
    assert inputs
    dataset = inputs.dataset_inputs[0].dataset
    assert (dataset.name, dataset.digest) == ("doubles", replayed.suite(TASKS).digest)


def test_the_tasks_that_a_session_used_are_a_dataset_of_their_own_which_its_runs_name(
    ended: tuple[Store, str],
) -> None:
    store, session = ended
    writer.write(store.journals / session, store, follow=False)  # and not a second one
    client = connect(store)
    (kept,) = client.search_datasets()
    assert kept.name == f"doubles {replayed.suite(TASKS).digest}"
    assert len(internals.read_records(store.uri, kept.dataset_id)) == TASKS
    inputs = client.get_run(by_kind(runs_of(store), "session")[0].info.run_id).inputs
    assert inputs
    assert inputs.dataset_inputs[0].dataset.digest == (kept.tags or {})[f"{TAG}digest"]
    assert list_suites(store) == [], "it is no suite to be asked for by name"


def test_a_store_that_keeps_no_datasets_gets_the_session_and_that_is_noted(
    ended: tuple[Store, str], fresh_store: Path
) -> None:
    store, session = ended
    other = Store.resolve(folder=fresh_store)
    assert other.database
    with sqlite3.connect(other.database) as connection:
        connection.execute(
            "CREATE TRIGGER none BEFORE INSERT ON evaluation_datasets BEGIN SELECT RAISE(ABORT, 'no datasets'); END"
        )
    connection.close()
    writer.write(store.journals / session, other, follow=False)
    assert picture(runs_of(other)) == picture(runs_of(store))
    state = WriterState.read(store.journals / session, other)
    assert state
    assert (state.error, state.suite) == ("", f"{other.uri}: no datasets")


def test_of_an_imported_suite_no_second_dataset_is_made(fresh_store: Path) -> None:
    store = Store.resolve(folder=fresh_store)
    saved = save_suite(store, replayed.suite(1), merge=False)
    keep_used(store, saved, "0")
    assert [found.name for found in connect(store).search_datasets()] == ["doubles v1"]


def test_the_tables_and_the_runs_agree(ended: tuple[Store, str]) -> None:
    store, session = ended
    from_tables = reader.read(store, [session])
    for run in by_kind(runs_of(store), "arm"):
        connect(store).update_run(run.info.run_id, "KILLED")  # the reader then trusts the runs alone
    try:
        from_runs = reader.read(store, [session])
    finally:
        for run in by_kind(runs_of(store), "arm"):
            connect(store).update_run(run.info.run_id, "FINISHED")
    for name in ("trials", "attempts"):
        assert_same(getattr(from_tables, name), getattr(from_runs, name))


def assert_same(left: pd.DataFrame, right: pd.DataFrame) -> None:
    keys = [name for name in ("arm", "task", "repeat", "attempt") if name in left]
    empty = [name for name in left if left[name].isna().all()]
    left = left.drop(columns=empty).sort_values(keys, ignore_index=True)
    right = right.dropna(axis="columns", how="all").sort_values(keys, ignore_index=True)
    pd.testing.assert_frame_equal(left, right[left.columns], check_exact=False, rtol=1e-12)
    assert set(right) == set(left)


def test_while_the_store_is_away_the_journal_is_read_and_that_is_said(ended: tuple[Store, str]) -> None:
    store, session = ended
    away = Store(store.folder, "http://127.0.0.1:9")
    found = reader.read(away, [session])
    assert "read from the journals" in found.notes[0]
    assert_same(reader.read(store, [session]).trials, found.trials)


def test_writing_again_writes_nothing_twice(ended: tuple[Store, str]) -> None:
    store, session = ended
    before = picture(runs_of(store))
    writer.write(store.journals / session, store, follow=False)
    assert picture(runs_of(store)) == before


def picture(runs: list[Run], *, times: bool = True) -> Mapping[str, Any]:
    """What stands in a store, without the ids that MLflow gives."""
    records = {run.info.run_id: run.data.tags[f"{TAG}record"] for run in runs}
    assert len(set(records.values())) == len(records), "a record was written twice"
    return {
        run.data.tags[f"{TAG}record"]: (
            run.info.run_name,
            run.info.status,
            (run.info.start_time, run.info.end_time) if times else None,
            {name: records.get(value, value) for name, value in run.data.tags.items()},
            run.data.params,
            run.data.metrics,
        )
        for run in runs
    }


def test_both_ways_of_writing_make_the_same_store(ended: tuple[Store, str], fresh_store: Path) -> None:
    store, session = ended
    slow = Store.resolve(folder=fresh_store)
    assert slow.database
    with sqlite3.connect(slow.database) as connection:  # as another MLflow might have it
        connection.execute("ALTER TABLE tags ADD COLUMN later TEXT")
    connection.close()
    folder = shutil.copytree(store.journals / session, slow.journals / session)  # its writer's account stays as it is
    writer.write(folder, slow, follow=False)
    state = WriterState.read(folder, slow)
    assert state
    assert state.slow == "this MLflow has other columns in tags"
    assert picture(runs_of(slow)) == picture(runs_of(store))
    client, quick = MlflowClient(slow.uri), MlflowClient(store.uri)
    for one, other in zip(
        *(sorted(runs_of(each), key=lambda run: run.data.tags[f"{TAG}record"]) for each in (slow, store)), strict=True
    ):
        files = [artifact.path for artifact in client.list_artifacts(one.info.run_id)]
        assert files == [artifact.path for artifact in quick.list_artifacts(other.info.run_id)]


def test_the_writer_steps_back_while_the_runner_works_and_no_longer(fresh_store: Path) -> None:
    started: list[subprocess.Popen[bytes]] = []

    def start(folder: Path, store: Store) -> subprocess.Popen[bytes]:
        started.append(writer.start(folder, store))
        return started[0]

    def observe(event: Event) -> None:
        """Goes on when the writer has stepped back, which is held there, lest it ends before it is looked at."""
        if event.kind == "arm_started":
            while set(priorities(started[0])) != {19}:
                time.sleep(0.01)
            started[0].send_signal(signal.SIGSTOP)

    usual = os.getpriority(os.PRIO_PROCESS, 0)
    arm = replayed.prepared(1, arms=replayed.ARMS[:1])
    result = experiment.run(arm, Store.resolve(folder=fresh_store), observe, start_writer=start)
    own, *group = priorities(result.writer)
    assert group == [0] * len(group)
    assert own == (usual if os.geteuid() == 0 else 19)
    result.writer.send_signal(signal.SIGCONT)
    assert result.writer.wait() == 0


@pytest.mark.slow
def test_a_writer_whose_runner_was_killed_steps_down_for_the_next(fresh_store: Path) -> None:
    """Else the next one would wait as long as the session runs."""
    found = Store.resolve(folder=fresh_store)

    def start(folder: Path, store: Store) -> subprocess.Popen[bytes]:
        first = writer.start(folder, store)
        while WriterState.read(folder) is None:
            assert first.poll() is None
            time.sleep(0.01)
        following = writer.start(folder, store)
        assert first.wait(240) == 0, "it goes although the session is still running"
        return following

    result = experiment.run(replayed.prepared(1, arms=replayed.ARMS[:1]), found, start_writer=start)
    assert result.writer.wait(240) == 0
    assert left(result.folder) == 0
    assert len(by_kind(runs_of(found), "trial")) == 1


def priorities(process: subprocess.Popen[bytes]) -> list[int]:
    """A process's own nice value, and its group's where the kernel has groups."""
    group = Path(f"/proc/{process.pid}/autogroup")
    own = os.getpriority(os.PRIO_PROCESS, process.pid)
    return [own, int(group.read_text().split()[-1])] if group.exists() else [own]


def test_the_quick_way_is_used_on_a_local_store(ended: tuple[Store, str]) -> None:
    store, session = ended
    state = WriterState.read(store.journals / session)
    assert state
    assert state.slow == ""
