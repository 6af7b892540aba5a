"""When the large model is asked, and whose answer counts."""

from __future__ import annotations

from typing import Any

import pytest

from smallenough.contracts.playing import CODED, FREE, UNTESTED, World, asks, make, play, prompts
from smallenough.errors import InputError, UnknownName
from smallenough.options import parse_spec, strategy_options
from smallenough.records import Ask, Problem, replace
from smallenough.strategies.cascade import Cascade

RIGHT = "```python\ndef double(n):\n    return 2 * n\n```"
BROKEN = "```python\ndef double(n):\n    return (\n```"
PASSES, FAILS = World((RIGHT,), (True,)), World((RIGHT,), (False,))


def models(*, world: World, problem: Problem = CODED, **given: Any) -> list[str | None]:
    """The models that are asked in turn; None is the arm's own."""
    return [ask.model for ask in asks(play(make("cascade", large="big", **given), world, problem))]


def test_the_large_model_is_asked_only_where_the_small_one_fails_a_public_test() -> None:
    assert models(world=PASSES) == [None]
    assert models(world=FAILS) == [None, "big"]
    assert models(world=World((RIGHT,), (True, False))) == [None, "big"]


def test_without_public_tests_an_option_decides() -> None:
    assert models(world=PASSES, problem=UNTESTED) == [None, "big"]
    assert models(world=PASSES, problem=FREE) == [None, "big"]
    assert models(world=PASSES, problem=UNTESTED, untested=False) == [None]
    assert models(world=PASSES, problem=FREE, untested=False) == [None]
    assert models(world=World((BROKEN,), (True,)), problem=UNTESTED, untested=False) == [None, "big"]


def test_any_strategy_may_be_the_small_model_s() -> None:
    assert models(world=FAILS, first="best_of_n:n=3") == [None, None, None, "big"]
    branching = ("branching:max_depth=2", "width=1")
    assert models(world=FAILS, first=branching) == [None, None, None, "big"]
    assert models(world=FAILS, first="cascade:large=middle") == [None, "middle", "big"]


def test_the_large_model_is_asked_anew_with_the_detailed_prompt() -> None:
    steps = play(make("cascade", large="big", first="branching:max_depth=1"), FAILS)
    last = asks(steps)[-1]
    assert last.messages == prompts().others["big"].first(CODED)
    assert last.messages[0].role == "system"
    assert last.parent == 0, "it takes over from the small model's answer"


def test_the_large_model_s_answer_ends_where_its_own_prompts_say() -> None:
    templates = prompts()
    stopping = replace(templates, others={"big": replace(templates.others["big"], stop=("```",))})
    assert stopping.digest != templates.digest
    strategy = make("cascade", large="big")
    assert isinstance(strategy, Cascade)
    (first,) = strategy.next(CODED, [], 7)
    steps = [FAILS.step(0, first, CODED)]
    for made, stop in ((strategy, ()), (replace(strategy, prompts=stopping), ("```",))):
        (ask,) = made.next(CODED, steps, 7)
        assert isinstance(ask, Ask)
        assert ask.sampling.stop == stop


def test_the_better_answer_counts_and_of_equals_the_large_model_s() -> None:
    strategy = make("cascade", large="big")

    def chosen(small: World, large: World) -> str | None:
        (ask,) = strategy.next(CODED, [], 7)
        steps = [small.step(0, ask, CODED)]
        (ask,) = strategy.next(CODED, steps, 7)
        found = strategy.choose(CODED, [*steps, large.step(1, ask, CODED)])
        assert found
        assert isinstance(found.action, Ask)
        return found.action.model

    assert chosen(FAILS, PASSES) == "big"
    assert chosen(FAILS, FAILS) == "big"
    assert chosen(World((RIGHT,), (True, False)), World((BROKEN,), (True,))) is None


def test_its_options_are_written_on_a_command_line() -> None:
    name, given = parse_spec("cascade:large=llama3:8b,first=branching:max_depth=2;width=1;feedback=off,untested=off")
    options = strategy_options(name, given)
    assert options.models == ("llama3:8b",)
    assert options.most_asks == 1 + 2 + 1
    assert models(world=FAILS, **{key: value for key, value in given.items() if key == "first"})[-1] == "big"


def test_all_models_of_a_longer_cascade_are_told() -> None:
    options = strategy_options("cascade", {"large": "big", "first": "cascade:large=middle"})
    assert options.models == ("middle", "big")
    assert options.most_asks == 3


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "cascade:large=mistral"),
        ({"large": "big", "first": "branchin"}, "did you mean 'branching'"),
        ({"large": "big", "first": "branching:widht=1"}, "did you mean 'width'"),
        ({"large": "big", "first": ["branching:width=1", "0.5"]}, "'0.5' is not of the form KEY=VALUE"),
        ({"large": "big", "first": "single:shots=2"}, "give them to cascade itself"),
        ({"large": "big", "first": "cascade"}, "cascade:large=mistral"),
    ],
)
def test_what_is_wrong_with_a_stage_is_said_before_anything_runs(given: dict[str, Any], said: str) -> None:
    with pytest.raises((InputError, UnknownName), match=said):
        strategy_options("cascade", given)
