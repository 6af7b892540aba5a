"""`cascade`: the small model first, the large one only where that was not enough.

The arm's own model works by any other strategy (`first`) to its end. Where its answer fails a public test (of a label
task: is none of the labels), or where there is no public test to tell (`untested`), the large model is asked the first
question, once. The answer is the large model's, unless the small one's does better on the public tests. This is the
cascade of FrugalGPT (Chen et al. 2023, arXiv:2305.05176) with the public tests in place of a learned scorer.

Both models are the same provider's, and sampled as the arm is, but for the texts that end an answer, which are each
model's own. A session serves all requests to the small model before it loads the large one, so that each is loaded once
for a whole arm.

    --strategy cascade:large=mistral
    --strategy "cascade:large=mistral,first=branching:max_depth=2;width=1"
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from smallenough import plugins
from smallenough.errors import InputError
from smallenough.options import StrategyOptions, parse_spec, strategy_options
from smallenough.prompts import Prompts
from smallenough.protocols import Strategy
from smallenough.records import Action, Ask, Json, Problem, Sampling, Step
from smallenough.strategies._steps import acceptable, choices, merit


@dataclass(frozen=True, slots=True)
class Options(StrategyOptions):
    """What the two stages are."""

    large: str = ""
    """The large model, as its provider calls it. It has to be named."""
    first: str | tuple[str, ...] = "single"
    """The small model's strategy. Its options follow after a colon, with semicolons between them
    (`branching:max_depth=2;width=1`); one that is itself a list can't be given here."""
    untested: bool = True
    """Whether the large model is asked where there are no public tests."""

    def __post_init__(self) -> None:
        if not self.large:
            raise InputError("cascade: name the large model, as in cascade:large=mistral")
        first = strategy_options(*self.spec)
        if first.shots:
            raise InputError("cascade: shots hold for both models; give them to cascade itself, not to its first")
        if first.answers != "free":
            raise InputError("cascade: answers holds for both models; say it of cascade itself, not of its first")
        _ = self.of_first

    @property
    def spec(self) -> tuple[str, dict[str, Json]]:
        """Name and options of the small model's strategy."""
        return parse_spec(self.first if isinstance(self.first, str) else ",".join(self.first))

    @property
    def of_first(self) -> StrategyOptions:
        """The options of the small model's strategy, validated; answers come about as the cascade's do."""
        return replace(strategy_options(*self.spec), answers=self.answers)

    @property
    def models(self) -> tuple[str, ...]:
        """The large model, and what the first stage names."""
        return tuple(dict.fromkeys((*self.of_first.models, self.large)))

    @property
    def least_asks(self) -> int:
        """Those of the first stage."""
        return self.of_first.least_asks

    @property
    def most_asks(self) -> int | None:
        """Those of the first stage, and one."""
        first = self.of_first.most_asks
        return None if first is None else first + 1


@dataclass(frozen=True)
class Cascade:
    """The small model first, then the large one."""

    options: Options
    prompts: Prompts

    def next(self, problem: Problem, steps: Sequence[Step], seed: int) -> list[Action]:
        """What the first stage wants; when it is done, the large model's attempt where it is needed."""
        if any(self._is_large(step) for step in steps):
            return []
        actions = self._first.next(problem, steps, seed)
        answer = self._first.choose(problem, steps)
        if actions or not self._wanting(problem, answer):
            return actions
        prompts = self.prompts.others.get(self.options.large, self.prompts)
        sampling, parent = Sampling(seed=seed, stop=prompts.stop), answer.index if answer else None
        held = choices(problem, self.options)
        return [Ask(prompts.first(problem), self.options.large, sampling, parent, note="large", choices=held)]

    def choose(self, problem: Problem, steps: Sequence[Step]) -> Step | None:
        """The better one on the public tests of both models' answers; of equals, the large model's."""
        small = self._first.choose(problem, [step for step in steps if not self._is_large(step)])
        answers = [step for step in steps if self._is_large(step)] + ([small] if small else [])
        return max(answers, key=merit, default=None)

    @cached_property
    def _first(self) -> Strategy:
        name, _ = self.options.spec
        kind: Any = plugins.load("strategies", name)
        first: Strategy = kind(self.options.of_first, self.prompts)
        return first

    def _is_large(self, step: Step) -> bool:
        return isinstance(step.action, Ask) and step.action.model == self.options.large

    def _wanting(self, problem: Problem, answer: Step | None) -> bool:
        """Whether the first stage's answer calls for the large model."""
        if not problem.tested and self.options.untested:
            return True
        return answer is None or not acceptable(answer)
