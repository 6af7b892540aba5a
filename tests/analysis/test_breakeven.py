from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallenough.analysis.breakeven import (
    BreakEven,
    Repayment,
    break_even,
    sentence,
    sentences,
    to_frame,
    training_costs,
)
from smallenough.analysis.findings import Findings, Terms, find
from smallenough.analysis.money import Prices
from smallenough.analysis.statistics import Difference, Interval, paired_difference
from smallenough.errors import InputError, UnknownName
from smallenough.tracking.tables import Tables
from tests.analysis.builders import study
from tests.thorough import examples


def saving(estimate: float, low: float | None = None, high: float | None = None, tasks: int = 30) -> Difference:
    interval = None if low is None or high is None else Interval(low, high)
    return Difference(10.0 + estimate, 10.0, estimate, interval, tasks, tasks)


def energy(training: float | None, saved: Difference | None) -> BreakEven:
    found = break_even("energy", training, saved)
    assert found is not None
    return found


class TestRequests:
    def test_training_by_saving(self) -> None:
        found = energy(1.2e6, saving(400.0, 300.0, 600.0))
        assert (found.low, found.requests, found.high) == (2000.0, 3000.0, 4000.0)
        assert sentence(found) == (
            "The energy of the training (1.2 MJ) is repaid after about 3,000 requests [2,000–4,000]: each saves 400 J."
        )

    def test_money_is_told_in_its_currency(self) -> None:
        found = break_even("money", 12.0, saving(0.25, 0.2, 0.5))
        assert sentence(found, "EUR") == (
            "The money of the training (12 EUR) is repaid after about 48 requests [24–60]: each saves 0.25 EUR."
        )

    def test_large_numbers_of_requests_have_three_digits(self) -> None:
        assert "about 12,300 requests [8,230–24,700]" in sentence(energy(1234567.0, saving(100.0, 50.0, 150.0)))

    def test_a_saving_that_may_be_none_has_no_latest(self) -> None:
        found = energy(1000.0, saving(10.0, -5.0, 25.0))
        assert (found.low, found.requests, found.high) == (40.0, 100.0, None)
        assert sentence(found) == (
            "The energy of the training (1.0 kJ) is repaid after about 100 requests, 40 at the earliest: each saves"
            " 10 J. The latest is not within the data, which allow that a request saves nothing."
        )

    def test_a_loss_that_may_be_a_saving_is_not_within_the_data(self) -> None:
        found = energy(1000.0, saving(-10.0, -25.0, 5.0))
        assert (found.low, found.requests, found.high) == (200.0, None, None)
        assert sentence(found) == (
            "The energy of the training (1.0 kJ) is not repaid within the data: a request costs the tuned model 10 J"
            " more; the interval allows a saving that repays it after 200 requests at the earliest."
        )

    def test_a_loss_is_never_repaid(self) -> None:
        found = energy(1000.0, saving(-10.0, -25.0, -5.0))
        assert (found.low, found.requests, found.high) == (None, None, None)
        assert sentence(found) == (
            "The energy of the training (1.0 kJ) is never repaid: a request costs the tuned model 10 J more."
        )

    def test_no_spread_is_no_interval(self) -> None:
        found = energy(1000.0, saving(10.0, tasks=3))
        assert (found.low, found.requests, found.high) == (None, 100.0, None)
        assert sentence(found).endswith("each saves 10 J. The 3 tasks have no spread to tell an interval.")
        assert sentence(energy(1000.0, saving(0.0, tasks=1))) == (
            "The energy of the training (1.0 kJ) is never repaid: a request costs both models the same."
            " By 1 task there is no interval."
        )

    def test_a_free_training_is_repaid_at_once(self) -> None:
        found = energy(0.0, saving(10.0, 5.0, 15.0))
        assert (found.low, found.requests, found.high) == (0.0, 0.0, 0.0)

    @pytest.mark.parametrize("training", [None, math.nan])
    def test_a_training_that_was_not_measured(self, training: float | None) -> None:
        assert break_even("energy", training, saving(10.0)) is None
        assert "was not measured" in sentence(None)

    def test_costs_that_were_not_measured(self) -> None:
        assert paired_difference([math.nan, 1.0], [1.0, math.nan]) is None
        assert break_even("energy", 10.0, None) is None

    @pytest.mark.parametrize("training", [-1.0, math.inf])
    def test_what_no_training_can_take(self, training: float) -> None:
        with pytest.raises(InputError):
            break_even("energy", training, saving(10.0))

    def test_an_unknown_cost(self) -> None:
        with pytest.raises(UnknownName):
            break_even("enrgy", 10.0, saving(10.0))

    def test_frame(self) -> None:
        frame = to_frame([Repayment("tuned", "large", energy(1000.0, saving(10.0, -5.0, 25.0)))])
        assert frame.dtypes.astype(str).to_dict() == {
            "tuned": "string",
            "large": "string",
            "cost": "string",
            "training": "Float64",
            "saved_per_request": "Float64",
            "requests": "Float64",
            "requests_low": "Float64",
            "requests_high": "Float64",
            "tasks": "Int64",
        }
        assert frame["requests_high"].isna().all()
        assert to_frame([]).dtypes.equals(frame.dtypes)


