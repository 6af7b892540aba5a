from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from smallenough.errors import InputError
from smallenough.sessions.study.migrate import migrate_file, migrate_results, migrate_study
from smallenough.sessions.study.names import short_names, size_in, type_of

LLAMA, MISTRAL = "meta-llama/Meta-Llama-3.1-8B-Instruct", "mistralai/Mistral-7B-Instruct-v0.3"
SMALL, QWEN = "meta-llama/Llama-3.2-3B-Instruct", "Qwen/Qwen2.5-3B-Instruct"


@pytest.mark.parametrize(
    ("name", "size", "kind"),
    [
        (LLAMA, "8B", "LLM"),
        (MISTRAL, "7B", "LLM"),
        (SMALL, "3B", "SLM"),
        (QWEN, "3B", "SLM"),
        ("smollm2:135m", "135M", "SLM"),
        ("microsoft/phi-2", None, "SLM"),
        ("Llama-2-70b-hf", "70B", "SLM"),
    ],
)
def test_a_name_tells_its_size_and_its_kind(name: str, size: str | None, kind: str) -> None:
    assert (size_in(name), type_of(name)) == (size, kind)


def test_short_names_are_family_and_size_and_whole_where_two_would_be_alike() -> None:
    assert short_names([(LLAMA, "8B"), (SMALL, "3B"), (QWEN, "3B")]) == ["Llama-8B", "Llama-3B", "Qwen-3B"]
    assert short_names([("smollm2:135m", "135M"), ("x/phi-2", None)]) == ["smollm-135M", "phi"]
    twins = [("a/Llama-3.1-8B", "8B"), ("b/Llama-3-8B", "8B")]
    assert short_names(twins) == ["a_Llama-3.1-8B", "b_Llama-3-8B"]


def test_mixed_sizes_become_large_and_small_models() -> None:
    old = {
        "baseline_llms": [LLAMA, QWEN, MISTRAL],
        "slm_name": SMALL,
        "slm_load_in_4bit": True,
        "training": {"rank": 8},
    }
    found = migrate_study(old)
    assert list(found.values) == ["training", "llm_models", "slm_models"]
    assert [(one["name"], one["size"], one["load_in_4bit"]) for one in found.values["llm_models"]] == [
        (LLAMA, "8B", True),
        (MISTRAL, "7B", True),
    ]
    assert [(one["name"], one["load_in_4bit"]) for one in found.values["slm_models"]] == [(SMALL, True), (QWEN, False)]
    assert found.notes == ()


def test_a_name_without_a_size_is_told() -> None:
    found = migrate_study({"baseline_llms": ["microsoft/phi-2"]})
    assert [one["name"] for one in found.values["slm_models"]] == ["microsoft/phi-2"]
    assert any("phi-2" in note and "size" in note for note in found.notes)
    assert any("llm_models is empty" in note for note in found.notes)


@pytest.mark.parametrize(
    ("old", "said"),
    [
        ({"baseline_llms": LLAMA}, "baseline_llms: should be a list of names"),
        ({"baseline_llms": [{"name": LLAMA}]}, "baseline_llms: should be a list of names"),
        ({"slm_name": 3}, "slm_name: should be a name"),
        ({"slm_name": SMALL, "slm_load_in_4bit": "yes"}, "slm_load_in_4bit: should be true or false"),
    ],
)
def test_values_of_another_kind_are_told(old: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        migrate_study(old)


def test_results_get_the_keys_of_today() -> None:
    old = {
        "Baseline_LLM_Meta-Llama-3.1-8B-Instruct": {"accuracy": 0.5},
        "Baseline_SLM": {"metrics": {"accuracy": 0.2}},
        "Finetuned_SLM": {"accuracy": 0.6},
    }
    found = migrate_results(old, "Llama-3.2-3B-Instruct").values
    assert found == {
        "LLM_Llama-8B_untrained": {
            "model_type": "LLM",
            "size": "8B",
            "training": "zero-shot",
            "metrics": {"accuracy": 0.5},
        },
        "SLM_Llama-3B_untrained": {
            "model_type": "SLM",
            "size": "3B",
            "training": "zero-shot",
            "metrics": {"accuracy": 0.2},
        },
        "SLM_Llama-3B_finetuned": {
            "model_type": "SLM",
            "size": "3B",
            "training": "lora_finetuned",
            "metrics": {"accuracy": 0.6},
        },
    }
    assert migrate_results(found).values == found, "those of today stay"


@pytest.mark.parametrize(
    ("old", "said"),
    [
        ({"Baseline_SLM": {}}, "name it with --slm-name"),
        ({"Baseline_LLM_a-8B": 3}, "should be keys and values"),
        ({"Baseline_SLM2": {}}, "is no key of results"),
        ({"Baseline_LLM_Llama-3.1-8B": {}, "Baseline_LLM_Llama-3-8B": {}}, "comes to LLM_Llama-8B_untrained too"),
    ],
)
def test_results_that_can_t_be_converted_are_told(old: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        migrate_results(old)


def test_files_of_both_kinds(tmp_path: Path) -> None:
    settings, results = tmp_path / "old.yaml", tmp_path / "old.json"
    settings.write_text(f"baseline_llms: [{LLAMA}]\nslm_name: {SMALL}\n")
    text, _ = migrate_file(settings)
    assert [one["name"] for one in yaml.safe_load(text)["llm_models"]] == [LLAMA]
    results.write_text(json.dumps({"Baseline_LLM_Mistral-7B": {"f1": 0.25, "missing": None}}, indent=1))
    text, _ = migrate_file(results)
    assert json.loads(text)["LLM_Mistral-7B_untrained"]["metrics"] == {"f1": 0.25, "missing": None}
    settings.write_text("llm_models: []\n")
    with pytest.raises(InputError, match="there is nothing to convert"):
        migrate_file(settings)
