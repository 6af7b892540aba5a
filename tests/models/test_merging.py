"""Adapters in the embedded engine beside peft itself, which keeps them apart from their base."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from smallenough.errors import ModelError
from smallenough.models import weights
from smallenough.models.huggingface import HuggingFaceClient
from smallenough.records import Message, Request, Sampling
from tests.models.tiny_adapters import BASES, KINDS, QUESTIONS
from tests.models.tiny_models import NEW_TOKENS, PROMPTS

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def models(engine_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny models and their adapters; skips first where the engine isn't installed."""
    folder = tmp_path_factory.mktemp("adapters")
    subprocess.run([sys.executable, "-m", "tests.models.tiny_adapters", str(folder)], cwd=ROOT, check=True)
    return folder


@pytest.fixture
def client(tmp_path: Path) -> Iterator[HuggingFaceClient]:
    client = HuggingFaceClient(tmp_path / "cache")
    yield client
    client.close()


def ask(model: Path, prompt: str) -> Request:
    return Request(str(model), (Message("user", prompt),), Sampling(temperature=0.0, max_tokens=NEW_TOKENS), 120.0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("base", BASES)
def test_its_answers_are_those_of_peft_alone_and_together(
    base: str, kind: str, models: Path, client: HuggingFaceClient
) -> None:
    answers = json.loads((models / "answers.json").read_text("utf-8"))
    wanted = answers[f"{base}-{kind}"]
    assert wanted != answers[base], "it changes what its base answers"
    requests = [ask(models / f"{base}-{kind}", prompt) for prompt in PROMPTS]
    assert [client.generate(request).text for request in requests] == wanted
    with ThreadPoolExecutor(2 * len(PROMPTS)) as threads:
        assert [done.text for done in threads.map(client.generate, requests * 2)] == wanted * 2


def test_an_adapter_is_described_by_what_it_is_of(models: Path, client: HuggingFaceClient) -> None:
    base, info = client.describe(str(models / "plain")), client.describe(str(models / "plain-attention"))
    assert (info.family, info.parameters, info.context_length) == ("llama", base.parameters, base.context_length)
    assert info.digest != base.digest
    assert info.adapter is not None
    assert info.adapter.base == str(models / "plain")
    assert info.adapter.parameters == 3 * (4 * (32 + 32) + 4 * (32 + 16))
    assert base.adapter is None


def test_one_that_lacks_weights_or_has_too_many_is_refused(
    models: Path, client: HuggingFaceClient, tmp_path: Path
) -> None:
    from safetensors.torch import load_file, save_file

    source = models / "plain-attention"
    tensors = load_file(source / "adapter_model.safetensors")
    first = next(name for name in sorted(tensors) if "layers.0" in name)
    lacking = {name: tensor for name, tensor in tensors.items() if name != first}
    more = {**tensors, first.replace("layers.0", "layers.7"): tensors[first].clone()}
    for name, changed, said in (
        ("lacking", lacking, r"is not this model's: it lacks model\.layers\.0"),
        ("more", more, r"is not this model's: the model has no place for model\.layers\.7"),
    ):
        folder = tmp_path / name
        shutil.copytree(source, folder)
        save_file(changed, folder / "adapter_model.safetensors")
        with pytest.raises(ModelError, match=said):
            client.generate(ask(folder, "a"))


def test_one_with_modules_that_its_base_does_not_have_is_refused(
    models: Path, client: HuggingFaceClient, tmp_path: Path
) -> None:
    folder = tmp_path / "other"
    shutil.copytree(models / "plain-attention", folder)
    config = json.loads((folder / "adapter_config.json").read_text("utf-8"))
    (folder / "adapter_config.json").write_text(json.dumps({**config, "target_modules": ["c_attn"]}), "utf-8")
    with pytest.raises(ModelError, match=r"the adapter in .*other can't be merged into it: .*c_attn"):
        client.generate(ask(folder, "a"))


def test_one_that_is_no_number_is_refused(models: Path, client: HuggingFaceClient, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "nan"
    shutil.copytree(models / "plain-attention", folder)
    tensors = load_file(folder / "adapter_model.safetensors")
    save_file({name: tensor * float("nan") for name, tensor in tensors.items()}, folder / "adapter_model.safetensors")
    with pytest.raises(ModelError, match="can't be merged into it: NaNs detected"):
        client.generate(ask(folder, "a"))


def test_a_real_model_with_an_adapter_answers_as_with_peft(engine_cache: Path, tmp_path: Path) -> None:
    base = weights.find("smollm2:135m", engine_cache)
    command = [sys.executable, "-m", "tests.models.tiny_adapters", str(tmp_path), str(base.folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    manifest = {"base": "smollm2:135m", "base_digest": base.digest, "prompt_class": "small", "run_id": None}
    (tmp_path / "adapter" / "smallenough.json").write_text(json.dumps(manifest), "utf-8")
    client = HuggingFaceClient(engine_cache)
    try:
        plain = [client.generate(ask(Path("smollm2:135m"), question)).text for question in QUESTIONS]
        client.unload("smollm2:135m")
        with ThreadPoolExecutor(len(QUESTIONS)) as threads:
            found = [
                one.text for one in threads.map(client.generate, [ask(tmp_path / "adapter", q) for q in QUESTIONS])
            ]
    finally:
        client.close()
    wanted = json.loads((tmp_path / "answers.json").read_text("utf-8"))["adapter"]
    assert [text.strip() for text in found] == [text.strip() for text in wanted]
    assert found != plain
