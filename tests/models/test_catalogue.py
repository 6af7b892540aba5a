from __future__ import annotations

from pathlib import Path

import pytest

from smallenough.errors import InputError
from smallenough.models.catalogue import catalogue_schema, class_as, defaults_for, entries, load, lookup, own
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
    assert (entry.name, entry.provider, entry.size_class, entry.size) == ("new:1", "other", size_class, said)
    assert entry.defaults == sampling


def test_a_known_model_keeps_its_class_whatever_its_size() -> None:
    assert defaults_for("phi3:mini", ModelInfo("phi3:mini", "ollama", parameters=3_800_000_000)).size_class == "small"


GOOD = """
- {name: a, provider: ollama, size_class: small, size: 1B, description: d,
   sampling: {temperature: 0.1, max_tokens: 10, top_p: 0.9}}
"""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            GOOD.replace("size_class: small", "size_class: tiny"),
            r"\.yaml, line 2: 0\.size_class: should be 'large', 'small' or 'base', and is 'tiny'",
        ),
        (
            GOOD.replace("max_tokens: 10", "max_tokens: 0"),
            r"\.yaml, line 3: 0\.sampling\.max_tokens: should be greater than 0, and is 0",
        ),
        (GOOD.replace("size_cl", "sise_cl"), r"line 2: 0\.sise_class: unknown key; did you mean 'size_class'\?"),
        (GOOD.replace("name: a, ", ""), r"line 2: 0\.name: is missing; give it"),
        (GOOD.replace("{name: a", "{aliases: [a], name: a"), "line 2: 'a' is named twice; keep one"),
        (GOOD + GOOD, "line 5: 'a' is named twice; keep one"),
        ("name: [", r"catalogue\.yaml, line 1, column 8"),
        ("name: a", "line 1: expected a list, whose entries begin with '- name:' at the top, and found keys"),
        (GOOD.replace("1B", "one"), r"line 2: 0\.size: String should match pattern .*, and is 'one'"),
    ],
)
def test_a_fault_names_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "catalogue.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match=words):
        load(path)


def test_every_fault_of_a_file_is_told_at_once(tmp_path: Path) -> None:
    path = tmp_path / "models.yaml"
    path.write_text('- name: a\n  name: b\n- name: c\n  siez: 7B\n- name: a\n- name: a\n  reference: "\\ud800"\n')
    with pytest.raises(InputError) as caught:
        load(path)
    assert [line.removeprefix(f"{path}, ") for line in str(caught.value).splitlines()] == [
        "line 2: 'name' stands here again, after line 1; keep one of them",
        "line 7: holds one half of a surrogate pair (\\ud800 to \\udfff), which is no character",
        "line 4: 1.siez: unknown key; did you mean 'size'?",
        "line 5: 'a' is named twice; keep one entry of it",
        "line 6: 'a' is named twice; keep one entry of it",
    ]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml: No such file"):
        load(tmp_path / "nowhere.yaml")


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own file of models."""
    monkeypatch.setenv("SMALLENOUGH_MODELS", str(tmp_path / "models.yaml"))
    (tmp_path / "models.yaml").touch()
    return tmp_path / "models.yaml"


def test_a_file_that_is_named_and_not_there_is_told(mine: Path) -> None:
    mine.unlink()
    with pytest.raises(InputError, match=r"SMALLENOUGH_MODELS: .*models\.yaml is no file"):
        own("fast")


def test_a_user_s_own_entry_goes_before_one_of_the_same_name(mine: Path) -> None:
    before = defaults_for("mistral")
    mine.write_text(
        "- {name: mistral, size: 7B, sampling: {temperature: 0.7}}\n- {name: fast, reference: smollm2:135m}"
    )
    entry = defaults_for("mistral")
    assert (entry.size_class, entry.sampling.temperature, entry.sampling.max_tokens) == ("large", 0.7, 1024)
    assert (entry == before, lookup("smollm2:135m") is not None) == (False, True)
    assert [one.name for one in entries()][:2] == ["mistral", "fast"]
    fast = own("fast")
    assert fast
    assert (fast.provider, fast.reference, fast.size_class, own("smollm2:135m")) == (
        "ollama",
        "smollm2:135m",
        "small",
        None,
    )
    mine.write_text("")
    assert (own("fast"), defaults_for("mistral")) == (None, before)


def test_a_fault_in_the_user_s_file_is_told(mine: Path) -> None:
    mine.write_text("- name: fast\n  tempreature: 1")
    with pytest.raises(InputError, match=r"models\.yaml, line 2: 0\.tempreature: unknown key; known: name, aliases"):
        own("fast")


def test_the_schema_of_a_file_of_models_tells_what_each_key_is() -> None:
    entry = catalogue_schema()["$defs"]["CatalogueEntry"]["properties"]
    assert entry["reference"]["description"] == "As the provider calls it; by default the name."
