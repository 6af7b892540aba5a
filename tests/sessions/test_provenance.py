from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import smallenough
from smallenough.sessions.provenance import code_commit, commit, provenance


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=t", "-c", "user.email=t@localhost")
    done = subprocess.run(["git", "-C", str(folder), *who, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: somebody's own repository."""
    git(tmp_path, "init", "-q")
    (tmp_path / "experiment.yaml").write_text("suite: basics")
    git(tmp_path, "add", "experiment.yaml")
    git(tmp_path, "commit", "-q", "-m", "first")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commit_is_that_of_the_code_wherever_it_is_started(elsewhere: Path) -> None:
    own = git(elsewhere, "rev-parse", "--short=12", "HEAD")
    told = provenance()
    assert told["working_folder_git_commit"] == own
    assert told["git_commit"] == code_commit(Path(smallenough.__file__))
    assert told["git_commit"] != own


def test_installed_code_has_no_commit_even_within_a_repository(elsewhere: Path) -> None:
    package = elsewhere / ".venv" / "smallenough"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    assert code_commit(package / "__init__.py") is None
    git(elsewhere, "add", "--force", ".venv/smallenough/__init__.py")
    assert code_commit(package / "__init__.py") == commit(elsewhere)


def test_a_folder_that_is_no_repository_has_none(tmp_path: Path) -> None:
    assert commit(tmp_path) is None


def test_the_command_is_told_without_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["smallenough", "run", "--tracking-uri=http://me:S3cr3t@host"])
    assert provenance()["command"] == "smallenough run --tracking-uri=http://me:***@host"
