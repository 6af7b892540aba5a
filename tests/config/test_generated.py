"""Generated settings, most of them wrong, go through the real commands: each gets words, and no model is asked.

Where a command would ask a server, it is one that counts what it is asked. Codes: 0 done, 2 what was asked for is
wrong, 3 something around it failed; 1 would be a fault of smallenough itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from smallenough.config import ExperimentFile
from tests.cli.calling import Called, call
from tests.servers.faulty import FaultyServer
from tests.thorough import examples

KEYS = st.sampled_from(
    [*ExperimentFile.model_fields, "name", "temperature", "model", "strategy", "uri", "modles", "Suite", "<<", "", "ü"]
) | st.text(max_size=5)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=8)
    | st.dates()
    | st.sampled_from(["single", "branching:width=1", "branching:width=", ":", "smollm2:135m", "basics", "-1", "{{x}}"])
)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=12
)
MODELS = st.sampled_from(
    ["smollm2:135m", "mistral", "fast", "huggingface:nothing", "replay:nowhere#m", ":", "smollm2:"]
)
SPECS = st.sampled_from(
    [
        *("single", "single:shots=-1", "best_of_n:n=2", "best_of_n:n=0", "cascade", "cascade:large=mistral"),
        *("branching", "branching:width=1,max_depth=0", "branching:ladder=0.1;9", "branching:hints=[["),
    ]
)
SAMPLING: dict[str, st.SearchStrategy[Any]] = {
    "temperature": st.floats(0, 2) | ANYTHING,
    "top_p": st.floats(0.1, 1) | SCALARS,
    "max_tokens": st.integers(1, 9) | SCALARS,
    "context": st.integers(),
    "size_class": st.sampled_from(["small", "large", "base", "tiny"]),
    "baseline": st.booleans(),
}
MODEL = st.fixed_dictionaries(
    {"name": MODELS | st.text(max_size=4)}, optional={**SAMPLING, "strategies": st.lists(SPECS, max_size=2)}
)
ARM = st.fixed_dictionaries({"model": MODELS}, optional={**SAMPLING, "strategy": SPECS | st.text(max_size=9)})
RANGE = st.fixed_dictionaries({"low": st.integers(0, 2) | SCALARS, "high": st.integers(1, 9) | st.floats()})
PARAMETERS = st.sampled_from(["temperature", "top_p", "max_tokens", "branching.width", "single.shots", "temprature"])
VALID = st.fixed_dictionaries(
    {},
    optional={
        "experiment": st.fixed_dictionaries({}, optional={"name": st.text(max_size=5)}),
        "suite": st.fixed_dictionaries(
            {},
            optional={
                "limit": st.integers(-1, 5),
                "source": st.sampled_from(["basics", "basics", "jsonl", "x", "../x"]),
                "path": st.text(max_size=6),
                "ids": st.sampled_from(["1", "1-", "9-1", "a,,b", "1-10000000000000"]),
                "categories": st.lists(st.sampled_from(["math", "strings", "x"]), max_size=2),
                "protocol": st.sampled_from(["split", "standard", "both"]),
            },
        ),
        "models": st.lists(MODEL, max_size=3),
        "strategies": st.lists(SPECS, max_size=3),
        "parameters": st.dictionaries(PARAMETERS | KEYS, st.lists(SCALARS, max_size=3) | ANYTHING, max_size=3),
        "arms": st.lists(ARM, max_size=2) | ANYTHING,
        "search": st.fixed_dictionaries(
            {"space": st.dictionaries(PARAMETERS, RANGE | st.lists(SCALARS, max_size=3), max_size=2)},
            optional={"candidates": st.integers(0, 3), "validation": st.floats(), "most": st.floats()},
        ),
        "weights": st.dictionaries(st.sampled_from(["quality", "cpu", "half_cpu", "x"]), st.floats()),
        "limits": st.dictionaries(
            st.sampled_from(["cpu_seconds", "memory_megabytes", "processes", "disk"]), SCALARS, max_size=2
        ),
        "scorers": st.lists(st.sampled_from(["tests", "static", "x"]), max_size=3),
        "sandbox": st.sampled_from(["bubblewrap", "subprocess", "docker", ""]),
        "urls": st.lists(st.text(max_size=6), max_size=2),
        "tracking": st.fixed_dictionaries(
            {},
            optional={"uri": st.sampled_from(["", "x:", "ftp://a", "mlruns", "sqlite:///", "[::"]), "store": SCALARS},
        ),
        "prices": st.fixed_dictionaries(
            {}, optional={"per_kwh": st.floats(), "as_of": st.dates() | SCALARS, "currency": st.text(max_size=3)}
        ),
        "repeats": st.integers(-1, 3) | ANYTHING,
        "fail_on_error": st.floats(),
        "timeout": st.floats(),
        "monitoring": ANYTHING,
        "validation": ANYTHING,
        "seed": st.integers() | ANYTHING,
    },
)
SOUND = st.fixed_dictionaries(
    {
        "models": st.lists(
            st.fixed_dictionaries(
                {"name": st.sampled_from(["smollm2:135m", "smollm2:135m", "absent"])},
                optional={"temperature": st.floats(0, 2), "max_tokens": st.integers(1, 9)},
            ),
            max_size=2,
        ),
    },
    optional={
        "suite": st.just({"source": "basics", "limit": 3}),
        "strategies": st.just(["single", "branching:width=1"]),
        "parameters": st.just({"top_p": [0.5, 1], "single.shots": 0}),
        "arms": st.just([{"model": "smollm2:135m", "strategy": "best_of_n:n=2"}]),
        "weights": st.just({"cpu": 0.5}),
        "scorers": st.just(["tests"]),
        "repeats": st.integers(1, 3),
        "search": st.just({"space": {"temperature": {"low": 0, "high": 1.0}}}),
        "validation": st.just({"metrics": ["latency"]}),
    },
)
NEARLY = st.builds(lambda sound, wrong: {**sound, **dict(list(wrong.items())[:1])}, SOUND, VALID)
OWN_MODEL = st.fixed_dictionaries(
    {"name": st.sampled_from(["fast", "mistral", "smollm2:135m"]) | SCALARS},
    optional={
        "aliases": st.lists(st.sampled_from(["fast", "b"]), max_size=2),
        "provider": st.sampled_from(["ollama", "huggingface", "replay", "openai"]) | SCALARS,
        "reference": st.sampled_from(["smollm2:135m", ""]) | SCALARS,
        "size": st.sampled_from(["135M", "7B", "9" * 400 + "B", "0M", "B"]) | SCALARS,
        "size_class": st.sampled_from(["small", "tiny"]),
        "sampling": st.dictionaries(st.sampled_from(["temperature", "max_tokens", "stop", "x"]), ANYTHING, max_size=2),
        "price": ANYTHING,
        "quantization": st.text(max_size=3),
        "weights": ANYTHING,
    },
)


def dumped(values: Any) -> str:
    return yaml.safe_dump(values, allow_unicode=True)


def garbled(text: str, cuts: list[tuple[int, str]]) -> str:
    for place, piece in cuts:
        place %= len(text) + 1
        text = text[:place] + piece + text[place:]
    return text


PIECES = st.sampled_from(
    ["{", "]", ":", "- ", "\n", "\t", "&a ", "*a", "!!binary ", "!!int ", "%", "?", "|", "'", "\x00"]
)
BOMB = "a0: &a0 [x]\n" + "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))
CUTS = st.lists(st.tuples(st.integers(0, 10**4), PIECES), min_size=1, max_size=4)
FILES = st.one_of(
    SOUND.map(dumped),
    NEARLY.map(dumped),
    NEARLY.map(dumped),
    VALID.map(dumped),
    st.dictionaries(KEYS, ANYTHING, max_size=6).map(dumped),
    st.builds(garbled, VALID.map(dumped), CUTS),
    st.builds(lambda one, two: dumped(one) + dumped(two), VALID, VALID),  # keys twice
    st.text(max_size=60),
    st.binary(max_size=60),
    st.sampled_from(['experiment: {name: "\\ud800"}', "tracking: {store: " + "x" * 300 + "}", "k: !!float ''"]),
    st.sampled_from([BOMB, "[" * 5000, "{a: " * 5000, "a: &a [*a]", "x" * 2**20 + ": 1", "?" * 3000, "- " * 3000]),
)
OWN_FILES = st.one_of(
    st.lists(OWN_MODEL, max_size=3).map(dumped),
    st.builds(garbled, st.lists(OWN_MODEL, max_size=2).map(dumped), CUTS),
    ANYTHING.map(dumped),
    st.binary(max_size=40),
    st.sampled_from([BOMB, "- " * 3000]),
)

MANY = 1000
SOME = 100
"""Of what takes longer."""
FEW = 25
"""Of what takes longest."""


def some(count: int) -> settings:
    """So many examples, a part of them without `--slow`."""
    quiet = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
    return settings(max_examples=examples(count), deadline=None, suppress_health_check=quiet)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder of its own."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("SMALLENOUGH_", "MLFLOW_TRACKING", "MLFLOW_EXPERIMENT", "OLLAMA_")):
            monkeypatch.delenv(name)


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyServer]:
    """Has smollm2:135m, and must not be asked to run it."""
    with FaultyServer() as server:
        yield server
    assert {path for path, count in server.state.requests.items() if count} <= {
        "/api/version",
        "/api/tags",
        "/api/ps",
        "/api/show",
    }


def written(path: str, content: str | bytes) -> None:
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))


def in_words(called: Called) -> Called:
    """The same, seen to be words."""
    assert called.code in (0, 2, 3)
    assert (called.code == 0) == (not said(called).startswith("smallenough: "))
    assert "Traceback" not in called.out
    assert max(map(len, called.err.splitlines()), default=0) < 3000
    return called


def said(called: Called) -> str:
    """What went wrong."""
    return "\n".join(line for line in called.err.splitlines() if not line.startswith("note: "))


@some(MANY)
@given(FILES)
def test_config_check_has_words_for_every_file(capsys: pytest.CaptureFixture[str], content: str | bytes) -> None:
    written("e.yaml", content)
    called = in_words(call(capsys, "config", "check", "e.yaml"))
    if called.code:
        assert "e.yaml" in called.err


@some(SOME)
@given(FILES)
def test_config_show_has_words_for_every_file(capsys: pytest.CaptureFixture[str], content: str | bytes) -> None:
    written("e.yaml", content)
    in_words(call(capsys, "config", "show", "--config", "e.yaml"))
    in_words(call(capsys, "config", "show", "--config", "e.yaml", "--json"))


@some(SOME)
@given(FILES)
def test_no_model_is_asked_by_a_dry_run(
    capsys: pytest.CaptureFixture[str], server: FaultyServer, content: str | bytes
) -> None:
    written("e.yaml", content)
    in_words(call(capsys, "run", "--dry-run", "--config", "e.yaml", "--url", server.url))


@some(SOME)
@given(FILES, st.sampled_from([("run", "--yes"), ("search",)]))
def test_no_model_is_asked_where_anything_is_wrong(
    capsys: pytest.CaptureFixture[str], server: FaultyServer, content: str | bytes, command: tuple[str, ...]
) -> None:
    written("e.yaml", content)
    # The server does not have the baseline, whatever else there is.
    called = call(capsys, *command, "--config", "e.yaml", "--url", server.url, "--model", "absent")
    assert in_words(called).code in (2, 3)


FLAGS = st.lists(
    st.sampled_from(
        [
            *(("--task", "hi"), ("--task-type", "add"), ("--task-type", "prime"), ("--task-type", "x"), ("--all",)),
            *(("--limit", "1"), ("--quick-test",), ("--categories", "math"), ("--categories", "x"), ("--suite", "x")),
            *(("--model", "smollm2:135m"), ("--large-model", "absent"), ("--small-model", "smollm2:135m")),
            *(("--strategy", "best_of_n:n=2"), ("--strategy", "cascade"), ("--max-depth", "1"), ("--max-tokens", "9")),
            *(("--temperature", "0.5"), ("--import-data",), ("--jsonl-file", "t.jsonl"), ("--no-clear",)),
            *(("--repeats", "2"), ("--concurrency", "2"), ("--sandbox", "x"), ("--timeout", "1"), ("--json",)),
        ]
    ),
    max_size=4,
)
SEARCHED = "models: [{name: smollm2:135m}]\nstrategies: [best_of_n]\nsearch: {space: {temperature: [0, 1]}}\n"


@some(FEW)
@example([("--task", "hi")], SEARCHED)
@given(FLAGS, st.sampled_from([SEARCHED, "seed: 1", "models: [{name: smollm2:135m, baseline: true}]"]))
def test_every_combination_of_flags_has_words(
    capsys: pytest.CaptureFixture[str], server: FaultyServer, flags: list[tuple[str, ...]], content: str
) -> None:
    written("e.yaml", content)
    task = {"id": "t", "prompt": "Write f(n), which returns n.", "entry_point": "f"}
    written("t.jsonl", json.dumps(task))
    said = [word for flag in flags for word in flag]
    for command in (("search", "--dry-run"), ("run", "--dry-run"), ("config", "show")):
        in_words(call(capsys, *command, "--config", "e.yaml", "--url", server.url, *said))


@some(SOME)
@given(OWN_FILES)
def test_every_file_of_models_has_words(
    capsys: pytest.CaptureFixture[str], server: FaultyServer, content: str | bytes
) -> None:
    written("config/models.yaml", content)
    written("e.yaml", "models: [{name: fast}, {name: mistral}]")
    in_words(call(capsys, "config", "check", "e.yaml"))
    in_words(call(capsys, "config", "show", "--model", "fast"))
    in_words(call(capsys, "run", "--dry-run", "--model", "fast", "--url", server.url))


VARIABLES = ("MLFLOW_EXPERIMENT_NAME", "OLLAMA_HOST", "OLLAMA_MODEL", "MLFLOW_TRACKING_URI", "SMALLENOUGH_STORE")
MORE_VARIABLES = ("SMALLENOUGH_MODELS", "SMALLENOUGH_PROMPTS", "SMALLENOUGH_CACHE", "SMALLENOUGH_MBPP")
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=9) | st.sampled_from(
    [
        "x" * 5000,
        "http://[",
        "sqlite:///",
        "postgresql://u:p@/",
        "replay:",
        "huggingface:",
        ":",
        "\udcff",
        "..",
        "/dev/null",
    ]
)


@some(SOME)
@given(st.dictionaries(st.sampled_from(VARIABLES + MORE_VARIABLES), VALUES, max_size=3))
def test_every_environment_has_words(capsys: pytest.CaptureFixture[str], variables: dict[str, str]) -> None:
    with mock.patch.dict(os.environ, variables):
        in_words(call(capsys, "config", "show"))
        written("e.yaml", "seed: 1")
        in_words(call(capsys, "config", "check", "e.yaml"))


@some(SOME)
@given(
    st.binary(max_size=40)
    | st.text(max_size=40)
    | st.lists(st.tuples(st.sampled_from(VARIABLES), st.text(max_size=9)), max_size=3).map(
        lambda pairs: "\n".join(f"{name}={value}" for name, value in pairs)
    )
)
def test_every_env_file_has_words(capsys: pytest.CaptureFixture[str], content: str | bytes) -> None:
    written(".env", content)
    with mock.patch.dict(os.environ):
        in_words(call(capsys, "config", "show"))
