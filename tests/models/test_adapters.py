"""Adapters as folders: what they say, which base they need, which they refuse. No torch is needed here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from smallenough.errors import InputError, ModelError, ModelNotFound
from smallenough.models import adapters, hub, weights
from smallenough.models.catalogue import class_as, defaults_for, defaults_of, lookup
from smallenough.models.tensors import shapes
from smallenough.records import Adapter

OUT, INTO, RANK = 6, 4, 2
LAYER = "model.layers.0.self_attn.q_proj"


def safetensors(path: Path, tensors: Mapping[str, tuple[int, ...]]) -> None:
    """A file of tensors of zeros, as the format has it."""
    header, end = {}, 0
    for name, shape in tensors.items():
        size = 4 * shape[0] * shape[1]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(end))


def lora(rank: int = RANK, into: int = INTO, out: int = OUT) -> dict[str, tuple[int, int]]:
    name = f"base_model.model.{LAYER}"
    return {f"{name}.lora_A.weight": (rank, into), f"{name}.lora_B.weight": (out, rank)}


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A model's folder, as far as it is looked at here."""
    folder = tmp_path / "base"
    folder.mkdir()
    safetensors(folder / "model.safetensors", {f"{LAYER}.weight": (OUT, INTO), "lm_head.weight": (9, INTO)})
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "max_position_embeddings": 512}))
    (folder / "tokenizer.json").write_text("{}")
    return folder


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, base: Path) -> Write:
    """Writes an adapter of `base`, with changes to its configuration, and its manifest if there is one."""

    def made(name: str = "adapter", manifest: Mapping[str, Any] | None = None, **config: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        whole = {"peft_type": "LORA", "base_model_name_or_path": str(base), "r": RANK, **config}
        (folder / "adapter_config.json").write_text(json.dumps(whole))
        safetensors(folder / "adapter_model.safetensors", lora())
        if manifest is not None:
            (folder / "smallenough.json").write_text(json.dumps(manifest))
        return folder

    return made


@pytest.fixture
def find(tmp_path: Path) -> Callable[[Path], weights.Weights]:
    return lambda folder: weights.find(str(folder), tmp_path / "cache")


Find = Callable[[Path], weights.Weights]


def test_an_adapter_is_its_base_model_with_more(write: Write, find: Find, base: Path) -> None:
    folder = write()
    alone, found = find(base), find(folder)
    assert (found.folder, found.family, found.context_length) == (base, "llama", 512)
    assert found.parameters == alone.parameters == OUT * INTO + 9 * INTO
    assert found.adapter_parameters == RANK * (INTO + OUT)
    assert found.size_bytes == alone.size_bytes + (folder / "adapter_model.safetensors").stat().st_size
    assert found.adapter is not None
    assert found.adapter.folder == folder
    assert alone.adapter is None


def test_its_digest_is_that_of_both(write: Write, find: Find, base: Path) -> None:
    folder = write()
    first = find(folder).digest
    assert first != find(base).digest
    assert find(folder.rename(folder.with_name("elsewhere"))).digest == first
    folder = folder.with_name("elsewhere")
    safetensors(folder / "adapter_model.safetensors", lora(rank=3))
    second = find(folder).digest
    assert second != first
    (base / "tokenizer.json").write_text("{ }")
    third = find(folder).digest
    assert third not in (first, second)
    (folder / "trainer_state.json").write_text("{}")
    assert find(folder).digest == third, "the engine does not read that"
    (folder / "tokenizer_config.json").write_text("{}")
    assert find(folder).digest != third, "it brings a tokenizer of its own"


def test_what_it_was_made_from_is_told(write: Write, find: Find, base: Path) -> None:
    digest = find(base).digest
    said = {"base": str(base), "base_digest": digest, "data_digest": "d", "suite": "icd10", "run_id": "r", "more": 1}
    found = find(write(manifest=said, base_model_name_or_path="maker/elsewhere"))
    assert found.adapter is not None
    assert found.adapter.described(20) == Adapter(str(base), digest, "d", "icd10", "r", 20)


def test_one_of_another_state_of_its_base_names_both(write: Write, find: Find, base: Path) -> None:
    folder = write(manifest={"base": str(base), "base_digest": "ab" * 32})
    here = find(base).digest[:12]
    with pytest.raises(
        InputError, match=rf"adapter of .*base with the digest abababababab…, and .*base here has {here}…"
    ):
        find(folder)


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        (lora(into=5), r"q_proj\.lora_A.weight is 2 × 5, for a layer"),
        (lora(out=7), r"lora_B.weight is 7 × 2, for a layer"),
    ],
)
def test_one_whose_shapes_are_another_model_s_names_both(
    tensors: Mapping[str, tuple[int, int]], said: str, write: Write, find: Find
) -> None:
    folder = write()
    safetensors(folder / "adapter_model.safetensors", tensors)
    with pytest.raises(
        InputError, match=rf"adapter is no adapter of .*base, though it says so: its .*{said} that is 6 × 4"
    ):
        find(folder)


