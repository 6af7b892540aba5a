"""`config` and `init`: what is in force and why, what is wrong with a file, and files to start from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smallenough import ExperimentRunner
from tests.cli.calling import call


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder of its own."""
    monkeypatch.chdir(tmp_path)
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "SMALLENOUGH_STORE", "OLLAMA_HOST", "OLLAMA_MODEL"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_init_writes_what_there_is_to_set_and_check_finds_it_in_order(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = call(capsys, "config", "check")
    assert said.code == 2
    assert "config/experiment_config.yaml is not there; name a file, or run: smallenough init" in said.err
    said = call(capsys, "init")
    assert (said.code, said.out.splitlines()[:2]) == (
        0,
        ["wrote config/experiment_config.yaml", "wrote config/models.yaml"],
    )
    said = call(capsys, "config", "check")
    assert (said.code, said.out) == (0, "config/experiment_config.yaml: in order; 0 arms on 104 tasks\n")
    assert "kept  config/models.yaml" in call(capsys, "init").out


def test_show_tells_each_value_and_where_it_came_from(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "config").mkdir()
    (elsewhere / "config" / "experiment_config.yaml").write_text(
        "seed: 3\nmodels:\n  - name: tiny\nparameters: {temperature: [0.1, 0.9]}\nexperiment: {name: mine}"
    )
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:5000")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "around")
    told = json.loads(call(capsys, "config", "show", "--repeats", 4, "--json").out)
    values = {one["key"]: (one["value"], one["origin"]) for one in told["settings"]}
    assert values["seed"] == (3, "config/experiment_config.yaml, line 1")
    assert values["repeats"] == (4, "--repeats")
    assert values["experiment.name"] == ("around", "MLFLOW_EXPERIMENT_NAME")
    assert values["timeout"] == (300.0, "default")
    assert "secret" not in values["tracking.uri"][0]
    assert [(arm["model"], arm["sampling"]) for arm in told["arms"]] == [
        ("tiny", {"temperature": 0.1}),
        ("tiny", {"temperature": 0.9}),
    ]
    assert {arm["origin"] for arm in told["arms"]} == {"config/experiment_config.yaml, line 3"}
    said = call(capsys, "config", "show").out
    assert "config/experiment_config.yaml, line 1" in said
    assert "2 arms" in said


def test_check_tells_everything_that_is_wrong_at_once_with_lines(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / "e.yaml").write_text(
        "suite: {source: basic}\nsandbox: dokcer\nweights: {spede: 1}\nmodels:\n  - name: a\n    strategies: [sngle]\n"
    )
    said = call(capsys, "config", "check", "e.yaml")
    assert said.code == 2
    for line in (
        "e.yaml, line 1: unknown suite 'basic'; did you mean 'basics'?",
        "e.yaml, line 2: unknown sandbox 'dokcer'",
        "e.yaml, line 3: unknown efficiency weight 'spede'",
        "e.yaml, line 5: unknown strategy 'sngle'; did you mean 'single'?",
    ):
        assert line in said.err


@pytest.mark.parametrize(("which", "key"), [("experiment", "suite"), ("models", "$defs")])
def test_schemas_are_json(capsys: pytest.CaptureFixture[str], which: str, key: str) -> None:
    schema = json.loads(call(capsys, "config", "schema", which).out)
    assert key in (schema["properties"] if which == "experiment" else schema)


def test_the_default_file_says_where_results_go_for_every_command(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / "config").mkdir()
    (elsewhere / "config" / "experiment_config.yaml").write_text("tracking: {store: kept/here}")
    (elsewhere / "tasks.jsonl").write_text(json.dumps({"task_id": 1, "text": "Add.", "code": "x = 1", "test_list": []}))
    assert ExperimentRunner(progress=False).store.folder == elsewhere / "kept" / "here"
    said = call(capsys, "doctor", "--json", "--url", "127.0.0.1:9")
    told = {one["part"]: one["detail"] for one in json.loads(said.out)["findings"]}
    assert "kept/here" in told["tracking store"], told
