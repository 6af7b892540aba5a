"""Killed at any point, a session goes on as if nothing had happened: no attempt lost, none repeated."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from smallenough import journal
from smallenough.errors import InputError, ModelUnavailable
from smallenough.events import AttemptFinished
from smallenough.models.replay import ReplayClient
from smallenough.records import Completion, Request
from smallenough.sessions import experiment
from smallenough.tracking import writer
from smallenough.tracking.behind import WriterState, left
from smallenough.tracking.runs import TAG
from smallenough.tracking.store import Store
from tests import replayed

pytestmark = pytest.mark.xdist_group("faults")  # a store to compare with is shared

TASKS = 9
GUARD = 240.0
"""Seconds after which something hangs: the writer steps back behind all other work on the machine."""
PROGRAM = [sys.executable, replayed.__file__]


def start(store: Path, *more: str) -> subprocess.Popen[str]:
    """A session in a process of its own."""
    command = [*PROGRAM, str(store), "--tasks", str(TASKS), "--concurrency", "3", "--delay", "0.01", *more]
    environment = {**os.environ, "PYTHONPATH": str(Path(replayed.__file__).parents[1])}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def size(folder: Path) -> int:
    path = folder / "journal.jsonl"
    return path.stat().st_size if path.exists() else 0


def wait_until(reached: Any, process: subprocess.Popen[Any] | None) -> None:
    """Waits for `reached()`, or for the process's end."""
    deadline = time.monotonic() + GUARD
    while not reached() and (process is None or process.poll() is None):
        assert time.monotonic() < deadline
        time.sleep(0.002)


def content(store: Store) -> dict[str, Any]:
    """What stands in a store, without times, ids and what is measured."""
    client = MlflowClient(store.uri)
    found = client.get_experiment_by_name("replayed")
    assert found
    runs = client.search_runs([found.experiment_id], max_results=5000)
    ids = {run.info.run_id: run.data.tags[f"{TAG}record"] for run in runs}
    assert len(set(ids.values())) == len(ids), "a record was written twice"
    shown = {}
    for run in runs:
        session = run.data.tags[f"{TAG}session"]
        tags = {name: ids.get(value, value).replace(session, "") for name, value in run.data.tags.items()}
        tags.pop(f"{TAG}killed_parts", None)  # this the kills do change
        kept = ("solved", "first_attempt_solved", "tests_passed_ratio", "model_calls", "tokens_out", "latency_seconds")
        metrics = {name: value for name, value in run.data.metrics.items() if name in kept}
        params = {
            name: value
            for name, value in run.data.params.items()
            if name in ("model", "strategy", "attempt", "seed", "chosen")
        }
        files = sorted(artifact.path for artifact in client.list_artifacts(run.info.run_id))
        shown[ids[run.info.run_id]] = (run.info.status, tags, metrics, params, files)
    return shown


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The store of a session that nothing disturbed, and that the session's writer made."""
    store = Store.resolve(folder=tmp_path_factory.mktemp("undisturbed"))
    result = experiment.run(replayed.prepared(TASKS, concurrency=3), store)
    assert result.writer.wait(GUARD) == 0
    return content(store)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(1, 8))])
def test_killed_at_random_points_and_resumed_the_store_is_as_if_undisturbed(
    undisturbed: dict[str, Any], fresh_store: Path, seed: int
) -> None:
    store = Store.resolve(folder=fresh_store)
    chance = random.Random(seed)
    process = start(fresh_store)
    wait_until(lambda: any(store.journals.glob("*/journal.jsonl")), process)
    session = next(store.journals.iterdir()).name
    folder = store.journals / session
    kills = 0
    for _ in range(3):
        goal = size(folder) + chance.randrange(1, 9000)
        wait_until(lambda goal=goal: size(folder) >= goal, process)
        if process.poll() is None:
            process.kill()
            kills += 1
        process.communicate()
        process = start(fresh_store, "--resume", session)
    out, err = process.communicate(timeout=GUARD)
    assert kills or chance
    if process.returncode:  # it had been completed before the last kill came
        assert "is complete" in err, err
        writer.write(folder, store, follow=True)
    else:
        assert f"{session} completed 0" in out

    asked = Counter(
        (str(event.key), event.index) for _, event in journal.read(folder) if isinstance(event, AttemptFinished)
    )
    assert set(asked.values()) == {1}, "an inference was repeated"
    assert content(store) == undisturbed


