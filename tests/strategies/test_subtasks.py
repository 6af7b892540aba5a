"""Splitting a task, solving its parts, combining them; and what a small model answers instead."""

from __future__ import annotations

import ast
import keyword

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallenough.contracts.playing import CODED, PLAN, make
from smallenough.records import Action, Ask, Evaluation, Propose, Step, TestResult
from smallenough.strategies._subtasks import MOST_ASKS, MOST_PARTS, assembled, parse_parts

HALF = "```python\ndef half(n):\n    return n / 2\n```"
TWICE = "```python\ndef twice(n):\n    return n + n\n```"
DOUBLE = "```python\ndef double(n):\n    return twice(n)\n```"


def trial(*responses: str, passed: bool = False) -> list[Step]:
    """A trial in which the one plain try failed, and the given answers came to what followed."""
    strategy = make("branching", max_depth=0, subtasks=True)
    answers = iter(responses)
    steps: list[Step] = []
    while actions := strategy.next(CODED, steps, 7):
        steps += [step(len(steps) + place, action, answers, passed) for place, action in enumerate(actions)]
    assert next(answers, None) is None, "an answer was not asked for"
    return steps


def step(index: int, action: Action, answers: object, passed: bool) -> Step:
    if isinstance(action, Propose):
        return Step(index, action, action.code, action.code, evaluation(passed))
    if action.role == "solve":
        return Step(index, action, "no", None, evaluation(False))
    assert not action.check
    assert hasattr(answers, "__next__")
    return Step(index, action, next(answers), None, None)


def evaluation(passed: bool) -> Evaluation:
    return Evaluation((TestResult("assert double(2) == 4", passed, None if passed else "NoCode"),), True)


def roles(steps: list[Step]) -> list[str]:
    return [one.action.role if isinstance(one.action, Ask) else "propose" for one in steps]


def test_a_task_is_split_solved_in_parts_and_combined() -> None:
    steps = trial(PLAN, HALF, TWICE, DOUBLE, passed=True)
    assert roles(steps) == ["solve", "subtask", "subtask", "subtask", "combine", "propose"]
    split, half, twice, combine = (one.action for one in steps[1:5])
    assert isinstance(split, Ask)
    assert isinstance(half, Ask)
    assert isinstance(twice, Ask)
    assert isinstance(combine, Ask)
    assert [ask.parent for ask in (split, half, twice, combine)] == [0, 1, 1, 1]
    assert "the half of n" in half.messages[-1].content
    assert "half" not in twice.messages[-1].content, "each part is asked for alone"
    assert "def half(n)" in combine.messages[-1].content
    assert "def twice(n)" in combine.messages[-1].content
    whole = steps[-1].action
    assert isinstance(whole, Propose)
    assert whole.code == "def twice(n):\n    return n + n\n\ndef double(n):\n    return twice(n)"
    assert whole.parents == (4, 2, 3)
    assert make("branching").choose(CODED, steps) is steps[-1]


def test_it_comes_after_every_plain_try_and_only_if_wanted() -> None:
    failed = [Step(0, Ask(()), "no", None, evaluation(False))]
    plain = make("branching", max_depth=1, width=1, subtasks=True)
    (second,) = plain.next(CODED, failed, 7)
    assert isinstance(second, Ask)
    assert second.role == "solve"
    tried = [*failed, Step(1, second, "no", None, evaluation(False))]
    (split,) = plain.next(CODED, tried, 7)
    assert isinstance(split, Ask)
    assert split.role == "subtask"
    assert make("branching", max_depth=1, width=1).next(CODED, tried, 7) == []
    solved = [*failed, Step(1, second, "yes", "code", evaluation(True))]
    assert plain.next(CODED, solved, 7) == []
    kept = make("branching", max_depth=1, width=1, subtasks=True, early_stop=False)
    assert kept.next(CODED, solved, 7) == [], "what is solved is not split"


@pytest.mark.parametrize(
    "plan", ["", "I don't know.", "Write `double(n)` again.", "```python\ndef double(n):\n    return (\n```"]
)
def test_a_split_that_can_t_be_used_changes_nothing(plan: str) -> None:
    steps = trial(plan)
    assert roles(steps) == ["solve", "subtask"]
    assert make("branching").choose(CODED, steps) is steps[0]


def test_a_split_that_solves_the_task_instead_is_proposed() -> None:
    steps = trial("```python\ndef double(n):\n    return 2 * n\nprint(double(2))\n```", passed=True)
    whole = steps[-1].action
    assert isinstance(whole, Propose)
    assert (whole.code, whole.parents) == ("def double(n):\n    return 2 * n", (1,))
    assert len(steps) == 3


