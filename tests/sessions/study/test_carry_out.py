"""A study from its file to its results, with tiny models: nothing is done twice, all memory comes back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from smallenough import journal
from tests.cli.calling import call
from tests.training import tiny

pytestmark = pytest.mark.engine


@pytest.fixture
def models(engine_cache: Path, tmp_path: Path) -> Path:
    return tiny.make(tmp_path / "models", "llama", "qwen2")


def write_study(models: Path, folder: Path, **more: Any) -> Path:
    """A large model, a small one, and what they learn and are asked."""
    tiny.write_suite(folder / "train.jsonl", copies=2)
    asked = [
        {"task_id": f"q-{name}", "problem": f"What does the {name} say?", "answer": said, "labels": tiny.LABELS}
        for name, said in tiny.ANSWERS.items()
    ]
    (folder / "test.jsonl").write_text("\n".join(map(json.dumps, asked)))
    study = {
        "experiment": {"name": "animals"},
        "llm_models": [{"name": str(models / "qwen2"), "size": "8B"}],
        "slm_models": [{"name": str(models / "llama"), "size": "3B", "description": "tiny"}],
        "data": {"train": str(folder / "train.jsonl"), "test": str(folder / "test.jsonl")},
        "max_tokens": 4,
        "training": {"steps": 2, "batch": 4, "rank": 2, "max_length": 512},
        **more,
    }
    path = folder / "study.yaml"
    path.write_text(json.dumps(study))
    return path


def test_from_the_file_to_the_results_and_nothing_twice(
    models: Path, tmp_path: Path, fresh_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_study(models, tmp_path)
    done = call(capsys, "study", path, "--store", fresh_store, "--max-eval-samples", "5", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    results = json.loads(Path(told["file"]).read_text())
    assert results == told["results"]
    assert {key: (one["model_type"], one["size"], one["training"]) for key, one in results.items()} == {
        "LLM_qwen-8B_untrained": ("LLM", "8B", "zero-shot"),
        "SLM_llama-3B_untrained": ("SLM", "3B", "zero-shot"),
        "SLM_llama-3B_finetuned": ("SLM", "3B", "lora_finetuned"),
    }
    for one in results.values():
        assert one["metrics"]["tasks"] == 5
        assert 0 <= one["metrics"]["accuracy"] <= 1
        assert one["metrics"]["peak_memory_bytes"] > 0
        assert 0 <= one["metrics"]["macro_f1"] <= 1
        assert min(one["memory"][when]["system_bytes"] for when in ("before", "after")) > 0
    tuned = results["SLM_llama-3B_finetuned"]
    assert (tuned["trained"]["steps"], tuned["trained"]["seconds"] > 0) == (2, True)
    repaid = tuned["trained"]["repaid_after_requests"]
    assert {"seconds", "cpu"} <= set(repaid)
    assert all(one["beside"].startswith("huggingface:") for one in repaid.values())
    assert (Path(tuned["trained"]["adapter"]) / "adapter_model.safetensors").is_file()
    rows = told["comparison"]["rows"]
    assert [row["baseline"] for row in rows] == [True, False, False]

    sessions = {one.session for one in journal.sessions(fresh_store / "journal")}
    assert len(sessions) == 3
    left = [one.cmdline() for one in psutil.Process().children(recursive=True)]
    assert not [line for line in left if any("smallenough.models" in word or ".training" in word for word in line)]
    again = call(capsys, "study", path, "--store", fresh_store, "--max-eval-samples", "5", "--json")
    assert json.loads(again.out)["results"]["SLM_llama-3B_finetuned"]["session"] == tuned["session"]
    assert {one.session for one in journal.sessions(fresh_store / "journal")} == sessions


def test_a_dry_run_loads_nothing(
    models: Path, tmp_path: Path, fresh_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    done = call(capsys, "study", write_study(models, tmp_path), "--store", fresh_store, "--dry-run")
    assert done.code == 0, done.err
    assert "7 tasks of suite test" in done.out
    assert "measured as it is, trained on 14 rows, measured again" in done.out
    assert not journal.sessions(fresh_store / "journal")


def test_a_test_that_was_learned_is_refused(
    models: Path, tmp_path: Path, fresh_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = str(tmp_path / "train.jsonl")
    path = write_study(models, tmp_path, data={"train": train, "test": train})
    done = call(capsys, "study", path, "--store", fresh_store)
    assert (done.code, "would measure what was learned by heart" in done.err) == (2, True)
