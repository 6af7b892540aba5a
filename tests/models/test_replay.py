from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from smallenough.contracts.model_client import ModelClientContract
from smallenough.errors import InfrastructureError, InputError, ModelError, ModelNotFound
from smallenough.models.ollama import OllamaClient
from smallenough.models.replay import RecordingClient, ReplayClient, request_digest
from smallenough.protocols import ModelClient
from smallenough.records import Completion, ModelInfo, Request, replace
from tests.servers.faulty import Answer, FaultyServer

HELLO = Completion(
    "hello", tokens_in=3, tokens_out=1, reasoning_tokens=0, finish="stop", started=1e9, seconds=2.0,
    first_token_seconds=1.0, server="http://there",
)  # fmt: skip


class TestReplayOfAFile(ModelClientContract):
    @pytest.fixture
    def request_(self, hello: Request) -> Request:
        return hello

    @pytest.fixture
    def client(self, tmp_path: Path, hello: Request) -> ModelClient:
        path = tmp_path / "recorded.jsonl"
        entry = {"key": hello.key, "digest": request_digest(hello), "model": hello.model, "completion": asdict(HELLO)}
        path.write_text(json.dumps(entry) + "\n", "utf-8")
        return ReplayClient.from_file(path)

    def check_when(self, completion: Completion, before: float) -> None:
        assert completion == HELLO


class TestReplayByAFunction(TestReplayOfAFile):
    @pytest.fixture
    def client(self, hello: Request) -> ModelClient:
        def answer(request: Request) -> Completion:
            if request.model != hello.model:
                raise ModelNotFound(f"{request.model} is not played here")
            return HELLO

        return ReplayClient(answer)


def test_what_is_recorded_is_answered_again(
    faulty: OllamaClient, server: FaultyServer, hello: Request, tmp_path: Path
) -> None:
    server.program(Answer("one"), Answer("two"), Answer("<think>é</think>three\n"))
    path = tmp_path / "recorded.jsonl"
    recorder = RecordingClient(faulty, path)
    assert isinstance(recorder, ModelClient)
    info = recorder.describe(hello.model)
    asked = [replace(hello, key=f"arm/hello/{repeat}/0") for repeat in range(3)]
    said = [recorder.generate(request) for request in asked]
    recorder.close()
    client = ReplayClient.from_file(path)
    assert [client.generate(request) for request in reversed(asked)] == said[::-1]
    assert client.generate(replace(hello, key="another session")) == said[0]
    assert client.describe(hello.model) == info
    assert server.state.requests["/api/chat"] == 3


def test_a_changed_request_is_not_answered_by_its_old_key(hello: Request, tmp_path: Path) -> None:
    path = tmp_path / "recorded.jsonl"
    entry = {"key": hello.key, "digest": request_digest(hello), "completion": {"text": "old"}}
    path.write_text(json.dumps(entry) + "\n", "utf-8")
    client = ReplayClient.from_file(path)
    assert client.generate(replace(hello, key="any", deadline=None)).text == "old"
    changed = replace(hello, sampling=replace(hello.sampling, seed=8))
    with pytest.raises(
        ModelNotFound, match=r"recorded\.jsonl: nothing .* that key is recorded with another model, other m"
    ):
        client.generate(changed)


def test_a_recording_that_went_away_or_changed_is_an_error_of_ours(hello: Request, tmp_path: Path) -> None:
    path = tmp_path / "recorded.jsonl"
    entry = json.dumps({"key": hello.key, "completion": {"text": "old"}})
    path.write_text("\n" + entry + "\n", "utf-8")
    client = ReplayClient.from_file(path)
    path.write_text(entry + "\n", "utf-8")
    with pytest.raises(ModelError, match=r"recorded\.jsonl: was changed since it was opened"):
        client.generate(hello)
    path.unlink()
    with pytest.raises(ModelError, match=r"recorded\.jsonl: can't be read any more: No such file"):
        client.generate(hello)


def test_a_recording_on_a_full_disk_is_an_error_of_ours(faulty: OllamaClient, hello: Request) -> None:
    recorder = RecordingClient(faulty, "/dev/full")
    for call in (lambda: recorder.generate(hello), lambda: recorder.describe(hello.model), recorder.close):
        with pytest.raises(InfrastructureError, match="/dev/full: can't be written: No space left"):
            call()
    recorder.close()


def test_an_entry_may_have_a_key_alone(hello: Request, tmp_path: Path) -> None:
    path = tmp_path / "written.jsonl"
    path.write_text(f'\n{{"key": "{hello.key}", "completion": {{"text": "by hand"}}}}\n', "utf-8")
    client = ReplayClient.from_file(path)
    assert client.generate(hello).text == "by hand"
    with pytest.raises(ModelNotFound, match=r"key 'arm/hallo/0/0'.* nearest key is 'arm/hello/0/0'"):
        client.generate(replace(hello, key="arm/hallo/0/0"))


def test_an_unrecorded_model_is_not_described(tmp_path: Path) -> None:
    path = tmp_path / "written.jsonl"
    path.write_text('{"key": "k", "model": "mistral", "completion": {"text": "x"}}\n', "utf-8")
    client = ReplayClient.from_file(path)
    assert client.describe("mistral") == ModelInfo("mistral", "replay")
    with pytest.raises(ModelNotFound, match="'llama2' is not recorded; recorded: mistral"):
        client.describe("llama2")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"key": "k", "completion": {"text"', r"line 2: column 35: not JSON"),
        ('{"key": "k"}', "line 2: 'completion' is missing"),
        ('{"completion": {"text": "x"}}', "line 2: a completion needs a key or a digest"),
        ('{"key": "k", "completion": {"txt": "x"}}', "line 2: completion: unknown key 'txt'"),
        ('{"key": "k", "completion": {"text": 7}}', "line 2: text: Input should be a valid string"),
        ('{"kye": "k", "completion": {"text": "x"}}', "line 2: entry: unknown key 'kye'; known: key, digest"),
        ("[]", "line 2: entry: not an object, but list"),
        ('{"key": "k", "completion": "x"}', "line 2: completion: not an object, but str"),
    ],
)
def test_a_faulty_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "faulty.jsonl"
    path.write_text('{"key": "k", "completion": {"text": "x"}}\n' + line, "utf-8")
    with pytest.raises(InputError, match=rf"faulty\.jsonl, {words}"):
        ReplayClient.from_file(path)


def test_files_that_are_not_there_are_named(tmp_path: Path, faulty: OllamaClient) -> None:
    with pytest.raises(InputError, match=r"none\.jsonl: can't be read: No such file"):
        ReplayClient.from_file(tmp_path / "none.jsonl")
    with pytest.raises(InputError, match="can't be written: No such file"):
        RecordingClient(faulty, tmp_path / "none" / "x.jsonl")
