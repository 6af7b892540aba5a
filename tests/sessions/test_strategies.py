"""Strategies in the real runner, with answers by a rule: the same trials, few loads, and all known before it begins."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallenough import journal
from smallenough.contracts.playing import ANSWERS, PLAN, make, prompts
from smallenough.errors import InputError
from smallenough.events import ActionsDecided, ArmStarted, AttemptFinished, StepFinished, TrialFinished
from smallenough.journal import Journal
from smallenough.metrics import MetricsCollector
from smallenough.models.replay import ReplayClient
from smallenough.options import StrategyOptions
from smallenough.records import Arm, Completion, Json, ModelInfo, Request, Suite, digest, replace
from smallenough.resources.monitor import ResourceMonitor
from smallenough.runner.arm import ArmRun, Control
from smallenough.runner.work import Bench
from smallenough.sandboxes.subprocess import SubprocessSandbox
from smallenough.sessions import experiment
from smallenough.sessions.experiment import prepare_again
from smallenough.sessions.named import further_models, load_prompts
from smallenough.sessions.prepare import Prepared, lay_down, prepare
from smallenough.sessions.settings import Settings, Wish
from smallenough.tasks.basics import BasicsSource
from smallenough.tasks.humaneval import HumanEvalSource
from smallenough.tracking import writer
from smallenough.tracking.store import Store
from smallenough.trial import Progress
from tests import replayed
from tests.strategies.any_options import OPTIONS
from tests.strategies.test_subtasks import HALF, TWICE
from tests.thorough import examples

MODELS = {
    name: ModelInfo(name, "replay", digest=f"digest of {name}", parameters=10**9) for name in ("m", "middle", "big")
}


class Watched(ReplayClient):
    """A replay client that remembers which models it was asked for and told to unload, in order."""

    def __init__(self, answer: Any) -> None:
        super().__init__(answer, MODELS)
        self.seen: list[str] = []
        self._watching = threading.Lock()

    def generate(self, request: Request, on_token: Any = None) -> Completion:
        with self._watching:
            self.seen.append(request.model)
        return super().generate(request, on_token)

    def unload(self, model: str) -> None:
        with self._watching:
            self.seen.append(f"unload {model}")

    @property
    def turns(self) -> list[str]:
        """What was seen, each run of the same once."""
        return [what for place, what in enumerate(self.seen) if not place or self.seen[place - 1] != what]


def varied(request: Request) -> Completion:
    """Any of the answers of small models, by what is asked: sometimes right, sometimes a plan, sometimes nothing."""
    number = int(digest([[message.content for message in request.messages], request.sampling.seed])[:8], 16)
    text = ANSWERS[number % len(ANSWERS)].replace("double", entry_point(request))
    return Completion(text, tokens_in=7, tokens_out=9, finish="stop", seconds=0.5)


def only_big_is_right(request: Request) -> Completion:
    """Right answers from the model `big` alone."""
    right = f"```python\ndef {entry_point(request)}(n):\n    return 2 * n\n```"
    return Completion(right if request.model == "big" else "I can't.", tokens_in=7, tokens_out=9, finish="stop")


def entry_point(request: Request) -> str:
    """What the task of a request asks for."""
    return next(part for part in request.key.split("/") if part.startswith("double_"))


def run_arm(arm: Arm, client: ReplayClient, suite: Suite, *, concurrency: int) -> Any:
    """Runs one arm; for each trial, all that was decided, answered and chosen, without times."""
    plan = lay_down(suite, (arm,), Settings(concurrency=concurrency))
    strategy = make(arm.strategy, **arm.options)
    with tempfile.TemporaryDirectory() as folder, Journal.create(Path(folder), "s", suite) as book:
        bench = Bench(plan, suite, book, {"replay": client}, SubprocessSandbox(), MetricsCollector.installed(), {})
        monitor = ResourceMonitor([])
        monitor.start()
        try:
            ArmRun(bench, arm, strategy, monitor, Progress(), Control(), lambda _: None).run()
        finally:
            monitor.stop()
        events = [event for _, event in journal.read(book.folder)]
    trials: dict[str, list[Json]] = {}
    for event in events:
        if isinstance(event, ActionsDecided):
            trials.setdefault(event.key.task, []).append(("decided", event.first, event.actions))
        elif isinstance(event, AttemptFinished):
            assert event.completion
            trials[event.key.task].append(("answered", event.index, event.completion.text))
        elif isinstance(event, StepFinished):
            results = event.evaluation.results if event.evaluation else ()
            told = [(result.passed, result.error, result.actual) for result in results]
            trials[event.key.task].append(("checked", event.index, event.code, told))
        elif isinstance(event, TrialFinished):
            trials[event.key.task].append(("ended", event.outcome, event.chosen))
    return {task: sorted(story, key=repr) for task, story in trials.items()}


named_options = st.sampled_from(sorted(OPTIONS)).flatmap(lambda name: st.tuples(st.just(name), OPTIONS[name]))


@settings(max_examples=examples(25), deadline=None)
@given(named_options)
def test_trials_are_the_same_however_many_requests_are_in_flight(named: tuple[str, StrategyOptions]) -> None:
    name, options = named
    arm = Arm("arm", "m", name, asdict(options), provider="replay")
    one, many = (run_arm(arm, Watched(varied), replayed.suite(3), concurrency=concurrency) for concurrency in (1, 4))
    assert one == many
    assert len(one) == 3
    assert all(any(part[0] == "ended" for part in story) for story in one.values())


@pytest.mark.parametrize("concurrency", [1, 3])
@pytest.mark.parametrize("first", ["single", "branching:max_depth=1;width=2", "best_of_n:n=2;parallel=off"])
def test_a_whole_arm_of_a_cascade_loads_each_model_once(concurrency: int, first: str) -> None:
    client = Watched(only_big_is_right)
    arm = Arm("arm", "m", "cascade", {"large": "big", "first": first.split(";")}, provider="replay")
    trials = run_arm(arm, client, replayed.suite(12), concurrency=concurrency)
    assert client.turns == ["m", "unload m", "big", "unload big"]
    assert client.seen.count("big") == 12
    assert len(trials) == 12
    assert all(("ended", "solved", story[-1][2]) == story[-1] for story in trials.values())


def test_a_longer_cascade_loads_each_of_its_models_once() -> None:
    client = Watched(only_big_is_right)
    arm = Arm("arm", "m", "cascade", {"large": "big", "first": "cascade:large=middle"}, provider="replay")
    run_arm(arm, client, replayed.suite(6), concurrency=2)
    assert client.turns == ["m", "unload m", "middle", "unload middle", "big", "unload big"]


def test_where_the_small_model_is_enough_the_large_one_is_never_loaded() -> None:
    client = Watched(replayed.answer)
    solved = replace(replayed.suite(12), tasks=replayed.suite(12).tasks[::3])
    arm = Arm("arm", "m", "cascade", {"large": "big"}, provider="replay")
    run_arm(arm, client, solved, concurrency=2)
    assert client.turns == ["m"]


# ---------------------------------------------------------------------------------------- known before it begins


@pytest.fixture
def recording(tmp_path: Path) -> str:
    """A provider that knows two models."""
    path = tmp_path / "recorded.jsonl"
    infos = ({"model": name, "info": {"name": name, "provider": "replay", "digest": name}} for name in ("m", "big"))
    path.write_text("".join(json.dumps(one) + "\n" for one in infos))
    return f"replay:{path}"


def wanted(model: str, *strategies: tuple[str, dict[str, Json]], suite: Suite | None = None) -> Prepared:
    return prepare(suite or BasicsSource().load(), [Wish(model, strategies)], Settings(sandbox="subprocess"))


def test_a_large_model_is_looked_up_before_anything_runs(recording: str) -> None:
    prepared = wanted(f"{recording}#m", ("single", {}), ("cascade", {"large": "big"}))
    assert [arm.name for arm in prepared.plan.arms] == ["m single", "m cascade large=big"]
    assert {name: [info.digest for info in infos] for name, infos in prepared.further.items()} == {
        "m cascade large=big": ["big"]
    }
    with pytest.raises(InputError, match="'bigg' is not recorded; recorded: big, m"):
        wanted(f"{recording}#m", ("cascade", {"large": "bigg"}))


def test_a_model_or_a_prompt_that_has_changed_since_is_noticed_on_resume(
    recording: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared = wanted(f"{recording}#m", ("cascade", {"large": "big"}))
    before = {
        name: ArmStarted(name, prepared.models[name], prepared.prompts[name].digest, None, 0.0, infos)
        for name, infos in prepared.further.items()
    }
    again = prepare_again(prepared.plan, prepared.suite, before)
    assert again.further == prepared.further
    assert {name: one.digest for name, one in again.prompts.items()} == {
        name: one.digest for name, one in prepared.prompts.items()
    }
    (name, arm), (large,) = next(iter(before.items())), next(iter(prepared.further.values()))
    changed = {name: replace(arm, further=(replace(large, digest="other"),))}
    with pytest.raises(InputError, match="model big has changed since the session began"):
        prepare_again(prepared.plan, prepared.suite, changed)
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "solve.j2").write_text("Please: {{ prompt }}")
    monkeypatch.setenv("SMALLENOUGH_PROMPTS", str(tmp_path))
    with pytest.raises(InputError, match="the prompt templates of 'm cascade large=big' have changed since"):
        prepare_again(prepared.plan, prepared.suite, before)


def test_the_large_model_gets_the_detailed_templates_and_both_get_the_examples(recording: str) -> None:
    prepared = wanted(f"{recording}#m", ("cascade", {"large": "big", "shots": 2}), ("single", {}))
    cascaded, plain = prepared.prompts["m cascade large=big,shots=2"], prepared.prompts["m single"]
    large = cascaded.others["big"]
    assert (cascaded.size_class, large.size_class) == ("small", "large")
    assert cascaded.shots == large.shots == prepared.suite.examples[:2]
    assert (plain.shots, plain.others) == ((), {})


def test_a_large_model_that_is_a_base_model_gets_what_it_continues() -> None:
    suite = BasicsSource().load()
    options = {"large": "gemma3:270m-base", "first": "cascade:large=mistral"}
    others = load_prompts(Arm("a", "m", "cascade", options), suite).others
    told = {model: (prompts.size_class, prompts.stop) for model, prompts in others.items()}
    assert told == {"mistral": ("large", ()), "gemma3:270m-base": ("base", ("```",))}


@pytest.mark.parametrize(
    ("shots", "suite", "said"),
    [
        (1, HumanEvalSource().load(), "option shots: suite 'humaneval' has no examples to show; leave the option out"),
        (6, BasicsSource().load(), "option shots: suite 'basics' has 5 examples to show; give 5 at most"),
        (-1, BasicsSource().load(), "option shots: must be 0 or more"),
    ],
    ids=["none", "too many", "negative"],
)
def test_examples_that_a_suite_does_not_have_are_told(recording: str, shots: int, suite: Suite, said: str) -> None:
    with pytest.raises(InputError, match=said):
        wanted(f"{recording}#m", ("best_of_n", {"shots": shots}), suite=suite)


def tracked(folder: Path, arm: Arm, client: ReplayClient, suite: Suite) -> tuple[Path, list[Any]]:
    """Runs one arm into the store in `folder`; the folder of its journal, and all of its runs."""
    shots = int(str(arm.options.get("shots", 0)))
    ready = replace(
        replayed.prepared(len(suite.tasks), arms=[arm]),
        suite=suite,
        plan=lay_down(suite, (arm,), Settings(experiment="replayed", sandbox="subprocess")),
        clients={"replay": client},
        sandbox=SubprocessSandbox(),
        prompts={arm.name: prompts(shots)},
        strategies={arm.name: make(arm.strategy, **arm.options)},
        further={arm.name: further_models(arm, client)},
    )
    store = Store.resolve(None, folder)
    result = experiment.run(ready, store, start_writer=lambda *_: subprocess.Popen([sys.executable, "-c", ""]))
    assert result.writer.wait(60) == 0
    writer.write(result.folder, store, follow=False)

    from mlflow import MlflowClient

    found = MlflowClient(store.uri)
    return result.folder, list(found.search_runs([one.experiment_id for one in found.search_experiments()]))


def test_models_and_examples_are_on_the_arm_s_run(fresh_store: Path) -> None:
    arm = Arm("a", "m", "cascade", {"large": "big", "shots": 1}, provider="replay")
    suite = replace(replayed.suite(2), examples=BasicsSource().load().examples)
    folder, runs = tracked(fresh_store, arm, Watched(only_big_is_right), suite)
    (started,) = [event for _, event in journal.read(folder) if isinstance(event, ArmStarted)]
    assert started.further == (MODELS["big"],)
    assert started.prompts == prompts(1).digest
    (params,) = [run.data.params for run in runs if run.data.tags["smallenough.kind"] == "arm"]
    assert params["strategy_large"] == "big"
    assert params["strategy_shots"] == "1"
    assert json.loads(params["further_models"])[0]["digest"] == "digest of big"
    asked = [run.data.tags["smallenough.model"] for run in runs if run.data.tags["smallenough.kind"] == "attempt"]
    assert sorted(asked) == ["big", "big", "m", "m"]


def test_what_each_attempt_of_a_split_task_was_for_is_on_its_run(fresh_store: Path) -> None:
    combined = "```python\ndef double_0(n):\n    return twice(n)\n```"
    answers = ("I can't.", PLAN, HALF, TWICE, combined)
    arm = Arm("a", "m", "branching", {"max_depth": 0, "subtasks": True}, provider="replay")
    client = ReplayClient(lambda request: Completion(answers[int(request.key.rpartition("/")[2])]), MODELS)
    _, runs = tracked(fresh_store, arm, client, replayed.suite(1))
    attempts = [run.data.tags for run in runs if run.data.tags["smallenough.kind"] == "attempt"]
    told = {tags["mlflow.runName"]: tags["smallenough.role"] for tags in attempts}
    assert told == {
        "0 solve": "solve",
        "1 subtask · split": "subtask",
        "2 subtask · part half": "subtask",
        "3 subtask · part twice": "subtask",
        "4 combine · combine": "combine",
    }
    (outcome,) = [run.data.tags["smallenough.outcome"] for run in runs if run.data.tags["smallenough.kind"] == "trial"]
    assert outcome == "solved"
