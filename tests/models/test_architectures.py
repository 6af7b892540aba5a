"""Models of several architectures in the embedded engine, tiny and random, beside transformers itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from smallenough.errors import InputError, ModelError
from smallenough.models import weights
from smallenough.models.huggingface import HuggingFaceClient
from smallenough.records import Message, Request, Sampling
from tests.full_disk import on_small_disk
from tests.models.tiny_models import CONFIGURATIONS, CONTEXT, GGUF, NEW_TOKENS, PROMPTS
from tests.servers.hub import Hub

pytestmark = pytest.mark.engine

ROOT = Path(__file__).parents[2]
OFTEN = ("gemma3_text", "mixtral")
"""The two that are most unlike Llama: layers with windows among others, and experts, whose rows never agree."""


@pytest.fixture(scope="module")
def models(engine_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the tiny models; skips first where the engine isn't installed."""
    folder = tmp_path_factory.mktemp("tiny")
    subprocess.run([sys.executable, "-m", "tests.models.tiny_models", str(folder)], cwd=ROOT, check=True)
    return folder


@pytest.fixture
def client(tmp_path: Path) -> Iterator[HuggingFaceClient]:
    client = HuggingFaceClient(tmp_path / "cache")
    yield client
    client.close()


def ask(model: Path, prompt: str, tokens: int = NEW_TOKENS) -> Request:
    return Request(str(model), (Message("user", prompt),), Sampling(temperature=0.0, max_tokens=tokens), 120.0)


@pytest.mark.parametrize(
    "kind", [kind if kind in OFTEN else pytest.param(kind, marks=pytest.mark.slow) for kind in CONFIGURATIONS]
)
def test_its_answers_are_those_of_transformers_alone_and_together(
    kind: str, models: Path, client: HuggingFaceClient
) -> None:
    wanted = json.loads((models / "answers.json").read_text("utf-8"))[kind]
    requests = [ask(models / kind, prompt) for prompt in PROMPTS]
    assert [client.generate(request).text for request in requests] == wanted
    with ThreadPoolExecutor(2 * len(PROMPTS)) as threads:
        assert [done.text for done in threads.map(client.generate, requests * 2)] == wanted * 2


def test_without_a_chat_template_the_text_is_continued(models: Path, client: HuggingFaceClient) -> None:
    together = Request(
        str(models / "llama"), (Message("system", "a"), Message("user", "b")), Sampling(temperature=0.0, max_tokens=9)
    )
    assert client.generate(together).text == client.generate(ask(models / "llama", "a\n\nb", 9)).text


def test_a_model_whose_files_lack_weights_is_refused(models: Path, client: HuggingFaceClient, tmp_path: Path) -> None:
    folder = tmp_path / "lacking"
    shutil.copytree(models / "qwen2", folder)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(
        json.dumps({**config, "num_hidden_layers": 4, "layer_types": ["full_attention"] * 4}), "utf-8"
    )
    with pytest.raises(ModelError, match=r"can't be used: \d+ of its weights are not in its files, model\.layers\.3"):
        client.generate(ask(folder, "a"))


def test_a_model_whose_attention_can_t_be_replaced_is_refused(
    models: Path, client: HuggingFaceClient, tmp_path: Path
) -> None:
    folder = tmp_path / "bloom"
    shutil.copytree(models / "qwen2", folder)
    (folder / "config.json").write_text(json.dumps({"model_type": "bloom", "hidden_size": 32}), "utf-8")
    with pytest.raises(ModelError, match=r"can't be used: bloom models don't .* take a model of another family"):
        client.generate(ask(folder, "a"))


def test_a_gguf_file_is_converted_once_and_answers_as_it_did(
    models: Path, client: HuggingFaceClient, tmp_path: Path
) -> None:
    file, told = models / f"{GGUF}.gguf", []
    for _ in range(2):
        found = weights.fetch(str(file), lambda status, *_: told.append(status), tmp_path / "cache")
    assert told.count("converting") == 1
    assert (found.quantization, found.family, found.context_length) == ("F32", "qwen2", CONTEXT)
    wanted = json.loads((models / "answers.json").read_text("utf-8"))[GGUF]
    assert [client.generate(ask(file, prompt)).text for prompt in PROMPTS] == wanted


def test_a_gguf_file_that_finds_no_space_is_told(models: Path, tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    environment = {**os.environ, "SMALLENOUGH_CACHE": str(tmp_path / "cache"), "OLLAMA_HOST": "127.0.0.1:9"}
    size = (models / f"{GGUF}.gguf").stat().st_size
    for room, said in (
        (size // 2, r"needs \d+ kB in .* free: free some, or name a folder on another disk with SMALLENOUGH_CACHE"),
        (size + 20_000, r"could not be converted \(.*No space left.*\); free some, or name .* SMALLENOUGH_CACHE"),
    ):
        pull = [sys.executable, "-m", "smallenough", "models", "--pull", f"huggingface:{models / GGUF}.gguf"]
        done = on_small_disk(tmp_path / "cache", room // 1024, pull, environment)
        assert done.returncode == 3
        assert re.search(said, done.stderr), done.stderr


def test_a_model_of_a_hub_answers(models: Path, tmp_path: Path) -> None:
    shutil.copytree(models / "llama", tmp_path / "hub" / "maker" / "tiny-llama")
    with Hub(tmp_path / "hub") as hub:
        environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
        pull = [sys.executable, "-m", "smallenough", "models", "--pull", "huggingface:maker/tiny-llama"]
        subprocess.run(pull, env=environment, check=True)
    source = (
        "import sys; from smallenough.models.huggingface import HuggingFaceClient\n"
        "from tests.models.test_architectures import Path, ask\n"
        "client = HuggingFaceClient()\n"
        "print(client.generate(ask(Path('maker/tiny-llama'), sys.argv[1])).text, end='')\n"
        "client.close()"
    )
    for prompt, wanted in zip(PROMPTS, json.loads((models / "answers.json").read_text("utf-8"))["llama"], strict=True):
        command = [sys.executable, "-c", source, prompt]
        done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, check=True)
        assert done.stdout.decode() == wanted


def test_a_gguf_file_that_is_cut_off_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "odd.gguf").write_bytes(b"GGUF" + (3).to_bytes(4, "little") + bytes(3))
    with pytest.raises(InputError, match=r"odd\.gguf is no GGUF file that transformers can read"):
        weights.fetch(str(tmp_path / "odd.gguf"), lambda *_: None, tmp_path / "cache")
    assert [path.suffix for path in (tmp_path / "cache" / "models").iterdir()] == [".lock"]


def test_a_gguf_file_of_an_unknown_architecture_is_named(tmp_path: Path) -> None:
    name, value = b"general.architecture", b"abacus"
    pair = len(name).to_bytes(8, "little") + name + (8).to_bytes(4, "little") + len(value).to_bytes(8, "little") + value
    head = b"GGUF" + (3).to_bytes(4, "little") + (0).to_bytes(8, "little") + (1).to_bytes(8, "little")
    (tmp_path / "abacus.gguf").write_bytes(head + pair)
    with pytest.raises(InputError, match=r"abacus\.gguf is no GGUF file that transformers can read: .*abacus"):
        weights.fetch(str(tmp_path / "abacus.gguf"), lambda *_: None, tmp_path / "cache")
