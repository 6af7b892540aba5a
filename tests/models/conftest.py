from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest

from smallenough.models.ollama import OllamaClient
from smallenough.records import Message, Request, Sampling
from tests.servers import faulty as program
from tests.servers.faulty import Fault, FaultyServer


class Connect(Protocol):
    def __call__(self, url: str, retries: int = 2, patience: float = 30.0) -> OllamaClient: ...


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes clients that are closed at the end."""
    clients: list[OllamaClient] = []

    def make(url: str, retries: int = 2, patience: float = 30.0) -> OllamaClient:
        clients.append(OllamaClient(url, retries=retries, patience=patience))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture
def faulty(server: FaultyServer, connect: Connect) -> OllamaClient:
    return connect(server.url)


@pytest.fixture
def apart(tmp_path: Path) -> Iterator[Callable[[Fault], str]]:
    """Starts servers in processes of their own, which fail each request in one way; gives their URLs."""
    with ExitStack() as running:

        def start(fault: Fault) -> str:
            answers = tmp_path / f"{fault}.jsonl"
            answers.write_text(json.dumps({"match": "", "answer": "", "fault": fault}), "utf-8")
            command = [sys.executable, program.__file__, "--answers", str(answers)]
            process = running.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            running.callback(process.terminate)
            assert process.stdout is not None
            return process.stdout.readline().strip()

        yield start


@pytest.fixture
def hello() -> Request:
    sampling = Sampling(temperature=0.0, max_tokens=6, seed=7)
    return Request("smollm2:135m", (Message("user", "Say hello."),), sampling, deadline=60.0, key="arm/hello/0/0")
