from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from smallenough.analysis.comparison import compare_frames
from smallenough.analysis.criterion import Criterion
from smallenough.analysis.frames import prepare
from smallenough.analysis.statistics import noninferiority
from smallenough.analysis.verdict import Verdict, judge
from smallenough.analysis.verdict_words import sentences
from smallenough.errors import InputError
from tests.analysis.builders import arm_totals, arms_frame, study, trial, trials_frame
from tests.thorough import examples

LARGE, SMALL, TINY = "large", "small", "tiny"
FEW = 200
GB = 1e9


def outcomes(solved: int, of: int) -> list[str]:
    return ["solved"] * solved + ["unsolved"] * (of - solved)


def verdict(
    arms: Mapping[str, Sequence[str]],
    margin: float | None = None,
    by: str | None = None,
    totals: Mapping[str, dict[str, Any]] = MappingProxyType({}),
) -> Verdict:
    frames = prepare(*study(arms, **totals))
    comparison = compare_frames(frames, resamples=FEW)
    return judge(frames, comparison, margin, Criterion.parse(by) if by else None)


def memory(**bytes_by_arm: float | None) -> dict[str, dict[str, Any]]:
    return {arm: {"peak_memory_bytes": value} for arm, value in bytes_by_arm.items()}


class TestKinds:
    def test_the_cheapest_that_is_not_worse(self) -> None:
        arms = {LARGE: outcomes(160, 200), SMALL: outcomes(162, 200), TINY: outcomes(60, 200)}
        found = verdict(arms, totals=memory(large=8 * GB, small=4 * GB, tiny=1 * GB))
        assert (found.kind, found.arm) == ("found", SMALL)
        assert [one.arm for one in found.candidates] == [TINY, SMALL]
        assert found.candidate(TINY).standing == "worse"
        said = sentences(found)
        assert said[0] == "'small' is good enough, and cheaper than 'large'."
        assert any("81% of the tasks against 80%" in one for one in said)
        assert any(one.startswith("'tiny' is worse by more than the margin: 30%") for one in said)
        assert any("4.0 GB of peak memory against 8.0 GB" in one for one in said)

    def test_the_cheapest_of_several_that_are_not_worse(self) -> None:
        arms = {LARGE: outcomes(160, 200), SMALL: outcomes(160, 200), TINY: outcomes(159, 200)}
        found = verdict(arms, totals=memory(large=8 * GB, small=4 * GB, tiny=1 * GB))
        assert (found.kind, found.arm) == ("found", TINY)

    def test_not_enough_data_says_how_much_more(self) -> None:
        mixed = ["solved", "unsolved"] * 20
        found = verdict({LARGE: mixed, SMALL: mixed[::-1]}, 0.05, totals=memory(large=8 * GB, small=4 * GB))
        assert (found.kind, found.arm) == ("not enough data", None)
        more = found.candidate(SMALL).more_tasks
        assert more is not None
        assert more > 1000  # every pair disagrees: twice the noise of independent answers
        assert f"about {more:,} more tasks would settle whether 'small'" in sentences(found)[0]

    def test_as_many_more_tasks_as_it_says_settle_it(self) -> None:
        """Of studies of the size that it asks for, the truth being what was seen, about 80% find the arm."""
        first = [("solved", "unsolved"), *[("unsolved", "solved")] * 1, *[("solved", "solved")] * 10]
        pairs = (first * 4)[:48]
        found = verdict({LARGE: [one for one, _ in pairs], SMALL: [two for _, two in pairs]}, 0.05)
        more = found.candidate(SMALL).more_tasks
        assert more is not None
        rng, size = np.random.default_rng(1), len(pairs) + more
        solved = np.array([[side == "solved" for side in pair] for pair in pairs], dtype=float)
        tests = [
            noninferiority(*solved[rng.integers(0, len(pairs), size)].T, margin=0.05, confidence=0.95)
            for _ in range(300)
        ]
        assert 0.72 < sum(test.p_value <= 0.05 for test in tests if test) / len(tests) < 0.88

    def test_an_estimate_below_the_margin_is_not_promised_anything(self) -> None:
        found = verdict(
            {LARGE: outcomes(20, 30), SMALL: outcomes(17, 30)}, 0.05, totals=memory(large=8 * GB, small=4 * GB)
        )
        assert found.candidate(SMALL).standing == "undecided"
        assert found.candidate(SMALL).more_tasks is None
        assert found.kind == "none"
        said = sentences(found)
        assert said[0] == "None: no cheaper arm is likely to be good enough beside 'large'."
        assert any(one.startswith("'small' is not shown to be good enough, nor to be worse: ") for one in said)
        assert any("rather show that it is worse" in one for one in said)

    def test_none(self) -> None:
        arms = {LARGE: outcomes(160, 200), SMALL: outcomes(100, 200)}
        found = verdict(arms, totals=memory(large=8 * GB, small=4 * GB))
        assert (found.kind, found.arm) == ("none", None)
        assert sentences(found)[0] == "None: no cheaper arm is shown to be good enough beside 'large'."

    def test_the_baseline_is_the_cheapest(self) -> None:
        arms = {LARGE: outcomes(160, 200), SMALL: outcomes(190, 200)}
        found = verdict(arms, totals=memory(large=1 * GB, small=4 * GB))
        assert (found.kind, found.arm) == ("none cheaper", None)
        assert sentences(found)[0] == "'large' is the cheapest that is good enough: no cheaper arm is."

    def test_one_arm_or_nothing_in_common(self) -> None:
        alone = verdict({LARGE: outcomes(5, 9)})
        assert alone.kind == "not comparable"
        assert sentences(alone)[0] == "No verdict: there is no other arm to compare 'large' with."
        rows = [trial(LARGE, "t1", baseline=True), trial(SMALL, "t2")]
        frames = prepare(trials_frame(rows), arms_frame([arm_totals(LARGE), arm_totals(SMALL)]))
        found = judge(frames, compare_frames(frames, resamples=FEW))
        assert found.kind == "not comparable"
        assert found.candidate(SMALL).standing == "not compared"

    def test_free_tasks_have_no_verdict(self) -> None:
        assert verdict({LARGE: ["unscored"] * 4, SMALL: ["unscored"] * 4}).kind == "not comparable"

    @pytest.mark.parametrize(("same", "kind"), [("solved", "found"), ("unsolved", "nothing solved")])
    def test_all_or_nothing_solved_by_both(self, same: str, kind: str) -> None:
        """Pairs that all agree are evidence: 200 of them that the difference is not five points."""
        found = verdict({LARGE: [same] * 200, SMALL: [same] * 200}, totals=memory(large=8 * GB, small=4 * GB))
        assert found.kind == kind
        assert found.candidate(SMALL).standing == "not worse"