def test_parts_that_do_not_come_out_are_left_out() -> None:
    steps = trial(PLAN, "I can't.", TWICE, DOUBLE)
    combine = steps[4].action
    assert isinstance(combine, Ask)
    assert "half" not in combine.messages[-1].content
    assert roles(trial(PLAN, "I can't.", "```python\ndef twice(n):\n    return (\n```")) == ["solve"] + 3 * ["subtask"]


def test_without_a_solution_there_is_nothing_to_propose() -> None:
    assert roles(trial(PLAN, HALF, TWICE, "No."))[-1] == "combine"


def test_a_solution_that_stands_alone_is_proposed_as_it_is() -> None:
    whole = trial(PLAN, HALF, TWICE, "```python\ndef double(n):\n    return 2 * n\n```")[-1].action
    assert isinstance(whole, Propose)
    assert whole.code == "def double(n):\n    return 2 * n"


def test_a_spent_budget_begins_no_split() -> None:
    strategy = make("branching", max_depth=0, subtasks=True, budget_tokens=5)
    assert strategy.next(CODED, [Step(0, Ask(()), "no", None, evaluation(False), tokens=5)], 7) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (PLAN, [("half", "n", "the half of n"), ("twice", "n", "n two times")]),
        ("1. `is_vowel(ch)`: whether ch is a vowel\n2. `count(s)` - counts", [
            ("is_vowel", "ch", "whether ch is a vowel"), ("count", "s", "counts")]),
        ("- is_vowel(ch: str) -> bool: Whether ch is a vowel.", [("is_vowel", "ch: str", "Whether ch is a vowel")]),
        ("* **is_vowel(ch)** – tells vowels", [("is_vowel", "ch", "tells vowels")]),
        ('def first_word(text):\n    """The first word."""\n    return text.split()[0]', [
            ("first_word", "text", "The first word")]),
        ("def first_word(text):\n    # The first word\n    pass", [("first_word", "text", "The first word")]),
        ("def first_word(text): pass", [("first_word", "text", "pass")]),
        ("def first_word(text):", [("first_word", "text", "first word")]),
        ("    def inner(a, b=2): # sum", [("inner", "a, b=2", "sum")]),
        ("def f(a): # one\ndef f(b): # again", [("f", "a", "one")]),
        ("1. print(x)\n2. len(x)\n3. double(n)\n4. lambda(x)", []),
        ("You could call half(n) here.", []),
        ("def broken(1):", []),
    ],
)  # fmt: skip
def test_what_small_models_answer_is_understood(text: str, expected: list[tuple[str, str, str]]) -> None:
    found = parse_parts(text, {"double"})
    assert [(part.name, part.parameters, part.purpose) for part in found] == expected


@settings(deadline=None)
@given(
    st.text()
    | st.lists(st.sampled_from(["def ", "f", "g(a)", "(", ")", ": ", "\n", "- ", "`", "#", "1. ", "->"])).map("".join)
)
def test_any_text_gives_a_few_parts_that_can_be_asked_for(text: str) -> None:
    parts = parse_parts(text, {"taken"})
    assert len(parts) <= MOST_PARTS
    assert len({part.name for part in parts}) == len(parts)
    for part in parts:
        ast.parse(f"def {part.name}({part.parameters}): pass")
        assert not keyword.iskeyword(part.name)
        assert part.name != "taken"
        assert "\n" not in part.purpose


def test_a_long_answer_is_read_in_no_time() -> None:
    assert parse_parts("- " + "a(" * 50_000) == ()
    assert parse_parts("- a" * 50_000 + "\n" + "def " * 50_000) == ()


def test_a_split_takes_no_more_inferences_than_it_tells() -> None:
    plan = "\n".join(f"def part_{number}(n):" for number in range(9))
    parts = [f"def part_{number}(n):\n    return n" for number in range(MOST_PARTS)]
    made = [one for one in trial(plan, *parts, DOUBLE) if isinstance(one.action, Ask)]
    assert len(made) == 1 + MOST_ASKS


def test_helpers_are_put_before_what_calls_them_and_only_where_they_are_missing() -> None:
    helpers = {"f": "def f(): return g()", "g": "def g(): return f()", "h": "def h(): return 1"}
    whole = assembled("def main(): return f()", helpers)
    assert whole == "def g(): return f()\n\ndef f(): return g()\n\ndef main(): return f()"
    own = "def f(): return 2\ndef main(): return f()"
    assert assembled(own, helpers) == own
    assert assembled("def main(: f()", helpers) == "def main(: f()"
