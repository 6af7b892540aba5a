"""What branching does next, for every combination of its options, on made-up steps: no model is needed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallenough.errors import InputError
from smallenough.prompts import Prompts
from smallenough.records import Ask, Evaluation, Problem, Step, Test, TestResult
from smallenough.strategies.branching import Branching, Options
from tests.strategies.any_options import BRANCHING

PROBLEM = Problem("t", "Return the double of n.", "double", "function", (Test("assert double(2) == 4"),))
PROMPTS = Prompts.load("small")

options = st.builds(Options, **BRANCHING, budget_tokens=st.none(), budget_seconds=st.none())


def step(index: int, ask: Any, *passed: bool, tokens: int = 10) -> Step:
    results = tuple(
        TestResult("assert double(2) == 4", ok, None if ok else "AssertionError", "wrong", "4", "5") for ok in passed
    )
    return Step(index, ask, "```python\ncode\n```", "code", Evaluation(results, True), tokens=tokens, seconds=1.0)


def play(strategy: Branching, outcomes: list[list[bool]], problem: Problem = PROBLEM) -> list[Step]:
    """Plays a trial to its end, the given public results one after the other (the last for all that follow)."""
    steps: list[Step] = []
    while actions := strategy.next(problem, steps, 7):
        assert actions == strategy.next(problem, steps, 7), "a strategy is pure"
        for action in actions:
            assert isinstance(action, Ask)
            assert action.parent is None or action.parent < len(steps)
            steps.append(step(len(steps), action, *outcomes[min(len(steps), len(outcomes) - 1)]))
        assert len(steps) <= 100, "it never ends"
    return steps


def asks(steps: list[Step]) -> list[Ask]:
    return [one.action for one in steps if isinstance(one.action, Ask)]


@settings(deadline=None)
@given(options)
def test_never_solved_it_uses_its_whole_budget_and_no_more(chosen: Options) -> None:
    steps = play(Branching(chosen, PROMPTS), [[False]])
    assert len(steps) == 1 + chosen.max_depth * chosen.width


@settings(deadline=None)
@given(options, st.integers(0, 5))
def test_early_stop_ends_with_the_level_in_which_a_test_passed(chosen: Options, solved_at: int) -> None:
    steps = play(Branching(chosen, PROMPTS), [[False]] * solved_at + [[True]])
    full = 1 + chosen.max_depth * chosen.width
    if not chosen.early_stop or solved_at >= full:
        assert len(steps) == full
    elif chosen.parallel and solved_at:
        level = (solved_at - 1) // chosen.width + 1
        assert len(steps) == 1 + level * chosen.width
    else:
        assert len(steps) == solved_at + 1


@settings(deadline=None)
@given(options)
def test_temperatures_climb_the_ladder_a_rung_a_level(chosen: Options) -> None:
    for index, ask in enumerate(asks(play(Branching(chosen, PROMPTS), [[False]]))):
        level = 0 if index == 0 else (index - 1) // chosen.width + 1
        rung = chosen.ladder[min(level, len(chosen.ladder) - 1)] if chosen.ladder else None
        assert ask.sampling.temperature == rung


@settings(deadline=None)
@given(options)
def test_every_branch_has_a_seed_of_its_own(chosen: Options) -> None:
    seeds = [ask.sampling.seed for ask in asks(play(Branching(chosen, PROMPTS), [[False]]))]
    assert len(set(seeds)) == len(seeds)


@pytest.mark.parametrize(
    ("switch", "note"), [("hints", "hint"), ("reformulate", "reformulate"), ("shorten", "shorten")]
)
def test_each_move_can_be_switched_alone(switch: str, note: str) -> None:
    off: dict[str, Any] = {"feedback": "off", "hints": False, "reformulate": False, "shorten": False}
    only = play(Branching(Options(**{**off, switch: True}), PROMPTS), [[False]])
    assert {ask.note for ask in asks(only)[1:]} == {note}
    all_but: dict[str, Any] = {switch: False}
    without = play(Branching(Options(**all_but), PROMPTS), [[False]])
    assert note not in {ask.note for ask in asks(without)}


def test_with_every_move_off_it_resamples_the_first_question() -> None:
    strategy = Branching(Options(feedback="off", hints=False, reformulate=False, shorten=False), PROMPTS)
    first, *others = asks(play(strategy, [[False]]))
    assert {ask.messages for ask in others} == {first.messages}
    assert {ask.note for ask in others} == {"resample"}


def test_chat_feedback_continues_the_conversation_with_the_failed_test() -> None:
    strategy = Branching(Options(max_depth=1, width=1), PROMPTS)
    first, second = asks(play(strategy, [[False]]))
    assert second.messages[: len(first.messages)] == first.messages
    assert second.messages[-2].role == "assistant"
    assert "assert double(2) == 4" in second.messages[-1].content
    assert "gave 5" in second.messages[-1].content


def test_rewritten_feedback_begins_anew_with_the_earlier_code() -> None:
    strategy = Branching(Options(max_depth=1, width=1, feedback="rewrite"), PROMPTS)
    _, second = asks(play(strategy, [[False]]))
    assert [message.role for message in second.messages] == ["user"]
    assert "code" in second.messages[-1].content
    assert "assert double(2) == 4" in second.messages[-1].content


def test_hints_grow() -> None:
    strategy = Branching(Options(max_depth=3, width=1, feedback="off", reformulate=False, shorten=False), PROMPTS)
    texts = [ask.messages[-1].content for ask in asks(play(strategy, [[False]]))[1:]]
    assert "step by step" not in texts[0]
    assert "step by step" in texts[1]
    assert "def double(a):" in texts[2]


def test_it_continues_the_best_step_and_chooses_it() -> None:
    strategy = Branching(Options(max_depth=2, width=2), PROMPTS)
    steps = play(strategy, [[False, False], [True, False], [False, False]])
    assert steps[3].parent == 1
    chosen = strategy.choose(PROBLEM, steps)
    assert chosen is not None
    assert chosen.index == 1


@pytest.mark.parametrize("budget", [{"budget_tokens": 30}, {"budget_seconds": 3.0}])
def test_a_spent_budget_begins_no_new_level(budget: dict[str, Any]) -> None:
    strategy = Branching(Options(max_depth=9, width=2, **budget), PROMPTS)
    assert len(play(strategy, [[False]])) == 3


def test_without_public_tests_there_is_nothing_to_branch_on() -> None:
    problem = Problem("t", "Say hello.", "hello", "function", ())
    assert len(play(Branching(Options(early_stop=False), PROMPTS), [[]], problem)) == 1


@pytest.mark.parametrize("wrong", [{"max_depth": -1}, {"width": 0}, {"ladder": (3.0,)}])
def test_impossible_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="branching:"):
        Options(**wrong)


def test_of_equals_the_latest_is_continued_and_the_earliest_is_the_answer() -> None:
    strategy = Branching(Options(max_depth=3, width=2, early_stop=False), PROMPTS)
    steps = play(strategy, [[False]])
    assert [one.parent for one in asks(steps)] == [None, 0, 0, 2, 2, 4, 4]
    assert strategy.choose(PROBLEM, steps) == steps[0]
    better = play(strategy, [[False, False], [True, False], [False, False]])
    assert [one.parent for one in asks(better)] == [None, 0, 0, 1, 1, 1, 1]
