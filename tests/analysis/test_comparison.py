from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallenough.analysis.comparison import compare
from smallenough.analysis.evidence import ArmRow, Comparison
from smallenough.analysis.frames import common_tasks, prepare
from smallenough.analysis.money import Prices
from smallenough.errors import InputError, UnknownName
from tests.analysis.builders import arm_totals, arms_frame, study, trial, trials_frame
from tests.thorough import examples

LARGE, SMALL = "large", "small"
OUTCOMES = st.sampled_from(["solved", "unsolved", "unscored", "model_failed", "sandbox_failed", "scorer_failed"])
FEW = 500
"""Resamples, where the interval itself is not what is tested."""


def row(comparison: Comparison, arm: str) -> ArmRow:
    return next(row for row in comparison.rows if row.arm == arm)


def said(comparison: Comparison, words: str) -> bool:
    return any(words in note for note in comparison.notes)


class TestWhatWasSolved:
    def test_rates_differences_and_test_are_paired(self) -> None:
        trials, arms = study(
            {
                LARGE: ["solved"] * 6 + ["unsolved"] * 2,
                SMALL: ["solved"] * 2 + ["unsolved"] * 5 + ["solved"],
            }
        )
        comparison = compare(trials, arms)
        large, small = comparison.rows
        assert (comparison.baseline, large.baseline, small.baseline) == (LARGE, True, False)
        assert large.solved_rate is not None
        assert large.solved_rate.rate == 0.75
        assert large.against is None
        assert small.against is not None
        assert small.against.difference is not None
        assert small.against.difference.estimate == pytest.approx(-0.375)
        assert small.against.difference.pairs == 8
        interval = small.against.difference.interval
        assert interval is not None
        assert interval.low < -0.375 < interval.high
        assert (small.against.better, small.against.worse) == (1, 4)
        assert small.against.mcnemar_p == pytest.approx(0.375)
        assert comparison.notes == ()

    def test_repeats_tell_what_one_and_all_of_several_answers_solve(self) -> None:
        solved = {"t0": [1, 1, 1], "t1": [1, 0, 0], "t2": [0, 0, 0], "t3": [1, 1, 0]}
        rows = [
            trial(LARGE, task, "solved" if won else "unsolved", repeat=repeat, baseline=True)
            for task, wins in solved.items()
            for repeat, won in enumerate(wins)
        ]
        rows.append(trial(LARGE, "t4", "solved", baseline=True))
        (large,) = compare(trials_frame(rows), arms_frame([arm_totals(LARGE)])).rows
        assert [(one.k, one.tasks, one.too_few) for one in large.pass_at_k] == [(1, 5, 0), (2, 4, 1), (3, 4, 1)]
        assert [one.estimate for one in large.pass_at_k] == pytest.approx([3 / 5, (1 + 2 / 3 + 1) / 4, 3 / 4])
        assert [one.estimate for one in large.pass_hat_k] == pytest.approx([3 / 5, (1 + 1 / 3) / 4, 1 / 4])
        assert row(compare(*study({LARGE: ["solved"] * 3})), LARGE).pass_at_k == ()

    def test_infrastructure_failures_are_no_wrong_answers(self) -> None:
        outcomes = ["solved", "unsolved", "model_failed", "sandbox_failed", "scorer_failed", "model_failed"]
        trials, arms = study({LARGE: ["solved"] * 6, SMALL: outcomes})
        comparison = compare(trials, arms)
        small = row(comparison, SMALL)
        assert small.solved_rate is not None
        assert (small.solved_rate.successes, small.solved_rate.n) == (1, 2)
        assert small.counts.failed == 4
        assert (small.counts.model_failed, small.counts.sandbox_failed, small.counts.scorer_failed) == (2, 1, 1)
        assert small.measures["latency_seconds"].of == 2
        assert said(comparison, "'small' 4 of 6 trials (model 2, sandbox 1, scorer 1)")
        assert said(comparison, "'small' 2 of 2")

    def test_free_tasks_have_no_rate(self) -> None:
        comparison = compare(*study({LARGE: ["unscored"] * 3, SMALL: ["unscored"] * 3}))
        small = row(comparison, SMALL)
        assert small.solved_rate is None
        assert small.first_attempt is None
        assert small.against is not None
        assert (small.against.difference, small.against.mcnemar_p) == (None, None)
        assert small.measures["latency_seconds"].mean == 2.0
        assert small.per_solved.seconds is None
        assert said(comparison, "'small' 3 of 3 trials")

    def test_only_common_tasks_are_paired(self) -> None:
        rows = [trial(LARGE, f"t{index}", "solved", baseline=True) for index in range(10)]
        rows += [trial(SMALL, f"t{index}", "unsolved" if index < 10 else "solved") for index in range(7, 20)]
        comparison = compare(trials_frame(rows), arms_frame([arm_totals(LARGE), arm_totals(SMALL)]))
        small = row(comparison, SMALL)
        assert small.against is not None
        assert small.against.difference is not None
        assert (small.against.difference.pairs, small.against.difference.estimate) == (3, -1.0)
        assert small.against.difference.interval is not None
        assert small.against.difference.interval.high > 0  # three pairs, all against it, are little evidence
        assert said(comparison, "'large', which has 10: 'small' 3 of 13")

    def test_the_same_name_in_another_suite_is_another_task(self) -> None:
        rows = [trial(LARGE, "t0", baseline=True), trial(SMALL, "t0", suite="mbpp")]
        comparison = compare(trials_frame(rows), arms_frame([arm_totals(LARGE), arm_totals(SMALL)]))
        small = row(comparison, SMALL)
        assert small.against is not None
        assert (small.against.difference, small.against.faster, small.against.faster_pairs) == (None, None, 0)
        assert said(comparison, "no scored task in common")
        assert said(comparison, "several suites ('basics', 'mbpp')")

    def test_a_task_with_repeats_is_one_unit(self) -> None:
        outcomes = {("t0", 0): "solved", ("t0", 1): "unsolved", ("t1", 0): "solved", ("t1", 1): "solved"}
        rows = [trial(SMALL, task, outcome, repeat=repeat) for (task, repeat), outcome in outcomes.items()]
        rows += [trial(LARGE, task, "unsolved", repeat=repeat, baseline=True) for task, repeat in outcomes]
        comparison = compare(trials_frame(rows), arms_frame([arm_totals(LARGE), arm_totals(SMALL)]))
        small = row(comparison, SMALL)
        assert small.against is not None
        assert small.against.difference is not None
        assert (small.against.difference.pairs, small.against.difference.clusters) == (4, 2)
        assert (small.against.better, small.against.worse) == (2, 0)
        assert small.counts.tasks == 2
        assert said(comparison, "Tasks were repeated")
        fewer = compare(trials_frame(rows[1:]), arms_frame([arm_totals(LARGE), arm_totals(SMALL)]))
        assert said(fewer, "only repeats that both arms have are paired")

    @pytest.mark.parametrize(("outcome", "rate"), [("solved", 1.0), ("unsolved", 0.0)])
    def test_all_and_none_solved(self, outcome: str, rate: float) -> None:
        comparison = compare(*study({LARGE: [outcome] * 4, SMALL: [outcome] * 4}))
        small = row(comparison, SMALL)
        assert small.solved_rate is not None
        assert small.solved_rate.rate == rate
        assert small.solved_rate.interval.low < small.solved_rate.interval.high
        assert small.against is not None
        assert small.against.mcnemar_p == 1.0
        assert (small.per_solved.seconds is None) == (rate == 0)
        assert (small.per_solved.cpu_seconds is None) == (rate == 0)
        assert said(comparison, "'small' solved nothing") == (rate == 0)


