"""`patient`: asks the same question again until an answer passes the public tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smallenough.errors import InputError
from smallenough.options import StrategyOptions
from smallenough.prompts import Prompts
from smallenough.records import Action, Ask, Problem, Sampling, Step


@dataclass(frozen=True, slots=True)
class Options(StrategyOptions):
    """What `patient` may do."""

    most: int = 3
    """Attempts at most."""

    def __post_init__(self) -> None:
        if self.most < 1:
            raise InputError("patient: most must be 1 or more")

    @property
    def most_asks(self) -> int:
        """All attempts."""
        return self.most


@dataclass(frozen=True)
class Patient:
    """The same question, with another seed each time."""

    options: Options
    prompts: Prompts

    def next(self, problem: Problem, steps: Sequence[Step], seed: int) -> list[Action]:
        """Another attempt, unless the last one passed or there were enough."""
        if len(steps) == self.options.most or (steps and _passed(steps[-1])):
            return []
        return [Ask(self.prompts.first(problem), sampling=Sampling(seed=seed + len(steps)))]

    def choose(self, problem: Problem, steps: Sequence[Step]) -> Step | None:
        """The one that passes most of the public tests; of equals, the first."""
        return max(steps, key=_share, default=None)


def _passed(step: Step) -> bool:
    """Whether an answer passes the public tests; where there are none, any will do."""
    return step.evaluation is None or step.evaluation.passed is not False


def _share(step: Step) -> float:
    """The share of the public tests that an answer passes; 0 where there are none."""
    return step.evaluation.ratio or 0.0 if step.evaluation else 0.0
