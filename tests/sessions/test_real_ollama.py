"""The main job on real parts: a real model on a real Ollama solves real tasks in a sandbox, and all is in MLflow.

Few tasks, short ones, and few tokens: on a processor each token of a prompt or an answer takes a tenth of a second.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from smallenough import journal
from smallenough.tracking.runs import TAG
from smallenough.tracking.store import Store
from tests.cli.calling import call

ROOT = Path(__file__).parents[2]
MODEL = "smollm2:135m"

pytestmark = [pytest.mark.ollama, pytest.mark.timeout(1000)]  # a busy machine answers a token a second


def smallenough(store: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, str(ROOT / "run_experiments.py"), *arguments, "--store", str(store), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def in_process(capsys: pytest.CaptureFixture[str], store: Path, *arguments: str) -> dict[str, Any]:
    """The same without another process, which would load MLflow again."""
    done = call(capsys, *arguments, "--store", store, "--json")
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def runs(store: Path, kind: str) -> list[Run]:
    client = MlflowClient(Store.resolve(folder=store).uri)
    experiments = [one.experiment_id for one in client.search_experiments()]
    return list(client.search_runs(experiments, f"tags.`{TAG}kind` = '{kind}'", max_results=1000))


@pytest.mark.parametrize(
    "suite",
    [
        ("--suite", "basics", "--task-type", "add", "--task-type", "fibonacci"),
        pytest.param(("--suite", "humaneval", "--task-type", "HumanEval/23"), marks=pytest.mark.slow),
    ],
    ids=["basics", "humaneval"],
)
def test_single_and_branching_are_run_measured_and_read_back(
    suite: tuple[str, ...], tmp_path: Path, ollama_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    branching = "branching:max_depth=1,width=1"
    arms = ("--model", MODEL, "--strategy", "single", "--strategy", branching)
    shown = smallenough(tmp_path, "run", *arms, *suite, "--max-tokens", "40", "--url", ollama_url, "--yes")
    assert shown["status"] == "completed"
    assert shown["left_bytes"] == 0

    session = journal.summary(tmp_path / "journal" / shown["session"])
    asked = [event for _, event in journal.read(session.folder) if event.kind == "attempt_finished"]
    attempts, trials = runs(tmp_path, "attempt"), runs(tmp_path, "trial")
    assert len(attempts) == len(asked)
    assert len(trials) == session.trials
    for run in attempts:
        metrics = run.data.metrics
        assert metrics["tokens_out"] > 0
        assert 0 < metrics["time_to_first_token_seconds"] < metrics["latency_seconds"]
        assert metrics["cpu_seconds"] > 0, "the server's process was seen"
        assert metrics["peak_memory_bytes"] > 50e6
        assert run.data.params["cpu_provenance"] == "measured"
    for run in trials:
        assert run.data.tags[f"{TAG}outcome"] in ("solved", "unsolved")
        assert run.data.metrics["solved"] in (0, 1)
    samples = runs(tmp_path, "resources")
    assert len(samples) == 2
    assert all(run.data.metrics["samples"] > 10 for run in samples)
    for arm in runs(tmp_path, "arm"):
        assert arm.data.metrics["system/cpu_utilization_percentage"] >= 0
        assert arm.data.metrics["cpu_seconds"] > 0
        assert len(arm.data.params["model_digest"]) == 64

    compared = in_process(capsys, tmp_path, "compare", shown["session"])
    assert len(compared["rows"]) == 2
    assert len(runs(tmp_path, "comparison")) == 1


def test_a_free_task_gives_answers_side_by_side_and_no_score(
    fresh_store: Path, ollama_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    task = ("--task", "Say hello in one word.")
    shown = in_process(capsys, fresh_store, "--model", MODEL, *task, "--max-tokens", "10", "--url", ollama_url)
    assert list(shown["answers"]) == [f"{MODEL} single"]
    assert shown["answers"][f"{MODEL} single"].strip()
    (trial,) = runs(fresh_store, "trial")
    assert trial.data.tags[f"{TAG}outcome"] == "unscored"
    assert "solved" not in trial.data.metrics


@pytest.mark.slow
def test_two_servers_share_the_work(fresh_store: Path, ollama_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    again = ollama_url.replace("127.0.0.1", "localhost")
    urls = ("--url", ollama_url, "--url", again)
    tasks = ("--task-type", "add", "--task-type", "is_even", "--max-tokens", "5", "--concurrency", "2")
    shown = in_process(capsys, fresh_store, "--model", MODEL, *tasks, *urls)
    assert shown["status"] == "completed"
    assert {run.data.params["server"] for run in runs(fresh_store, "attempt")} == {ollama_url, again}