class TestWhatItCost:
    def test_costs_come_from_arm_totals_and_trials(self) -> None:
        trials, arms = study(
            {LARGE: ["solved"] * 4, SMALL: ["solved", "solved", "unsolved", "unsolved"]},
            small={"cpu_seconds": 12.0, "peak_memory_bytes": 5e8, "energy_joules": 7200.0, "wall_seconds": 36.0},
        )
        trials.loc[trials["arm"] == SMALL, "latency_seconds"] = [1.0, 2.0, 1.0, 1.0]
        trials.loc[trials["arm"] == SMALL, "cpu_seconds"] = 1000.0
        small = row(compare(trials, arms, prices=Prices(0.5, 2.0, "EUR")), SMALL)
        assert small.totals.cpu_seconds == 12.0
        assert small.costs["cpu"] == 3.0
        assert small.per_solved.seconds == pytest.approx(2.5)
        assert small.per_solved.tokens == pytest.approx(300)
        assert small.per_solved.cpu_seconds == 6.0
        assert small.per_solved.energy_joules == 3600.0
        assert small.totals.money == pytest.approx(0.5 * 7200 / 3.6e6 + 2.0 * 36 / 3600)
        assert small.per_solved.money == pytest.approx(small.totals.money / 2 if small.totals.money else None)
        assert small.measures["latency_seconds"].mean == pytest.approx(1.25)
        assert small.measures["latency_seconds"].median == 1.0
        assert small.against is not None
        assert small.against.faster == pytest.approx(1 - 5 / 8)
        assert small.against.less_memory == pytest.approx(0.75)

    def test_tokens_are_set_side_by_side_where_both_ask_the_same_model_and_no_other(self) -> None:
        names = ["m single", "m branching", "m cascade", "other single"]
        trials, arms = study({name: ["solved"] * 4 for name in names})
        trials.loc[trials["arm"] == names[1], "tokens_out"] *= 2
        arms["further_models"] = [None, None, '[{"name": "other"}]', None]
        comparison = compare(trials, arms, baseline=names[0])
        tokens = [one.against.costs["tokens"] for one in comparison.rows if one.against]
        assert tokens[0] is not None
        assert tokens[1:] == [None, None]
        mean = trials.loc[trials["arm"] == names[0], "tokens_out"].mean()
        assert tokens[0].difference.estimate == pytest.approx(mean)
        frame = comparison.to_frame().set_index("arm")["tokens_difference"]
        assert list(frame.isna()) == [True, False, True, True]

    def test_what_was_not_measured_is_counted_and_not_averaged(self) -> None:
        trials, arms = study({LARGE: ["solved"] * 3, SMALL: ["solved", "solved", "unsolved"]})
        trials.loc[(trials["arm"] == SMALL) & (trials["task"] == "t0"), ["latency_seconds", "tokens_out"]] = pd.NA
        comparison = compare(trials, arms)
        small = row(comparison, SMALL)
        assert (small.measures["latency_seconds"].measured, small.measures["latency_seconds"].of) == (2, 3)
        assert small.measures["latency_seconds"].mean == 2.0
        assert small.per_solved.seconds == pytest.approx(4.0)  # one solved and one unsolved trial of 2 s are known
        assert small.against is not None
        assert small.against.faster_pairs == 2
        assert said(comparison, "time per trial in 2 of 3, tokens out per trial in 2 of 3")

    def test_nan_is_not_measured_either(self) -> None:
        trials, arms = study({LARGE: ["solved"] * 2, SMALL: ["solved"] * 2})
        trials["latency_seconds"] = trials["latency_seconds"].astype("float64")
        trials.loc[trials["arm"] == SMALL, "latency_seconds"] = float("nan")
        small = row(compare(trials, arms), SMALL)
        assert small.measures["latency_seconds"].mean is None
        assert small.measures["latency_seconds"].measured == 0
        assert small.against is not None
        assert small.against.faster is None

    def test_missing_columns_of_measures_are_not_measured(self) -> None:
        trials, arms = study({LARGE: ["solved"] * 2, SMALL: ["solved"] * 2})
        comparison = compare(trials.drop(columns=["tokens_in", "efficiency"]), arms[["session", "arm"]])
        small = row(comparison, SMALL)
        assert small.measures["tokens_in"].mean is None
        assert small.per_solved.tokens is None
        assert small.totals.peak_memory_bytes is None
        assert small.against is not None
        assert small.against.less_memory is None
        assert said(comparison, "Nothing was measured over the whole arm for 'large', 'small'")

    @pytest.mark.parametrize("value", [0.0, None])
    def test_a_baseline_without_cost_is_no_divisor(self, value: float | None) -> None:
        trials, arms = study({LARGE: ["solved"] * 2, SMALL: ["solved"] * 2}, large={"peak_memory_bytes": value})
        trials.loc[trials["arm"] == LARGE, "latency_seconds"] = value
        small = row(compare(trials, arms), SMALL)
        assert small.against is not None
        assert (small.against.faster, small.against.less_memory) == (None, None)

    def test_money_needs_what_is_charged(self) -> None:
        trials, arms = study({LARGE: ["solved"], SMALL: ["solved"]}, small={"energy_joules": None})
        comparison = compare(trials, arms, prices=Prices(per_kwh=0.3))
        assert row(comparison, LARGE).totals.money == pytest.approx(0.3 * 3600 / 3.6e6)
        assert row(comparison, SMALL).totals.money is None
        assert said(comparison, "No money is reported for 'small'")
        hours = compare(trials, arms, prices=Prices(per_machine_hour=36.0))
        assert row(hours, SMALL).totals.money == pytest.approx(1.0)

    @pytest.mark.parametrize(("per_kwh", "per_hour"), [(None, None), (-1.0, None), (0.3, float("nan"))])
    def test_prices_that_are_none_are_refused(self, per_kwh: float | None, per_hour: float | None) -> None:
        with pytest.raises(InputError, match="prices"):
            Prices(per_kwh, per_hour)


