"""`single`: one attempt, and that is the answer. The way a model is used as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smallenough.options import StrategyOptions
from smallenough.prompts import Prompts
from smallenough.records import Action, Ask, Problem, Sampling, Step
from smallenough.strategies._steps import choices


@dataclass(frozen=True, slots=True)
class Options(StrategyOptions):
    """`single` has nothing of its own to set."""

    @property
    def most_asks(self) -> int:
        """One."""
        return 1


@dataclass(frozen=True)
class Single:
    """One attempt."""

    options: Options
    prompts: Prompts

    def next(self, problem: Problem, steps: Sequence[Step], seed: int) -> list[Action]:
        """The one attempt, if it is still to come."""
        if steps:
            return []
        held = choices(problem, self.options)
        return [Ask(self.prompts.first(problem), sampling=Sampling(seed=seed), choices=held)]

    def choose(self, problem: Problem, steps: Sequence[Step]) -> Step | None:
        """The one attempt."""
        return steps[0] if steps else None
