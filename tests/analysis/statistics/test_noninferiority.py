from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import erfc, gammaln, xlogy
from scipy.stats import binomtest

from smallenough.analysis.statistics import Floats, noninferiority, success_difference
from smallenough.analysis.statistics.score import noninferiority_p, restricted_worse, tango_score
from smallenough.errors import InputError

NAN = float("nan")
TABLES = st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60)).filter(any)
MARGINS = st.floats(0.01, 0.5)


def pairs(better: int, worse: int, same: int) -> tuple[list[int], list[int]]:
    return [1] * better + [0] * worse + [1] * same, [0] * better + [1] * worse + [1] * same


class TestScore:
    @given(TABLES, st.floats(-0.6, 0.6))
    def test_the_closed_form_is_the_most_likely_share(self, table: tuple[int, int, int], difference: float) -> None:
        better, worse, same = table

        def unlikely(share: float) -> float:
            cells = (share + difference, share, max(1 - 2 * share - difference, 0.0))
            return -float(sum(xlogy(count, max(cell, 0.0)) for count, cell in zip(table, cells, strict=True)))

        lowest, highest = max(0.0, -difference), (1 - difference) / 2
        found = restricted_worse(better, worse, better + worse + same, difference)
        searched = minimize_scalar(unlikely, bounds=(lowest, highest), method="bounded", options={"xatol": 1e-12})
        assert lowest - 1e-9 <= found <= highest + 1e-9
        assert unlikely(min(max(found, lowest + 1e-12), highest - 1e-12)) <= searched.fun + 1e-6

    def test_published_example(self) -> None:
        """Cross-over trial of soft contact lenses (Tango 1998, section 5): 44 pairs, 43 agree, margin 10 points."""
        assert tango_score(0, 1, 44, -0.1) == pytest.approx(1.709, abs=0.01)


class TestNoninferiority:
    @given(TABLES, MARGINS, st.floats(0.6, 0.999))
    def test_the_bound_is_where_the_test_turns(
        self, table: tuple[int, int, int], margin: float, confidence: float
    ) -> None:
        found = noninferiority(*pairs(*table), margin=margin, confidence=confidence)
        assert found is not None
        assert found.low <= found.estimate
        if abs(found.p_value - (1 - confidence)) > 1e-9:
            assert (found.p_value < 1 - confidence) == (found.low > -margin)

    @given(st.tuples(st.integers(1, 60), st.integers(0, 60), st.integers(0, 60)), MARGINS)
    def test_is_tangos_score_where_the_arm_is_ever_better(self, table: tuple[int, int, int], margin: float) -> None:
        found = noninferiority(*pairs(*table), margin=margin)
        score = tango_score(table[0], table[1], sum(table), -margin)
        assert found is not None
        assert found.p_value == pytest.approx(float(0.5 * erfc(score / np.sqrt(2))), abs=1e-12)
        assert found.effective_pairs == sum(table)

    @given(st.integers(0, 20), st.integers(1, 200), MARGINS)
    def test_is_no_bolder_than_the_exact_test_where_it_never_is(self, worse: int, same: int, margin: float) -> None:
        found = noninferiority(*pairs(0, worse, same), margin=margin)
        exact = binomtest(worse, worse + same, margin, alternative="less").pvalue
        assert found is not None
        assert found.p_value >= exact - 1e-12

    def test_pairs_that_all_agree_are_evidence(self) -> None:
        few, many = (noninferiority([1] * n, [1] * n, margin=0.05) for n in (58, 59))
        assert few is not None
        assert many is not None
        assert few.p_value > 0.05 > many.p_value
        assert few.low < -0.05 < many.low

    def test_repeats_that_are_all_alike_count_once(self) -> None:
        arm, baseline = pairs(6, 9, 35)
        once = noninferiority(arm, baseline, margin=0.1)
        often = noninferiority(np.repeat(arm, 4), np.repeat(baseline, 4), np.repeat(np.arange(50), 4), margin=0.1)
        assert once is not None
        assert often is not None
        assert (often.pairs, often.better, often.worse) == (200, 24, 36)
        assert often.effective_pairs == pytest.approx(50)
        assert (often.p_value, often.low) == pytest.approx((once.p_value, once.low), abs=1e-9)

    def test_one_repeat_of_each_task_is_as_without_tasks(self) -> None:
        arm, baseline = pairs(3, 4, 20)
        assert noninferiority(arm, baseline, range(27), margin=0.1) == noninferiority(arm, baseline, margin=0.1)

    def test_what_was_not_measured_is_left_out(self) -> None:
        found = noninferiority([1, NAN, 0, 1], [0, 1, NAN, 1], margin=0.1)
        assert found is not None
        assert (found.pairs, found.better, found.worse, found.estimate) == (2, 1, 0, 0.5)
        assert noninferiority([NAN], [1], margin=0.1) is None

    def test_always_worse_is_never_good_enough(self) -> None:
        found = noninferiority([0] * 30, [1] * 30, margin=0.9)
        assert found is not None
        assert found.p_value > 0.5
        assert found.low == -1.0

    def test_bad_input_is_refused(self) -> None:
        for margin in (0.0, 1.0, 5.0, NAN):
            with pytest.raises(InputError, match="margin must be between 0 and 1"):
                noninferiority([1], [1], margin=margin)
        with pytest.raises(InputError, match="confidence"):
            noninferiority([1], [1], margin=0.1, confidence=95)
        with pytest.raises(InputError, match="0 and 1"):
            noninferiority([0.5], [1], margin=0.1)
        with pytest.raises(InputError, match="as many values"):
            noninferiority([1, 0], [1], margin=0.1)


