from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from smallenough import plugins
from smallenough.contracts.scorer import ScorerContract
from smallenough.errors import InputError, Interrupted, ScorerError
from smallenough.events import Failure
from smallenough.labels import judgement
from smallenough.metrics import LABEL_METRICS, TRIAL_METRICS, MetricsCollector
from smallenough.metrics.labels import NAMES, LabelsScorer
from smallenough.metrics.static import StaticScorer
from smallenough.metrics.tests import TestsScorer
from smallenough.protocols import AskModel, Scorer
from smallenough.records import Answer, Ask, Evaluation, Message, Score, Step, Task, TestResult, replace

TASK = Task("t", "Add one.", "f")
ASK = Ask((Message("user", "Add one."),))


def step(code: str | None, evaluation: Evaluation | None = None) -> Step:
    return Step(0, ASK, code or "", code, evaluation)


def outcome(*passed: bool, seconds: float | None = 0.5, syntax: bool | None = True) -> Evaluation:
    return Evaluation(tuple(TestResult("assert …", one, seconds=seconds) for one in passed), syntax)


def values(scorer: Scorer, answer: Answer) -> dict[str, float | None]:
    return {score.name: score.value for score in scorer.score(TASK, answer)}


@pytest.mark.parametrize("name", ["tests", "static", "labels"])
def test_built_in_scorers_are_plugins_with_a_name_and_a_version(name: str) -> None:
    scorer = plugins.load("scorers", name)()
    assert isinstance(scorer, Scorer)
    assert scorer.name == name
    known = {metric.name for metric in (*TRIAL_METRICS, *LABEL_METRICS)}
    for score in scorer.score(TASK, Answer(step(None))):
        assert score.scorer == f"{name}/1"
        assert score.name in known
        assert score.value is None


@pytest.mark.parametrize(
    ("hidden", "reference", "expected"),
    [
        (
            outcome(True, True),
            0.5,
            {"solved": 1.0, "tests_passed_ratio": 1.0, "syntax_valid": 1.0, "runtime_ratio": 2.0},
        ),
        (
            outcome(True, False),
            0.5,
            {"solved": 0.0, "tests_passed_ratio": 0.5, "syntax_valid": 1.0, "runtime_ratio": None},
        ),
        (outcome(True), None, {"solved": 1.0, "tests_passed_ratio": 1.0, "syntax_valid": 1.0, "runtime_ratio": None}),
        (outcome(True, seconds=None), 1.0, {"solved": 1.0, "runtime_ratio": None}),
        (outcome(True, seconds=1e-6), 1e-7, {"solved": 1.0, "runtime_ratio": 1.0}),
        (outcome(True, seconds=1e-3), 1e-7, {"solved": 1.0, "runtime_ratio": 10.0}),
        (outcome(False, syntax=False), 1.0, {"solved": 0.0, "tests_passed_ratio": 0.0, "syntax_valid": 0.0}),
        (outcome(False, syntax=None), 1.0, {"solved": 0.0, "syntax_valid": None}),
        (outcome(), 1.0, {"solved": None, "tests_passed_ratio": None, "syntax_valid": 1.0, "runtime_ratio": None}),
        (None, 1.0, {"solved": None, "tests_passed_ratio": None, "syntax_valid": None, "runtime_ratio": None}),
    ],
)
def test_the_tests_decide(
    hidden: Evaluation | None, reference: float | None, expected: dict[str, float | None]
) -> None:
    found = values(TestsScorer(), Answer(step("def f(): pass"), hidden, reference))
    assert {name: found[name] for name in expected} == pytest.approx(expected)


def test_without_hidden_tests_the_public_ones_tell_whether_it_parses() -> None:
    assert values(TestsScorer(), Answer(step("def f(", outcome(False, syntax=False))))["syntax_valid"] == 0.0


CODE = '''import os


def f(n):
    """Documentation

    of several lines."""
    unused = 1
    # A comment.
    if n > 2 and n < 5:
        return [one for one in range(n) if one]
    return undefined


def g():
    return 1
'''


def test_code_is_measured_without_running_it() -> None:
    found = values(StaticScorer(), Answer(step(CODE)))
    assert found["complexity"] == 5  # the function, `if`, `and`, the comprehension and its `if`
    assert found["lint_findings"] == 3  # the import, the variable, the undefined name
    assert found["lines_of_code"] == 8


@pytest.mark.parametrize("code", [None, "def f(", "\x00", "x = '\ud800'", "(" * 5000])
def test_what_does_not_parse_is_not_measured(code: str | None) -> None:
    assert set(values(StaticScorer(), Answer(step(code))).values()) == {None}


def test_of_empty_code_there_is_nothing_to_say() -> None:
    assert values(StaticScorer(), Answer(step(""))) == {"complexity": 1, "lint_findings": 0, "lines_of_code": 0}


