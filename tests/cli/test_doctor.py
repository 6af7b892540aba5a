from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, TypeAlias

import pytest

from smallenough.sessions import doctor
from tests.cli.calling import call
from tests.servers.faulty import FaultyServer

NO_OLLAMA = "127.0.0.1:9"

Doctor: TypeAlias = Callable[..., tuple[int, dict[str, list[dict[str, Any]]]]]


@pytest.fixture
def examine(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Doctor:
    """Runs `doctor --json` on a store of its own; gives the exit code, and the findings by part."""

    def run(*arguments: object, url: str = NO_OLLAMA) -> tuple[int, dict[str, list[dict[str, Any]]]]:
        said = call(capsys, "doctor", "--json", "--store", tmp_path / "store", "--url", url, *arguments)
        answer = json.loads(said.out)
        assert (said.code == 0) == answer["ready"]
        parts: dict[str, list[dict[str, Any]]] = {}
        for finding in answer["findings"]:
            assert finding["state"] in ("ok", "missing", "broken")
            parts.setdefault(finding["part"], []).append(finding)
        return said.code, parts

    return run


@pytest.fixture
def database(fresh_store: Path) -> Path:
    """The database of a real store, which `examine` looks at."""
    return fresh_store / "mlflow.db"


def execute(database: Path, statement: str) -> None:
    with sqlite3.connect(database) as connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.ollama
def test_where_all_is_there_a_first_run_can_begin(
    ollama_url: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    said = call(capsys, "doctor", "--url", ollama_url, "--store", tmp_path / "store")
    assert said.code == 0, said.out
    assert "smollm2:135m" in said.out
    assert said.out.splitlines()[-1].startswith("everything that a first run needs is there")
    assert not (tmp_path / "store").exists()


def test_what_is_missing_is_told_with_its_mend(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    said = call(capsys, "doctor", "--url", NO_OLLAMA, "--store", tmp_path)
    assert said.code == 3
    lines = said.out.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith("missing * ollama: "))
    assert "ollama serve" in lines[place + 1]
    assert lines[-1] == "a first run still needs: ollama"


def test_every_part_is_looked_at_though_one_is_missing(examine: Doctor) -> None:
    code, parts = examine()
    assert code == 3
    assert set(parts) >= {
        "python", "packages", "packages of extra hf", "ollama", "embedded engine", "sandbox bubblewrap",
        "tracking store", "journal folder", "disk", "memory", "cpu", "idle machine", "gpu", "energy counters",
        "mbpp file", "prompt templates",
    }  # fmt: skip
    assert parts["ollama"][0]["state"] == "missing"
    sandbox = parts["sandbox bubblewrap"][0]
    assert (sandbox["state"], sandbox["values"]["isolation"].startswith("namespaces")) == ("ok", True), sandbox
    assert parts["packages"][0]["values"]["mlflow"]
    assert parts["disk"][0]["values"]["free_bytes"] > 0
    assert 0 <= parts["idle machine"][0]["values"]["busy"] <= 1
    assert "the first run makes it" in parts["tracking store"][0]["detail"]
    gpu = parts["gpu"][0]
    assert gpu["state"] == "ok" or "leave --concurrency at 1" in gpu["mend"]


@pytest.mark.engine
def test_with_a_model_in_the_engine_no_server_is_needed(
    examine: Doctor, engine_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, without = examine()
    (found,) = without["embedded engine"]
    assert (found["state"], found["mend"]) == ("missing", "run: smallenough models --pull huggingface:smollm2:135m")
    monkeypatch.setenv("SMALLENOUGH_CACHE", str(engine_cache))
    code, parts = examine()
    assert code == 0
    assert parts["embedded engine"][0]["values"]["models"] == ["huggingface:smollm2:135m"]
    assert (parts["ollama"][0]["state"], parts["ollama"][0]["needed"]) == ("missing", False)


def test_a_server_without_models_is_not_enough(examine: Doctor) -> None:
    with FaultyServer() as server:
        server.state.models.clear()
        code, parts = examine(url=server.url)
    (found,) = parts["ollama"]
    assert (code, found["state"]) == (3, "missing")
    assert "smallenough models --pull" in found["mend"]


class TestStore:
    def test_a_real_one_is_writable_current_and_in_wal_mode(self, examine: Doctor, database: Path) -> None:
        before = database.read_bytes()
        (found,) = examine()[1]["tracking store"]
        assert found["state"] == "ok", found
        assert "in WAL mode" in found["detail"]
        assert database.read_bytes() == before

    def test_an_old_schema_is_broken_with_the_command_that_upgrades_it(self, examine: Doctor, database: Path) -> None:
        execute(database, "UPDATE alembic_version SET version_num = '0123456789ab'")
        (found,) = examine()[1]["tracking store"]
        assert (found["state"], found["needed"]) == ("broken", True)
        assert f"mlflow db upgrade sqlite:///{database}" in found["mend"]

    def test_another_journal_mode_is_told_and_not_needed(self, examine: Doctor, database: Path) -> None:
        execute(database, "PRAGMA journal_mode=DELETE")
        store, mode = examine()[1]["tracking store"]
        assert store["state"] == "ok"
        assert (mode["state"], mode["needed"]) == ("broken", False)
        assert "PRAGMA journal_mode=WAL" in mode["mend"]

    def test_what_is_no_database_is_broken(self, examine: Doctor, tmp_path: Path) -> None:
        (tmp_path / "store").mkdir()
        (tmp_path / "store" / "mlflow.db").write_text("not a database " * 100)
        (found,) = examine()[1]["tracking store"]
        assert found["state"] == "broken"
        assert "file is not a database" in found["detail"]

    def test_a_uri_without_meaning_breaks_only_what_needs_it(self, examine: Doctor) -> None:
        code, parts = examine("--tracking-uri", "ftp://there")
        assert code == 3
        assert "no kind of store" in parts["tracking store"][0]["detail"]
        assert parts["memory"][0]["state"] in ("ok", "broken")
        assert parts["prompt templates"][0]["state"] == "ok"

    def test_a_server_that_is_away_is_told_within_seconds(self, examine: Doctor) -> None:
        began = time.monotonic()
        (found,) = examine("--tracking-uri", "http://127.0.0.1:9")[1]["tracking store"]
        assert found["state"] == "broken"
        assert time.monotonic() - began < 30

    @pytest.mark.parametrize(
        ("status", "told"), [(200, "answers, and is no MLflow server"), (401, "answers with status 401")]
    )
    def test_a_server_that_is_another_one_or_wants_a_password(self, examine: Doctor, status: int, told: str) -> None:
        with web_server(status) as url:
            (found,) = examine("--tracking-uri", url)[1]["tracking store"]
        assert (found["state"], found["detail"]) == ("broken", f"{url} {told}")
        assert "MLFLOW_TRACKING_URI" in found["mend"]


class web_server:  # a context manager in the manner of contextlib's
    """Answers everything with a page."""

    def __init__(self, status: int) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.send_header("Content-Length", "5")
                self.end_headers()
                self.wfile.write(b"hello")

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.thread = Thread(target=self.server.serve_forever, args=(0.01,))

    def __enter__(self) -> str:
        self.thread.start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *error: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class TestSettings:
    def test_a_named_mbpp_file_must_be_one(
        self, examine: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SMALLENOUGH_MBPP", str(tmp_path / "none.jsonl"))
        (found,) = examine()[1]["mbpp file"]
        assert (found["state"], found["needed"]) == ("broken", False)
        assert "no such file" in found["detail"]
        task = {
            "task_id": 1,
            "text": "T",
            "code": "def f(): return 1",
            "test_setup_code": "",
            "test_list": ["assert f() == 1"],
            "challenge_test_list": [],
        }
        (tmp_path / "none.jsonl").write_text(json.dumps(task))
        (found,) = examine()[1]["mbpp file"]
        assert found["state"] == "ok"
        assert found["detail"].endswith("has 1 tasks")

    def test_templates_in_force_are_named_and_misnamed_ones_too(
        self, examine: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SMALLENOUGH_PROMPTS", str(tmp_path))
        (tmp_path / "large").mkdir()
        (tmp_path / "large" / "solve.j2").write_text("{{ prompt }}")
        (found,) = examine()[1]["prompt templates"]
        assert (found["state"], found["values"]["overrides"]) == ("ok", ["large/solve.j2"])
        (tmp_path / "large" / "solv.j2").write_text("{{ prompt }}")
        (found,) = examine()[1]["prompt templates"]
        assert (found["state"], found["needed"]) == ("broken", False)
        assert "large/solv.j2, which no strategy asks for" in found["detail"]

    def test_a_template_that_does_not_parse_stops_a_first_run(
        self, examine: Doctor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SMALLENOUGH_PROMPTS", str(tmp_path))
        (tmp_path / "small").mkdir()
        (tmp_path / "small" / "solve.j2").write_text("{{ prompt")
        (found,) = examine()[1]["prompt templates"]
        assert (found["state"], found["needed"]) == ("broken", True)
        assert "solve.j2, line 1" in found["detail"]


def test_packages_are_absent_or_too_old_by_name() -> None:
    wanted = {"mlflow": ">=3.4", "pandas": ">=2.2"}
    absent = doctor._package_finding("", wanted, {"mlflow": "3.17.2", "pandas": None})
    assert (absent.state, absent.detail, absent.needed) == ("missing", "not installed: pandas", True)
    old = doctor._package_finding("hf", wanted, {"mlflow": "2.9", "pandas": None})
    assert (old.state, old.needed) == ("broken", False)
    assert old.detail == "mlflow 2.9 (needed: >=3.4), pandas is absent"
    assert old.mend == "pip install -U 'smallenough[hf]'"


def test_a_check_that_crashes_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(patient: doctor.Patient) -> Iterator[doctor.Finding]:
        yield doctor.Finding("first", "ok", "half of it")
        raise ZeroDivisionError("by zero")

    monkeypatch.setattr(doctor, "_CHECKS", (("crashing", True, crash), doctor._CHECKS[0]))
    first, crashed, python = doctor.examine(doctor.Patient())
    assert (first.state, python.part) == ("ok", "python")
    assert (crashed.part, crashed.state, crashed.needed) == ("crashing", "broken", True)
    assert crashed.detail == "it can't be looked at: ZeroDivisionError: by zero"