class TestBaseline:
    def test_the_flagged_arm_is_the_baseline_wherever_it_stands(self) -> None:
        trials, arms = study({LARGE: ["solved"], SMALL: ["solved"]})
        trials["baseline"] = trials["arm"] == SMALL
        assert compare(trials, arms).baseline == SMALL

    def test_else_the_first_arm_is(self) -> None:
        trials, arms = study({LARGE: ["solved"], SMALL: ["solved"]})
        trials["baseline"] = False
        assert compare(trials, arms).baseline == LARGE
        assert compare(trials, arms.iloc[::-1]).baseline == SMALL

    def test_one_can_be_named(self) -> None:
        comparison = compare(*study({LARGE: ["solved"], SMALL: ["solved"]}), baseline=SMALL)
        assert comparison.baseline == SMALL
        assert row(comparison, SMALL).against is None
        assert row(comparison, LARGE).against is not None

    def test_the_words_that_only_it_begins_with_will_do(self) -> None:
        names = ["m branching width=1", "m branching width=2", "m single shots=1"]
        trials, arms = study({name: ["solved"] for name in names})
        assert compare(trials, arms, baseline="m single").baseline == names[2]
        with pytest.raises(UnknownName, match="m branching"):
            compare(trials, arms, baseline="m branching")

    def test_an_unknown_one_names_the_nearest(self) -> None:
        with pytest.raises(UnknownName, match="unknown arm 'larg'; did you mean 'large'"):
            compare(*study({LARGE: ["solved"], SMALL: ["solved"]}), baseline="larg")

    def test_arms_of_one_name_in_two_sessions_stay_apart(self) -> None:
        rows = [trial(SMALL, "t0", session=name, baseline=True) for name in ("s1", "s2")]
        rows.append(trial(LARGE, "t0"))
        arms = arms_frame([arm_totals(SMALL), arm_totals(LARGE), arm_totals(SMALL, session="s2")])
        comparison = compare(trials_frame(rows), arms)
        assert [found.arm for found in comparison.rows] == ["small @ s1", "large", "small @ s2"]
        assert comparison.baseline == "small @ s1"
        assert said(comparison, "Several arms are marked as baseline ('small @ s1', 'small @ s2')")
        assert said(comparison, "Several sessions have an arm called 'small'")
        other = compare(trials_frame(rows), arms, baseline="small @ s2")
        assert other.baseline == "small @ s2"
        assert not said(other, "Several arms are marked as baseline")
        with pytest.raises(InputError, match=r"several sessions have an arm 'small'.*: small @ s1, small @ s2"):
            compare(trials_frame(rows), arms, baseline=SMALL)


