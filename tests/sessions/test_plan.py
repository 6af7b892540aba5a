"""How large an experiment has to be: agreement with the power of the tests, and what earlier sessions tell of it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallenough.analysis.money import Prices, TokenPrice
from smallenough.analysis.statistics import (
    Interval,
    design_effect,
    difference_power,
    noninferiority,
    pairs_for_difference,
)
from smallenough.errors import InputError
from smallenough.sessions import earlier
from smallenough.sessions.plan import (
    ASSUMED_CORRELATION,
    ASSUMED_DISCORDANCE,
    Basis,
    Known,
    Question,
    pairs_needed,
    sized,
    smallest,
)
from smallenough.sessions.rates import Rate, tracked
from smallenough.tracking.columns import ARMS, ATTEMPTS, TRIALS, typed
from smallenough.tracking.tables import Tables
from tests.thorough import examples


def rests(discordance: float = 0.3, correlation: float = 0.5, *rates: Rate, prices: Prices | None = None) -> Basis:
    return Basis(Known(discordance, "said"), Known(correlation, "said"), rates, "a session", prices)


class TestQuestion:
    @pytest.mark.parametrize(
        ("said", "told"),
        [
            ({}, "say either the difference to find, or the margin"),
            ({"difference": 0.1, "margin": 0.1}, "say either the difference to find, or the margin"),
            ({"difference": 5.0}, "a difference is a share of the tasks from 0.001 to below 1, as 0.05 for 5 points"),
            ({"difference": 0.0}, "not 0"),
            ({"difference": -0.1}, "not -0.1"),
            ({"margin": math.nan}, "a margin is a share of the tasks .* not nan"),
            ({"margin": 0.1, "power": 80.0}, "power is a share between 0 and 1, as 0.8, not 80"),
            ({"margin": 0.1, "alpha": 0.0}, "alpha is a share between 0 and 1, as 0.05, not 0"),
            ({"margin": 0.1, "power": 0.01}, "a power of 0.01 needs no data"),
            ({"margin": 0.1, "arms": 1}, "at least 2 arms, not 1"),
        ],
    )
    def test_what_can_t_be_meant_is_refused_in_words(self, said: dict[str, Any], told: str) -> None:
        with pytest.raises(InputError, match=told):
            Question(**said)

    def test_more_arms_are_tested_at_a_stricter_level(self) -> None:
        assert [Question(0.1, arms=arms).level for arms in (2, 3, 6)] == pytest.approx([0.05, 0.025, 0.01])
        needed = [pairs_needed(Question(0.1, arms=arms), 0.3) for arms in (2, 3, 6)]
        assert needed == sorted(set(needed))
        assert needed[1] == pairs_for_difference(0.1, 0.3, alpha=0.025)


class TestTasks:
    @given(st.floats(0.02, 0.6), st.floats(0, 1), st.floats(0.5, 0.95), st.integers(2, 6))
    @settings(max_examples=examples(40))
    def test_so_many_have_the_power_and_one_less_has_not(
        self, difference: float, discordance: float, power: float, arms: int
    ) -> None:
        question = Question(difference, power=power, arms=arms)
        pairs, share = pairs_needed(question, discordance), max(discordance, difference)
        assert difference_power(pairs, difference, share, alpha=question.level) >= power
        assert difference_power(pairs - 1, difference, share, alpha=question.level) < power

    def test_a_margin_s_number_passes_the_verdict_s_test_as_often_as_was_asked(self) -> None:
        question, discordance = Question(margin=0.1, power=0.8), 0.3
        pairs, random = pairs_needed(question, discordance), np.random.default_rng(1)
        drawn = random.multinomial(pairs, [discordance / 2, discordance / 2, 1 - discordance], size=2000)
        passed = []
        for better, worse, _ in np.unique(drawn, axis=0):
            arm, base = np.zeros(pairs), np.zeros(pairs)
            arm[:better], base[better : better + worse] = 1, 1
            test = noninferiority(arm, base, margin=0.1)
            assert test is not None
            times = int((drawn == (better, worse, pairs - better - worse)).all(axis=1).sum())
            passed.append(times * (test.p_value < 0.05))
        assert sum(passed) / 2000 == pytest.approx(0.8, abs=0.03)

    @given(st.floats(0.05, 0.4), st.floats(0, 1), st.integers(1, 9))
    @settings(max_examples=examples(40))
    def test_repeats_trade_against_tasks_by_the_design_effect(
        self, difference: float, correlation: float, repeats: int
    ) -> None:
        found = sized(Question(difference), rests(correlation=correlation), (1, repeats))
        once, row = found.rows
        assert once.tasks == found.pairs
        worth = row.tasks * repeats / design_effect(repeats, correlation)
        assert worth >= found.pairs - 1e-6
        assert worth - repeats / design_effect(repeats, correlation) < found.pairs
        assert row.tasks <= once.tasks
        assert (row.trials, once.trials) == (2 * repeats * row.tasks, 2 * once.tasks)

    def test_repeats_that_are_all_alike_save_no_task_and_unlike_ones_count_whole(self) -> None:
        for correlation, tasks in ((1.0, 90), (0.0, 30)):
            basis = rests(correlation=correlation)
            found = sized(Question(0.3, power=0.5), basis, (1, 3))
            assert found.rows[1].tasks == math.ceil(found.pairs * tasks / 90)

    def test_the_ends_of_the_discordance_s_interval_tell_a_range(self) -> None:
        basis = replace(rests(), discordance=Known(0.3, "m", measured=True, interval=Interval(0.2, 0.4)))
        low, high = (pairs_needed(Question(0.1), share) for share in (0.2, 0.4))
        assert sized(Question(0.1), basis).tasks_range == (low, high)
        assert sized(Question(0.1), rests()).tasks_range is None

    @pytest.mark.parametrize("repeats", [(), (0,), (1, -1)])
    def test_repeats_are_1_or_more(self, repeats: tuple[int, ...]) -> None:
        with pytest.raises(InputError, match="repeats are 1 or more"):
            sized(Question(0.1), rests(), repeats)

    @pytest.mark.parametrize("share", [-0.1, 1.1, math.nan])
    def test_a_discordance_is_a_share(self, share: float) -> None:
        with pytest.raises(InputError, match="the discordance is a share of the tasks, from 0 to 1"):
            sized(Question(0.1), rests(share))


class TestSuite:
    @given(st.integers(1, 2000), st.floats(0, 1), st.booleans())
    @settings(max_examples=examples(40))
    def test_the_smallest_difference_needs_no_more_tasks_than_there_are_and_a_smaller_one_more(
        self, tasks: int, discordance: float, margin: bool
    ) -> None:
        question = Question(margin=0.05) if margin else Question(0.05)

        def needed(size: float) -> int:
            return pairs_needed(Question(margin=size) if margin else Question(size), discordance)

        found = smallest(question, discordance, tasks)
        if found is None:
            assert needed(0.999) > tasks
            return
        assert needed(found) <= tasks
        assert found == 0.001 or needed(round(found - 0.001, 3)) > tasks

    def test_a_suite_is_enough_just_when_its_smallest_difference_is_no_larger_than_the_one_asked(self) -> None:
        question = Question(0.1)
        needed = pairs_needed(question, 0.3)
        for tasks, enough in ((needed, True), (needed - 1, False)):
            (row,) = sized(question, rests(), (1,), ("s", tasks)).rows
            assert row.smallest is not None
            assert (row.smallest <= 0.1) is enough

    def test_repeats_make_more_of_a_suite(self) -> None:
        rows = sized(Question(0.1), rests(), (1, 2, 4), ("s", 100)).rows
        found = [row.smallest or 1.0 for row in rows]
        assert found == sorted(found, reverse=True)
        assert len(set(found)) == 3
        assert sized(Question(0.1), rests(), (1,), ("s", 2)).rows[0].smallest is None


class TestCosts:
    RATES = (Rate(2.0, 1.0, 10.0, {"m": (100.0, 20.0)}), Rate(4.0, 3.0, None, {"h": (1e6, 0.0)}))

    def test_trials_take_what_the_mean_arm_s_did(self) -> None:
        (row,) = sized(Question(0.3, arms=2), rests(0.3, 0.5, *self.RATES)).rows
        assert row.inferences == pytest.approx(row.tasks * (1 + 3))
        assert row.seconds == pytest.approx(row.tasks * (2 + 4))
        assert (row.joules, row.money) == (None, None)
        (more,) = sized(Question(0.3, arms=4), rests(0.3, 0.5, *self.RATES)).rows
        assert more.seconds == pytest.approx(more.trials * 3.0)

    def test_money_is_by_the_session_s_prices(self) -> None:
        prices = Prices(per_machine_hour=3600.0, tokens={"h": TokenPrice(5.0, 1.0)})
        (row,) = sized(Question(0.3), rests(0.3, 0.5, *self.RATES, prices=prices)).rows
        assert row.money == pytest.approx(row.tasks * (2.0 + 5.0))
        (row,) = sized(Question(0.3), rests(0.3, 0.5, *self.RATES, prices=Prices(per_kwh=1.0))).rows
        assert row.money is None

    def test_without_an_earlier_session_nothing_is_told_never_0(self) -> None:
        (row,) = sized(Question(0.3), rests()).rows
        assert (row.inferences, row.seconds, row.joules, row.money) == (None,) * 4


# -------------------------------------------------------------------------------------- what earlier sessions tell


def session(name: str, solved: dict[str, list[list[int]]], parameters: dict[str, str] | None = None) -> Tables:
    """A session of arms that solved each task's repeats or not; the first is the baseline."""
    first = next(iter(solved))
    trials, attempts = [], []
    for arm, tasks in solved.items():
        for task, repeats in enumerate(tasks):
            for repeat, one in enumerate(repeats):
                where: dict[str, Any] = {"session": name, "arm": arm, "model": arm, "strategy": "single", "suite": "s"}
                where |= {"task": f"t{task}", "repeat": repeat, "outcome": "solved" if one else "unsolved"}
                trials.append({**where, "provider": "p", "baseline": arm == first, "solved": bool(one)})
                attempts.append({**where, "attempt": 0, "tokens_in": 10.0, "tokens_out": 5.0})
    count = {arm: sum(map(len, tasks)) for arm, tasks in solved.items()}
    arms = [{"session": name, "arm": arm, "model": arm, "wall_seconds": 2.0 * count[arm]} for arm in solved]
    frames = (pd.DataFrame(trials), TRIALS), (pd.DataFrame(attempts), ATTEMPTS), (pd.DataFrame(arms), ARMS)
    made = [typed(rows, columns) for rows, columns in frames]
    return Tables(made[0], made[1], made[2], (name,), parameters={name: parameters or {}})


