"""`run` on data that it imports first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smallenough import journal
from smallenough.tracking.store import Store
from smallenough.tracking.suites import list_suites
from tests.cli.calling import call

ROOT = Path(__file__).parents[2]


def test_data_is_imported_and_run_in_one_go(run: Any, mine: Path, fresh_store: Path) -> None:
    done = run("--import-data", "--jsonl-file", mine, "--model", "tiny", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["comparison"]["rows"][0]["solved_rate"]["rate"] == 1
    (one,) = journal.sessions(fresh_store / "journal")
    assert (one.suite, one.trials) == ("mine", 1)
    assert journal.read_suite(one.folder).version == 1


def test_data_alone_is_imported_and_told_as_json(
    capsys: pytest.CaptureFixture[str], mine: Path, fresh_store: Path
) -> None:
    done = call(capsys, "--import-data", "--jsonl-file", mine, "--suite", "sums", "--json", "--store", fresh_store)
    assert done.code == 0, done.err
    assert json.loads(done.out) | {"digest": ""} == {
        "suite": "sums", "version": 1, "digest": "", "tasks": 1, "imported": True
    }  # fmt: skip


def test_a_dry_run_of_an_import_saves_nothing(run: Any, mine: Path, fresh_store: Path) -> None:
    store = Store.resolve(None, fresh_store)
    done = run("--import-data", "--jsonl-file", mine, "--model", "tiny", "--dry-run", "--json")
    assert json.loads(done.out)["plan"]["suite"] == "mine"
    assert list_suites(store) == []
    mine.write_text(mine.read_text().replace("a + b", "a - b"))
    done = run("--import-data", "--jsonl-file", mine, "--model", "tiny", "--dry-run")
    assert done.code == 2
    assert "the reference of 't1' fails its test" in done.err


def test_what_is_imported_runs_also_on_models_of_a_file_and_of_the_environment(
    run: Any, mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "e.yaml").write_text("models: [{name: tiny}]\n")
    done = run("--import-data", "--jsonl-file", mine, "--config", tmp_path / "e.yaml", "--dry-run", "--json")
    assert [arm["name"] for arm in json.loads(done.out)["plan"]["arms"]] == ["tiny single"]
    monkeypatch.setenv("OLLAMA_MODEL", "big")
    done = run("--import-data", "--jsonl-file", mine, "--dry-run", "--json")
    assert [arm["name"] for arm in json.loads(done.out)["plan"]["arms"]] == ["big single"]


def test_a_file_called_like_a_built_in_suite_needs_another_name(run: Any, mine: Path) -> None:
    done = run("--import-data", "--jsonl-file", mine.rename(mine.with_name("mbpp.jsonl")), "--model", "tiny")
    assert done.code == 2
    assert "'mbpp' is the name of a built-in suite; give another one, as --suite my-mbpp" in done.err


def test_importing_keeps_what_there_is_if_that_is_wanted(run: Any, mine: Path) -> None:
    assert run("--import-data", "--jsonl-file", mine, "--model", "tiny").code == 0
    mine.write_text(mine.read_text().replace('"t1"', '"t2"'))
    done = run("--import-data", "--jsonl-file", mine, "--no-clear", "--model", "tiny", "--dry-run", "--json")
    assert json.loads(done.out)["plan"]["task_ids"] == ["t1", "t2"]
