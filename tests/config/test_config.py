"""Experiment files, environment and flags: what is in force, where it came from, and every fault in words."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from smallenough.config import Config, ExperimentFile, in_force, load_config, read_yaml
from smallenough.errors import Faults, InputError
from smallenough.metrics.efficiency import EfficiencyWeights
from smallenough.sessions.check import check_wanted
from smallenough.sessions.flags import Flags
from smallenough.sessions.settings import Settings
from smallenough.sessions.start import start_files, write_start
from smallenough.sessions.wanted import understood, wanted
from smallenough.tracking.store import Store

GIVEN = """\
experiment:
  name: "model_validation_experiments"
models:
  - name: "llama2"
  - name: "phi3:mini"
parameters:
  temperature: [0.3, 0.7, 0.9]
  max_tokens: [256, 512]
validation:
  metrics: [coherence_score, relevance_score, safety_score, latency]
monitoring:
  dashboard:
    refresh_interval: 5
    max_history: 100
"""


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "e.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def checked(path: Path, **flags: Any) -> tuple[Config, list[str]]:
    """The file, and what is wrong with it, by all that can be told without a model."""
    said = understood({"config": path, **flags}, {})
    want = said.wanted(Store.local(path.parent / "mlruns"))
    check_wanted(want.wishes, want.settings, said.faults)
    return said.config, [str(fault) for fault in said.faults.found]


def faults(folder: Path, text: str | bytes) -> list[str]:
    """What is wrong with a file of this content, each without the file's name."""
    path = written(folder, text)
    try:
        _, found = checked(path)
    except InputError as error:
        found = str(error).splitlines()
    assert all(line.startswith(str(path)) for line in found), found
    return [line.removeprefix(f"{path}").removeprefix(", ").removeprefix(": ") for line in found]


