from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallenough.analysis.budgets import Budgets, budget_curves, sentences
from smallenough.analysis.costs import COSTS
from smallenough.analysis.courses import LeftOut, courses, resampling_course, resampling_courses
from smallenough.errors import InputError, UnknownName
from tests.analysis.trees import Trial, Try, frames, rate, right, trial_lists, wrong
from tests.thorough import examples

FEW = 200


def curves(cost: str = "seconds", points: int = 100, **arms: list[Trial]) -> Budgets:
    return budget_curves(*frames(**arms), cost, points=points, resamples=FEW)


def success(trial: Trial, *budgets: float) -> list[float]:
    course = courses(*frames(branching=[trial]), "seconds")["branching"]
    return list(course.success(np.array(budgets))[0])


class TestWhereATrialIsStopped:
    def test_nothing_is_solved_before_the_first_attempt_is_done(self) -> None:
        assert success(Trial("t", [right(2.0)]), 0, 1.9, 2.0, 3.0) == [0, 0, 1, 1]

    def test_costs_add_up_in_the_order_of_the_attempts(self) -> None:
        assert success(Trial("t", [wrong(2.0), wrong(3.0), right(4.0)]), 5, 8.9, 9) == [0, 0, 1]

    def test_rounding_does_not_take_back_what_was_spent(self) -> None:
        course = courses(*frames(branching=[Trial("t", [wrong(4.711), wrong(16.438), wrong(0.0)])]), "seconds")[
            "branching"
        ]
        assert (course.spent[1:] >= course.spent[:-1]).all()

    def test_order_is_that_of_the_attempts_and_not_of_the_rows(self) -> None:
        trials, attempts = frames(branching=[Trial("t", [wrong(2.0), right(3.0)])])
        turned = attempts.iloc[::-1].reset_index(drop=True)
        assert courses(trials, turned, "seconds")["branching"].spent.tolist() == [2.0, 5.0]

    def test_the_best_by_the_public_tests_is_the_answer_so_far(self) -> None:
        tries = [wrong(public=0.5), Try(True, 0.25), Try(True, 0.75), wrong(public=0.75), wrong()]
        assert success(Trial("t", tries, chosen=2), 1, 2, 3, 4, 5) == [0, 0, 1, 1, 1]

    def test_the_first_that_passes_all_stays_though_a_later_one_is_right(self) -> None:
        tries = [Try(False, 1.0), right(), wrong()]
        assert success(Trial("t", tries, chosen=0), 1, 2, 3) == [0, 0, 0]

    def test_of_equals_one_that_parses_goes_before_an_earlier_one(self) -> None:
        broken = Try(False, None, said={"syntax_valid": 0.0})
        assert success(Trial("t", [broken, Try(True, None), wrong()], chosen=1), 1, 2, 3) == [0, 1, 1]

    def test_without_public_tests_the_first_answer_stays(self) -> None:
        assert success(Trial("t", [Try(True), Try(False), Try(False)], chosen=2), 1, 2, 3) == [1, 1, 0]

    def test_a_part_of_a_split_task_costs_and_is_no_answer(self) -> None:
        assert success(Trial("t", [Try(None), Try(None, None, 5.0), right()]), 1, 6, 7) == [0, 0, 1]

    def test_a_part_stands_in_no_answer_s_way(self) -> None:
        unread = Try(True, None, said={"syntax_valid": None})
        assert success(Trial("t", [Try(None), unread, Try(None)], chosen=1), 1, 2, 3) == [0, 1, 1]

    def test_a_proposal_that_was_chosen_counts_once_all_fits(self) -> None:
        parts = Trial("t", [wrong(), Try(None)], chosen=0, outcome="solved", said={"chosen": 2})
        assert success(parts, 1, 2) == [0, 1]

    def test_what_is_free_is_had_at_no_budget(self) -> None:
        assert success(Trial("t", [right(0.0)]), 0.0, 1.0) == [1, 1]