class TestMargin:
    def test_small_suites_get_twenty_points(self) -> None:
        assert verdict({LARGE: outcomes(5, 9), SMALL: outcomes(5, 9)}).margin == 0.20
        assert verdict({LARGE: outcomes(50, 104), SMALL: outcomes(50, 104)}).margin == 0.20, "the size of `basics`"
        assert verdict({LARGE: outcomes(50, 200), SMALL: outcomes(50, 200)}).margin == 0.05
        assert any(
            "20 points, the default for fewer than 200 tasks" in one
            for one in sentences(verdict({LARGE: outcomes(5, 9), SMALL: outcomes(5, 9)}))
        )

    def test_a_given_margin_is_not_called_a_default(self) -> None:
        found = verdict({LARGE: outcomes(5, 9), SMALL: outcomes(5, 9)}, 0.1)
        assert any("by more than 10 points; shown" in one for one in sentences(found))

    @pytest.mark.parametrize("margin", [0.0, 1.0, -0.1, 5.0])
    def test_a_margin_is_a_share(self, margin: float) -> None:
        with pytest.raises(InputError, match=re.escape("0.05 for five points")):
            verdict({LARGE: outcomes(5, 9), SMALL: outcomes(5, 9)}, margin)

    def test_a_wider_margin_never_makes_an_arm_worse(self) -> None:
        arms = {LARGE: outcomes(80, 100), SMALL: outcomes(74, 100)}
        p = [verdict(arms, margin).candidate(SMALL).p_corrected for margin in (0.05, 0.1, 0.15, 0.2, 0.3)]
        assert p == sorted(p, key=lambda value: -(value or 0.0))