def together(*all_of: Tables) -> Tables:
    def whole(name: str) -> pd.DataFrame:
        frames: list[pd.DataFrame] = [getattr(one, name) for one in all_of]
        return pd.concat(frames, ignore_index=True)

    return Tables(
        whole("trials"),
        whole("attempts"),
        whole("arms"),
        tuple(name for one in all_of for name in one.sessions),
        parameters={name: told for one in all_of for name, told in one.parameters.items()},
    )


ONCE = session("new", {"a": [[1], [1], [0], [0]], "b": [[1], [0], [0], [0]], "c": [[0], [0], [1], [0]]})
TWICE = session("old", {"a": [[1, 1], [0, 0], [1, 1], [0, 1]], "b": [[1, 1], [0, 0], [0, 0], [0, 1]]})


class TestEarlier:
    def test_the_newest_session_tells_how_often_arms_disagree_by_the_pair_that_needs_most(self) -> None:
        found = earlier.basis(together(ONCE, TWICE), named=False)
        assert (found.discordance.value, found.discordance.measured) == (0.75, True)
        assert "'c' and 'a' in session new, 4 tasks of s, the most of 2 pairs" in found.discordance.source
        assert found.discordance.interval is not None
        assert found.discordance.interval.low < 0.75 < found.discordance.interval.high

    def test_the_newest_session_with_repeats_tells_how_alike_they_are(self) -> None:
        found = earlier.basis(together(ONCE, TWICE), named=False)
        assert (found.correlation.value, found.correlation.measured) == (1.0, True)
        assert "session old" in found.correlation.source
        alone = earlier.basis(ONCE, named=False)
        assert (alone.correlation.value, alone.correlation.measured) == (ASSUMED_CORRELATION, False)

    def test_of_sessions_that_are_named_all_count(self) -> None:
        calm = session("calm", {"a": [[1], [1]], "b": [[1], [1]]})
        assert earlier.basis(together(calm, ONCE), named=False).discordance.value == 0.0
        assert earlier.basis(together(calm, ONCE), named=True).discordance.value == 0.75

    def test_without_sessions_or_with_one_arm_alone_it_is_assumed_and_said(self) -> None:
        for tables in (None, session("one", {"a": [[1], [0]]})):
            found = earlier.basis(tables, named=False)
            assert (found.discordance.value, found.discordance.measured) == (ASSUMED_DISCORDANCE, False)
            assert "assumed" in found.discordance.source

    def test_what_was_said_goes_before_what_was_measured(self) -> None:
        found = earlier.basis(ONCE, named=False, discordance=0.2)
        assert (found.discordance.value, found.discordance.measured) == (0.2, False)

    def test_rates_and_prices_are_the_newest_session_s(self) -> None:
        priced = replace(ONCE, parameters={"new": {"price_per_machine_hour": "1.5", "price_currency": "EUR"}})
        found = earlier.basis(together(priced, TWICE), named=False)
        assert found.rates == (
            Rate(2.0, 1.0, None, {"a": (10.0, 5.0)}),
            Rate(2.0, 1.0, None, {"b": (10.0, 5.0)}),
            Rate(2.0, 1.0, None, {"c": (10.0, 5.0)}),
        )
        assert found.prices == Prices(None, 1.5, "EUR")

    def test_rates_are_those_of_the_session_whose_arms_disagreed(self) -> None:
        alone = session("alone", {"a": [[1], [0]]})
        assert earlier.basis(together(alone, ONCE), named=False).rates_source.startswith("session new")
        assert earlier.basis(together(ONCE, TWICE), named=True).rates_source.startswith("session new")
        assert earlier.basis(together(TWICE, ONCE), named=True).rates_source.startswith("session new")
        assert earlier.basis(together(alone, ONCE), named=False, discordance=0.1).rates_source.startswith("session new")
        assert earlier.basis(alone, named=False).rates_source == "session alone"

    def test_how_many_requests_were_in_flight_is_told_with_the_times(self) -> None:
        busy = replace(ONCE, arms=ONCE.arms.assign(concurrency=16.0))
        assert (
            earlier.basis(busy, named=False).rates_source
            == "session new, the mean of its 3 arms, 16 requests in flight"
        )
        calm = replace(ONCE, arms=ONCE.arms.assign(concurrency=1.0))
        assert earlier.basis(calm, named=False).rates_source == "session new, the mean of its 3 arms"

    def test_failed_trials_take_their_part_and_are_no_trials(self) -> None:
        trials = ONCE.trials.copy()
        lost = (trials["arm"] == "a") & (trials["task"] == "t0")
        trials.loc[lost, "outcome"], trials.loc[lost, "solved"] = "model_failed", pd.NA
        attempts = ONCE.attempts.copy()
        failed = (attempts["arm"] == "a") & (attempts["task"] == "t0")
        attempts.loc[failed, ["tokens_in", "tokens_out"]] = pd.NA
        attempts.loc[failed, "outcome"] = "model_failed"
        rate = tracked(replace(ONCE, trials=trials, attempts=attempts), "new")["a"]
        assert rate == Rate(8.0 / 3, 4 / 3, None, {"a": (10.0, 5.0)})

    def test_an_arm_that_goes_on_tells_nothing_yet(self) -> None:
        arms = ONCE.arms.copy()
        arms.loc[arms["arm"] == "b", "status"] = "running"
        assert tracked(replace(ONCE, arms=arms), "new").keys() == {"a", "c"}

    def test_answers_without_a_count_of_tokens_leave_it_not_known(self) -> None:
        attempts = ONCE.attempts.copy()
        attempts.loc[attempts["arm"] == "a", "tokens_out"] = pd.NA
        assert tracked(replace(ONCE, attempts=attempts), "new")["a"].tokens == {"a": None}