class TestNotes:
    def test_one_arm_has_nothing_to_compare_with(self) -> None:
        comparison = compare(*study({SMALL: ["solved", "unsolved"]}))
        assert comparison.notes == ("There is only one arm, 'small': nothing to compare it with.",)

    @pytest.mark.parametrize(
        ("status", "words"),
        [
            ("interrupted", "Session 's1' was interrupted: some trials are missing."),
            ("failed", "Session 's1' failed: some trials are missing."),
            ("running", "Session 's1' is still running: some trials are missing."),
        ],
    )
    def test_sessions_that_did_not_end(self, status: str, words: str) -> None:
        trials, arms = study({LARGE: ["solved"], SMALL: ["solved"]})
        assert words in compare(trials, arms.assign(status=status)).notes

    def test_requests_at_once_distort_seconds(self) -> None:
        trials, arms = study({LARGE: ["solved"], SMALL: ["solved"]})
        assert said(compare(trials, arms.assign(concurrency=4)), "4 requests were in flight at once")
        different = compare(trials, arms.assign(concurrency=[1, 16]))
        assert said(different, "Requests at once differ ('large' 1, 'small' 16)")

    def test_an_idle_server_and_an_estimate_are_told(self) -> None:
        trials, arms = study(
            {LARGE: ["solved"], SMALL: ["solved"]}, small={"idle_cpu_rate": 0.2, "energy_provenance": "estimated"}
        )
        comparison = compare(trials, arms)
        assert said(comparison, "Of 60.0 CPU seconds of 'small', the model's server would have taken about 20.0 idle.")
        assert said(comparison, "Energy of 'small' is estimated")

    def test_an_arm_that_has_not_begun(self) -> None:
        trials, arms = study({LARGE: ["solved"], SMALL: ["solved"]})
        comparison = compare(trials[trials["arm"] == LARGE], arms)
        small = row(comparison, SMALL)
        assert (small.counts.trials, small.model, small.solved_rate) == (0, None, None)
        assert said(comparison, "'small' has no trials yet")
        assert json.loads(comparison.to_json())["rows"][1]["counts"]["trials"] == 0

    def test_an_arm_without_totals_comes_last(self) -> None:
        trials, arms = study({SMALL: ["solved"], LARGE: ["solved"]})
        comparison = compare(trials, arms[arms["arm"] == SMALL])
        assert [found.arm for found in comparison.rows] == [SMALL, LARGE]
        assert said(comparison, "Nothing was measured over the whole arm for 'large'")
        assert len(compare(trials, arms.iloc[:0]).rows) == 2


