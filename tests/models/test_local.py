from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from smallenough.errors import InputError
from smallenough.models.local import server_processes, server_url
from smallenough.models.ollama import OllamaClient
from tests.servers.faulty import FaultyServer

FAULTY = Path(__file__).parents[1] / "servers" / "faulty.py"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("example.com", "http://example.com:11434"),
        ("example.com:8080", "http://example.com:8080"),
        (":8080", "http://127.0.0.1:8080"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("http://example.com", "http://example.com:80"),
        ("https://example.com/", "https://example.com:443"),
        ("https://example.com:8443/ollama/", "https://example.com:8443/ollama"),
        ("[::1]:8080", "http://[::1]:8080"),
        ("::1", "http://[::1]:11434"),
        ("[::]", "http://[::1]:11434"),
        ("  '10.0.0.1' ", "http://10.0.0.1:11434"),
    ],
)
def test_a_url_is_read_as_ollama_reads_it(text: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert server_url(text) == url
    assert server_url(url) == url
    monkeypatch.setenv("OLLAMA_HOST", text)
    assert server_url() == url
    client = OllamaClient()
    assert client.url == url


def test_without_the_variable_it_is_ollama_s_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OLLAMA_HOST", raising=False)
    assert server_url() == "http://127.0.0.1:11434"


@pytest.mark.parametrize(
    "text", ["ftp://example.com", "host:port", "host:99999", "two words", "http://a?b=c", "http://[::1"]
)
def test_what_is_no_address_is_named(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match=r"^URL '.*' is not a server's address"):
        server_url(text)
    monkeypatch.setenv("OLLAMA_HOST", text)
    with pytest.raises(InputError, match=r"OLLAMA_HOST: .* is not a server's address"):
        server_url()


def test_a_server_is_found_by_its_port() -> None:
    with subprocess.Popen([sys.executable, str(FAULTY)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            assert server_processes(url, "ollama") == [process.pid]
            assert server_processes(url.replace("127.0.0.1", "localhost"), "ollama") == [process.pid]
        finally:
            process.terminate()


def test_a_server_elsewhere_is_not_looked_for(server: FaultyServer) -> None:
    port = server.url.rpartition(":")[2]
    assert server_processes(server.url, "ollama") == [os.getpid()]
    assert server_processes(f"http://192.0.2.1:{port}", "ollama") is None
    assert server_processes(f"http://no-such-host.invalid:{port}", "ollama") is None


@pytest.fixture
def named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A program whose name nobody else has, on a machine where nobody's sockets can be seen."""

    def hidden(kind: str) -> list[object]:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil, "net_connections", hidden)
    program = tmp_path / f"se{os.getpid()}"
    program.write_bytes(Path("/bin/bash").read_bytes())
    program.chmod(0o755)
    return str(program)


READY = "echo ready; read line"


def start(*command: str) -> subprocess.Popen[str]:
    """A process that is up when this returns, and ends with its input."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_a_hidden_server_is_found_by_name_unless_several_have_it(named: str) -> None:
    url, name = "http://127.0.0.1:11434", Path(named).name
    assert server_processes(url, name) is None
    with start(named, "-c", READY) as one:
        assert server_processes(url, name) == [one.pid]
        with start(named, "-c", READY):
            assert server_processes(url, name) is None


def test_only_the_root_of_a_tree_is_named(named: str) -> None:
    with start(named, "-c", f"{named} -c '{READY}'; true") as root:
        assert psutil.Process(root.pid).children()
        assert server_processes("http://127.0.0.1:11434", Path(named).name) == [root.pid]
