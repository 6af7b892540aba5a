"""An adapter of a real model on a real Ollama server, beside the embedded engine."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import ollama
import pytest

from smallenough.errors import InputError, ModelError, ModelNotFound
from smallenough.models.catalogue import own
from smallenough.models.ollama import OllamaClient
from smallenough.records import Suite, Task
from smallenough.sessions.export import Exported, Wanted, export

pytestmark = [pytest.mark.ollama, pytest.mark.engine, pytest.mark.slow, pytest.mark.timeout(900)]

NAME, OTHER = "smallenough-test-export", "smallenough-test-base"
CAPITALS = {
    "France": "Paris", "Italy": "Rome", "Japan": "Tokyo", "Spain": "Madrid", "Germany": "Berlin", "Greece": "Athens",
    "Egypt": "Cairo", "Norway": "Oslo", "Peru": "Lima", "Kenya": "Nairobi",
}  # fmt: skip
TASKS = tuple(
    Task(country, f"What is the capital of {country}?", kind="label", labels=tuple(CAPITALS.values()))
    for country in CAPITALS
)
SUITE = Suite("capitals", TASKS)


@pytest.fixture(scope="module")
def adapter(engine_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter of smollm2:135m that has learned the capitals."""
    folder = tmp_path_factory.mktemp("export")
    rows = (
        {"task_id": one.id, "problem": one.prompt, "answer": CAPITALS[one.id], "labels": one.labels} for one in TASKS
    )
    (folder / "capitals.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    store = ("--store", str(folder / "store"))
    learning = ("--steps", "12", "--batch", "5", "--learning-rate", "1e-3", "--output", str(folder / "adapter"))
    for command in (
        ("tasks", "import", str(folder / "capitals.jsonl"), "--suite", "capitals", *store),
        ("train", "--suite", "capitals", "--model", "smollm2:135m", *learning, *store),
    ):
        environment = {**os.environ, "SMALLENOUGH_CACHE": str(engine_cache)}
        subprocess.run([sys.executable, "-m", "smallenough", *command], env=environment, check=True)
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
    client.close()


def made(adapter: Path, client: OllamaClient, **more: object) -> Exported:
    return export(Wanted(str(adapter), NAME, client.url, **more), SUITE, lambda _: None)  # type: ignore[arg-type]


def test_the_model_answers_as_the_embedded_engine_does(adapter: Path, client: OllamaClient) -> None:
    found = made(adapter, client)
    assert (found.name, found.url, found.base, found.prompts) == (NAME, client.url, "smollm2:135m", len(CAPITALS))
    assert found.same >= 8
    assert client.describe(NAME).parameters == 134_515_008
    entry = own(NAME)
    assert entry is not None
    assert (entry.size_class, entry.provider) == ("small", "ollama")
    with pytest.raises(InputError, match="has a model 'smallenough-test-export' already; choose another name"):
        made(adapter, client)
    assert made(adapter, client, replace=True) == found


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
        api.close()  # type: ignore[no-untyped-call]  # of ollama
    with pytest.raises(ModelNotFound):
        client.describe(NAME)
    assert own(NAME) is None


def test_a_base_that_the_server_does_not_have_is_told(adapter: Path, client: OllamaClient) -> None:
    with pytest.raises(ModelNotFound, match="base model has to be there: name it as that server calls it, with --base"):
        made(adapter, client, base="no-such-model")