def test_the_form_that_users_have_loads_as_it_stands(tmp_path: Path) -> None:
    path = written(tmp_path, GIVEN)
    config, found = checked(path)
    assert found == []
    assert config.form.validation.metrics == ("coherence_score", "relevance_score", "safety_score", "latency")
    assert config.form.monitoring.dashboard.max_history == 100
    want = wanted(Flags(), config, in_force(config, {}, {}), Store.local(tmp_path / "mlruns"), Faults())
    assert want.settings.experiment == "model_validation_experiments"
    assert [(wish.model, wish.sampling.temperature, wish.sampling.max_tokens) for wish in want.wishes] == [
        (model, temperature, tokens)
        for model in ("llama2", "phi3:mini")
        for temperature in (0.3, 0.7, 0.9)
        for tokens in (256, 512)
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("experimant: {}", ["line 1: experimant: unknown key; did you mean 'experiment'?"]),
        ("suite:\n  limt: 3", ["line 2: suite.limt: unknown key; did you mean 'limit'?"]),
        (
            "models:\n- name: a\n- nam: b",
            ["line 3: models.1.name: is missing; give it", "line 3: models.1.nam: unknown key; did you mean 'name'?"],
        ),
        (
            "repeats: 0\nseed: x",
            [
                "line 1: repeats: should be greater than 0, and is 0",
                "line 2: seed: should be a valid integer, and is 'x'",
            ],
        ),
        ("repeats: yes", ["line 1: repeats: should be a valid integer, and is true"]),
        ("suite: 3", ["line 1: suite: should be keys and values, and is 3"]),
        (
            "strategies: [sinle, 'single:shots=x']",
            [
                "line 1: unknown strategy 'sinle'; did you mean 'single'?",
                "line 1: strategy single, option shots: should be a valid integer, and is 'x'",
            ],
        ),
        ("weights: {latncy: 1}", ["line 1: unknown efficiency weight 'latncy'; did you mean 'latency'?"]),
        ("sandbox: bubblerap", ["line 1: unknown sandbox 'bubblerap'; did you mean 'bubblewrap'?"]),
        ("timeout: 1.0e+300", ["line 1: timeout: should be less than or equal to 10000000"]),
        ("limits: {memory_megabytes: 10000000000}", ["line 1: limits.memory_megabytes: should be less than or equal"]),
        ('tracking: {store: "a\\0b"}', ["line 1: tracking.store: holds a character that no file's name"]),
        ("experiment: {name: " + "x" * 600 + "}", ["line 1: experiment.name: String should have at most 250"]),
        ("models: [{name: a, baseline: true}, {name: b, baseline: true}]", ["line 1: b: another arm is the baseline"]),
        ("models: [{name: a, strategies: []}]", ["line 1: models.0.strategies: "]),
        ("models: [{name: 3}]", ["line 1: models.0.name: should be a valid string, and is 3"]),
        ("models:\n#  - name: a", []),
        ("scorers: [tets]", ["line 1: scorers: name tests too, without which nothing is known to be solved"]),
        ("scorers: [tests, statc]", ["line 1: unknown scorer 'statc'; did you mean 'static'?"]),
        ("suite:\n  source: basic", ["line 2: unknown suite 'basic'; did you mean 'basics'?"]),
        ("suite:\n  categories: [mathe]", ["line 2: "]),
        (
            "models: [{name: a}]\nparameters:\n  temprature: [1]",
            ["line 3: unknown parameter 'temprature'; did you mean 'temperature'?"],
        ),
        (
            "models: [{name: a}]\nparameters:\n  temperature: [1, 3]",
            ["line 3: temperature: should be less than or equal to 2, and is 3"],
        ),
        (
            "models: [{name: a}]\nparameters:\n  branching.width: [1]",
            ["line 3: unknown strategy of the arms 'branching'; known: single"],
        ),
        (
            "modles: []\nmodels: [{name: a}, {nam: b}]\nsandbox: x\nparameters: {temprature: [1]}",
            [
                "line 1: modles: unknown key; did you mean 'models'?",
                "line 2: models.1.name: is missing; give it",
                "line 2: models.1.nam: unknown key; did you mean 'name'?",
                "line 4: unknown parameter 'temprature'; did you mean 'temperature'?",
                "line 3: unknown sandbox 'x'",
            ],
        ),
        ("- a", ["line 1: expected keys such as 'models:' at the top, and found a list"]),
        ("seed: 1\nseed: 2", ["line 2: 'seed' stands here again, after line 1; keep one of them"]),
        (
            "seed: 1\nseed: 2\nsandbox: dokcer\nsuite: {limit: 0}",
            [
                "line 2: 'seed' stands here again, after line 1; keep one of them",
                "line 4: suite.limit: should be greater than 0, and is 0",
                "line 3: unknown sandbox 'dokcer'",
            ],
        ),
        (
            'models: [{name: "\\ud800"}]\nstrategies: [single, "\\udfff"]\nsandbox: dokcer',
            ["line 1: holds one half of a surrogate pair", "line 2: holds one half", "line 3: unknown sandbox"],
        ),
        ("seed: !!int x\nsandbox: dokcer", ["line 1: 'x' is no value of the kind 'int'", "line 2: unknown sandbox"]),
        ("seed: [1", ["line 1, column 9: "]),
        ("seed: !!python/object/apply:os.system [ls]", ["line 1: "]),
        ("1: 2", ["line 1: '1' is no name; put it in quotes if it is meant as one"]),
        (b"seed: \xff", ["line 1: is not UTF-8; save it as that"]),
        (b"\xff\xfe" + "seed: 1".encode("utf-16-le"), ["line 1: is not UTF-8; save it as that"]),
        ("x: " + "[" * 3000, [""]),
        ("#" * 2**21, ["larger than 1048576 bytes, so it is no file of settings"]),
    ],
    ids=lambda one: str(one)[:40],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str | bytes, said: list[str]) -> None:
    found = faults(tmp_path, text)
    assert len(found) == len(said), found
    assert all(line.startswith(start) for line, start in zip(found, said, strict=True)), found


def test_an_error_of_several_lines_is_several_faults() -> None:
    found = Faults()
    found.note(InputError("one\ntwo"), "e.yaml, line 3")
    found.note(InputError("two"), "e.yaml, line 3")
    found.note(InputError("tasks.jsonl: 2 faults\n  tasks.jsonl:1: x\n  tasks.jsonl:2: y"))
    with pytest.raises(InputError) as caught:
        found.report()
    assert str(caught.value).splitlines() == [
        "3 things are wrong:",
        "- e.yaml, line 3: one",
        "- e.yaml, line 3: two",
        "- tasks.jsonl: 2 faults",
        "  tasks.jsonl:1: x",
        "  tasks.jsonl:2: y",
    ]