def test_a_killed_writer_is_made_good_by_flush(undisturbed: dict[str, Any], fresh_store: Path) -> None:
    store = Store.resolve(folder=fresh_store)
    result = experiment.run(replayed.prepared(TASKS, concurrency=3), store)
    result.writer.kill()
    result.writer.wait()
    writer.write(result.folder, store, follow=False)
    assert left(result.folder) == 0
    assert content(store) == undisturbed


def test_an_unreachable_server_delays_nothing_and_loses_nothing(undisturbed: dict[str, Any], fresh_store: Path) -> None:
    store = Store.resolve("http://127.0.0.1:9", fresh_store)
    result = experiment.run(replayed.prepared(TASKS, concurrency=3), store)
    assert result.status == "completed"
    assert result.writer.wait(GUARD) != 0
    assert left(result.folder) > 0
    state = WriterState.read(result.folder)
    assert state
    assert "127.0.0.1" in state.error
    local = Store.resolve(folder=fresh_store)
    writer.write(result.folder, local, follow=False)
    assert content(local) == undisturbed


def test_interrupted_once_it_finishes_what_is_in_flight_and_can_be_resumed(
    undisturbed: dict[str, Any], fresh_store: Path
) -> None:
    store = Store.resolve(folder=fresh_store)
    process = start(fresh_store)
    wait_until(lambda: any(size(folder) > 6000 for folder in store.journals.glob("*")), process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=GUARD)
    found = re.fullmatch(r"(\S+) interrupted 0\n", out)
    assert found, err
    one = journal.summary(store.journals / found[1])
    assert one.status == "interrupted"
    assert 0 < one.done < one.trials
    left_open = [run for run in content(store).values() if run[0] == "RUNNING"]
    assert len(left_open) <= 3 * 4, "what is in flight, and what waits for its next step, may be open"
    resumed = start(fresh_store, "--resume", found[1])
    assert resumed.communicate(timeout=GUARD)[0] == f"{found[1]} completed 0\n"
    assert content(store) == undisturbed


def test_trials_that_a_failing_server_spoiled_are_done_again_by_a_resume(
    undisturbed: dict[str, Any], fresh_store: Path
) -> None:
    """Also where the failure came in the middle of a trial, and where nothing else was left to do."""

    def answer(request: Request) -> Completion:
        if "double_2" in request.messages[-1].content or request.key.startswith("m branching/double_4/0/1"):
            raise ModelUnavailable("the server has gone")
        return replayed.answer(request)

    store = Store.resolve(folder=fresh_store)
    failing = replace(
        replayed.prepared(TASKS, concurrency=3), clients={"replay": ReplayClient(answer, {"m": replayed.INFO})}
    )
    result = experiment.run(failing, store)
    assert result.writer.wait(GUARD) == 0
    assert (result.status, result.failed) == ("completed", 3)
    failed = [run for run in content(store).values() if run[0] == "FAILED"]
    assert {run[1][f"{TAG}outcome"] for run in failed} == {"model_failed"}

    healthy = replayed.prepared(TASKS, concurrency=3)
    again = experiment.resume(result.folder, store, prepared_again=lambda *_: healthy)
    assert again.writer.wait(GUARD) == 0
    assert (again.status, again.failed) == ("completed", 0)
    assert content(store) == undisturbed
    answered = Counter(
        (str(event.key), event.index)
        for _, event in journal.read(result.folder)
        if isinstance(event, AttemptFinished) and event.failure is None
    )
    assert set(answered.values()) == {1}, "an inference was repeated"
    one = journal.summary(result.folder)
    assert (one.done, one.trials) == (2 * TASKS, 2 * TASKS)
    with pytest.raises(InputError, match="nothing to resume"):
        experiment.resume(result.folder, store, prepared_again=lambda *_: healthy)


def test_a_complete_session_has_nothing_to_resume(fresh_store: Path) -> None:
    process = start(fresh_store)
    out, _ = process.communicate(timeout=GUARD)
    again = start(fresh_store, "--resume", out.split()[0])
    _, err = again.communicate(timeout=GUARD)
    assert "is complete: there is nothing to resume" in err