@pytest.mark.parametrize(
    "code",
    [
        "x = " + "-" * 3000 + "1",
        "x = " + "f(" * 90 + ")" * 90,
        "".join(f"def f{i}(): return f{i + 1}()\n" for i in range(1500)),
        "def f():\n" + "".join(f"    a{i} = {i}\n" for i in range(3500)),
        "x = 1\n" * 100_000,
        "a = " + " + ".join(["1"] * 10_000),
    ],
    ids=["signs", "calls", "functions", "variables", "long", "sum"],
)
def test_hostile_code_takes_no_time_and_breaks_nothing(code: str) -> None:
    before = time.process_time()
    StaticScorer().score(TASK, Answer(step(code)))
    assert time.process_time() - before < 5


class Fails:
    name = "fails"
    version = "3"

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def score(self, task: Task, answer: Answer, ask: AskModel | None = None) -> list[Score]:
        raise self.error


class Judge:
    name = "judge"
    version = "2"

    def score(self, task: Task, answer: Answer, ask: AskModel | None = None) -> list[Score]:
        if ask is None:
            return [Score("style", None, "judge/2")]
        return [Score("style", float(ask([Message("user", answer.step.response)], "judge")), "judge/2")]


@pytest.mark.parametrize("error", [ScorerError("no model"), ZeroDivisionError("oh"), RecursionError()])
def test_a_scorer_that_fails_is_recorded_and_the_others_go_on(error: Exception) -> None:
    scores, failures = MetricsCollector([Fails(error), TestsScorer()]).score(TASK, step("x"), outcome(True))
    assert {score.name for score in scores} == {"solved", "tests_passed_ratio", "syntax_valid", "runtime_ratio"}
    told = f"scorer fails/3, task 't', step 0: {type(error).__name__}: {error}"
    assert failures == (Failure("ScorerError", told),)


@pytest.mark.parametrize("error", [Interrupted("stopped"), KeyboardInterrupt()])
def test_who_stops_the_session_is_not_taken_for_a_scorers_failure(error: BaseException) -> None:
    with pytest.raises(type(error)):
        MetricsCollector([Fails(error)]).score(TASK, step("x"), None)


def test_a_scorer_may_ask_a_model_through_the_runner() -> None:
    asked: list[tuple[Sequence[Message], str]] = []

    def ask(messages: Sequence[Message], role: str) -> str:
        asked.append((messages, role))
        return "0.5"

    collector = MetricsCollector([Judge()])
    assert collector.score(TASK, step("code"), None) == ((Score("style", None, "judge/2"),), ())
    assert collector.score(TASK, step("code"), None, asking=lambda _: ask) == ((Score("style", 0.5, "judge/2"),), ())
    assert asked == [([Message("user", "code")], "judge")]


def test_what_a_scorer_sees_is_the_answer_with_what_decides() -> None:
    seen: list[Answer] = []

    class Looks(Judge):
        def score(self, task: Task, answer: Answer, ask: AskModel | None = None) -> list[Score]:
            seen.append(answer)
            return []

    hidden, one = outcome(True), step("x")
    MetricsCollector([Looks()]).score(TASK, one, hidden, 0.25)
    assert seen == [Answer(one, hidden, 0.25)]


def test_the_installed_scorers_are_collected() -> None:
    names = [scorer.name for scorer in MetricsCollector.installed().scorers]
    assert {"tests", "static", "labels"} <= set(names)


def test_two_scorers_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="called static"):
        MetricsCollector([StaticScorer(), TestsScorer(), StaticScorer()])


LABEL = Task("t", "Which?", kind="label", labels=("E11.9", "E11.65", "I10"), reference="E11.65", hierarchy="icd10")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("E11.65", (1.0, 0.0, 1.0, 1.0, 1.0)),
        ("E1165", (1.0, 0.0, 1.0, 1.0, 1.0)),
        ("E11.9", (0.0, 0.0, 2 / 3, 2 / 4, 4 / 7)),
        ("I10", (0.0, 0.0, 0.0, 0.0, 0.0)),
        (None, (0.0, 1.0, None, 0.0, 0.0)),
    ],
)
def test_a_label_is_right_near_wrong_or_none(answer: str | None, expected: tuple[float | None, ...]) -> None:
    scores = LabelsScorer().score(LABEL, Answer(step(answer), judgement(answer, LABEL)))
    assert [score.name for score in scores] == list(NAMES)
    assert tuple(score.value for score in scores) == expected


def test_labels_without_a_hierarchy_have_no_hierarchical_scores_and_without_a_reference_no_scores() -> None:
    flat, unknown = replace(LABEL, hierarchy=""), replace(LABEL, reference=None)
    found = {score.name: score.value for score in LabelsScorer().score(flat, Answer(step("E11.9")))}
    assert found == {**dict.fromkeys(NAMES), "exact_match": 0.0, "invalid_answer": 0.0}
    assert {score.value for score in LabelsScorer().score(unknown, Answer(step("E11.9")))} == {None}


def test_a_label_is_no_code_to_be_measured() -> None:
    scores = StaticScorer().score(LABEL, Answer(step("red")))
    assert {score.value for score in scores} == {None}


@pytest.mark.parametrize("kind", [TestsScorer, StaticScorer, LabelsScorer])
class TestBuiltIn(ScorerContract):
    @pytest.fixture
    def scorer(self, kind: type[Scorer]) -> Scorer:
        return kind()
