"""How strategies hold the answers to label tasks to their labels."""

from __future__ import annotations

from typing import Any

import pytest

from smallenough.contracts.playing import CODED, LABELLED, World, asks, make, play
from smallenough.errors import InputError
from smallenough.options import strategy_options
from smallenough.records import Choices
from smallenough.strategies.cascade import Options as CascadeOptions

STRATEGIES: dict[str, dict[str, Any]] = {
    "single": {},
    "best_of_n": {"n": 2},
    "branching": {"max_depth": 1, "early_stop": False},
    "cascade": {"large": "big", "first": "best_of_n:n=2"},
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_attempt_at_a_label_is_held_to_the_labels(name: str) -> None:
    strategy = make(name, answers="constrained", **STRATEGIES[name])
    held = Choices(LABELLED.labels, "constrained")
    assert {ask.choices for ask in strategy.next(LABELLED, [], 7)} == {held}  # type: ignore[union-attr]
    free = make(name, **STRATEGIES[name])
    assert {ask.choices for ask in free.next(LABELLED, [], 7)} == {None}  # type: ignore[union-attr]


@pytest.mark.parametrize("name", STRATEGIES)
def test_code_is_held_to_nothing(name: str) -> None:
    strategy = make(name, answers="constrained", **STRATEGIES[name])
    assert {ask.choices for ask in asks(play(strategy, World(("I can't.",), (False,)), CODED))} == {None}


def test_the_likeliest_answer_is_drawn_once() -> None:
    with pytest.raises(InputError, match="the likeliest answer is always the same; take single"):
        strategy_options("best_of_n", {"answers": "likelihood"})
    assert strategy_options("best_of_n", {"answers": "likelihood", "n": 1}).answers == "likelihood"


def test_a_cascade_s_two_models_answer_in_one_way() -> None:
    assert CascadeOptions(large="big", answers="likelihood").of_first.answers == "likelihood"
    with pytest.raises(InputError, match="answers holds for both models; say it of cascade itself"):
        CascadeOptions(large="big", first="single:answers=likelihood")
    with pytest.raises(InputError, match="the likeliest answer is always the same"):
        CascadeOptions(large="big", first="best_of_n:n=2", answers="likelihood")


def test_an_unknown_way_is_told() -> None:
    with pytest.raises(
        InputError, match="strategy single, option answers: should be 'free', 'constrained' or 'likelihood'"
    ):
        strategy_options("single", {"answers": "best"})
