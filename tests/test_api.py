"""The Python way in: what a notebook would do, against a server that speaks Ollama's protocol."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import smallenough
from smallenough import ExperimentRunner, Sampling, Settings, Wish
from smallenough.errors import InputError, UnknownName
from smallenough.tasks.basics import BasicsSource
from smallenough.tasks.select import select
from tests.servers.faulty import Answer, FaultyServer, Model

pytestmark = pytest.mark.xdist_group("api")  # two sessions are shared

ROOT = Path(__file__).parents[1]
ADD = "```python\ndef add(a, b):\n    return a + b\n```"
ADDING = select(BasicsSource().load(), ids=["add"])


@pytest.fixture(scope="module")
def server() -> Iterator[FaultyServer]:
    with FaultyServer(
        lambda body: Answer(ADD if "big" in body["model"] else "I can't."),
        models={"tiny:latest": Model(), "big:latest": Model(parameters=8 * 10**9)},
    ) as found:
        yield found


@pytest.fixture(scope="module")
def ran(server: FaultyServer, tmp_path_factory: pytest.TempPathFactory) -> ExperimentRunner:
    """A runner with two sessions behind it: one arm, then two models with a strategy each."""
    runner = ExperimentRunner(
        ADDING,
        Settings(experiment="from Python", urls=(server.url,), repeats=2),
        store=tmp_path_factory.mktemp("api") / "mlruns",
        progress=False,
    )
    assert runner.run_single_experiment("tiny", "branching:max_depth=1,width=1").status == "completed"
    small = Wish("tiny", (("single", {}),), sampling=Sampling(temperature=0.0))
    assert runner.run_batch_experiments(["big", small]).status == "completed"
    return runner


def test_the_package_offers_what_it_names() -> None:
    assert {name: getattr(smallenough, name).__name__ for name in smallenough.__all__} == {
        name: name for name in smallenough.__all__
    }
    assert set(smallenough.__all__) < set(dir(smallenough))
    with pytest.raises(AttributeError, match="no attribute 'Experiment'"):
        smallenough.Experiment  # noqa: B018


def test_to_import_the_package_takes_nothing_heavy() -> None:
    code = "import sys, smallenough; print(sorted({'mlflow', 'pandas', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_comparison_is_of_the_runners_sessions_by_default(ran: ExperimentRunner) -> None:
    found = ran.compare_models()
    frame = found.comparison.to_frame()
    assert len(ran.sessions) == 2
    assert set(frame["model"]) == {"big", "tiny"}
    only = ran.compare_models(ran.sessions[1:])
    assert [row.arm for row in only.comparison.rows] == ["big single", "tiny single"]
    assert only.comparison.baseline == "big single"
    assert [row.counts.solved for row in only.comparison.rows] == [2, 0]
    shown = only._repr_markdown_()
    assert "| big single" in shown


def test_another_baseline_can_be_named(ran: ExperimentRunner) -> None:
    assert ran.compare_models(ran.sessions[1:], baseline="tiny single").comparison.baseline == "tiny single"
    with pytest.raises(UnknownName, match="tiny single"):
        ran.compare_models(ran.sessions[1:], baseline="tiny singel")


def test_the_summary_has_a_row_for_each_arm_of_each_session(ran: ExperimentRunner) -> None:
    found = ran.get_experiment_summary()
    assert list(found["session"]) == [*2 * [ran.sessions[1]], ran.sessions[0]]
    assert list(found["arm"])[:2] == ["big single", "tiny single"]
    assert list(found["solved"]) == [2, 0, 0]
    assert list(found["unsolved"]) == [0, 2, 2]
    assert list(found["failed"]) == [0, 0, 0]
    assert list(found["solved_rate"]) == [1.0, 0.0, 0.0]
    assert (found["wall_seconds"] > 0).all()
    assert found["energy_joules"].isna().all() or (found["energy_joules"] >= 0).all()


def test_everything_comes_back_as_frames(ran: ExperimentRunner) -> None:
    tables = ran.read()
    assert isinstance(tables.trials, pd.DataFrame)
    assert len(tables.trials) == 6
    assert len(tables.attempts) == 2 * 2 + 2 * 2
    assert set(tables.trials["session"]) == set(ran.sessions)


def test_faults_are_told_before_anything_runs(server: FaultyServer, tmp_path: Path) -> None:
    runner = ExperimentRunner(ADDING, Settings(urls=(server.url,)), store=tmp_path / "mlruns", progress=False)
    with pytest.raises(InputError, match=r"(?s)tinny.*tiny.*brunching.*branching|brunching.*branching.*tinny.*tiny"):
        runner.run_batch_experiments(["tinny"], ["brunching"])
    assert runner.sessions == []
    with pytest.raises(UnknownName, match="basics"):
        ExperimentRunner("basic", store=tmp_path / "mlruns")


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=lambda path: path.name)
def test_the_examples_run(example: Path, server: FaultyServer, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(example), "big", "tiny"],
        cwd=tmp_path,
        env={**os.environ, "OLLAMA_HOST": server.url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "big single" in done.stdout


def test_where_the_small_model_stops_a_large_one_goes_on(server: FaultyServer, fresh_store: Path) -> None:
    """A base model's answers end at the fence with which another's begin."""
    runner = ExperimentRunner(ADDING, Settings(urls=(server.url,)), store=fresh_store, progress=False)
    wish = Wish("tiny", (("cascade", {"large": "big"}),), sampling=Sampling(stop=("```",)))
    assert runner.run_batch_experiments([wish]).status == "completed"
    stops = [(body["model"], body["options"].get("stop")) for body in server.state.bodies]
    assert stops[-2:] == [("tiny:latest", ["```"]), ("big:latest", None)]


def test_what_can_t_be_meant_is_refused(server: FaultyServer, tmp_path: Path) -> None:
    runner = ExperimentRunner(ADDING, Settings(urls=(server.url,)), store=tmp_path, progress=False)
    with pytest.raises(InputError, match=r"strategies is a list; write \['single'\]"):
        runner.run_batch_experiments(["tiny"], "single")
    with pytest.raises(InputError, match=r"models is a list; write \['tiny'\]"):
        runner.run_batch_experiments("tiny")
    with pytest.raises(InputError, match="tiny: no strategy is named; name one, as single"):
        runner.run_batch_experiments(["tiny"], [])
    with pytest.raises(InputError, match=r"tiny: top_p: should be greater than 0, and is 0"):
        runner.run_single_experiment("tiny", sampling=Sampling(top_p=0.0))
    with pytest.raises(InputError, match=r"asks tiny besides itself; name another model there"):
        runner.run_single_experiment("tiny", "cascade:large=tiny")
    assert runner.sessions == []
