"""What the tests say of an answer."""

from __future__ import annotations

from smallenough.protocols import AskModel
from smallenough.records import Answer, Evaluation, Score, Task

RESOLUTION_SECONDS = 1e-4
"""Run times below this are taken as this: the clock would be compared, and not the code."""


class TestsScorer:
    """Solved or not, the ratio of tests passed, whether the code parses, and its run time by the reference's."""

    __test__ = False  # pytest takes a class of this name for tests
    name = "tests"
    version = "1"

    def score(self, task: Task, answer: Answer, ask: AskModel | None = None) -> list[Score]:
        """The scores of one step; None where no test decides, or there is no code."""
        hidden = answer.hidden
        syntax = next((it.syntax_valid for it in (hidden, answer.step.evaluation) if it is not None), None)
        values: dict[str, float | None] = {
            "solved": None if hidden is None or hidden.passed is None else float(hidden.passed),
            "tests_passed_ratio": hidden.ratio if hidden else None,
            "syntax_valid": None if syntax is None else float(syntax),
            "runtime_ratio": _runtime_ratio(hidden, answer.reference_seconds) if hidden else None,
        }
        return [Score(name, value, f"{self.name}/{self.version}") for name, value in values.items()]


def _runtime_ratio(hidden: Evaluation, reference_seconds: float | None) -> float | None:
    """Run time by the reference's; None where the answer is wrong, since speed then means nothing."""
    seconds = [result.seconds for result in hidden.results if result.seconds is not None]
    if not hidden.passed or reference_seconds is None or len(seconds) != len(hidden.results):
        return None
    return max(sum(seconds), RESOLUTION_SECONDS) / max(reference_seconds, RESOLUTION_SECONDS)
