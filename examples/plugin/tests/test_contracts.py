"""Every part keeps its protocol's contract."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from hypothesis import strategies as st
from smallenough_example.csv_tasks import CsvSource
from smallenough_example.documented import DocumentedScorer
from smallenough_example.load import LoadProbe
from smallenough_example.logged import LoggedSandbox
from smallenough_example.patient import Options
from smallenough_example.script import ScriptClient

from smallenough.contracts.model_client import ModelClientContract
from smallenough.contracts.probe import ProbeContract
from smallenough.contracts.sandbox import SandboxContract
from smallenough.contracts.scorer import ScorerContract
from smallenough.contracts.strategy import StrategyContract
from smallenough.contracts.task_source import TaskSourceContract
from smallenough.errors import InputError
from smallenough.records import Message, Request, Sampling

SCRIPT = f"""#!{sys.executable} -IS
import json, sys
asked = json.load(sys.stdin)["messages"][-1]["content"]
print(json.dumps({{"text": asked.upper(), "tokens_in": len(asked.split()), "tokens_out": len(asked.split())}}))
"""


class TestScript(ModelClientContract):
    @pytest.fixture
    def client(self) -> ScriptClient:
        return ScriptClient()

    @pytest.fixture
    def request_(self, tmp_path: Path) -> Request:
        path = tmp_path / "answer"
        path.write_text(SCRIPT)
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        sampling = Sampling(temperature=0.0, seed=7, max_tokens=6)
        return Request(str(path), (Message("user", "Say hello."),), sampling, deadline=60.0, key="k")


class TestPatient(StrategyContract):
    name = "patient"
    options = st.builds(Options, most=st.integers(1, 5), shots=st.integers(0, 3))


class TestDocumented(ScorerContract):
    @pytest.fixture
    def scorer(self) -> DocumentedScorer:
        return DocumentedScorer()


class TestLogged(SandboxContract):
    @pytest.fixture
    def sandbox(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoggedSandbox:
        monkeypatch.setenv("SANDBOX_LOG", str(tmp_path / "sandbox.log"))
        return LoggedSandbox()


class TestCsv(TaskSourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> CsvSource:
        path = tmp_path / "mine.csv"
        path.write_text(
            "id,prompt,entry_point,test,solution\n"
            'double,"Write double(n), which returns n doubled.",double,assert double(2) == 4,'
            '"def double(n):\n    return 2 * n"\n'
        )
        return CsvSource(path)

    def test_what_is_missing_is_told_with_its_line(self, tmp_path: Path) -> None:
        path = tmp_path / "mine.csv"
        path.write_text("id,prompt,entry_point,test,solution\na,b,c,d,\n")
        with pytest.raises(InputError, match=r"mine\.csv, line 2: solution is empty"):
            CsvSource(path).load()


class TestLoad(ProbeContract):
    @pytest.fixture
    def probe(self) -> LoadProbe:
        return LoadProbe()
