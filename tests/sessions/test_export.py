"""An adapter of a real model on a real Ollama server, beside the embedded engine."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import ollama
import pytest

from smallenough.errors import InputError, ModelError, ModelNotFound
from smallenough.models import weights
from smallenough.models.catalogue import own
from smallenough.models.ollama import OllamaClient
from smallenough.records import Suite, Task
from smallenough.sessions.export import Exported, Wanted, export

pytestmark = [pytest.mark.ollama, pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
NAME, OTHER = "smallenough-test-export", "smallenough-test-base"
CAPITALS = {
    "France": "Paris", "Italy": "Rome", "Japan": "Tokyo", "Spain": "Madrid", "Germany": "Berlin", "Greece": "Athens",
    "Egypt": "Cairo", "Norway": "Oslo", "Peru": "Lima", "Kenya": "Nairobi",
}  # fmt: skip
SUITE = Suite(
    "capitals",
    tuple(
        Task(country, f"What is the capital of {country}?", kind="label", labels=tuple(CAPITALS.values()))
        for country in CAPITALS
    ),
)


@pytest.fixture(scope="module")
def adapter(engine_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random adapter of all linear layers of smollm2:135m, with another base's name in peft's own file."""
    folder = tmp_path_factory.mktemp("export")
    base = weights.find("smollm2:135m", engine_cache)
    command = [sys.executable, "-m", "tests.models.tiny_adapters", str(folder), str(base.folder)]
    subprocess.run(command, cwd=ROOT, check=True)
    manifest = {"base": "smollm2:135m", "base_digest": base.digest, "prompt_class": "small"}
    (folder / "adapter" / "smallenough.json").write_text(json.dumps(manifest), "utf-8")
    return folder / "adapter"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, engine_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALLENOUGH_CACHE", str(engine_cache))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def client(ollama_url: str) -> Iterator[OllamaClient]:
    client = OllamaClient(ollama_url)
    yield client
    with contextlib.suppress(ModelNotFound):
        client.delete(NAME)
    client.close()


def made(adapter: Path, client: OllamaClient, **more: object) -> Exported:
    return export(Wanted(str(adapter), NAME, client.url, **more), SUITE, lambda _: None)  # type: ignore[arg-type]


def test_the_model_answers_as_the_embedded_engine_does(adapter: Path, client: OllamaClient) -> None:
    # The server's base has 4 bits and rounded activations, and a random adapter leaves many tokens nearly as likely.
    found = made(adapter, client, tolerance=0.4)
    assert (found.name, found.url, found.base, found.prompts) == (NAME, client.url, "smollm2:135m", len(CAPITALS))
    assert found.same >= 6
    assert client.describe(NAME).parameters == 134_515_008
    entry = own(NAME)
    assert entry is not None
    assert (entry.size_class, entry.provider) == ("small", "ollama")
    with pytest.raises(InputError, match="has a model 'smallenough-test-export' already; choose another name"):
        made(adapter, client)
    assert made(adapter, client, tolerance=0.4, replace=True) == found


def test_one_that_answers_otherwise_is_removed_again(adapter: Path, client: OllamaClient) -> None:
    api = ollama.Client(client.url)
    api.create(model=OTHER, from_="smollm2:135m", template="{{ .Prompt }} In short:")
    try:
        with pytest.raises(
            ModelError, match=r"answers \d of 10 prompts as the embedded engine does, and at most 20% may"
        ):
            made(adapter, client, base=OTHER)
    finally:
        api.delete(OTHER)
    with pytest.raises(ModelNotFound):
        client.describe(NAME)
    assert own(NAME) is None


def test_a_base_that_the_server_does_not_have_is_told(adapter: Path, client: OllamaClient) -> None:
    with pytest.raises(ModelNotFound, match="base model has to be there: name it as that server calls it, with --base"):
        made(adapter, client, base="no-such-model")