def test_names_that_multiply_are_counted_before_they_are_made(tmp_path: Path) -> None:
    bomb = "\n".join(
        ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
        + [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 12)]
    )
    (found,) = faults(tmp_path, bomb)
    assert found.endswith("over 20000 values, so it is no file of settings")
    (found,) = faults(tmp_path, "a: &a\n  b: *a")
    assert "deep" in found


def test_what_a_mapping_brings_in_goes_behind_its_own(tmp_path: Path) -> None:
    text = (
        "base: &base {name: a, temperature: 0.5}\nmodels:\n  - {<<: *base, temperature: 1}\n  - {<<: [*base], name: b}"
    )
    located = read_yaml(written(tmp_path, text))
    assert located.values["models"] == ({"name": "a", "temperature": 1}, {"name": "b", "temperature": 0.5})


def test_a_flag_goes_before_the_environment_and_that_before_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "experiment:\n  name: in-the-file\nseed: 5\nurls: [a, b]\ntracking: {store: there}")
    config = load_config(path)
    environment = {"MLFLOW_EXPERIMENT_NAME": "around", "OLLAMA_HOST": "elsewhere:1"}
    found = in_force(config, {"seed": 7, "experiment": "said"}, environment)
    told = {key: (found[key].value, found[key].origin) for key in found}
    assert told["seed"] == (7, "--seed")
    assert told["experiment.name"] == ("said", "--experiment")
    assert told["urls"] == (("elsewhere:1",), "OLLAMA_HOST")
    assert told["tracking.store"] == (Path("there"), f"{path}, line 5")
    assert told["repeats"] == (1, "default")
    assert in_force(config, {}, environment)["experiment.name"].origin == "MLFLOW_EXPERIMENT_NAME"
    assert in_force(config, {}, {})["experiment.name"].origin == f"{path}, line 2"


