"""What the strategies share: what answers are held to, which steps are candidates, how good public tests find them."""

from __future__ import annotations

from collections.abc import Sequence

from smallenough.options import StrategyOptions
from smallenough.records import Ask, Choices, Problem, Step


def choices(problem: Problem, options: StrategyOptions) -> Choices | None:
    """What an answer to the problem is held to: its labels, where the options say so; None: nothing."""
    if options.answers == "free" or not problem.labels:
        return None
    return Choices(problem.labels, options.answers)


def candidates(steps: Sequence[Step]) -> list[Step]:
    """The steps whose answer is a solution, not a plan or a part of one."""
    return [step for step in steps if not isinstance(step.action, Ask) or step.action.check]


def acceptable(step: Step) -> bool:
    """Whether nothing speaks against a step: its public tests pass; or it has none, and no code that does not parse."""
    if step.evaluation is None:
        return True
    if not step.evaluation.results:
        return step.evaluation.syntax_valid is not False
    return bool(step.passed)


def merit(step: Step) -> tuple[float, bool, bool]:
    """How good a step is, for comparison: public tests passed, 0 to 1; whether its code parses; whether it has any."""
    ratio = step.evaluation.ratio if step.evaluation else None
    valid = bool(step.evaluation and step.evaluation.syntax_valid)
    return (ratio or 0.0, valid, step.code is not None)
