from __future__ import annotations

import pytest
from hypothesis import given, settings

from smallenough.analysis.costs import COSTS
from smallenough.analysis.courses import courses
from smallenough.analysis.equal_budgets import (
    AtBudget,
    EqualBudget,
    at_equal_budget,
    equal_budgets,
    sentence,
    sentences,
    to_frame,
)
from tests.analysis.trees import Trial, Try, frames, right, trial_lists, wrong
from tests.thorough import examples

FEW = 500
TIME = COSTS["seconds"].title


def compared(**arms: list[Trial]) -> tuple[EqualBudget, ...]:
    return equal_budgets(*frames(**arms), "seconds", resamples=FEW)


def arm(solved: int, of: int, tries: int, seconds: float = 1.0, repeat: int = 0) -> list[Trial]:
    """An arm whose first `solved` tasks are solved by the last of so many tries."""
    return [
        Trial(f"t{n:03}", [*[wrong(seconds)] * (tries - 1), right(seconds) if n < solved else wrong(seconds)], repeat)
        for n in range(of)
    ]


def at(arm: list[Trial], other: list[Trial]) -> AtBudget:
    known = courses(*frames(branching=arm, best_of_n=other), "seconds")
    found = at_equal_budget(known["branching"], known["best_of_n"], resamples=FEW)
    assert found is not None
    return found


class TestTheBudget:
    def test_is_the_largest_that_both_cover(self) -> None:
        found = at(arm(5, 10, 3), arm(5, 10, 2))
        assert found.budget == 2.0
        assert found.success.difference.arm_mean == 0.0  # it is stopped before its third attempt
        assert found.success.difference.baseline_mean == 0.5

    def test_is_that_of_the_common_tasks(self) -> None:
        dear = [*arm(5, 10, 2), Trial("other", [right(100.0)])]
        found = at(dear, [*arm(5, 10, 3), Trial("another", [right(100.0)])])
        assert (found.budget, found.success.difference.clusters) == (2.0, 10)

    def test_the_mean_over_the_range_is_the_area(self) -> None:
        found = at([Trial("t", [right(1.0), wrong(3.0)], chosen=0)], [Trial("t", [wrong(1.0), right(3.0)])])
        assert found.budget == 4.0
        assert found.success.difference.estimate == 0
        assert found.over_range is not None
        assert found.over_range.estimate == pytest.approx(0.75)

    def test_what_is_free_has_no_range(self) -> None:
        found = at([Trial("t", [right(0.0)])], [Trial("t", [wrong(0.0)])])
        assert (found.budget, found.success.difference.estimate, found.over_range) == (0.0, 1.0, None)

    def test_nothing_common_is_nothing_to_say(self) -> None:
        known = courses(*frames(branching=[Trial("a", [right()])], best_of_n=[Trial("b", [right()])]), "seconds")
        assert at_equal_budget(known["branching"], known["best_of_n"]) is None

    def test_each_task_counts_once_however_often_it_was_repeated(self) -> None:
        often = [Trial("t0", [right()], repeat) for repeat in range(9)] + [Trial("t1", [wrong()])]
        assert at(often, [Trial("t0", [right()]), Trial("t1", [wrong()])]).success.difference.estimate == 0

    @settings(max_examples=examples(20), deadline=None)
    @given(trial_lists())
    def test_an_arm_beside_itself_differs_by_nothing(self, made: list[Trial]) -> None:
        known = courses(*frames(branching=made, best_of_n=made), "seconds")
        found = at_equal_budget(known["branching"], known["best_of_n"], resamples=20)
        assert (found is None) == (len(known["branching"]) == 0)
        if found:
            assert (found.success.difference.estimate, found.success.better, found.success.worse) == (0, 0, 0)
            assert found.over_range is None or found.over_range.estimate == 0

    @settings(max_examples=examples(20), deadline=None)
    @given(trial_lists(), trial_lists())
    def test_turned_round_it_is_the_opposite(self, one: list[Trial], two: list[Trial]) -> None:
        known = courses(*frames(branching=one, best_of_n=two), "seconds")
        there, back = (
            at_equal_budget(known[left], known[right], resamples=20)
            for left, right in (("branching", "best_of_n"), ("best_of_n", "branching"))
        )
        assert (there is None) == (back is None)
        if there and back:
            assert there.budget == back.budget
            assert there.success.difference.estimate == pytest.approx(-back.success.difference.estimate)
            assert (there.success.better, there.success.worse) == (back.success.worse, back.success.better)