class TestWhatWasNotMeasured:
    def test_failures_are_no_wrong_answers(self) -> None:
        arms = {LARGE: outcomes(160, 200), SMALL: [*outcomes(155, 190), *["model_failed"] * 10]}
        found = verdict(arms, totals=memory(large=8 * GB, small=4 * GB))
        test = found.candidate(SMALL).test
        assert test is not None
        assert test.pairs == 190

    def test_a_failed_trial_makes_no_arm_cheaper(self) -> None:
        arms = {LARGE: outcomes(40, 40), SMALL: ["solved"] * 20 + ["model_failed"] * 20}
        totals = {LARGE: {"wall_seconds": 100.0}, SMALL: {"wall_seconds": 70.0}}
        found = verdict(arms, 0.2, "seconds", totals)
        assert found.candidate(SMALL).costs["seconds"] == pytest.approx(3.5)
        assert found.candidate(SMALL).cheaper is False

    def test_a_baseline_that_solves_nothing_is_no_yardstick(self) -> None:
        arms = {LARGE: outcomes(0, 40), SMALL: outcomes(1, 40)}
        said = sentences(verdict(arms, totals=memory(large=8 * GB, small=4 * GB)))
        assert any("'large' itself solves 0%: hardly a yardstick" in one for one in said)

    def test_a_value_below_0_is_refused(self) -> None:
        with pytest.raises(InputError, match="below 0"):
            verdict({LARGE: outcomes(5, 9), SMALL: outcomes(5, 9)}, totals={SMALL: {"energy_joules": -5.0}})

    def test_an_arm_without_the_cost_is_named_and_not_chosen_as_cheaper(self) -> None:
        arms = {LARGE: outcomes(160, 200), SMALL: outcomes(160, 200)}
        found = verdict(arms, totals=memory(large=None, small=4 * GB))
        assert (found.kind, found.arm) == ("found", SMALL)
        assert found.candidate(SMALL).cheaper is None
        said = sentences(found)
        assert said[0] == "'small' is good enough; whether it is cheaper than 'large' is not known."
        assert any("The peak memory of 'large' was not measured." in one for one in said)
        other = verdict(arms, totals=memory(large=8 * GB, small=None))
        assert any("they can't be ordered by it" in one for one in sentences(other))

    def test_a_cost_that_no_arm_has_is_told_and_left_out(self) -> None:
        arms = {LARGE: outcomes(160, 200), SMALL: outcomes(160, 200)}
        nowhere: dict[str, Any] = {"peak_memory_bytes": None}
        found = verdict(arms, totals={LARGE: nowhere, SMALL: {**nowhere, "wall_seconds": 10.0}})
        assert (found.kind, found.arm, found.unmeasured) == ("found", SMALL, ("memory",))
        assert any("Not measured for any arm" in one and "peak memory" in one for one in sentences(found))

    def test_a_cost_that_was_asked_for_and_no_arm_has_orders_nothing(self) -> None:
        arms = {LARGE: outcomes(160, 200), SMALL: outcomes(160, 200), TINY: outcomes(50, 200)}
        found = verdict(arms, by="money")
        assert (found.kind, found.arm) == ("no cost", None)
        said = sentences(found)
        assert said[0] == "No verdict: money was measured for no arm, so that none is known to be cheaper."
        assert said[1] == "Good enough: 'small'."


class TestCorrection:
    def test_more_arms_ask_for_more(self) -> None:
        two = {LARGE: outcomes(60, 100), SMALL: outcomes(60, 100)}
        many = {**two, **{f"other{index}": outcomes(40, 100) for index in range(6)}}
        alone = verdict(two, 0.05).candidate(SMALL)
        among = verdict(many, 0.05).candidate(SMALL)
        assert alone.p_corrected is not None
        assert among.p_corrected is not None
        assert among.p_corrected > alone.p_corrected

    def test_repeats_that_agree_are_no_more_evidence(self) -> None:
        def pairs(repeats: int) -> Verdict:
            rows = [
                trial(
                    arm,
                    f"t{task}",
                    "solved" if (task + shift) % 4 else "unsolved",
                    repeat=repeat,
                    baseline=arm == LARGE,
                )
                for arm, shift in ((LARGE, 0), (SMALL, 1))
                for task in range(40)
                for repeat in range(repeats)
            ]
            frames = prepare(trials_frame(rows), arms_frame([arm_totals(LARGE), arm_totals(SMALL)]))
            return judge(frames, compare_frames(frames, resamples=FEW))

        once, thrice = pairs(1).candidate(SMALL), pairs(3).candidate(SMALL)
        assert thrice.p_corrected == pytest.approx(once.p_corrected, abs=1e-9)


