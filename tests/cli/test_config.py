"""`config` and `init`: what is in force and why, what is wrong with a file, and files to start from."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from smallenough import ExperimentRunner, plugins
from smallenough.metrics.efficiency import EfficiencyWeights
from tests.cli.calling import call
from tests.servers.faulty import Answer, FaultyServer, Model

ROOT = Path(__file__).parents[2]


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


def shown(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[dict[str, Pair], list[dict[str, Any]]]:
    """What `config show` says: the settings, and the arms."""
    told = json.loads(call(capsys, "config", "show", "--json", *arguments).out)
    return {one["key"]: (one["value"], one["origin"]) for one in told["settings"]}, told["arms"]


Pair: TypeAlias = tuple[Any, str]


def pairs(values: dict[str, dict[str, Any]]) -> dict[str, Pair]:
    return {name: (one["value"], one["origin"]) for name, one in values.items()}


MIXED = """\
experiment: {name: mine}
seed: 3
suite:
  limit: 20
weights: {latency: 2}
models:
  - name: mistral
    baseline: true
  - name: smollm2:135m
    temperature: 0.2
    strategies:
      - branching:width=1
parameters:
  top_p: [0.5, 0.9]
  branching.max_depth: [1, 2]
arms:
  - {model: strange, strategy: "best_of_n:n=4"}
search:
  space: {temperature: {low: 0, high: 1}}
validation: {metrics: [latency]}
"""


@pytest.fixture
def mixed(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An experiment file, models of one's own, and an environment."""
    path = Path("config/experiment_config.yaml")
    path.parent.mkdir()
    path.write_text(MIXED)
    (elsewhere / "config" / "models.yaml").write_text("- name: fast\n  sampling:\n    temperature: 0.3\n")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:5000")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "around")
    return path


