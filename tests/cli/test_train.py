"""`train`: what it says before anything is trained, and a whole training of the real small model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from smallenough.models import weights
from smallenough.tracking.runs import TAG
from smallenough.tracking.store import Store, connect
from tests.cli.calling import call
from tests.training import tiny

ROOT = Path(__file__).parents[2]
TRAINABLE = all(find_spec(package) for package in ("torch", "transformers", "peft", "accelerate"))
needs_packages = pytest.mark.skipif(not TRAINABLE, reason="the extra train is not installed")


# -------------------------------------------------------------------------------------------- before it begins


def test_all_that_is_missing_is_told_at_once(
    capsys: pytest.CaptureFixture[str], fresh_store: Path, tmp_path: Path
) -> None:
    suite = tmp_path / "tasks.jsonl"
    suite.write_text(json.dumps({"task_id": "a", "problem": "?", "answer": ""}))
    called = call(capsys, "train", "--model", "smollm2:135", "--suite", "basisc", "--store", fresh_store)
    assert called.code == 2
    assert "did you mean 'smollm2:135m'?" in called.err
    assert "unknown suite 'basisc'; did you mean 'basics'?" in called.err
    assert ("pip install 'smallenough[train]'" in called.err) is not TRAINABLE


def test_a_model_that_is_not_here_is_told_with_how_to_get_it(
    capsys: pytest.CaptureFixture[str], fresh_store: Path
) -> None:
    called = call(capsys, "train", "--store", fresh_store)
    assert called.code == 2
    assert "get it with `smallenough models --pull huggingface:smollm2:135m`" in called.err


def test_faults_of_flags_and_file_are_told_with_their_places(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "training.yaml"
    file.write_text("ranc: 4\n")
    called = call(capsys, "train", "--config", file, "--batch", "0", "--store", tmp_path)
    assert called.code == 2
    assert f"{file}, line 1: ranc: unknown key; did you mean 'rank'?" in called.err
    assert "--batch: should be greater than 0, and is 0" in called.err


def test_every_key_of_a_file_is_a_flag(capsys: pytest.CaptureFixture[str]) -> None:
    from smallenough.training.settings import TrainingFile

    told = call(capsys, "train", "--help").out
    for name, field in TrainingFile.model_fields.items():
        assert ("--model " if name == "models" else f"--{name.replace('_', '-')}") in told
        assert field.description


# ------------------------------------------------------------------------------------------------ a tiny model


@pytest.fixture(scope="module")
def base(engine_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("tiny"), "llama") / "llama"


def arguments(base: Path, folder: Path, *more: object) -> list[object]:
    suite = tiny.write_suite(folder / "animals.jsonl", copies=2)
    return [
        "train", "--model", base, "--suite", suite, "--store", folder / "store", "--output", folder / "adapter",
        "--max-length", 500, "--batch", 4, "--precision", "float32", *more,
    ]  # fmt: skip


@pytest.mark.engine
@pytest.mark.slow
@needs_packages
def test_a_dry_run_counts_and_trains_nothing(capsys: pytest.CaptureFixture[str], base: Path, tmp_path: Path) -> None:
    called = call(capsys, *arguments(base, tmp_path, "--dry-run", "--json", "--epochs", 2))
    assert called.code == 0, called.err
    (told,) = json.loads(called.out)
    assert (told["rows"], told["steps"], told["precision"]) == (14, 8, "float32")
    assert told["computed_tokens"] < told["tokens"]
    assert told["memory_bytes"] > 10**8
    assert not (tmp_path / "adapter").exists()
    called = call(capsys, *arguments(base, tmp_path, "--dry-run"))
    assert "14 rows: " in called.out
    assert "nothing was trained" in called.out


@pytest.mark.engine
@pytest.mark.slow
@needs_packages
def test_long_rows_are_refused_or_left_out(capsys: pytest.CaptureFixture[str], base: Path, tmp_path: Path) -> None:
    called = call(capsys, *arguments(base, tmp_path, "--max-length", 203))
    assert called.code == 2
    assert "rows are longer than max_length 203" in called.err
    assert "or leave them out with --skip-long" in called.err
    assert not (tmp_path / "adapter").exists()
    called = call(capsys, *arguments(base, tmp_path, "--max-length", 203, "--skip-long", "--dry-run"))
    assert called.code == 0
    assert "rows too long, left out" in called.out


@pytest.mark.engine
@pytest.mark.slow
@needs_packages
def test_one_that_is_interrupted_goes_on_by_the_same_command(base: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "smallenough", *map(str, arguments(base, tmp_path, "--steps", 2000, "--json"))]
    log = tmp_path / "adapter" / "log.jsonl"
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: log.is_file() and '"step":20,' in log.read_text(), process)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=120)
    assert process.returncode == 130, said
    assert "stopped after step" in said
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    stopped = next(entry for entry in entries if entry["kind"] == "ended")
    assert stopped["why"] == "stopped"
    (run,) = runs(Store.local(tmp_path / "store"))
    assert run.info.status == "KILLED"
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        until(lambda: log.read_text().count('"kind":"loaded"') == 2, process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
    later = [json.loads(line) for line in log.read_text().splitlines()]
    assert later[-1]["kind"] == "usage"
    loaded = [entry for entry in later if entry["kind"] == "loaded"]
    assert loaded[1]["step"] == stopped["step"]
    assert process.returncode == 130


def until(met: Any, process: subprocess.Popen[str]) -> None:
    """Waits for something that a process does."""
    deadline = time.monotonic() + 120
    while not met():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.engine
@pytest.mark.slow
@needs_packages
def test_an_unreachable_server_loses_nothing(
    capsys: pytest.CaptureFixture[str], base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    wanted = arguments(base, tmp_path, "--steps", 3)
    called = call(capsys, *wanted, "--tracking-uri", "http://127.0.0.1:9")
    assert called.code == 0
    assert "the same command writes it later" in called.err
    manifest = json.loads((tmp_path / "adapter" / "smallenough.json").read_text())
    assert manifest["run_id"] is None
    called = call(capsys, *wanted, "--json")
    assert called.code == 0
    (told,) = json.loads(called.out)
    (run,) = runs(Store.local(tmp_path / "store"))
    assert told["run_id"] == run.info.run_id
    assert json.loads((tmp_path / "adapter" / "smallenough.json").read_text()) == {
        **manifest,
        "run_id": run.info.run_id,
    }
    assert len(connect(Store.local(tmp_path / "store")).get_metric_history(run.info.run_id, "loss")) == 3
    called = call(capsys, *wanted)
    assert "is trained already: nothing to do" in called.err
    called = call(capsys, *wanted, "--rank", 3)
    assert called.code == 2
    assert "holds another training (rank 16 there, 3 here)" in called.err


def runs(store: Store) -> list[Any]:
    client = connect(store)
    found = client.get_experiment_by_name("smallenough")
    assert found
    return list(client.search_runs([found.experiment_id], f"tags.`{TAG}kind` = 'training'"))


# -------------------------------------------------------------------------------------------- the real small model


@pytest.mark.engine
@pytest.mark.slow
@needs_packages
def test_the_small_model_learns_the_basics_and_all_of_it_is_tracked(
    capsys: pytest.CaptureFixture[str], engine_cache: Path, fresh_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALLENOUGH_CACHE", str(engine_cache))
    wanted = ["--limit", 12, "--batch", 4, "--steps", 6, "--learning-rate", 1e-3, "--store", fresh_store]
    called = call(capsys, "train", "--suite", "basics", *wanted, "--json")
    assert called.code == 0, called.err
    (told,) = json.loads(called.out)
    folder = fresh_store / "adapters" / "smollm2-135m-basics"
    assert told["model"] == f"huggingface:{folder}"
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "smollm2:135m"
    manifest = json.loads((folder / "smallenough.json").read_text())
    assert manifest["base_digest"] == weights.find("smollm2:135m", engine_cache).digest
    assert (manifest["suite"], manifest["prompt_class"]) == ("basics", "small")
    (run,) = runs(Store.local(fresh_store))
    assert manifest["run_id"] == run.info.run_id == told["run_id"]
    client = connect(Store.local(fresh_store))
    losses = [one.value for one in client.get_metric_history(run.info.run_id, "loss")]
    assert len(losses) == 6
    assert sum(losses[3:]) < sum(losses[:3])
    assert run.data.metrics["peak_memory_bytes"] > 5e8
    assert run.data.metrics["cpu_seconds"] > 1
    assert run.data.params["data_digest"] == manifest["data_digest"]
    (output,) = run.outputs.model_outputs
    model = client.get_logged_model(output.model_id)
    assert model.params["base"] == "smollm2:135m"
    found = weights.find(str(folder), engine_cache)
    assert found.adapter is not None
    assert found.adapter_parameters == 4_884_480
    assert os.environ["SMALLENOUGH_CACHE"]