class TestTrackedTrainings:
    """What the store tells of trainings goes into the comparison by itself."""

    @staticmethod
    def found(prices: Prices | None = None, **training: float) -> Findings:
        trials, arms = study({"large": ["solved"] * 30, "tuned": ["solved"] * 30})
        trials["latency_seconds"] = np.where(trials["arm"] == "large", 5.0, 3.0) + np.arange(60) % 2
        for name, value in training.items():
            arms[name] = np.where(arms["arm"] == "tuned", value, np.nan)
        return find(Tables(trials, pd.DataFrame(), arms, ("s1",)), Terms(prices=prices))

    def test_what_was_measured_of_training_and_requests_has_its_number(self) -> None:
        found = self.found(training_wall_seconds=600.0).repayments()
        assert [(one.tuned, one.large, one.at.cost) for one in found] == [("tuned", "large", "seconds")]
        at = found[0].at
        assert at.training == 600.0
        told = self.found(training_wall_seconds=600.0)
        assert [row["tuned"] for row in json.loads(told.to_json())["break_even"]] == ["tuned"]
        assert "'tuned' in place of 'large'" in told.to_markdown()
        assert at.requests == pytest.approx(300.0)
        assert sentences(found)[0].startswith(
            "'tuned' in place of 'large': The time of the training (10 min) is repaid after about 300 requests"
        )

    def test_money_follows_from_the_prices(self) -> None:
        found = self.found(Prices(per_machine_hour=3.6), training_wall_seconds=600.0)
        assert training_costs(found.frames.arms.loc["tuned"].to_dict(), found.comparison.prices) == {
            "seconds": 600.0,
            "money": pytest.approx(0.6),
        }
        arm = {"training_wall_seconds": 1.0, "training_cpu_seconds": 2.0, "training_energy_joules": 3.0}
        assert training_costs(arm, None) == {"seconds": 1.0, "cpu": 2.0, "energy": 3.0}

    def test_seconds_that_include_waiting_for_others_are_not_set_beside_a_training(self) -> None:
        found = self.found(training_wall_seconds=600.0, training_cpu_seconds=900.0, concurrency=8.0)
        assert [one.at.cost for one in found.repayments()] == ["cpu"]

    def test_nothing_is_said_where_no_arm_or_the_baseline_was_trained(self) -> None:
        assert self.found().repayments() == ()
        trained = self.found(training_wall_seconds=600.0)
        assert find(trained.tables, Terms(baseline="tuned")).repayments() == ()


COSTS = st.lists(st.floats(0, 1e4).map(lambda value: round(value, 3)), min_size=2, max_size=12)


class TestProperties:
    @settings(max_examples=examples(40), deadline=None)
    @given(st.floats(0, 1e9), st.data())
    def test_the_interval_holds_the_requests(self, training: float, data: st.DataObject) -> None:
        large = data.draw(COSTS)
        tuned = data.draw(st.lists(st.floats(0, 1e4), min_size=len(large), max_size=len(large)))
        saved = paired_difference(large, tuned, resamples=200)
        found = break_even("seconds", training, saved)
        assert found is not None
        assert (found.requests is None) == (np.mean(np.subtract(large, tuned)) <= 0)
        known = [one for one in (found.low, found.requests, found.high) if one is not None]
        assert known == sorted(known)
        assert all(0 <= one < math.inf for one in known)
        assert sentence(found).endswith(".")

    @settings(max_examples=examples(20), deadline=None)
    @given(st.floats(1, 1e6), st.floats(1e-3, 1e3), st.floats(1, 10))
    def test_a_dearer_training_takes_more_requests(self, training: float, saved: float, times: float) -> None:
        one, more = (energy(cost, saving(saved, saved / 2, 2 * saved)) for cost in (training, times * training))
        assert one.requests is not None
        assert more.requests == pytest.approx(times * one.requests)


class TestOfFindings:
    """Two arms of a comparison, and what a training took."""

    @staticmethod
    def findings() -> Findings:
        trials, arms = study({"large": ["solved"] * 6, "tuned": ["solved"] * 6})
        trials["energy_joules"] = [10.0, 11.0, 12.0] * 2 + [4.0] * 6
        return find(Tables(trials, trials.iloc[:0], arms, ("s1",)))

    def test_a_request_repays_what_it_saves(self) -> None:
        found = self.findings().break_even("energy", 700.0, "large", "tuned")
        assert found is not None
        assert found.requests == pytest.approx(100.0)
        assert found.low is not None
        assert found.high is not None
        assert found.low < 100 < found.high

    def test_what_was_not_measured_is_not_repaid(self) -> None:
        assert self.findings().break_even("energy", None, "large", "tuned") is None
        assert self.findings().break_even("operations", 1e9, "large", "tuned") is None

    def test_bad_input(self) -> None:
        with pytest.raises(InputError, match="does not add up"):
            self.findings().break_even("memory", 1.0, "large", "tuned")
        with pytest.raises(UnknownName, match="tuned"):
            self.findings().break_even("energy", 1.0, "large", "tuned2")