class TestBadInput:
    def test_no_trials(self) -> None:
        trials, arms = study({LARGE: ["solved"]})
        with pytest.raises(InputError, match="no trials to compare"):
            compare(trials.iloc[:0], arms)
        with pytest.raises(InputError, match="no trials to compare"):
            compare(pd.DataFrame(), pd.DataFrame())

    def test_columns_that_can_not_be_missing(self) -> None:
        trials, arms = study({LARGE: ["solved"]})
        with pytest.raises(InputError, match="trials lacks the columns task, outcome"):
            compare(trials.drop(columns=["task", "outcome"]), arms)
        with pytest.raises(InputError, match="arms lacks the columns session"):
            compare(trials, arms.drop(columns="session"))
        with pytest.raises(InputError, match="lacks the columns"):
            compare(pd.DataFrame({"other": [1]}), arms)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"outcome": "won"}, "unknown outcome 'won'"),
            ({"outcome": None}, "1 rows without outcome"),
            ({"task": None}, "1 rows without task"),
            ({"solved": None}, r"trial large/t0/0 of session s1 is solved, but its solved is <NA>"),
            ({"outcome": "model_failed"}, "is model_failed, but its solved is True"),
            ({"latency_seconds": float("inf")}, "latency_seconds holds an infinite value"),
            ({"latency_seconds": "fast"}, "latency_seconds holds something that is no number"),
        ],
    )
    def test_trials_that_make_no_sense(self, change: dict[str, Any], message: str) -> None:
        trials, arms = study({LARGE: ["solved", "solved"]})
        for column, value in change.items():
            if isinstance(value, str):
                trials[column] = trials[column].astype("object")
            trials.loc[0, column] = value
        with pytest.raises(InputError, match=message):
            compare(trials, arms)

    def test_what_is_there_twice(self) -> None:
        trials, arms = study({LARGE: ["solved"]})
        with pytest.raises(InputError, match="large/t0/0 of suite basics is there twice"):
            compare(pd.concat([trials, trials]), arms)
        with pytest.raises(InputError, match="'large' of session s1 is there twice"):
            compare(trials, pd.concat([arms, arms]))


