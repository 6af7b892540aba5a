"""A server of this machine's own, and `run` on it through the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.calling import Called, call
from tests.servers.faulty import Answer, FaultyServer, Model

ADD = "```python\ndef add(a, b):\n    return a + b\n```"


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with FaultyServer(
        lambda _body: Answer(ADD), models={"tiny:latest": Model(), "big:latest": Model(parameters=8 * 10**9)}
    ) as found:
        yield found


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], fresh_store: Path, server: FaultyServer) -> Any:
    def called(*arguments: object) -> Called:
        return call(capsys, "run", *arguments, "--url", server.url, "--store", fresh_store)

    return called


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A file with one task."""
    path = tmp_path / "mine.jsonl"
    task = {
        "task_id": "t1", "name": "add", "problem": "Write a function func(a, b) that adds.", "category": "sums",
        "canonical_solution": "def add(a, b):\n    return a + b", "complexity": 1, "object": "function",
        "tests": json.dumps([{"ctx": "", "assertion": f"assert func({n}, 1) == {n + 1}"} for n in range(4)]),
    }  # fmt: skip
    path.write_text(json.dumps(task) + "\n")
    return path