class TestSuccessDifference:
    @given(TABLES)
    def test_swapping_the_sides_flips_it(self, table: tuple[int, int, int]) -> None:
        arm, baseline = pairs(*table)
        one, other = success_difference(arm, baseline), success_difference(baseline, arm)
        assert one is not None
        assert other is not None
        assert one.interval is not None
        assert other.interval is not None
        assert (one.interval.low, one.interval.high) == (-other.interval.high, -other.interval.low)
        assert one.interval.low <= one.estimate <= one.interval.high

    def test_turns_where_the_test_does(self) -> None:
        arm, baseline = pairs(7, 3, 50)
        both, below = success_difference(arm, baseline, confidence=0.9), noninferiority(arm, baseline, margin=0.1)
        assert both is not None
        assert below is not None
        assert both.interval is not None
        assert both.interval.low == below.low

    def test_nothing_measured_says_nothing(self) -> None:
        assert success_difference([NAN], [1]) is None

    def test_what_is_no_success_is_refused(self) -> None:
        with pytest.raises(InputError, match="0 and 1"):
            success_difference([2.0], [1])


@cache
def passed(n: int, margin: float) -> tuple[Floats, Floats]:
    """All counts of better and worse pairs for which the test is passed at 5%."""
    found = [
        (better, worse)
        for better in range(n + 1)
        for worse in range(n + 1 - better)
        if worse - better < n * margin and noninferiority_p(better, worse, n, margin) < 0.05
    ]
    return np.array([float(each[0]) for each in found]), np.array([float(each[1]) for each in found])


def passes(n: int, margin: float, difference: float, discordance: float) -> float:
    """How often the test is passed, exactly."""
    better, worse = passed(n, margin)
    same = n - better - worse
    shares = (discordance + difference) / 2, (discordance - difference) / 2, 1 - discordance
    likely = gammaln(n + 1) - gammaln(better + 1) - gammaln(worse + 1) - gammaln(same + 1)
    likely += xlogy(better, shares[0]) + xlogy(worse, shares[1]) + xlogy(same, shares[2])
    return float(np.exp(likely).sum())


@pytest.mark.parametrize("margin", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("n", [50, 52, 53, 67, 87, 100, 200, 500])
def test_an_arm_that_is_worse_by_the_margin_rarely_passes(n: int, margin: float) -> None:
    """All outcomes are enumerated, so the size of the test is exact."""
    discordances = [
        margin + more for more in (0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3) if margin + more <= 0.4
    ]
    sizes = [passes(n, margin, -margin, max(discordance, margin)) for discordance in discordances]
    assert max(sizes) <= 0.055
    if n == 500:
        assert max(sizes) >= 0.045


@pytest.mark.parametrize("tasks", [50, 200])
def test_repeats_of_tasks_do_not_make_the_test_bolder(tasks: int) -> None:
    """Each task has its own chances, on average 10 points apart, and three repeats."""
    generator = np.random.default_rng(tasks)
    clusters = np.repeat(np.arange(tasks), 3)
    held = 0
    for _ in range(1500):
        chance = generator.beta(1, 0.6, tasks) * 0.9
        arm = generator.random(3 * tasks) < chance[clusters]
        baseline = generator.random(3 * tasks) < chance[clusters] + 0.1
        found = noninferiority(arm, baseline, clusters, margin=0.1)
        held += found is not None and found.p_value < 0.05
    assert 0.03 <= held / 1500 <= 0.055


def test_few_tasks_that_are_lost_or_not_are_the_known_limit() -> None:
    """A quarter of 20 tasks is lost nearly always, the others never: the test is a little bold, as its module says."""
    generator = np.random.default_rng(20)
    clusters = np.repeat(np.arange(20), 4)
    held = 0
    for _ in range(1000):
        chance = np.where(generator.random(20) < 0.25, 0.1, 0.9)
        found = noninferiority(
            generator.random(80) < chance[clusters], generator.random(80) < 0.9, clusters, margin=0.2
        )
        held += found is not None and found.p_value < 0.05
    assert held / 1000 <= 0.08