@pytest.mark.parametrize(
    ("flags", "environment", "said"),
    [
        ({"timeout": 1e300}, {}, "--timeout: should be less than or equal to 10000000"),
        ({}, {"MLFLOW_EXPERIMENT_NAME": "x" * 600}, "MLFLOW_EXPERIMENT_NAME: String should have at most 250"),
        ({"store": Path("a\0b")}, {}, "--store: holds a character that no file's name can have"),
    ],
)
def test_flags_and_the_environment_have_the_same_bounds(
    flags: dict[str, Any], environment: dict[str, str], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        in_force(Config(ExperimentFile()), flags, environment)


def test_another_suite_takes_nothing_of_the_file_s(tmp_path: Path) -> None:
    config = load_config(written(tmp_path, "suite: {source: mbpp, ids: 11-510, protocol: standard}"))
    found = in_force(config, {"suite": "basics"}, {})
    assert {key: found[f"suite.{key}"].value for key in ("source", "ids", "protocol")} == {
        "source": "basics",
        "ids": None,
        "protocol": None,
    }


def test_a_grid_holds_for_all_models_and_what_a_model_says_goes_before_it(tmp_path: Path) -> None:
    text = """\
models:
  - {name: a, baseline: true}
  - {name: b, temperature: 0.1, strategies: ["branching:width=2", single]}
strategies: [branching]
parameters:
  temperature: [0.2, 0.9]
  branching.width: [1, 3]
arms:
  - {model: c, strategy: "best_of_n:n=2", top_p: 0.5}
"""
    path = written(tmp_path, text)
    config, found = checked(path)
    assert found == []
    want = wanted(Flags(), config, in_force(config, {}, {}), Store.local(tmp_path / "mlruns"), Faults())
    told = [
        (wish.model, wish.sampling.temperature, wish.sampling.top_p, dict(wish.strategies), wish.baseline)
        for wish in want.wishes
    ]
    assert told == [
        ("a", 0.2, None, {"branching": {"width": 1}}, True),
        ("a", 0.2, None, {"branching": {"width": 3}}, False),
        ("a", 0.9, None, {"branching": {"width": 1}}, False),
        ("a", 0.9, None, {"branching": {"width": 3}}, False),
        *[("b", 0.1, None, {"branching": {"width": 2}, "single": {}}, False)] * 4,
        ("c", None, 0.5, {"best_of_n": {"n": 2}}, False),
    ]
    assert want.wishes[-1].origins.model == f"{path}, line 9"
    flags = Flags(temperature=0.0, model=("d",))
    want = wanted(flags, config, in_force(config, {}, {}), Store.local(tmp_path / "mlruns"), Faults())
    assert {(wish.model, wish.sampling.temperature) for wish in want.wishes} == {("d", 0.0)}


def test_a_grid_that_is_too_large_is_refused(tmp_path: Path) -> None:
    many = ", ".join(str(number / 100) for number in range(100))
    text = f"models: [{{name: a}}]\nparameters:\n  temperature: [{many}]\n  top_p: [{many.replace('0.0,', '', 1)}]"
    assert faults(tmp_path, text) == ["line 2: parameters: come to 9900 combinations; 1000 at most"]


def test_the_schema_knows_every_key_and_says_what_it_means() -> None:
    schema = ExperimentFile.model_json_schema()
    assert schema["properties"]["repeats"]["description"] == "How often each arm tries each task."
    assert set(schema["properties"]) == set(ExperimentFile.model_fields)
    assert schema["additionalProperties"] is False
    json.dumps(schema)


def test_every_default_is_written_out_in_the_file_to_start_from(tmp_path: Path) -> None:
    text = start_files()["experiment_config.yaml"]
    config = load_config(written(tmp_path, text))
    force, plain = (in_force(one, {}, {}) for one in (config, Config(ExperimentFile())))
    for key, value in force.items():
        if key == "weights":
            assert EfficiencyWeights.of(value.value) == EfficiencyWeights()
        else:
            assert value.value == plain[key].value, key
    assert all(name in text for name in mentioned(ExperimentFile.model_json_schema()))


def test_settings_of_a_program_and_of_an_empty_file_are_the_same(tmp_path: Path) -> None:
    config = Config(ExperimentFile())
    want = wanted(Flags(), config, in_force(config, {}, {}), Store.local(tmp_path / "mlruns"), Faults())
    assert want.settings == Settings()


def mentioned(schema: Mapping[str, Any]) -> set[str]:
    """Every key that the schema knows, but those of other commands."""
    parts = {name: part for name, part in schema["$defs"].items() if not name.startswith(("Dashboard", "Validation"))}
    keys = {key for part in (schema, *parts.values()) for key in part["properties"]}
    return keys - {"dashboard", "validation", "strategy"}


def test_what_is_there_is_kept_and_the_project_s_own_files_are_those_to_start_from(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "models.yaml").write_text("- name: mine")
    told = write_start(tmp_path)
    assert {path.name: written for path, written in told.items()} == {
        "experiment_config.yaml": True,
        "models.yaml": False,
        "experiment_config.schema.json": True,
        "models.schema.json": True,
    }
    assert (tmp_path / "config" / "models.yaml").read_text() == "- name: mine"
    for name, text in start_files().items():
        (schema,) = re.findall(r"\$schema=(\S+)", text)
        assert json.loads((tmp_path / "config" / schema).read_text("utf-8"))["$defs"]
        assert (Path(__file__).parents[2] / "config" / name).read_text("utf-8") == text
    assert (tmp_path / "config" / "experiment_config.yaml").read_text("utf-8") == start_files()[
        "experiment_config.yaml"
    ]


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "experiments").glob("*.yaml")), ids=lambda path: path.stem
)
def test_the_ready_experiments_are_in_order(path: Path, tmp_path: Path) -> None:
    config = load_config(path)
    found = Faults()
    force = in_force(config, {}, {})
    suite = force["suite.source"].value
    flags = Flags(suite="basics") if suite == "mbpp" else Flags()  # its tasks don't come with smallenough
    want = wanted(flags, config, in_force(config, {"suite": flags.suite}, {}), Store.local(tmp_path), found)
    check_wanted(want.wishes, want.settings, found)
    assert found.found == []
    assert want.wishes
