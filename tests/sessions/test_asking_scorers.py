"""A scorer that asks a model: its questions are attempts, measured and journalled, and are never asked twice."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from smallenough import journal, plugins
from smallenough.contracts.playing import make
from smallenough.contracts.scorer import ScorerContract
from smallenough.errors import ModelUnavailable
from smallenough.events import ActionsDecided, Event, TrialFinished
from smallenough.journal import Journal
from smallenough.metrics import MetricsCollector
from smallenough.metrics.tests import TestsScorer
from smallenough.models.replay import ReplayClient
from smallenough.protocols import AskModel
from smallenough.records import Answer, Arm, Completion, Message, Request, Score, Task, replace
from smallenough.resources.monitor import ResourceMonitor
from smallenough.runner.arm import ArmRun, Control, Stop
from smallenough.runner.asking import MOST_QUESTIONS
from smallenough.runner.work import Bench
from smallenough.sandboxes.subprocess import SubprocessSandbox
from smallenough.sessions import experiment
from smallenough.sessions.prepare import lay_down
from smallenough.sessions.settings import Settings
from smallenough.tracking import writer
from smallenough.tracking.store import Store
from smallenough.trial import Progress
from tests import replayed

ARM = Arm("a", "m", "branching", {"max_depth": 1, "width": 2}, provider="replay")


class Style:
    """Asks the model twice what it thinks of the answer, the second time with what it said."""

    name, version = "style", "1"

    def score(self, task: Task, answer: Answer, ask: AskModel | None = None) -> list[Score]:
        if ask is None:
            return [Score("style", None, "style/1")]
        question = Message("user", f"How good is this style? {answer.step.code}")
        try:
            opinion = ask([question], "judge")
            grade = ask([question, Message("assistant", opinion), Message("user", "As a number.")], "judge")
        except Exception as error:
            raise RuntimeError("caught") from error  # as a scorer may; a question is no error
        found = re.fullmatch(r"\s*(0\.\d+|1)\s*", grade)
        return [Score("style", float(found[1]) if found else None, "style/1")]


class Restless(Style):
    """Asks something else each time."""

    asked = 0

    def score(self, task: Task, answer: Answer, ask: AskModel | None = None) -> list[Score]:
        assert ask is not None
        self.asked += 1
        return [
            Score("style", float(ask([Message("user", f"How good is this style, {self.asked}?")], "judge")), "style/1")
        ]


class TestStyle(ScorerContract):
    @pytest.fixture
    def scorer(self) -> Style:
        return Style()


def opinionated(request: Request) -> Completion:
    """Answers tasks as `replayed` does, and has an opinion of style."""
    if "style" not in request.messages[0].content:
        return replayed.answer(request)
    text = "0.25" if len(request.messages) == 3 else "so so"
    return Completion(text, tokens_in=7, tokens_out=3, seconds=0.5, generate_seconds=0.4, server="replay")


def run(
    book: Journal,
    answer: Callable[[Request], Completion] = opinionated,
    scorer: Any = Style,
    concurrency: int = 1,
    control: Control | None = None,
) -> list[TrialFinished]:
    """Runs, or goes on with, one arm on three tasks; how its trials ended."""
    suite, progress = replayed.suite(3), Progress()
    for _, event in journal.read(book.folder):
        progress.apply(event)
    clients = {"replay": ReplayClient(answer, {"m": replayed.INFO})}
    plan, scorers = lay_down(suite, (ARM,), Settings(concurrency=concurrency)), [TestsScorer(), scorer()]
    bench = Bench(plan, suite, book, clients, SubprocessSandbox(), MetricsCollector(scorers), {})
    monitor = ResourceMonitor([])
    monitor.start()
    try:
        ArmRun(bench, ARM, make(ARM.strategy, **ARM.options), monitor, progress, control or Control(), _ignore).run()
    finally:
        monitor.stop()
    return [event for _, event in journal.read(book.folder) if isinstance(event, TrialFinished)]


def _ignore(_: Event) -> None:
    pass


@pytest.fixture
def book(tmp_path: Path) -> Any:
    with Journal.create(tmp_path, "s", replayed.suite(3)) as book:
        yield book


@pytest.mark.parametrize("concurrency", [1, 3])
def test_every_step_is_scored_by_what_the_model_says(book: Journal, concurrency: int) -> None:
    ended = run(book, concurrency=concurrency)
    assert sorted(event.outcome for event in ended) == ["solved", "solved", "unsolved"]
    for event in ended:
        assert all({score.name: score.value for score in one.scores}["style"] == 0.25 for one in event.scored)
        assert not any(one.failures for one in event.scored)
    decided = [event for _, event in journal.read(book.folder) if isinstance(event, ActionsDecided) and event.scorer]
    assert {event.scorer for event in decided} == {"style/1"}
    assert len(decided) == 2 * sum(len(event.scored) for event in ended)


def test_broken_off_and_resumed_nothing_is_asked_twice(book: Journal) -> None:
    control, asked = Control(), []

    def answer(request: Request) -> Completion:
        asked.append((request.key.split("/")[1], request.messages))
        if "style" in request.messages[0].content:
            control.request(Stop.SOON)
        return opinionated(request)

    assert run(book, answer, control=control) == [], "the first trial's scorer was in the middle of its questions"
    assert len(asked) == 2, "the answer, and the first question about it"
    ended = run(book, answer)
    assert len(ended) == 3
    judged = [one for one in asked if "style" in one[1][0].content]
    assert len(judged) == 2 * sum(len(event.scored) for event in ended)
    assert [one.index for one in ended[0].scored] == [0], "what the scorer asked is no step"


def test_a_server_that_fails_fails_the_scorer_and_not_the_trial(book: Journal) -> None:
    def answer(request: Request) -> Completion:
        if "style" in request.messages[0].content:
            raise ModelUnavailable("it is gone")
        return opinionated(request)

    ended = run(book, answer)
    assert sorted(event.outcome for event in ended) == ["solved", "solved", "unsolved"]
    for one in (one for event in ended for one in event.scored):
        assert [failure.error for failure in one.failures] == ["ScorerError"]
        assert "style" not in {score.name for score in one.scores}


def test_a_scorer_that_asks_without_end_is_ended(book: Journal) -> None:
    ended = run(book, scorer=Restless)
    told = [failure.message for event in ended for one in event.scored for failure in one.failures]
    assert told
    assert all(f"more than {MOST_QUESTIONS} questions about one step" in message for message in told)


@pytest.fixture
def announced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The scorer is there as a package that brings it is installed."""
    package = tmp_path / "style_scorer-1.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: style-scorer\nVersion: 1\n")
    (package / "entry_points.txt").write_text(f"[smallenough.scorers]\nstyle = {__name__}:Style\n")
    monkeypatch.syspath_prepend(tmp_path)
    plugins._entries.cache_clear()
    yield
    plugins._entries.cache_clear()


