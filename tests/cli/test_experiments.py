"""The ready experiments, as far as they come without a model: each is planned, and what is missing is told."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

from tests.cli.calling import call
from tests.servers.faulty import FaultyServer, Model

ROOT = Path(__file__).parents[2]
READY = sorted((ROOT / "experiments").glob("*.yaml"))


def names(path: Path) -> list[str]:
    return [model["name"] for model in yaml.safe_load(path.read_text())["models"]]


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_a_ready_experiment_can_be_planned(
    path: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    has = {name if ":" in name else f"{name}:latest": Model() for name in names(path)}
    with FaultyServer(models=has) as server:
        done = call(capsys, "run", "--dry-run", "--json", "--config", path, "--url", server.url)
        assert server.state.requests["/api/chat"] == 0
    if "source: mbpp" in path.read_text() and "SMALLENOUGH_MBPP" not in os.environ:
        assert (done.code, "SMALLENOUGH_MBPP" in done.err) == (2, True), done.err
        return
    assert done.code == 0, done.err
    plan = json.loads(done.out)["plan"]
    assert {arm["model"] for arm in plan["arms"]} == set(names(path))
    marked = [arm for arm in plan["arms"] if arm["baseline"]]
    assert len(marked) == ("baseline: true" in path.read_text())
    assert plan["task_ids"]


@pytest.mark.parametrize("path", READY, ids=lambda path: path.stem)
def test_models_that_a_ready_experiment_lacks_are_all_told(
    path: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with FaultyServer(models={"other:latest": Model()}) as server:
        done = call(capsys, "run", "--dry-run", "--config", path, "--url", server.url)
    assert done.code in (2, 3)
    assert all(f"has no model {name!r}" in done.err for name in names(path)), done.err
