"""`study` and `config migrate` through the command line, as far as they come without PyTorch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from tests.cli.calling import call

OLD = "baseline_llms: [meta-llama/Meta-Llama-3.1-8B-Instruct]\nslm_name: meta-llama/Llama-3.2-3B-Instruct\n"
READY = Path(__file__).parents[2] / "experiments" / "studies"


def test_an_earlier_study_is_converted_and_then_in_order(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(OLD + "data: {train: a, test: b}\n")
    refused = call(capsys, "study", old, "--store", tmp_path / "store")
    assert (refused.code, f"smallenough config migrate {old}" in refused.err) == (2, True)
    assert call(capsys, "config", "migrate", old, "--output", new).code == 0
    assert [one["size"] for one in yaml.safe_load(new.read_text())["slm_models"]] == ["3B"]
    checked = call(capsys, "config", "check", new)
    assert (checked.code, "a study of 1 large model and 1 small one" in checked.out) == (0, True)
    again = call(capsys, "config", "migrate", old, "--output", new)
    assert (again.code, "is there already" in again.err) == (2, True)


def test_earlier_results_are_converted(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    old = tmp_path / "results.json"
    old.write_text(json.dumps({"Baseline_SLM": {"f1": 0.1}, "Finetuned_SLM": {"f1": 0.4}}))
    lacking = call(capsys, "config", "migrate", old)
    assert (lacking.code, "--slm-name" in lacking.err) == (2, True)
    done = call(capsys, "config", "migrate", old, "--slm-name", "Llama-3.2-3B-Instruct")
    assert list(json.loads(done.out)) == ["SLM_Llama-3B_untrained", "SLM_Llama-3B_finetuned"]


@pytest.mark.parametrize("path", sorted(READY.glob("*.yaml")), ids=lambda path: path.stem)
def test_ready_studies_are_checked(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = call(capsys, "config", "check", path)
    assert (done.code, "start it with: smallenough study" in done.out) == (0, True), done.err


def test_a_suite_that_is_not_there_is_told_before_anything_is_loaded(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("slm_models: [{name: smollm2:135m}]\ndata: {train: basics, test: icd10-chapter-tst}\n")
    done = call(capsys, "study", path, "--store", tmp_path / "store")
    assert (done.code, "icd10-chapter-tst" in done.err) == (2, True)


def test_a_file_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    done = call(capsys, "study", tmp_path / "nothing.yaml", "--store", tmp_path / "store")
    assert (done.code, "nothing.yaml" in done.err) == (2, True)
