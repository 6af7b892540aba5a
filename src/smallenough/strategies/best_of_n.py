"""`best_of_n`: independent samples of the first question, chosen by the public tests, then by agreement.

The candidates that pass the most public tests stay (code that parses before code that does not). Among them, agreement
decides. It is computed from what was seen of them, twice in turn:

1. behaviour: two candidates agree where every public test came to the same with both: passed, or the same class of
   error and the same value. So it tells apart wrong answers, and right ones by nothing.
2. form: two candidates agree where their syntax trees are the same, apart from comments, documentation, annotations of
   functions, and the names of parameters and variables. Answers that are not code agree where their words are the same.

The largest set of candidates that agree stays; of equally large ones, that of the earliest candidate. The answer is its
earliest. Choosing the answer that most samples agree on is self-consistency (Wang et al. 2022, arXiv:2203.11171);
filtering programs by the public tests and then taking the largest cluster of equal behaviour is AlphaCode's way (Li et
al. 2022, arXiv:2203.07814), which has further inputs made up to run them on. Here no code runs but for the public
tests, hence the form.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from smallenough.errors import InputError
from smallenough.options import StrategyOptions
from smallenough.prompts import Prompts
from smallenough.records import Action, Ask, Problem, Sampling, Step
from smallenough.strategies._steps import choices, merit
from smallenough.syntax import normalised


@dataclass(frozen=True, slots=True)
class Options(StrategyOptions):
    """How `best_of_n` samples."""

    n: int = 5
    """Samples."""
    temperature: float | None = 0.7
    """At which samples are drawn; None: the arm's own."""
    parallel: bool = True
    """Whether all samples are asked for at once; else one by one."""
    early_stop: bool = True
    """One by one: whether the trial ends once a sample passes the public tests."""

    def __post_init__(self) -> None:
        if self.n < 1:
            raise InputError("best_of_n: n must be 1 or more")
        if self.temperature is not None and not 0 <= self.temperature <= 2:
            raise InputError("best_of_n: temperature must be between 0 and 2")
        if self.answers == "likelihood" and self.n > 1:
            raise InputError("best_of_n: the likeliest answer is always the same; take single, or answers=constrained")

    @property
    def least_asks(self) -> int:
        """All samples, unless they are drawn one by one until one passes."""
        return 1 if self.early_stop and not self.parallel else self.n

    @property
    def most_asks(self) -> int:
        """All samples."""
        return self.n


@dataclass(frozen=True)
class BestOfN:
    """Independent samples, the best of them chosen."""

    options: Options
    prompts: Prompts

    def next(self, problem: Problem, steps: Sequence[Step], seed: int) -> list[Action]:
        """The samples that are still to be drawn: all, or the next."""
        drawn, wanted = len(steps), self.options.n
        if not self.options.parallel:
            found = self.options.early_stop and any(step.passed for step in steps)
            wanted = drawn if found else min(drawn + 1, wanted)
        messages, held = self.prompts.first(problem), choices(problem, self.options)
        return [
            Ask(messages, sampling=Sampling(self.options.temperature, seed=seed + sample), note="sample", choices=held)
            for sample in range(drawn, wanted)
        ]

    def choose(self, problem: Problem, steps: Sequence[Step]) -> Step | None:
        """The sample that passes most public tests; of equals, the earliest of the largest set that agrees."""
        if not steps:
            return None
        most = max(map(merit, steps))
        best = [step for step in steps if merit(step) == most]
        return _largest(_largest(best, _behaviour), _form)[0]


def _largest(steps: Sequence[Step], key: Callable[[Step], Hashable]) -> list[Step]:
    """The largest set of steps with the same key; of equally large ones, the first."""
    sets: dict[Hashable, list[Step]] = defaultdict(list)
    for step in steps:
        sets[key(step)].append(step)
    return max(sets.values(), key=len)


def _behaviour(step: Step) -> Hashable:
    """What was seen of a step on the public tests."""
    results = step.evaluation.results if step.evaluation else ()
    return tuple((result.passed, result.error, result.actual) for result in results)


def _form(step: Step) -> str:
    """What the answer says, however it is written."""
    return normalised(step.code) if step.code is not None else " ".join(step.response.split()).casefold()