def test_a_base_model_that_is_not_there_says_how_to_get_it(write: Write, find: Find) -> None:
    mend = (
        r"is an adapter, and its base model is not there: smollm2:135m is not ready .* --pull huggingface:smollm2:135m`"
    )
    with pytest.raises(ModelNotFound, match=mend):
        find(write(manifest={"base": "smollm2:135m"}))
    with pytest.raises(ModelNotFound, match=r"not there: maker/model is not ready .* --pull huggingface:maker/model`"):
        find(write("of-a-hub", base_model_name_or_path="maker/model"))


def test_to_fetch_an_adapter_is_to_fetch_its_base(
    write: Write, find: Find, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(hub, "fetch", lambda name, _: asked.append(name))
    monkeypatch.setattr(hub, "find", lambda _: base if asked else None)
    folder = write(base_model_name_or_path="maker/model")
    found = weights.fetch(str(folder), lambda *_: None, tmp_path / "cache")
    assert (asked, found.folder, found.adapter is not None) == (["maker/model"], base, True)


def test_an_adapter_of_an_adapter_is_refused(write: Write, find: Find) -> None:
    first = write()
    with pytest.raises(InputError, match=r"is an adapter of .*adapter, which is an adapter too; merge that"):
        find(write("second", base_model_name_or_path=str(first)))
    (first / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": str(first)}))
    with pytest.raises(InputError, match="which is an adapter too"):
        find(first)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"peft_type": "PROMPT_TUNING"}, "is a PROMPT_TUNING adapter, and the embedded engine takes LoRA adapters"),
        ({"base_model_name_or_path": None}, r"adapter_config\.json: does not say which model it is an adapter of"),
        (
            {"base_model_name_or_path": 3},
            r"adapter_config\.json: base_model_name_or_path: Input should be a valid string",
        ),
    ],
)
def test_what_can_t_be_used_is_told(config: Mapping[str, Any], said: str, write: Write, find: Find) -> None:
    with pytest.raises(InputError, match=said):
        find(write(**config))


@pytest.mark.parametrize(
    ("harm", "error", "said"),
    [
        (
            lambda folder: (folder / "adapter_model.safetensors").unlink(),
            ModelError,
            r"has no adapter_model\.safetensors",
        ),
        (
            lambda folder: (folder / "adapter_model.safetensors").write_bytes(b"half"),
            ModelError,
            "damaged: .* not whole",
        ),
        (
            lambda folder: (folder / "adapter_config.json").write_text("{"),
            ModelError,
            r"adapter_config\.json: can't be read",
        ),
        (
            lambda folder: (folder / "smallenough.json").write_text('{"prompt_class": "huge"}'),
            InputError,
            "prompt_class",
        ),
    ],
)
def test_damage_is_told(
    harm: Callable[[Path], object], error: type[Exception], said: str, write: Write, find: Find
) -> None:
    folder = write()
    harm(folder)
    with pytest.raises(error, match=said):
        find(folder)


def test_layers_that_are_called_otherwise_are_not_judged() -> None:
    assert adapters.misfit(lora(), {"language_model.q_proj.weight": (1, 1)}) is None
    assert adapters.misfit(lora(), {f"{LAYER}.weight": (INTO, OUT)}) is None, "laid out the other way round"
    assert adapters.misfit({f"{LAYER}.weight": (1, 1)}, {f"{LAYER}.weight": (6, 4)}) is None


class TestCatalogue:
    def test_an_adapter_is_asked_and_sampled_as_its_base(self, write: Write) -> None:
        folder = str(write(base_model_name_or_path="gemma3:270m-base"))
        entry = defaults_for(folder)
        assert (entry.size_class, entry.defaults.stop) == ("base", ("```",))
        assert class_as(folder, "large") == "base"
        assert defaults_of(folder, folder)["size_class"].value == "base"

    def test_but_by_the_prompts_that_it_was_trained_with(self, write: Write) -> None:
        folder = str(write(manifest={"base": "gemma3:270m-base", "prompt_class": "small"}))
        entry = defaults_for(folder)
        assert (entry.size_class, entry.defaults.stop) == ("small", ("```",))

    def test_of_a_base_that_the_catalogue_does_not_know(self, write: Write) -> None:
        assert lookup(str(write(base_model_name_or_path="maker/model"))) is None
        trained = write("trained", manifest={"base": "maker/model", "prompt_class": "base"})
        assert defaults_for(str(trained)).size_class == "base"

    @pytest.mark.parametrize("name", ["no-such", "~nobody-at-all/x", "a" * 5000, "nul\0"])
    def test_any_name_can_be_looked_up(self, name: str) -> None:
        assert lookup(name) is None


def test_a_header_that_is_none_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    for header in (b"[]", b'{"w": 3}', b'{"w": {"shape": 2, "data_offsets": [0, 0]}}', b"{}}"):
        path.write_bytes(len(header).to_bytes(8, "little") + header)
        with pytest.raises(ValueError, match=r"model\.safetensors|Extra data"):
            shapes(path)