class TestWhatIsFound:
    def test_no_gain_at_equal_cost_is_said(self) -> None:
        (found,) = compared(branching=arm(20, 40, 2), best_of_n=[*arm(19, 39, 2), Trial("t039", [wrong(), right()])])
        assert found.at.success.finding == "not better"
        assert sentence(found).startswith(
            f"Branching does not beat resampling at equal {TIME}: with at most 2.0 s a task, 'branching'"
            " solves 50% and 'best_of_n' 50% of 40 common tasks, a difference of 0 ["
        )
        assert sentence(found).endswith("points is not ruled out.")

    def test_a_gain_is_said(self) -> None:
        (found,) = compared(branching=arm(30, 40, 2), best_of_n=arm(10, 40, 2))
        assert (found.at.success.finding, found.at.success.better, found.at.success.worse) == ("better", 20, 0)
        assert sentence(found).startswith(f"Branching beats resampling at equal {TIME}")

    def test_a_loss_is_said(self) -> None:
        (found,) = compared(cascade=arm(10, 40, 2), best_of_n=arm(30, 40, 2))
        assert found.at.success.finding == "worse"
        assert sentence(found).startswith(f"Cascade does worse than resampling at equal {TIME}")

    def test_three_tasks_that_differ_show_nothing(self) -> None:
        (found,) = compared(branching=arm(23, 40, 2), best_of_n=arm(20, 40, 2))
        assert (found.at.success.better, found.at.success.worse, found.at.success.finding) == (3, 0, "not better")

    def test_few_tasks_are_not_enough(self) -> None:
        (found,) = compared(branching=arm(10, 10, 2), best_of_n=arm(0, 10, 2))
        assert found.at.success.finding == "not enough data"
        assert sentence(found).startswith("Not enough data to tell whether branching beats resampling at equal")
        assert sentence(found).endswith("At least 20 common tasks are needed.")

    @pytest.mark.parametrize("solved", [0, 40])
    def test_all_alike_is_no_gain(self, solved: int) -> None:
        (found,) = compared(branching=arm(solved, 40, 1), best_of_n=arm(solved, 40, 1))
        interval = found.at.success.difference.interval
        assert interval is not None
        assert interval.low == -interval.high
        assert (round(interval.high, 2), found.at.success.finding) == (0.09, "not better")


class TestWhoIsCompared:
    def test_resampling_and_one_attempt_of_the_same_model(self) -> None:
        made = arm(10, 30, 2)
        other = [Trial(one.task, one.tries, said={"model": "large"}) for one in made]
        found = compared(single=made, single2=other, best_of_n=made, branching=made, cascade=made)
        assert [(one.arm, one.beside, one.other, one.from_repeats) for one in found] == [
            ("branching", "resampling", "best_of_n", False),
            ("branching", "one attempt", "single", False),
            ("cascade", "resampling", "best_of_n", False),
            ("cascade", "one attempt", "single", False),
        ]

    def test_repeats_stand_for_resampling_where_there_is_no_such_arm(self) -> None:
        repeats = [*arm(5, 30, 1, repeat=0), *arm(15, 30, 1, repeat=1)]
        found = compared(single=repeats, branching=arm(10, 30, 2))
        assert [(one.beside, one.from_repeats) for one in found] == [("resampling", True), ("one attempt", False)]
        resampled = found[0].at
        assert (resampled.budget, resampled.success.difference.baseline_mean) == (2.0, 0.5)
        assert "'single', its repeats taken as samples, 50%" in sentence(found[0])

    def test_unmeasured_costs_compare_nothing(self) -> None:
        trials, attempts = frames(single=arm(5, 30, 1), branching=[Trial("t000", [Try(True, 1.0, None)])])
        assert equal_budgets(trials, attempts, "seconds") == ()
        assert sentences(())[0].startswith("No arm can be set beside another at equal cost")

    def test_one_arm_compares_nothing(self) -> None:
        assert compared(branching=arm(5, 30, 2)) == ()

    def test_frame_has_types(self) -> None:
        frame = to_frame(compared(branching=arm(20, 40, 2), best_of_n=arm(10, 40, 2)))
        assert frame[["arm", "other", "finding", "budget", "tasks"]].to_numpy().tolist()[0] == [
            *("branching", "best_of_n", "better", 2.0, 40)
        ]
        assert set(frame.dtypes.astype(str)) == {"string", "bool", "Float64", "Int64"}
        assert to_frame(()).dtypes.equals(frame.dtypes)


def test_the_same_answer_may_take_a_little_more_in_one_arm_than_in_the_other() -> None:
    """What both do first is the same: it is no defeat that it took 3% more time in the arm that could have gone on."""
    found = at(arm(40, 50, 1, seconds=1.03), arm(40, 50, 1, seconds=1.0))
    assert (found.success.difference.arm_mean, found.success.difference.baseline_mean) == (0.8, 0.8)
