"""The schemas for editors take what the check takes, and refuse what is misspelt."""

from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import pytest

from smallenough.config import read_yaml
from smallenough.sessions.schema import schemas
from smallenough.sessions.start import start_files

ROOT = Path(__file__).parents[2]
FILES = sorted([*(ROOT / "experiments").glob("*.yaml"), *(ROOT / "config").glob("*.yaml")])


def faults(folder: Path, text: str, which: str = "experiment") -> list[str]:
    """What an editor marks in a file of this content."""
    path = folder / "e.yaml"
    path.write_text(text, "utf-8")
    values = read_yaml(path, tuple if which == "models" else dict).values
    schema = json.loads(json.dumps(schemas()[which]))
    checks = jsonschema.Draft202012Validator(schema)
    checks.check_schema(schema)
    return [error.message for error in checks.iter_errors(json.loads(json.dumps(values, default=date.isoformat)))]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_files_of_the_project_are_in_order(path: Path, tmp_path: Path) -> None:
    assert faults(tmp_path, path.read_text("utf-8"), "models" if path.stem == "models" else "experiment") == []


def test_the_files_to_start_from_are_in_order_with_their_examples_too(tmp_path: Path) -> None:
    text = start_files()["experiment_config.yaml"]
    assert faults(tmp_path, text) == []
    examples = re.sub(r"(?m)^( *)#(?=\S|  )", r"\1", text[text.index("experiment:\n") :])
    assert "branching.width" in examples
    assert faults(tmp_path, examples) == []
    text = start_files()["models.yaml"]
    assert faults(tmp_path, text[text.index("#-") :].replace("\n#", "\n")[1:], "models") == []


@pytest.mark.parametrize(
    "text",
    [
        "models:\nsuite:\nsearch:\nweights:\nparameters:\nprices: {as_of: 2026-11-01}",
        "parameters: {temperature: 0.3, branching.width: 2, best_of_n.n: [2, 4]}",
        "weights: {half_latency: 3}\nsuite: {limit: }\nmodels: [{name: a, temperature: }]",
        "search: {space: {temperature: {low: 0, high: 1}, branching.width: [1, 2]}}",
    ],
)
def test_what_the_check_takes_is_taken(tmp_path: Path, text: str) -> None:
    assert faults(tmp_path, text) == []


@pytest.mark.parametrize(
    "text",
    [
        "parameters: {temprature: 0.3}",
        "parameters: {temperature: 3}",
        "parameters: {temperature: []}",
        "parameters: {branching.widht: 2}",
        "weights: {latncy: 1}",
        "weights: {latency: -1}",
        "search: {space: {temprature: [1]}}",
        "search: {}",
        "models: [{name: }]",
        "tracking: {urii: x}",
    ],
)
def test_what_is_misspelt_is_marked(tmp_path: Path, text: str) -> None:
    assert faults(tmp_path, text)
