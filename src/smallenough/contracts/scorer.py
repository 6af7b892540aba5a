"""What every scorer must do. Subclass it and bring the fixture `scorer`."""

from __future__ import annotations

import math

import pytest

from smallenough.protocols import AskModel, Scorer
from smallenough.records import Answer, Ask, Evaluation, Score, Step, Task, Test, TestResult

TASK = Task("t", "Write double(n), which returns n doubled.", "double", hidden_tests=(Test("assert double(2) == 4"),))
RIGHT, WRONG = "def double(n):\n    return 2 * n", "def double(n):\n    return n"


def answer(code: str | None, *, passed: bool | None = None) -> Answer:
    """An answer to `TASK` with this code; `passed` says whether it passes the hidden test, None: it was not run."""
    result = TestResult("assert double(2) == 4", bool(passed), None if passed else "AssertionError", seconds=0.01)
    step = Step(0, Ask(()), code or "I can't.", code, None)
    return Answer(step, None if passed is None else Evaluation((result,), syntax_valid=True))


class ScorerContract:
    """`scorer` gives scores to any answer."""

    @pytest.fixture
    def scorer(self) -> Scorer:
        raise NotImplementedError

    @pytest.fixture(params=["no model", "a model"])
    def ask(self, request: pytest.FixtureRequest) -> AskModel | None:
        """How the scorer asks: not at all, or a model that answers everything alike."""
        return None if request.param == "no model" else lambda messages, role: f"{len(messages)} {role}"

    def scores(
        self, scorer: Scorer, code: str | None, *, passed: bool | None = None, ask: AskModel | None = None
    ) -> list[Score]:
        return scorer.score(TASK, answer(code, passed=passed), ask)

    def test_it_is_a_scorer_with_a_name_and_a_version(self, scorer: Scorer) -> None:
        assert isinstance(scorer, Scorer)
        assert scorer.name
        assert scorer.version

    @pytest.mark.parametrize("code", [RIGHT, WRONG, None, "", "def (", "x" * 10_000, "\x00", "é = '\ud800'"])
    def test_every_answer_has_scores_signed_by_it_and_what_is_not_measured_is_none(
        self, scorer: Scorer, code: str | None, ask: AskModel | None
    ) -> None:
        for passed in (True, False, None):
            for score in self.scores(scorer, code, passed=passed, ask=ask):
                assert score.name
                assert score.scorer == f"{scorer.name}/{scorer.version}"
                assert score.value is None or math.isfinite(score.value)

    def test_the_names_are_the_same_for_every_answer(self, scorer: Scorer) -> None:
        names = [[score.name for score in self.scores(scorer, code, passed=True)] for code in (RIGHT, None, "def (")]
        assert names[0] == names[1] == names[2]
        assert len(set(names[0])) == len(names[0]) > 0

    def test_the_same_answer_scores_the_same(self, scorer: Scorer) -> None:
        assert self.scores(scorer, RIGHT, passed=True) == self.scores(scorer, RIGHT, passed=True)
