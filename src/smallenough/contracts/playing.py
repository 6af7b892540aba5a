"""Trials on made-up answers: no model and no sandbox. What comes of an action depends on the action alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any

from hypothesis import strategies as st

from smallenough.extraction import extract_code
from smallenough.labels import name_label, validity
from smallenough.options import StrategyOptions, strategy_options
from smallenough.plugins import load
from smallenough.prompts import Prompts
from smallenough.protocols import Strategy
from smallenough.records import Action, Ask, Evaluation, Problem, SizeClass, Step, Test, TestResult, digest, replace
from smallenough.syntax import parse
from smallenough.tasks.basics import BasicsSource

SIZES: tuple[SizeClass, SizeClass] = ("small", "large")
EXAMPLES = BasicsSource().load().examples
TESTS = (Test("assert double(2) == 4"), Test("assert double(-1) == -2"))
CODED = Problem("t", "Return the double of n.", "double", "function", TESTS)
UNTESTED = replace(CODED, public_tests=())
FREE = Problem("t", "Say hello.", None, "function", ())
LABELLED = Problem("t", "Which colour has double cream?", None, "label", (), labels=("white", "red"))

PLAN = "```python\ndef half(n):  # the half of n\ndef twice(n):  # n two times\n```"
ANSWERS = (
    "```python\ndef double(n):\n    return 2 * n\n```",
    "```python\ndef double(n):\n    return twice(n)\n```",
    "```python\ndef twice(n):\n    return n + n\n```",
    "```python\ndef double(n):\n    return (\n```",
    "I can't do that.",
    PLAN,
    "White.",
    "Answer: red",
    "",
)

problems = st.sampled_from([CODED, UNTESTED, FREE, LABELLED])


def make(name: str, options: StrategyOptions | None = None, **given: Any) -> Strategy:
    """A strategy, with as many examples as its options want."""
    chosen = options or strategy_options(name, given)
    kind: Callable[[StrategyOptions, Prompts], Strategy] = load("strategies", name)
    return kind(chosen, prompts(chosen.shots))


@cache
def prompts(shots: int = 0) -> Prompts:
    """The packaged templates, with so many examples."""
    small, large = (replace(Prompts.load(size), shots=EXAMPLES[:shots]) for size in SIZES)
    return replace(small, others={"big": large})


@dataclass(frozen=True)
class World:
    """Answers every action in its own way: the same action always has the same answer and the same test results."""

    answers: tuple[str, ...]
    passes: tuple[bool, ...]
    """Which tests pass, drawn from in turn."""

    def step(self, index: int, action: Action, problem: Problem) -> Step:
        """What comes of `action`."""
        number = (
            int(digest([asdict(action)["messages"], asdict(action.sampling), action.model])[:8], 16)
            if (isinstance(action, Ask))
            else int(digest(action.code)[:8], 16)
        )
        response = self.answers[number % len(self.answers)] if isinstance(action, Ask) else action.code
        if not problem.checked or (isinstance(action, Ask) and not action.check):
            return Step(index, action, response, None, None, tokens=10, seconds=1.0)
        if problem.kind == "label":
            named = name_label(response, problem)
            return Step(index, action, response, named.label, validity(named), tokens=10, seconds=1.0)
        code = extract_code(response, problem.entry_point) if isinstance(action, Ask) else action.code
        return Step(index, action, response, code, self._evaluate(code, problem, number), tokens=10, seconds=1.0)

    def _evaluate(self, code: str | None, problem: Problem, number: int) -> Evaluation:
        fault = "NoCode" if code is None else None if parses(code) else "SyntaxError"
        results = []
        for place, test in enumerate(problem.public_tests):
            passed = fault is None and self.passes[(number + place) % len(self.passes)]
            error = None if passed else fault or "AssertionError"
            results.append(TestResult(test.code, passed, error, "", "4", None if passed or fault else str(number % 3)))
        return Evaluation(tuple(results), None if code is None else fault is None)


worlds = st.builds(
    World,
    st.lists(st.sampled_from(ANSWERS) | st.text(max_size=30), min_size=1, max_size=8).map(tuple),
    st.lists(st.booleans(), min_size=1, max_size=5).map(tuple),
)


def parses(code: str) -> bool:
    """Whether `code` is Python."""
    try:
        parse(code)
    except SyntaxError:
        return False
    return True


def turns(
    strategy: Strategy, world: World, problem: Problem = CODED, seed: int = 7
) -> Iterator[tuple[list[Step], list[Action]]]:
    """Plays a trial: before each turn the steps so far, and the actions that the strategy takes."""
    steps: list[Step] = []
    while actions := strategy.next(problem, steps, seed):
        yield list(steps), actions
        steps += [world.step(len(steps) + place, action, problem) for place, action in enumerate(actions)]
        assert len(steps) <= 100, "it never ends"
    yield steps, []


def play(strategy: Strategy, world: World, problem: Problem = CODED, seed: int = 7) -> list[Step]:
    """Plays a trial to its end."""
    return [*turns(strategy, world, problem, seed)][-1][0]


def asks(steps: Sequence[Step]) -> list[Ask]:
    """The inferences among the steps."""
    return [step.action for step in steps if isinstance(step.action, Ask)]


def one_by_one(options: StrategyOptions, *, parallel: bool) -> StrategyOptions | None:
    """The same options with parallel asking on or off, and nothing that ends a trial early; None: they have no such."""
    if "parallel" not in {field.name for field in fields(options)}:
        return None
    changed: Any = {"parallel": parallel, "early_stop": False}
    return replace(options, **changed)