@pytest.mark.usefixtures("announced")
def test_in_mlflow_they_are_attempts_whose_cost_counts(fresh_store: Path) -> None:
    ready = replayed.prepared(1, arms=[ARM])
    ready = replace(ready, clients={"replay": ReplayClient(opinionated, {"m": replayed.INFO})})
    store = Store.resolve(None, fresh_store)
    result = experiment.run(ready, store, start_writer=lambda *_: subprocess.Popen([sys.executable, "-c", ""]))
    assert result.writer.wait(60) == 0
    writer.write(result.folder, store, follow=False)

    from mlflow import MlflowClient

    client = MlflowClient(store.uri)
    runs = client.search_runs([one.experiment_id for one in client.search_experiments()])
    attempts = {run.data.tags["mlflow.runName"]: run for run in runs if run.data.tags["smallenough.kind"] == "attempt"}
    assert sorted(attempts) == ["0 solve", "1 judge · style/1", "2 judge · style/1"]
    assert {run.info.status for run in attempts.values()} == {"FINISHED"}
    assert attempts["1 judge · style/1"].data.tags["smallenough.role"] == "judge"
    (trial,) = [run for run in runs if run.data.tags["smallenough.kind"] == "trial"]
    assert trial.data.metrics["style"] == 0.25
    assert trial.data.metrics["model_calls"] == 3
    assert trial.data.metrics["branching_depth"] == 0
    assert trial.data.metrics["tokens_out"] == 20 + 3 + 3
    assert trial.data.params["steps"] == "1"