OUTCOMES = st.lists(st.sampled_from(["solved", "unsolved", "unscored", "model_failed"]), min_size=1, max_size=12)
AMOUNT = st.none() | st.sampled_from([0.0, 1.0, 1e9, 8e9])


class TestProperties:
    @settings(max_examples=examples(60), deadline=None)
    @given(OUTCOMES, OUTCOMES, OUTCOMES, AMOUNT, AMOUNT, AMOUNT)
    def test_whatever_is_there_it_is_told_in_words(
        self, one: list[str], two: list[str], three: list[str], a: float | None, b: float | None, c: float | None
    ) -> None:
        found = verdict({LARGE: one, SMALL: two, TINY: three}, totals=memory(large=a, small=b, tiny=c))
        said = sentences(found)
        assert all(one.endswith(".") for one in said)
        assert (found.arm is not None) == (found.kind == "found")
        if found.arm:
            chosen = found.candidate(found.arm)
            assert chosen.standing == "not worse"
            assert chosen.cheaper is not False
            earlier = found.candidates[: found.candidates.index(chosen)]
            assert all(one.standing != "not worse" for one in earlier)


class TestWorse:
    @pytest.mark.parametrize(("tasks", "lost", "margin"), [(5, 1, 0.05), (40, 5, 0.05), (26, 9, 0.2)])
    def test_is_not_said_where_the_interval_holds_the_margin(self, tasks: int, lost: int, margin: float) -> None:
        found = verdict({LARGE: ["solved"] * tasks, TINY: ["solved"] * (tasks - lost) + ["unsolved"] * lost}, margin)
        one = found.candidate(TINY)
        assert one.difference
        assert one.difference.interval
        assert one.difference.interval.high > -margin
        assert one.standing == "undecided"

    @pytest.mark.parametrize(("tasks", "margin"), [(26, 0.2), (40, 0.05), (100, 0.1)])
    def test_is_said_of_an_arm_that_loses_just_the_margin_in_at_most_one_of_forty_studies(
        self, tasks: int, margin: float
    ) -> None:
        arm = [np.repeat([0.0, 1.0], [lost, tasks - lost]) for lost in range(tasks + 1)]
        tests = [noninferiority(one, np.ones(tasks), margin=margin) for one in arm]
        said = [test is not None and test.p_worse <= 0.025 for test in tests]
        assert float(np.sum(binom.pmf(np.arange(tasks + 1), tasks, margin) * said)) <= 0.025

    def test_is_corrected_over_the_arms(self) -> None:
        worse = {LARGE: ["solved"] * 60, TINY: ["solved"] * 45 + ["unsolved"] * 15}
        many = worse | {f"more{number}": ["solved"] * 60 for number in range(40)}
        assert verdict(worse, 0.1).candidate(TINY).standing == "worse"
        assert verdict(many, 0.1).candidate(TINY).standing == "undecided"


def test_where_nothing_is_solved_there_is_no_verdict() -> None:
    found = verdict({LARGE: ["unsolved"] * 30, TINY: ["unsolved"] * 30}, 0.1)
    assert (found.kind, found.arm) == ("nothing solved", None)
    assert sentences(found)[0] == "No verdict: no arm solves any of the tasks that it has in common with another."


def test_the_next_cheapest_is_one_that_costs_more() -> None:
    arms = {LARGE: outcomes(90, 100), TINY: outcomes(10, 100), SMALL: outcomes(90, 100)}
    found = verdict(arms, 0.1, totals=memory(large=4 * GB, tiny=1 * GB, small=8 * GB))
    assert found.kind == "none cheaper"
    said = " ".join(sentences(found))
    assert "4.0 GB of peak memory against 8.0 GB of 'small', the next cheapest" in said


def test_what_costs_about_the_same_is_not_called_cheaper() -> None:
    arms = {LARGE: outcomes(90, 100), SMALL: outcomes(90, 100)}
    found = verdict(arms, 0.1, "memory", totals=memory(large=2.0 * GB, small=1.99 * GB))
    assert sentences(found)[0] == "'small' is good enough, and about as cheap as 'large'."
