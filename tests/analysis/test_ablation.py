from __future__ import annotations

from typing import Any, ClassVar

import pytest

from smallenough.analysis.ablation import Ablation, ablations, sentence, sentences, to_frame
from tests.analysis.trees import Trial, frames, right, wrong

FEW = 300


def arm(solved: int, of: int = 40, seconds: float | None = 1.0, **said: Any) -> list[Trial]:
    """Trials of which the first so many are solved, with what each took."""
    said = {"latency_seconds": seconds, **said}
    return [Trial(f"t{n:03}", [right() if n < solved else wrong()], said=said) for n in range(of)]


def found(options: dict[str, dict[str, Any]], **arms: list[Trial]) -> tuple[Ablation, ...]:
    trials, _ = frames(**arms)
    return ablations(trials, options, resamples=FEW)


class TestWhichArmsAreAnAblation:
    def test_one_option_differs(self) -> None:
        (one,) = found(
            {"branching": {"hints": True, "width": 2}, "branching2": {"hints": False, "width": 2}},
            branching=arm(30),
            branching2=arm(10),
        )
        assert (one.option, one.value, one.without, one.arm, one.other) == (
            *("hints", "on", "off"),
            *("branching", "branching2"),
        )
        assert (one.success.difference.estimate, one.success.better, one.success.worse) == (0.5, 20, 0)
        assert one.success.finding == "better"

    def test_two_options_that_differ_are_none(self) -> None:
        options = {"branching": {"hints": True, "width": 2}, "branching2": {"hints": False, "width": 1}}
        assert found(options, branching=arm(3), branching2=arm(1)) == ()
        assert "differ by a single option" in sentences(())[0]

    def test_the_same_options_are_none(self) -> None:
        options: dict[str, dict[str, Any]] = {name: {"hints": True} for name in ("branching", "branching2")}
        assert found(options, branching=arm(3), branching2=arm(1)) == ()

    def test_text_as_it_is_stored_is_the_value(self) -> None:
        options: dict[str, dict[str, Any]] = {
            "branching": {"hints": "true", "ladder": "[0.1, 0.3]"},
            "branching2": {"hints": True, "ladder": (0.1, 0.3)},
        }
        assert found(options, branching=arm(3), branching2=arm(1)) == ()

    def test_other_models_strategies_and_arms_without_options_are_none(self) -> None:
        made = arm(3)
        options: dict[str, dict[str, Any]] = {"branching": {"n": 1}, "branching2": {"n": 2}, "cascade": {"n": 3}}
        large = [Trial(one.task, one.tries, said={"model": "large"}) for one in made]
        assert found(options, branching=made, branching2=large, cascade=made, branching3=made) == ()

    def test_without_a_common_task_there_is_none(self) -> None:
        options = {"branching": {"n": 1}, "branching2": {"n": 2}}
        assert found(options, branching=[Trial("a", [right()])], branching2=[Trial("b", [right()])]) == ()


class TestWhichSideIsMore:
    @pytest.mark.parametrize(
        ("less", "more", "words"),
        [
            ("off", "chat", ("off", "chat")),
            (False, True, ("off", "on")),
            (None, 400, ("unset", "400")),
            ("1", "3", ("1", "3")),
            ([], [0.1, 0.3], ("[]", "[0.1, 0.3]")),
            (0, 2, ("0", "2")),
        ],
    )
    def test_on_and_larger_are_more(self, less: Any, more: Any, words: tuple[str, str]) -> None:
        for turned in (False, True):
            options = {"branching": {"x": less}, "branching2": {"x": more}}
            if turned:
                options = dict(zip(options, reversed(options.values()), strict=True))
            (one,) = found(options, branching=arm(3), branching2=arm(1))
            assert (one.without, one.value) == words
            assert one.arm == ("branching" if turned else "branching2")


class TestWhatItCosts:
    OPTIONS: ClassVar[dict[str, dict[str, Any]]] = {
        "branching": {"feedback": "off"},
        "branching2": {"feedback": "chat"},
    }

    def test_costs_are_differences_of_the_trials(self) -> None:
        (one,) = found(self.OPTIONS, branching=arm(10), branching2=arm(10, seconds=3.0))
        assert set(one.costs) == {"seconds"}
        assert one.costs["seconds"].estimate == 2.0
        assert sentence(one).startswith(
            "feedback: chat instead of off does not show that it solves more: 0 [−9, 9] points"
        )
        assert "A task takes it 2.0 s more " in sentence(one)

    def test_less_is_said_to_be_less(self) -> None:
        trials = arm(20, seconds=None)
        varied = [Trial(one.task, one.tries, said={"latency_seconds": 1.0 + n % 3}) for n, one in enumerate(trials)]
        (one,) = found(self.OPTIONS, branching=arm(10, seconds=9.0), branching2=varied)
        assert "A task takes it 7.0 s [6.8 s, 7.3 s] less " in sentence(one)

    def test_unmeasured_costs_are_said(self) -> None:
        (one,) = found(self.OPTIONS, branching=arm(10, seconds=None), branching2=arm(10))
        assert one.costs == {}
        assert sentence(one).endswith("What it costs was not measured.")

    def test_infrastructure_failures_have_no_part(self) -> None:
        broken = [Trial("t000", [wrong()], outcome="model_failed", said={"latency_seconds": 500.0}), *arm(10)[1:]]
        (one,) = found(self.OPTIONS, branching=arm(10), branching2=broken)
        assert one.success.difference.clusters == 39
        assert one.costs["seconds"].estimate == 0

    def test_few_tasks_are_not_enough(self) -> None:
        (one,) = found(self.OPTIONS, branching=arm(0, 5), branching2=arm(5, 5))
        assert one.success.finding == "not enough data"
        assert "has not enough data to tell whether it solves more" in sentence(one)

    def test_frame_has_types(self) -> None:
        frame = to_frame(found(self.OPTIONS, branching=arm(10), branching2=arm(10, seconds=3.0)))
        assert frame["latency_seconds_difference"].tolist() == [2.0]
        assert frame["energy_joules_difference"].isna().all()
        assert set(frame.dtypes.astype(str)) == {"string", "Float64", "Int64"}
        assert to_frame(()).dtypes.equals(frame.dtypes)
