from __future__ import annotations

from pathlib import Path

import pytest

from smallenough.errors import InputError
from smallenough.models.catalogue import class_as, defaults_for, entries, load, lookup
from smallenough.records import ModelInfo, Sampling

LARGE, SMALL = Sampling(0.1, 0.95, 2048), Sampling(0.1, 0.9, 1024)


@pytest.mark.parametrize("name", ["codellama", "deepseek-r1:7b", "llama2", "mistral"])
def test_large_models_have_large_defaults(name: str) -> None:
    entry = lookup(name)
    assert entry is not None
    assert (entry.size_class, entry.defaults, entry.provider) == ("large", LARGE, "ollama")


@pytest.mark.parametrize("name", ["tinyllama", "qwen:0.5b", "phi3:mini", "smollm2", "smollm2:135m", "smollm2:360m"])
def test_small_models_have_small_defaults(name: str) -> None:
    entry = lookup(name)
    assert entry is not None
    assert (entry.size_class, entry.defaults) == ("small", SMALL)


def test_a_base_model_is_one_in_every_role() -> None:
    assert [class_as("gemma3:270m-base", role) for role in ("large", "small")] == ["base", "base"]
    assert [class_as(name, "large") for name in ("smollm2:135m", "unheard of")] == ["large", "large"]
    assert [class_as(name, "small") for name in ("mistral", "unheard of")] == ["small", "small"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("codellama:13b", "codellama"),
        ("codellama:latest", "codellama"),
        ("smollm2:135m-instruct-q4_0", "smollm2:135m"),
        ("smollm2:1.7b", "smollm2"),
        ("phi3", "phi3:mini"),
        ("phi3:mini-4k", "phi3:mini"),
        ("phi3:medium", None),
        ("qwen:72b", None),
        ("deepseek-r1", None),
        ("codellama2", None),
    ],
)
def test_tags_lead_to_the_nearest_entry(name: str, found: str | None) -> None:
    entry = lookup(name)
    assert (entry.name if entry else None) == found


def test_every_entry_is_found_by_its_own_name_once() -> None:
    assert all(lookup(entry.name) == entry for entry in entries())
    assert len({entry.name for entry in entries()}) == len(entries()) == 11


@pytest.mark.parametrize(
    ("parameters", "size_class", "said", "sampling"),
    [
        (134_515_008, "small", "135M", SMALL),
        (2_999_999_999, "small", "3B", SMALL),
        (3_000_000_000, "large", "3B", LARGE),
        (70_553_706_496, "large", "71B", LARGE),
        (None, "small", None, SMALL),
    ],
)
def test_an_unknown_model_is_classed_by_its_parameters(
    parameters: int | None, size_class: str, said: str | None, sampling: Sampling
) -> None:
    entry = defaults_for("new:1", ModelInfo("new:1", "other", parameters=parameters))
    assert (entry.name, entry.provider, entry.size_class, entry.parameters) == ("new:1", "other", size_class, said)
    assert entry.defaults == sampling


def test_a_known_model_keeps_its_class_whatever_its_size() -> None:
    assert defaults_for("phi3:mini", ModelInfo("phi3:mini", "ollama", parameters=3_800_000_000)).size_class == "small"


GOOD = """
- {name: a, provider: ollama, size_class: small, parameters: 1B, description: d, strengths: s,
   sampling: {temperature: 0.1, max_tokens: 10, top_p: 0.9}}
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            GOOD.replace("size_class: small", "size_class: tiny"),
            r"\.yaml: a\.size_class: .*'large', 'small' or 'base'",
        ),
        (
            GOOD.replace("max_tokens: 10", "max_tokens: 0"),
            r"\.yaml: a\.sampling\.max_tokens: .*greater than 0",
        ),
        (GOOD.replace("strengths", "strenghts"), r"a\.strengths: Field required\n.*a\.strenghts: Extra inputs"),
        (GOOD.replace("name: a, ", ""), r"entry 1\.name: Field required"),
        (GOOD.replace("{name: a", "{aliases: [a], name: a"), "named twice: a; keep one"),
        (GOOD + GOOD, "named twice: a; keep one"),
        ("name: [", r"catalogue\.yaml: not YAML: .*line 1, column 8"),
        ("name: a", "the whole file: Input should be a valid list"),
    ],
)
def test_a_fault_names_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "catalogue.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match=words):
        load(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml: can't be read: No such file"):
        load(tmp_path / "nowhere.yaml")
