"""The shared fixtures skip where they may, and fail where a skip would hide something."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROBE = """
import os
import pytest

@pytest.mark.ollama
def test_marked():
    pass

@pytest.mark.engine
def test_engine():
    pass

@pytest.mark.slow
def test_slow():
    pass

def test_settings():
    assert "MLFLOW_TRACKING_URI" not in os.environ
    assert "OPENAI_API_KEY" not in os.environ
"""
INI = "[pytest]\nmarkers =\n    ollama: a\n    engine: b\n    slow: c\n"
UNSET = ("CI", "SMALLENOUGH_TEST_ALL", "SMALLENOUGH_TEST_OLLAMA", "SMALLENOUGH_TEST_CACHE", "PYTEST_ADDOPTS")


def outcome(folder: Path, *arguments: str, **environment: str) -> str:
    """The closing line of a pytest run of its own, without its duration."""
    shutil.copy(Path(__file__).with_name("conftest.py"), folder)
    (folder / "pytest.ini").write_text(INI)
    (folder / "test_probe.py").write_text(PROBE)
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    kept |= {"PYTHONPATH": str(Path(__file__).parents[1])}
    kept |= {"MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "OPENAI_API_KEY": "a key"} | environment
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True, timeout=60)
    return done.stdout.rstrip().rpartition("\n")[2].partition(" in ")[0]


def test_without_server_and_engine_marked_tests_are_skipped(tmp_path: Path) -> None:
    assert outcome(tmp_path) == "1 passed, 3 skipped"


@pytest.mark.parametrize("required", ["CI", "SMALLENOUGH_TEST_ALL"])
def test_where_they_are_required_their_absence_is_a_failure(tmp_path: Path, required: str) -> None:
    assert outcome(tmp_path, **{required: "1"}) == "1 passed, 2 skipped, 1 error"
    assert outcome(tmp_path, "--slow", **{required: "1"}) == "2 passed, 2 errors"


def test_a_server_that_does_not_answer_is_a_failure_everywhere(tmp_path: Path) -> None:
    url = "http://127.0.0.1:9"
    assert outcome(tmp_path, SMALLENOUGH_TEST_OLLAMA=url) == "1 passed, 2 skipped, 1 error"


def test_slow_tests_run_on_demand(tmp_path: Path) -> None:
    assert outcome(tmp_path, "--slow") == "2 passed, 2 skipped"


@pytest.mark.xdist_group("grouped")
def test_groups_reach_the_scheduler(request: pytest.FixtureRequest) -> None:
    """Else what a module's tests share is made again by every worker, and they ask the real server at the same time."""
    if not request.config.getoption("loadgroup", False):
        pytest.skip("only with --numprocesses and --dist loadgroup")
    assert request.node.nodeid.endswith("@grouped")