class TestCurves:
    def test_a_band_is_around_the_curve(self) -> None:
        trials = [Trial(f"t{task}", [right(task + 1.0) if task % 2 else wrong(task + 1.0)]) for task in range(10)]
        (curve,) = curves(single=trials).curves
        assert curve.budgets == (0.0, *range(1, 11))
        assert curve.success == pytest.approx([0, 0, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.4, 0.5])
        for low, middle, high in zip(curve.low, curve.success, curve.high, strict=True):
            assert low is not None
            assert high is not None
            assert 0 <= low <= middle <= high <= 1
        assert curve.high[0] is not None
        assert curve.high[0] > 0.2  # ten tasks can't show that none of any would be solved
        assert (curve.largest, curve.trials, curve.tasks) == (10.0, 10, 10)

    def test_repeats_of_a_task_are_no_tasks_more(self) -> None:
        once = [Trial(f"t{task}", [right() if task % 2 else wrong()]) for task in range(10)]
        thrice = [Trial(one.task, one.tries, repeat) for one in once for repeat in range(3)]
        (alone,), (repeated,) = curves(cascade=once).curves, curves(cascade=thrice).curves
        assert (repeated.trials, repeated.tasks) == (30, 10)
        assert repeated.low == alone.low
        assert repeated.high == alone.high

    def test_all_solved_and_none_solved_are_not_certain(self) -> None:
        found = curves(
            single=[Trial(f"t{task}", [right()]) for task in range(5)],
            cascade=[Trial(f"t{task}", [wrong()]) for task in range(5)],
        )
        every, none = found.curves
        assert (every.success[-1], every.high[-1]) == (1, 1)
        assert every.low[-1] == pytest.approx(0.5655, abs=1e-4)
        assert (none.success[-1], none.low[-1]) == (0, 0)
        assert none.high[-1] == pytest.approx(0.4345, abs=1e-4)

    def test_tasks_alike_in_their_repeats_have_no_band(self) -> None:
        mixed = [Trial(f"t{n}", [one], repeat) for n in range(4) for repeat, one in enumerate([right(), wrong()])]
        (curve,) = curves(cascade=mixed).curves
        assert (curve.success[-1], curve.low[-1], curve.high[-1]) == (0.5, None, None)

    def test_all_arms_have_the_same_budgets_and_their_own_largest_among_them(self) -> None:
        found = curves(
            points=5,
            single=[Trial(f"t{task}", [right(task / 7)]) for task in range(40)],
            branching=[Trial(f"t{task}", [wrong(task / 3), right(2.5)]) for task in range(40)],
        )
        one, two = found.curves
        assert one.budgets == two.budgets
        assert 0.0 in one.budgets
        assert {one.largest, two.largest} <= set(one.budgets)
        assert len(one.budgets) <= 8

    def test_trials_that_say_nothing_are_left_out_and_counted(self) -> None:
        trials = [
            Trial("t0", [right(), right(None)]),
            Trial("t1", [right()]),
            Trial("t2", [right()], outcome="model_failed"),
            Trial("t3", [right()], outcome="unscored"),
            *(Trial(f"u{number}", [wrong()]) for number in range(19)),
        ]
        found = curves(branching=trials)
        (curve,) = found.curves
        assert curve.left_out == LeftOut(failed=1, unscored=1, unmeasured=1)
        assert (curve.trials, curve.success[-1]) == (20, 0.05)
        assert sentences(found) == (
            "Of 23 trials of 'branching', 1 ended in an infrastructure failure, 1 no tests decide,"
            f" 1 lack measured {COSTS['seconds'].title}: they have no part in its curve.",
        )

    def test_an_arm_that_was_not_measured_has_no_curve(self) -> None:
        found = curves("energy", single=[Trial("t", [right()])])
        assert found.curves == ()
        assert found.missing == {"single": LeftOut(unmeasured=1)}
        (said,) = sentences(found)
        assert said == (
            "No curve of 'single': 1 of its scored trials lack measured energy, and may be others than the rest."
        )
        assert len(found.to_frame()) == 0

    def test_an_arm_whose_dear_trials_were_not_measured_has_no_curve(self) -> None:
        """A cascade whose large model's operations are not known would look as if it always answered at once."""
        found = curves(cascade=[Trial(f"t{task}", [right() if task % 5 else right(None)]) for task in range(40)])
        assert (found.curves, found.missing) == ((), {"cascade": LeftOut(unmeasured=8)})
        free = curves(cascade=[Trial("t", [right()], outcome="unscored")])
        assert sentences(free) == ("No curve of 'cascade': none of its trials is scored.",)

    def test_frame_has_units_and_types(self) -> None:
        trials = [Trial("t", [right(cpu_seconds=3.0)])]
        frame = curves("cpu", single=trials).to_frame()
        assert frame.dtypes.astype(str).to_dict() == {
            "arm": "string",
            "budget_cpu_seconds": "Float64",
            "success_rate": "Float64",
            "success_rate_low": "Float64",
            "success_rate_high": "Float64",
            "trials": "Int64",
            "tasks": "Int64",
        }
        assert frame["budget_cpu_seconds"].tolist() == [0.0, 3.0]

    def test_memory_is_no_budget(self) -> None:
        with pytest.raises(InputError, match="does not add up"):
            curves("memory", single=[Trial("t", [right()])])
        with pytest.raises(UnknownName):
            curves("second", single=[Trial("t", [right()])])


