from __future__ import annotations

from pathlib import Path

import pytest

from smallenough.errors import InputError
from smallenough.sessions.study.form import study_of

ROOT = Path(__file__).parents[3]
LEAST = "slm_models: [{name: tiny}]\ndata: {train: a, test: b}\n"


@pytest.mark.parametrize("name", ["large_against_finetuned", "icd10_chapters"])
def test_the_ready_studies_are_in_order(name: str) -> None:
    form = study_of(ROOT / "experiments" / "studies" / f"{name}.yaml", {})
    assert form.llm_models
    assert form.slm_models
    assert form.data.train != form.data.test


def test_flags_go_before_the_file_and_defaults_are_filled_in(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(LEAST + "max_eval_samples: 9\n")
    assert study_of(path, {}).max_eval_samples == 9
    form = study_of(path, {"max_eval_samples": 3})
    assert (form.max_eval_samples, form.strategies, form.training.rank) == (3, ("single",), 16)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slm_models: [{name: a}]\n", "s.yaml: data: is missing; give it"),
        ("slm_models: []\ndata: {train: a, test: b}\n", "line 1: slm_models: "),
        (LEAST + "llm_models: [{nam: x}]\n", "line 3: llm_models.0.nam: unknown key; did you mean 'name'?"),
        (LEAST + "llm_models: [{name: x, size: big}]\n", "line 3: llm_models.0.size: "),
        (LEAST + "llm_models: [{name: tiny}]\n", "tiny stands here twice; a model is a large or a small one"),
        (LEAST + "training: {rank: 0}\n", "line 3: training.rank: "),
        ("baseline_llms: [a-8B]\nslm_name: b-3B\n", "convert it with: smallenough config migrate"),
        ("slm_models: [{name: tiny}\n", "line 2"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        study_of(path, {})
    assert said in str(error.value)