class TestProperties:
    @settings(max_examples=examples(15), deadline=None)
    @given(st.lists(st.tuples(OUTCOMES, OUTCOMES), min_size=1, max_size=12), st.randoms(use_true_random=False))
    def test_the_order_of_rows_changes_nothing(self, outcomes: list[tuple[str, str]], random: Any) -> None:
        large, small = zip(*outcomes, strict=True)
        trials, arms = study({LARGE: large, SMALL: small})
        trials["latency_seconds"] = [random.random() for _ in range(len(trials))]
        order = list(range(len(trials)))
        random.shuffle(order)
        assert compare(trials.iloc[order], arms, resamples=FEW) == compare(trials, arms, resamples=FEW)

    @settings(max_examples=examples(15), deadline=None)
    @given(
        st.lists(st.sampled_from(["solved", "unsolved"]), min_size=1, max_size=10),
        st.lists(st.sampled_from(["model_failed", "sandbox_failed", "scorer_failed"]), max_size=10),
    )
    def test_failures_never_change_rates_or_differences(self, outcomes: list[str], failures: list[str]) -> None:
        large = ["solved"] * (len(outcomes) + len(failures))
        without = row(compare(*study({LARGE: large, SMALL: outcomes}), resamples=FEW), SMALL)
        with_them = row(compare(*study({LARGE: large, SMALL: outcomes + failures}), resamples=FEW), SMALL)
        assert with_them.solved_rate == without.solved_rate
        assert with_them.first_attempt == without.first_attempt
        assert with_them.against == without.against
        assert with_them.per_solved.seconds == without.per_solved.seconds
        assert with_them.counts.failed == len(failures)

    @settings(max_examples=examples(15), deadline=None)
    @given(st.lists(st.tuples(OUTCOMES, OUTCOMES), min_size=1, max_size=12))
    def test_the_other_baseline_flips_the_sign(self, outcomes: list[tuple[str, str]]) -> None:
        large, small = zip(*outcomes, strict=True)
        frames = study({LARGE: large, SMALL: small})
        one = row(compare(*frames, baseline=LARGE, resamples=FEW), SMALL).against
        other = row(compare(*frames, baseline=SMALL, resamples=FEW), LARGE).against
        assert one is not None
        assert other is not None
        assert (one.better, one.worse, one.mcnemar_p) == (other.worse, other.better, other.mcnemar_p)
        if one.difference is None:
            assert other.difference is None
        else:
            assert other.difference is not None
            assert one.difference.estimate == -other.difference.estimate


class TestForms:
    def test_the_frame_has_documented_types(self) -> None:
        frame = compare(*study({LARGE: ["solved"] * 3, SMALL: ["unscored"] * 3})).to_frame()
        assert list(frame["arm"]) == [LARGE, SMALL]
        kinds = {str(kind) for kind in frame.dtypes}
        assert kinds == {"string", "bool", "Int64", "Float64"}
        assert frame.loc[0, "solved_rate"] == 1.0
        assert frame.loc[1, "solved_rate"] is pd.NA
        assert frame.loc[1, "latency_seconds_measured"] == 3

    def test_the_json_holds_every_number_and_null(self) -> None:
        comparison = compare(
            *study({LARGE: ["solved"] * 3, SMALL: ["solved", "unsolved", "solved"]}), prices=Prices(per_kwh=0.3)
        )
        found = json.loads(comparison.to_json())
        assert found["baseline"] == LARGE
        assert found["prices"] == {"per_kwh": 0.3, "per_machine_hour": None, "currency": "", "as_of": "", "tokens": {}}
        assert found["rows"][0]["against"] is None
        assert found["rows"][1]["against"]["difference"]["pairs"] == 3
        assert found["rows"][1]["totals"]["gpu_percent"] is None

    def test_the_frames_given_are_left_as_they_were(self) -> None:
        trials, arms = study({LARGE: ["solved"] * 3, SMALL: ["unsolved"] * 3})
        before = trials.copy(deep=True), arms.copy(deep=True)
        compare(trials, arms)
        pd.testing.assert_frame_equal(trials, before[0])
        pd.testing.assert_frame_equal(arms, before[1])


class TestWhatIsCommon:
    def test_totals_become_the_shares_of_what_stays_and_unknown_ones_stay_unknown(self) -> None:
        trials, arms = study(
            {LARGE: ["solved"] * 5, SMALL: ["solved"] * 10},
            small={"cpu_seconds": 100.0, "energy_joules": 3600.0},
            large={"cpu_seconds": 50.0, "energy_joules": 70.0},
        )
        trials.loc[trials["arm"] == SMALL, ["energy_joules", "gpu_energy_joules"]] = None
        found = common_tasks(prepare(trials, arms))
        assert len(found.trials) == 10
        assert found.arms.loc[SMALL, "cpu_seconds"] == pytest.approx(50.0)
        assert found.arms["energy_joules"].isna()[SMALL], "no trial says what its share was"
        assert (found.arms.loc[LARGE, "cpu_seconds"], found.arms.loc[LARGE, "energy_joules"]) == (50.0, 70.0)

    def test_an_arm_that_has_not_begun_is_named(self) -> None:
        trials, arms = study({LARGE: ["solved"], SMALL: ["solved"]})
        with pytest.raises(InputError, match="'small': no trials yet, so that no task was tried by every arm"):
            common_tasks(prepare(trials[trials["arm"] == LARGE], arms))