class TestProperties:
    @settings(max_examples=examples(30), deadline=None)
    @given(trial_lists())
    def test_with_all_it_asks_for_an_arm_solves_what_it_solves(self, made: list[Trial]) -> None:
        trials, attempts = frames(branching=made)
        course = courses(trials, attempts, "seconds")["branching"]
        assert course.left_out.unmeasured == 0
        if len(course):
            assert course.success(np.array([course.largest])).mean() == pytest.approx(rate(trials))
            assert course.success(np.array([np.inf])).mean() == pytest.approx(rate(trials))

    @settings(max_examples=examples(30), deadline=None)
    @given(trial_lists())
    def test_what_was_spent_only_grows(self, made: list[Trial]) -> None:
        course = courses(*frames(branching=made), "seconds")["branching"]
        for trial in range(len(course)):
            assert (np.diff(course.spent[course.trial == trial]) >= 0).all()

    @settings(max_examples=examples(30), deadline=None)
    @given(trial_lists(), st.lists(st.floats(0, 400), min_size=1, max_size=8).map(sorted))
    def test_an_answer_is_right_or_wrong_at_every_budget(self, made: list[Trial], budgets: list[float]) -> None:
        course = courses(*frames(branching=made), "seconds")["branching"]
        found = course.success(np.array(budgets))
        assert found.shape == (len(course), len(budgets))
        assert np.isin(found, (0.0, 1.0)).all()

    @settings(max_examples=examples(30), deadline=None)
    @given(trial_lists(), st.floats(1, 300))
    def test_the_area_is_that_of_the_steps(self, made: list[Trial], budget: float) -> None:
        course = courses(*frames(branching=made), "seconds")["branching"]
        edges = np.unique(np.concatenate([[0.0, budget], course.spent[course.spent < budget]]))
        area = (course.success(edges[:-1]) * np.diff(edges)).sum(axis=1) / budget
        assert course.mean_success(budget) == pytest.approx(area, abs=1e-9)

    @settings(max_examples=examples(20), deadline=None)
    @given(trial_lists(), trial_lists())
    def test_bands_hold_their_curve_apart_from_bias(self, one: list[Trial], two: list[Trial]) -> None:
        for curve in curves(branching=one, cascade=two).curves:
            assert list(curve.budgets) == sorted(curve.budgets)
            known = [(low, high) for low, high in zip(curve.low, curve.high, strict=True) if low is not None]
            assert all(high is not None and 0 <= low <= high <= 1 for low, high in known)
            assert all(0 <= share <= 1 for share in curve.success)


class TestResamplingFromRepeats:
    def test_repeats_are_samples_of_one_trial(self) -> None:
        trials, attempts = frames(
            single=[Trial("t", [wrong(2.0)], 0), Trial("t", [right(3.0)], 1), Trial("t", [wrong(4.0)], 2)]
        )
        course = resampling_course("single", trials, attempts, "seconds")
        assert course is not None
        assert course.spent.tolist() == [2.0, 5.0, 9.0]
        assert course.success(np.array([2.0, 5.0, 9.0])).tolist() == [[0, 1, 1]]

    def test_a_failed_repeat_is_no_sample(self) -> None:
        trials, attempts = frames(
            single=[Trial("t", [right(2.0)], 0, outcome="model_failed"), Trial("t", [wrong(3.0)], 1)]
            + [Trial("u", [right()], repeat) for repeat in (0, 1)]
        )
        course = resampling_course("single", trials, attempts, "seconds")
        assert course is not None
        assert course.spent.tolist() == [3.0, 1.0, 2.0]

    def test_it_has_a_curve_where_no_arm_of_the_model_samples(self) -> None:
        repeats = [Trial("t", [wrong(2.0)], 0), Trial("t", [right(3.0)], 1)]
        alone = curves(single=repeats, branching=[Trial("t", [right()])]).curves
        assert [one.arm for one in alone] == ["single", "branching", "single, repeats as samples"]
        assert (alone[0].success[-1], alone[2].success[-1]) == (0.5, 1.0)
        beside = curves(single=repeats, best_of_n=[Trial("t", [right()])]).curves
        assert [one.arm for one in beside] == ["single", "best_of_n"]
        other = [Trial("t", [right()], said={"model": "large"})]
        assert set(resampling_courses(*frames(single=repeats, best_of_n=other), "seconds")) == {"single"}

    def test_without_repeats_there_is_none(self) -> None:
        trials, attempts = frames(single=[Trial("t", [right()]), Trial("u", [right()])])
        assert resampling_course("single", trials, attempts, "seconds") is None
        assert resampling_course("single", trials.iloc[:0], attempts, "seconds") is None


def test_no_trials_no_curves() -> None:
    trials, attempts = frames(single=[Trial("t", [right()])])
    found = budget_curves(trials.iloc[:0], attempts.iloc[:0], "seconds")
    assert found == Budgets("seconds", (), {})
    assert isinstance(found.to_frame(), pd.DataFrame)