def test_show_tells_each_setting_and_where_it_came_from(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings, _ = shown(capsys, "--repeats", 4, "--all")
    assert settings["seed"] == (3, f"{mixed}, line 2")
    assert settings["repeats"] == (4, "--repeats")
    assert settings["experiment.name"] == ("around", "MLFLOW_EXPERIMENT_NAME")
    assert settings["timeout"] == (300.0, "default")
    assert settings["tracking.uri"] == ("http://user:***@127.0.0.1:5000", "MLFLOW_TRACKING_URI")
    assert settings["suite.limit"] == (None, "--all")
    assert settings["weights.latency"] == (2.0, f"{mixed}, line 5")
    assert settings["weights.cpu"] == (EfficiencyWeights().cpu, "default")
    assert settings["tracking.store"] == ("mlruns", "default")
    assert settings["urls"] == (["http://127.0.0.1:11434"], "default")
    assert settings["concurrency"] == (1, "default")
    assert settings["scorers"] == (plugins.names("scorers"), "default")
    assert settings["search.space.temperature"][1] == f"{mixed}, line 19"
    assert settings["search.candidates"] == (20, "default")
    assert not [key for key in settings if key.startswith("validation")]


def test_show_tells_each_value_of_each_arm_and_where_it_came_from(
    mixed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, arms = shown(capsys, "--max-tokens", 64)
    named = [(arm["model"]["value"], arm["strategy"]["value"]) for arm in arms]
    assert named == [("mistral", "single")] * 2 + [("smollm2:135m", "branching")] * 4 + [("strange", "best_of_n")]
    large, small, strange = arms[0], arms[2], arms[-1]
    assert large["model"]["origin"] == f"{mixed}, line 7"
    assert (large["baseline"], large["strategy"]["origin"]) == (True, "default")
    assert pairs(large["sampling"]) == {
        "temperature": (0.1, "catalogue"),
        "top_p": (0.5, f"{mixed}, line 14"),
        "max_tokens": (64, "--max-tokens"),
        "stop": ([], "default"),
        "context": (None, "default"),
        "size_class": ("large", "catalogue"),
    }
    assert small["strategy"]["origin"] == f"{mixed}, line 12"
    assert pairs(small["sampling"])["temperature"] == (0.2, f"{mixed}, line 10")
    options = pairs(small["options"])
    assert options["width"] == (1, f"{mixed}, line 12")
    assert options["max_depth"] == (1, f"{mixed}, line 15")
    assert options["feedback"] == ("chat", "default")
    assert pairs(strange["sampling"])["top_p"] == (None, "by its size: 0.9, from 3B on 0.95")
    assert pairs(strange["options"])["n"] == (4, f"{mixed}, line 17")


def test_show_tells_what_flags_and_own_models_say_of_arms(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = ("--model", "fast", "--strategy", "branching", "--strategy", "branching:max_depth=1,width=1")
    _, arms = shown(capsys, *said, "--task", "Say hello.")
    assert pairs(arms[0]["sampling"])["temperature"] == (0.3, "config/models.yaml, line 3")
    assert pairs(arms[0]["options"])["width"] == (2, "default")
    assert pairs(arms[1]["options"])["width"] == (1, "--strategy")
    _, arms = shown(capsys, "--large-model", "mistral", "--small-model", "tiny", "--max-depth", 2)
    assert {(arm["strategy"]["value"], arm["model"]["origin"]) for arm in arms} == {
        ("single", "--large-model"),
        ("single", "--small-model"),
        ("branching", "--small-model"),
    }
    assert pairs(arms[-1]["options"])["max_depth"] == (2, "--max-depth")
    assert pairs(arms[-1]["sampling"])["size_class"] == ("small", "--small-model")
    settings, _ = shown(capsys, "--small-model", "fast", "--task", "Say hello.")
    assert {key: one for key, one in settings.items() if key.startswith("suite.")} == {
        "suite.task": ("Say hello.", "--task")
    }


def test_show_is_short_and_says_what_is_not_used_yet(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = call(capsys, "config", "show")
    rows = [[cell for cell in re.split(r"  +", line) if cell] for line in said.out.splitlines()]
    assert ["suite.limit", "20", f"{mixed}, line 4"] in rows
    assert ["weights.latency", "2", f"{mixed}, line 5"] in rows
    assert ["7 arms", "value", "from"] in rows
    assert ["mistral", "2 arms, the first is the baseline", f"{mixed}, line 7"] in rows
    assert ["top_p", "0.5 or 0.9", f"{mixed}, line 14"] in rows
    assert ["branching.max_depth", "1 or 2", f"{mixed}, line 15"] in rows
    assert ["sampling", "temperature=0.1, max_tokens=2048, size_class=large", "catalogue"] in rows
    assert max(map(len, said.out.splitlines())) < 150
    assert len(rows) < 60
    assert f"note: {mixed}, line 20: validation is accepted, and not used yet" in said.err


def test_arms_whose_values_are_no_grid_are_told_one_by_one(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    specs = ("--strategy", "branching:width=1,max_depth=1", "--strategy", "branching:width=2,max_depth=2")
    said = call(capsys, "config", "show", "--model", "tiny", *specs)
    assert said.out.count("branching.width  ") == 2
    assert " or " not in said.out


@pytest.mark.parametrize(("name", "value"), [("OPENAI_API_KEY", "sk-1"), ("DATASET_PATH", "data")])
def test_a_variable_that_nothing_reads_is_told(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    call(capsys, "init")
    assert "note:" not in call(capsys, "config", "check").err
    monkeypatch.setenv(name, value)
    for command in ("show", "check"):
        said = call(capsys, "config", command)
        assert f"the environment's {name} is accepted, and not used yet" in said.err
        assert value not in said.out + said.err.replace(name, "")


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
        "e.yaml, line 6: unknown strategy 'sngle'; did you mean 'single'?",
    ):
        assert line in said.err


def test_every_command_tells_the_faults_of_all_files_flags_and_variables(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "config").mkdir()
    (elsewhere / "config" / "models.yaml").write_text("- name: fast\n  siez: 7B\n")
    (elsewhere / "config" / "experiment_config.yaml").write_text(
        "seed: x\nsandbox: dokcer\nmodels:\n  - nam: a\n    name: fast\n"
    )
    told = [
        "- config/experiment_config.yaml, line 1: seed: should be a valid integer, and is 'x'",
        "- config/experiment_config.yaml, line 4: models.0.nam: unknown key; did you mean 'name'?",
        "- config/models.yaml, line 2: 0.siez: unknown key; did you mean 'size'?",
        "- config/experiment_config.yaml, line 2: unknown sandbox 'dokcer'; known: bubblewrap, subprocess",
    ]
    for command in (("config", "check"), ("config", "show"), ("run", "--dry-run"), ("search",)):
        said = call(capsys, *command)
        assert (said.code, said.err.splitlines()[1:]) == (2, told), command
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "x" * 300)
    said = call(capsys, "run", "--timeout", "1e300")
    told[3:3] = [
        f"- MLFLOW_EXPERIMENT_NAME: String should have at most 250 characters, and is '{'x' * 59}…",
        "- --timeout: should be less than or equal to 10000000, and is 1e+300",
    ]
    assert sorted(said.err.splitlines()[1:]) == sorted(told)
    (elsewhere / "config" / "experiment_config.yaml").write_text("seed: [1")
    for command in (("config", "check"), ("config", "show"), ("run",), ("search",)):
        text = call(capsys, *command).err
        assert "experiment_config.yaml, line 1, column 9" in text
        assert told[2] in text


def test_check_refuses_the_servers_and_providers_that_run_refuses(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / "config").mkdir()
    (elsewhere / "config" / "models.yaml").write_text("- name: fast\n  provider: olama\n")
    (elsewhere / "config" / "experiment_config.yaml").write_text(
        "urls:\n  - nonsense://x:99999\nmodels:\n  - name: fast\n  - name: smollm2:135m\n  - name: replay:nowhere#m\n"
    )
    for command in (("config", "check"), ("config", "show"), ("run", "--dry-run")):
        said = call(capsys, *command)
        assert said.code == 2
        told = [line for line in said.err.splitlines() if line.startswith("- ")]
        assert told == [
            "- config/experiment_config.yaml, line 1: URL 'nonsense://x:99999' is not a server's address; "
            "write HOST, HOST:PORT or http://HOST:PORT",
            "- config/models.yaml, line 2: unknown model provider 'olama'; did you mean 'ollama'?",
            "- config/experiment_config.yaml, line 6: nowhere: can't be read: No such file or directory",
        ], command


DOCUMENTED = next(
    text for text in re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "settings.md").read_text("utf-8"), re.DOTALL)
)
REPEATED = """\
models:
  - name: mistral
    strategies: [single, "best_of_n:n=4", best_of_n, "single:shots=0"]
  - name: fast
  - name: smollm2:135m
    temperature: 0.1
  - name: smollm2:135m
"""


@pytest.mark.parametrize(("text", "count"), [(DOCUMENTED, 7), (REPEATED, 6)])
def test_check_show_and_a_plan_count_the_same_arms(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], text: str, count: int
) -> None:
    (elsewhere / "config").mkdir()
    (elsewhere / "config" / "experiment_config.yaml").write_text(text)
    (elsewhere / "config" / "models.yaml").write_text("- name: fast\n  reference: smollm2:135m\n")
    held = {"smollm2:135m": Model(), "mistral:latest": Model(parameters=7 * 10**9)}
    with FaultyServer(lambda _body: Answer(""), models=held) as server:
        said = call(capsys, "run", "--dry-run", "--json", "--task-type", "prime", "--url", server.url)
        planned = len(json.loads(said.out)["plan"]["arms"])
    assert planned == count
    assert len(shown(capsys)[1]) == count
    assert f"in order; {count} arms on" in call(capsys, "config", "check").out


def test_a_model_of_the_environment_that_a_file_s_models_go_before_is_told(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (elsewhere / "config").mkdir()
    (elsewhere / "config" / "experiment_config.yaml").write_text("seed: 1\nmodels: [{name: mistral}]\n")
    monkeypatch.setenv("OLLAMA_MODEL", "tiny")
    note = "note: config/experiment_config.yaml, line 2: names models, so OLLAMA_MODEL is left out"
    assert note in call(capsys, "config", "show").err
    assert note in call(capsys, "run", "--dry-run", "--url", "127.0.0.1:9").err
    assert "OLLAMA_MODEL" not in call(capsys, "config", "show", "--model", "big").err


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


@pytest.mark.parametrize(
    ("models", "marked"),
    [
        ('{name: tiny, baseline: true, strategies: ["best_of_n:n=2", "best_of_n:n=3", single]}', [True, False, False]),
        ("{name: tiny, strategies: [single]}, {name: tiny, baseline: true, strategies: [single]}", [True]),
    ],
)
def test_show_marks_the_baselines_that_a_run_has(
    elsewhere: Path, capsys: pytest.CaptureFixture[str], models: str, marked: list[bool]
) -> None:
    (elsewhere / "e.yaml").write_text(f"models: [{models}]")
    arms = json.loads(call(capsys, "config", "show", "--config", "e.yaml", "--json").out)["arms"]
    with FaultyServer(models={"tiny:latest": Model()}) as server:
        dry = call(capsys, "run", "--dry-run", "--json", "--config", "e.yaml", "--url", server.url)
    planned = json.loads(dry.out)["plan"]["arms"]
    assert [arm["baseline"] for arm in arms] == [arm["baseline"] for arm in planned] == marked
