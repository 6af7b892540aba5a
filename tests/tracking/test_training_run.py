"""A training's log as a run and a LoggedModel in a real store."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from smallenough.errors import TrackingError
from smallenough.records import Usage
from smallenough.tracking.runs import MOST_METRICS, TAG
from smallenough.tracking.store import Store, connect
from smallenough.tracking.training_run import register, samples, training_run, used, write
from smallenough.training.settings import TrainingSettings

PLAN = {
    "base": "tiny",
    "base_digest": "b" * 64,
    "suite": "basics",
    "suite_digest": "s1",
    "validation": None,
    "prompt_class": "small",
    "prompts_digest": "p1",
    "data_digest": "d1",
    "settings": TrainingSettings(batch=2).model_dump(mode="json"),
}
COUNTED = {
    "rows": 5,
    "validation_rows": 1,
    "tokens": 100,
    "answer_tokens": 20,
    "longest": 30,
    "steps": 6,
    "parameters": 1000,
    "trainable": 10,
    "precision": "float32",
    "target_modules": ["q_proj", "v_proj"],
}
FIRST = {
    "kind": "plan",
    "id": "abc123",
    "plan": PLAN,
    "counted": COUNTED,
    "folder": "/adapters/one",
    "device": "cpu",
    "libraries": "torch 2",
    "provenance": {"host": "here", "git_commit": None},
    "time": 1000.0,
}


def stepped(step: int, loss: float, at: float = 0.0) -> dict[str, Any]:
    told = {"learning_rate": 0.1, "gradient_norm": 1.0, "tokens": 40, "seconds": 2.0}
    return {"kind": "stepped", "step": step, "loss": loss, **told, "time": at or 1000.0 + step}


def validated(step: int, loss: float) -> dict[str, Any]:
    return {"kind": "validated", "step": step, "loss": loss, "best": True, "seconds": 1.0, "time": 1000.5 + step}


def usage(seconds: float, cpu: float | None, peak: int) -> dict[str, Any]:
    measured = Usage(seconds, cpu_seconds=cpu, peak_memory_bytes=peak, cpu_provenance="measured")
    return {"kind": "usage", "usage": asdict(measured), "monitor": {}, "time": 1100.0}


LOADED = {"kind": "loaded", "step": 0, "time": 1000.5}
ENDED = {"kind": "ended", "step": 3, "why": "done", "kept": 3, "time": 1050.0}
STOPPED = {"kind": "ended", "step": 2, "why": "stopped", "kept": None, "time": 1040.0}
FAILED = {"kind": "failed", "fault": "loss", "text": "", "time": 1045.0}
WHOLE = [
    FIRST, LOADED, validated(0, 3.0), stepped(1, 2.0), stepped(2, 1.5), stepped(3, 1.0), validated(3, 1.2),
    ENDED, usage(10.0, 15.0, 5000),
]  # fmt: skip


@pytest.mark.parametrize(
    ("entries", "status", "outcome"),
    [
        ([FIRST], "RUNNING", None),
        ([FIRST, LOADED, stepped(1, 2.0)], "RUNNING", None),
        (WHOLE, "FINISHED", "done"),
        ([FIRST, LOADED, STOPPED], "KILLED", "stopped"),
        ([FIRST, LOADED, STOPPED, LOADED], "RUNNING", None),
        ([FIRST, LOADED, STOPPED, usage(1, 1, 1), LOADED, ENDED], "FINISHED", "done"),
        ([FIRST, LOADED, FAILED], "FAILED", "failed"),
        ([FIRST, LOADED, FAILED, LOADED, ENDED], "FINISHED", "done"),
        ([FIRST, LOADED, STOPPED, LOADED, FAILED], "FAILED", "failed"),
    ],
)
def test_a_run_is_as_its_log_ends(entries: list[dict[str, Any]], status: str, outcome: str | None) -> None:
    run = training_run(entries)
    assert (run.status, run.tags.get(f"{TAG}outcome"), run.kind) == (status, outcome, "training")
    assert (run.end is None) == (status == "RUNNING")


def test_totals_are_of_all_parts_and_each_step_counts_once() -> None:
    again = [FIRST, LOADED, stepped(1, 2.0), stepped(2, 1.5), LOADED, stepped(2, 1.5, 1060.0), stepped(3, 1.0)]
    run = training_run([*again, ENDED, usage(4.0, 6.0, 7000)])
    assert run.metrics["steps_done"] == 3
    assert run.metrics["samples"] == 5
    assert run.metrics["tokens_total"] == 120
    assert run.metrics["tokens_per_second_mean"] == 20
    assert run.metrics["cpu_seconds"] == 6.0
    assert run.tags[f"{TAG}unmeasured_parts"] == "1"
    assert f"{TAG}unmeasured_parts" not in training_run(WHOLE).tags
    assert len(run.metrics) + len({name for name, *_ in run.series}) < MOST_METRICS


def test_what_was_not_measured_is_not_known() -> None:
    assert used([FIRST]) is None
    parts = used([usage(1.0, 2.0, 10), usage(3.0, None, 30)])
    assert parts is not None
    assert (parts.seconds, parts.cpu_seconds, parts.peak_memory_bytes, parts.energy_joules) == (4.0, None, 30, None)


def test_samples_count_short_steps() -> None:
    assert [samples(steps, 5, 2) for steps in range(5)] == [0, 2, 4, 5, 7]
    assert samples(3, 5, 16) == 15


def test_the_store_holds_curves_data_and_adapter_however_often_it_is_written(fresh_store: Path, tmp_path: Path) -> None:
    store, adapter = Store.local(fresh_store), tmp_path / "smollm2-135m.basics"
    adapter.mkdir()
    (adapter / "adapter_config.json").write_text('{"r": 16}')
    (adapter / "adapter_model.safetensors").write_bytes(b"weights")
    assert write(store, "tuned", WHOLE[:4]) == write(store, "tuned", WHOLE[:6], since=4)
    models = set()
    for _ in range(2):
        run_id = write(store, "tuned", WHOLE)
        models.add(register(store, run_id, WHOLE, adapter, ["adapter_config.json", "adapter_model.safetensors"]))
    client = connect(store)
    (model_id,) = models
    curve = [(one.step, one.value) for one in client.get_metric_history(run_id, "loss")]
    assert curve == [(1, 2.0), (2, 1.5), (3, 1.0)]
    assert [one.value for one in client.get_metric_history(run_id, "validation_loss")] == [3.0, 1.2]
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.params["rank"] == "16"
    assert run.data.params["data_digest"] == "d1"
    assert run.data.params["target_modules"] == "q_proj,v_proj"
    assert run.data.metrics["best_validation_loss"] == 1.2
    assert run.data.tags[f"{TAG}training"] == "abc123"
    assert run.inputs
    assert run.outputs
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest) == ("basics", "d1")
    (made,) = run.outputs.model_outputs
    assert (made.model_id, made.step) == (model_id, 3)
    model = client.get_logged_model(model_id)
    assert (model.source_run_id, str(model.status), model.model_type) == (run_id, "READY", "lora-adapter")
    assert (model.params["base"], model.params["base_digest"], model.params["data_digest"]) == ("tiny", "b" * 64, "d1")
    kept = {one.path for one in client.list_logged_model_artifacts(model_id)}
    assert kept == {"adapter_config.json", "adapter_model.safetensors"}
    (found,) = client.search_runs([run.info.experiment_id])
    log = Path(client.download_artifacts(run_id, "log.jsonl", str(tmp_path))).read_text()
    assert [json.loads(line)["kind"] for line in log.splitlines()] == [entry["kind"] for entry in WHOLE]
    assert found.info.run_id == run_id


def test_a_store_that_is_away_has_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TrackingError, match="does not answer"):
        write(Store(tmp_path, "http://127.0.0.1:9"), "tuned", WHOLE)
