"""What of an adapter Ollama reads, and what it would make something else of."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from smallenough.errors import InputError
from smallenough.models.adapters import AdapterFolder, read
from smallenough.models.catalogue import add, load, own
from smallenough.models.ollama_adapter import files_for_ollama
from tests.models.test_adapters import lora, safetensors

Make = Callable[..., AdapterFolder]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(tensors: Mapping[str, tuple[int, ...]] | None = None, **config: Any) -> AdapterFolder:
        whole = {"peft_type": "LORA", "base_model_name_or_path": "smollm2:135m", "r": 4, "lora_alpha": 8, **config}
        (tmp_path / "adapter_config.json").write_text(json.dumps(whole))
        safetensors(tmp_path / "adapter_model.safetensors", tensors or lora(4))
        return read(tmp_path)

    return made


@pytest.mark.parametrize(
    ("config", "alpha"),
    [({}, 8), ({"lora_alpha": 16.0}, 16), ({"use_rslora": True}, 16), ({"r": 9, "use_rslora": True}, 24)],
)
def test_the_scale_is_said_as_ollama_reads_it(
    config: Mapping[str, Any], alpha: int, make: Make, tmp_path: Path
) -> None:
    (tmp_path / "staging").mkdir()
    files = files_for_ollama(make(**config), tmp_path / "staging")
    written = json.loads(files["adapter_config.json"].read_text())
    assert written == {"r": config.get("r", 4), "lora_alpha": alpha}
    assert isinstance(written["lora_alpha"], int), "Ollama parses no other number"
    assert files["adapter_model.safetensors"] == tmp_path / "adapter_model.safetensors"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"use_dora": True}, "plain LoRA adapters only, and this one has use_dora"),
        ({"modules_to_save": ["lm_head"]}, "has modules_to_save"),
        ({"rank_pattern": {"q_proj": 8}, "bias": "all"}, "has rank_pattern, bias"),
        ({"r": 8, "use_rslora": True}, r"whole numbers for alpha, and with use_rslora it would be 22\.6274"),
        ({"lora_alpha": 0.5}, "it would be 0.5"),
    ],
)
def test_what_ollama_would_not_read_is_refused(
    config: Mapping[str, Any], said: str, make: Make, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=said):
        files_for_ollama(make(**config), tmp_path)


def test_weights_that_are_no_lora_s_are_refused(make: Make, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has other weights"):
        files_for_ollama(make({**lora(4), "base_model.model.lm_head.weight": (2, 2)}), tmp_path)


class TestCatalogue:
    """An exported model is named in the user's own catalogue."""

    ENTRY: Mapping[str, Any] = {"name": "icd10", "size_class": "base", "sampling": {"temperature": 0.5}}

    @pytest.fixture(autouse=True)
    def here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.chdir(tmp_path)
        return tmp_path / "config" / "models.yaml"

    def test_the_file_is_made(self, here: Path) -> None:
        assert add(self.ENTRY) == Path("config/models.yaml")
        entry = own("icd10")
        assert entry is not None
        assert (entry.size_class, entry.defaults.temperature) == ("base", 0.5)

    def test_what_is_there_stays_and_the_entry_is_replaced(self, here: Path) -> None:
        here.parent.mkdir()
        here.write_text("# mine\n- name: fast  # the quick one\n  reference: smollm2\n")
        add(self.ENTRY)
        add({"name": "other"})
        add({**self.ENTRY, "description": "new: with a colon, and ümlauts"})
        assert list(load(here)) == ["fast", "other", "icd10"]
        assert load(here)["icd10"].description == "new: with a colon, and ümlauts"
        assert here.read_text().startswith("# mine\n- name: fast  # the quick one\n  reference: smollm2\n")

    def test_an_entry_of_one_s_own_is_not_touched(self, here: Path) -> None:
        here.parent.mkdir()
        here.write_text("- name: icd10\n")
        with pytest.raises(InputError, match="has an entry 'icd10' of your own; choose another name"):
            add(self.ENTRY)
        assert here.read_text() == "- name: icd10\n"

    def test_what_would_not_be_understood_is_not_written(self, here: Path) -> None:
        here.parent.mkdir()
        here.write_text("[]\n")
        with pytest.raises(InputError):
            add(self.ENTRY)
        assert [path.read_text() for path in here.parent.iterdir()] == ["[]\n"]
