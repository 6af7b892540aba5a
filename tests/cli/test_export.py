"""`export`: what is refused before anything is made. What is made, `tests/sessions/test_export.py` sees."""

from __future__ import annotations

from pathlib import Path

import pytest

from smallenough.models import weights
from tests.cli.calling import call
from tests.models.test_weights import safetensors


@pytest.mark.parametrize("to", ["icd10", "ollama:", "huggingface:icd10"])
def test_only_ollama_models_are_made(to: str, capsys: pytest.CaptureFixture[str], fresh_store: Path) -> None:
    done = call(capsys, "export", "somewhere", "--to", to, "--store", fresh_store)
    assert (done.code, f"--to {to}: name an Ollama model, as in --to ollama:NAME" in done.err) == (2, True)


def test_what_is_no_adapter_is_told(capsys: pytest.CaptureFixture[str], fresh_store: Path, tmp_path: Path) -> None:
    done = call(capsys, "export", tmp_path / "nothing-here.d", "--to", "ollama:x", "--store", fresh_store)
    assert done.code == 3
    assert "knows no model" in done.err
    model = tmp_path / "model"
    model.mkdir()
    safetensors(model / "model.safetensors")
    for name in ("config.json", "tokenizer.json"):
        (model / name).write_text("{}")
    assert weights.find(str(model)).adapter is None
    done = call(capsys, "export", model, "--to", "ollama:x", "--store", fresh_store)
    assert done.code == 2
    assert "is a model, and no adapter; name the folder of a LoRA adapter" in done.err
