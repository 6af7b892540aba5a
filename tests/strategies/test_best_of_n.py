"""Which of several samples is chosen: by the public tests first, then by agreement."""

from __future__ import annotations

from typing import Any

import pytest

from smallenough.contracts.playing import CODED, FREE, UNTESTED, World, asks, make, play
from smallenough.errors import InputError
from smallenough.records import Ask, Evaluation, Step, TestResult
from smallenough.strategies.best_of_n import Options

RIGHT = "```python\ndef double(n):\n    return 2 * n\n```"
WRONG = "I can't do that."


def step(index: int, code: str | None, *values: str | None, error: str | None = None, response: str = "") -> Step:
    """A sample: of each test the wrong value that came, or None where it passed."""
    results = tuple(
        TestResult("assert …", value is None and error is None, error or (value and "AssertionError"), actual=value)
        for value in values
    )
    valid = None if code is None else error != "SyntaxError"
    return Step(index, Ask(()), response, code, Evaluation(results, valid))


def chosen(*steps: Step, problem: Any = CODED) -> int:
    found = make("best_of_n").choose(problem, steps)
    assert found
    return found.index


def test_all_samples_are_independent_and_drawn_at_one_temperature() -> None:
    made = asks(play(make("best_of_n", n=4, temperature=0.9), World((RIGHT,), (True,))))
    assert len({ask.messages for ask in made}) == 1
    assert [ask.sampling.seed for ask in made] == [7, 8, 9, 10]
    assert {(ask.sampling.temperature, ask.parent) for ask in made} == {(0.9, None)}


def test_one_by_one_it_stops_at_the_first_that_passes() -> None:
    assert len(play(make("best_of_n", n=4, parallel=False), World((RIGHT,), (True,)))) == 1
    assert len(play(make("best_of_n", n=4, parallel=False), World((WRONG,), (True,)))) == 4
    assert len(play(make("best_of_n", n=4, parallel=False, early_stop=False), World((RIGHT,), (True,)))) == 4
    assert len(play(make("best_of_n", n=4, parallel=False), World((RIGHT,), (True,)), UNTESTED)) == 4


def test_public_tests_come_before_agreement() -> None:
    assert chosen(step(0, "a", "5", "7"), step(1, "a", "5", "7"), step(2, "b", None, "7")) == 2


def test_of_answers_that_fail_as_many_tests_the_most_common_values_win() -> None:
    assert chosen(step(0, "a", "3", None), step(1, "b", "5", None), step(2, "c", "5", None)) == 1


def test_the_same_ratio_by_other_tests_is_other_behaviour() -> None:
    assert chosen(step(0, "a", "3", None), step(1, "b", None, "5"), step(2, "c", None, "5")) == 1


def test_an_error_is_behaviour_too() -> None:
    assert chosen(step(0, "a", None, error="TypeError"), step(1, "b", "3"), step(2, "c", "3")) == 1
    errors = ["KeyError", "TypeError", "TypeError"]
    assert chosen(*(step(index, "a", None, error=error) for index, error in enumerate(errors))) == 1


def test_answers_that_behave_the_same_are_told_apart_by_their_form() -> None:
    odd = step(0, "def double(n):\n    return n << 1", None)
    one = step(1, "def double(n):\n    return 2 * n", None)
    same = step(2, 'def double(value):\n    """Twice."""\n    return 2 * value  # so', None)
    assert chosen(odd, one, same) == 1


def test_form_never_overrules_behaviour() -> None:
    steps = [step(0, "x = 1", "3"), step(1, "x = 1", "3"), step(2, "x = 2", "4"), step(3, "x = 3", "4")]
    assert chosen(*steps, step(4, "x = 4", "4")) == 2


def test_samples_that_do_not_parse_or_hold_no_code_are_outvoted_by_any_that_does() -> None:
    broken = [step(index, "def (", error="SyntaxError") for index in range(3)]
    assert chosen(*broken, step(3, "x = 1", "3")) == 3
    none = [step(index, None, error="NoCode") for index in range(3)]
    assert chosen(*none, step(3, "def (", error="SyntaxError")) == 3


def test_without_public_tests_the_most_common_form_wins() -> None:
    steps = [step(0, "x = 1"), step(1, "y = 2"), step(2, "z = 2")]
    assert chosen(*steps, problem=UNTESTED) == 1


def test_free_answers_agree_by_their_words() -> None:
    texts = ["Good day", "Hello  there", "hello there\n"]
    steps = [Step(index, Ask(()), text, None, None) for index, text in enumerate(texts)]
    assert chosen(*steps, problem=FREE) == 1


def test_of_equal_sets_the_earliest_wins() -> None:
    assert chosen(step(0, "a", "1"), step(1, "b", "2")) == 0


@pytest.mark.parametrize("wrong", [{"n": 0}, {"temperature": 2.5}, {"temperature": -0.1}])
def test_impossible_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="best_of_n:"):
        Options(**wrong)
