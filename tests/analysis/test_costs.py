"""What attempts and trials cost: operations, shares of time and energy, tokens; what is not known stays not known."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallenough.analysis.costs import arm_money, attempt_costs, trial_costs, uncounted
from smallenough.analysis.money import Prices, TokenPrice

TRIAL = ["session", "arm", "suite", "task", "repeat"]
NUMBERS = ("tokens_in", "tokens_out", "latency_seconds", "energy_joules")
TOTALS = {"wall_seconds": 3600.0, "energy_joules": 3.6e6}
HOSTED = Prices(currency="USD", tokens={"h": TokenPrice(2.0, 10.0)})


def attempt(arm: str, task: str = "t0", number: int = 0, **said: Any) -> dict[str, Any]:
    row = {"session": "s1", "arm": arm, "model": arm, "suite": "basics", "task": task, "repeat": 0, "attempt": number}
    measured = {"tokens_in": 100.0, "tokens_out": 50.0, "latency_seconds": 2.0, "energy_joules": 10.0}
    return {**row, "outcome": "solved", **measured, **said}


def attempts(*rows: dict[str, Any]) -> pd.DataFrame:
    return pd.DataFrame(list(rows)).astype(dict.fromkeys(NUMBERS, "Float64") | {"outcome": "string"})


def arms(**said: dict[str, Any]) -> pd.DataFrame:
    whole = {"model_parameters": 1e6, "further_models": None, "wall_seconds": 60.0}
    rows = [{"session": "s1", "arm": name, "model": name, **whole, **more} for name, more in said.items()]
    return pd.DataFrame(rows).astype({"model_parameters": "Float64", "wall_seconds": "Float64"})


class TestOperations:
    def test_they_are_two_for_each_parameter_and_token_read_or_written(self) -> None:
        found = attempt_costs(attempts(attempt("m")), arms(m={"model_parameters": 135e6}), None)
        assert list(found["operations"]) == [2 * 135e6 * 150]

    def test_an_attempt_of_a_cascade_s_further_model_counts_by_that_model_s_parameters(self) -> None:
        further = json.dumps([{"name": "large", "parameters": 7_000_000_000}, {"name": "hidden", "parameters": None}])
        rows = [attempt("m", number=place, model=name) for place, name in enumerate(("m", "large", "hidden", "other"))]
        found = attempt_costs(attempts(*rows), arms(m={"further_models": further}), None)["operations"].tolist()
        assert found[:2] == [2 * 1e6 * 150, 2 * 7e9 * 150]
        assert np.isnan(found[2:]).all(), "what has no known parameters has no known operations"

    def test_a_further_model_of_one_arm_says_nothing_of_another_arm(self) -> None:
        further = json.dumps([{"name": "large", "parameters": 10}])
        rows = attempts(attempt("m", model="large"), attempt("n", model="large"))
        found = attempt_costs(rows, arms(m={"further_models": further}, n={}), None)["operations"]
        assert found[0] == 2 * 10 * 150
        assert np.isnan(found[1])

    @pytest.mark.parametrize("missing", ["tokens_in", "tokens_out"])
    def test_without_a_count_of_tokens_there_are_none(self, missing: str) -> None:
        found = attempt_costs(attempts({**attempt("m"), missing: None}), arms(m={}), None)
        assert found["operations"].isna().all()

    def test_without_a_count_of_parameters_there_are_none(self) -> None:
        found = attempt_costs(attempts(attempt("m")), arms(m={"model_parameters": None}), None)
        assert found["operations"].isna().all()


class TestMoneyOfAttempts:
    @given(
        wall=st.floats(0.1, 1e6),
        seconds=st.lists(st.floats(0.001, 1e4), min_size=1, max_size=8),
        failed=st.integers(0, 2),
    )
    def test_shares_of_the_machine_s_time_sum_to_the_arm_s_wall_seconds(
        self, wall: float, seconds: list[float], failed: int
    ) -> None:
        rows = [attempt("m", number=number, latency_seconds=one) for number, one in enumerate(seconds)]
        rows += [attempt("m", "f", number, latency_seconds=None, outcome="model_failed") for number in range(failed)]
        found = attempt_costs(attempts(*rows), arms(m={"wall_seconds": wall}), Prices(per_machine_hour=3600.0))["money"]
        assert found.sum() == pytest.approx(wall, rel=1e-9)
        assert found.isna().sum() == failed
        whole = sum(seconds)
        assert list(found[: len(seconds)]) == pytest.approx([wall * one / whole for one in seconds], rel=1e-9)

    def test_the_machine_is_shared_by_the_local_attempts_of_an_arm_alone(self) -> None:
        rows = attempts(attempt("m", number=0), attempt("m", number=1, model="h"), attempt("n", number=0))
        prices = Prices(0.36, 36.0, "USD", tokens=HOSTED.tokens)
        found = attempt_costs(rows, arms(m={"wall_seconds": 100.0}, n={"wall_seconds": 50.0}), prices)["money"]
        local = 0.36 * 10 / 3.6e6
        assert list(found) == pytest.approx([local + 36 * 100 / 3600, (200 + 500) / 1e6, local + 0.5], rel=1e-12)

    def test_a_part_that_is_charged_and_was_not_measured_leaves_nothing_known(self) -> None:
        rows = attempts(attempt("m", energy_joules=None), attempt("n"), attempt("o", latency_seconds=0.0))
        of = arms(m={}, n={"wall_seconds": None}, o={"wall_seconds": None})
        energy = attempt_costs(rows, of, Prices(per_kwh=0.3))["money"]
        assert list(energy.isna()) == [True, False, False]
        hours = attempt_costs(rows, of, Prices(per_machine_hour=1.0))["money"]
        assert list(hours.isna()) == [False, True, True]

    def test_a_hosted_model_s_attempt_without_a_count_of_tokens_costs_nobody_knows_what(self) -> None:
        rows = attempts(attempt("h", tokens_in=None, tokens_out=None, outcome="model_failed"), attempt("h", number=1))
        found = attempt_costs(rows, arms(h={}), HOSTED)
        assert list(found["money"].isna()) == [True, False]
        assert list(uncounted(found, HOSTED)) == [True, False]

    def test_without_prices_there_is_no_money_and_without_a_machine_s_price_none_of_local_models(self) -> None:
        rows = attempts(attempt("m"), attempt("h"))
        assert attempt_costs(rows, arms(m={}, h={}), None)["money"].isna().all()
        assert list(attempt_costs(rows, arms(m={}, h={}), HOSTED)["money"].isna()) == [True, False]

    def test_without_attempts_the_columns_are_there_all_the_same(self) -> None:
        found = attempt_costs(pd.DataFrame(), arms(m={}), HOSTED)
        assert (len(found), list(found.columns)) == (0, ["operations", "money"])


class TestTrials:
    def test_a_trial_costs_the_sum_of_its_attempts_and_nothing_known_if_one_is_not(self) -> None:
        rows = attempts(
            attempt("h", "a", 0),
            attempt("h", "a", 1, tokens_out=0.0),
            attempt("h", "b", 0),
            attempt("h", "b", 1, tokens_in=None),
        )
        costed = attempt_costs(rows, arms(h={}), HOSTED)
        trials = pd.DataFrame([{**attempt("h", task), "money": 99.0} for task in ("a", "b", "never asked")])
        found = trial_costs(trials, costed).set_index("task")
        assert found.at["a", "money"] == pytest.approx((2 * 200 + 10 * 50) / 1e6, rel=1e-12)
        assert found.at["a", "operations"] == 2 * 1e6 * 250
        assert found.loc[["b", "never asked"], ["money", "operations"]].isna().all(axis=None)

    def test_repeats_and_suites_and_sessions_are_kept_apart(self) -> None:
        places: list[dict[str, Any]] = [{"repeat": 0}, {"repeat": 1}, {"suite": "other"}, {"session": "s2"}]
        rows = [attempt("h", tokens_in=1e6 * number, tokens_out=0.0, **place) for number, place in enumerate(places)]
        of = pd.concat([arms(h={}), arms(h={}).assign(session="s2")], ignore_index=True)
        costed = attempt_costs(attempts(*rows), of, HOSTED)
        assert list(trial_costs(pd.DataFrame(rows)[TRIAL], costed)["money"]) == pytest.approx([0.0, 2.0, 4.0, 6.0])

    def test_without_attempts_nothing_is_known(self) -> None:
        assert trial_costs(pd.DataFrame([attempt("m")]), pd.DataFrame())[["operations", "money"]].isna().all(axis=None)


class TestMoneyOfArms:
    def costed(self, prices: Prices, *rows: dict[str, Any]) -> pd.DataFrame:
        return attempt_costs(attempts(*rows), arms(m={"wall_seconds": 3600.0}, h={}), prices)

    def test_a_hosted_arm_costs_the_sum_of_its_attempts_and_the_machine_nothing(self) -> None:
        prices = Prices(0.5, 7.0, "USD", tokens=HOSTED.tokens)
        found = self.costed(prices, attempt("h"), attempt("h", "t1"))
        assert arm_money("h", found, TOTALS, prices) == found["money"].sum() == pytest.approx(2 * 7e-4, rel=1e-12)

    def test_a_local_arm_costs_what_was_measured_over_the_whole_arm(self) -> None:
        prices = Prices(0.5, 7.0, "USD", tokens=HOSTED.tokens)
        assert arm_money("m", self.costed(prices, attempt("m")), TOTALS, prices) == pytest.approx(7.5)
        assert arm_money("m", attempts(attempt("m"))[:0], TOTALS, prices) == pytest.approx(7.5)

    def test_an_arm_that_asks_both_costs_both(self) -> None:
        prices = Prices(0.5, 7.0, "USD", tokens=HOSTED.tokens)
        found = self.costed(prices, attempt("m"), attempt("m", number=1, model="h"))
        assert arm_money("m", found, TOTALS, prices) == pytest.approx(7.5 + 7e-4, rel=1e-12)
        assert arm_money("m", found, TOTALS, HOSTED) is None, "its local part has no price"

    def test_what_was_not_measured_or_has_no_price_is_no_money_never_0(self) -> None:
        local = self.costed(HOSTED, attempt("m"))
        assert arm_money("m", local, TOTALS, HOSTED) is None
        for price, missing in ((Prices(per_kwh=0.5), "energy_joules"), (Prices(per_machine_hour=1.0), "wall_seconds")):
            assert arm_money("m", local, {**TOTALS, missing: None}, price) is None
        assert arm_money("h", local[:0], TOTALS, HOSTED) is None, "its attempts were not read"

    def test_failed_attempts_of_a_hosted_model_are_not_counted(self) -> None:
        lost: dict[str, Any] = {"tokens_in": None, "tokens_out": None, "outcome": "model_failed"}
        found = self.costed(HOSTED, attempt("h"), attempt("h", "t1", **lost))
        assert arm_money("h", found, TOTALS, HOSTED) == pytest.approx(7e-4, rel=1e-12)
        assert arm_money("h", self.costed(HOSTED, attempt("h", **lost)), TOTALS, HOSTED) is None
        untold = self.costed(HOSTED, attempt("h"), attempt("h", "t1", tokens_out=None))
        assert arm_money("h", untold, TOTALS, HOSTED) is None, "it answered, and its tokens were not counted"
