from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from smallenough.analysis.statistics import Floats, paired_difference, resampled_means
from smallenough.errors import InputError

BINARY = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=60)


def scipy_bca(
    data: tuple[Floats, ...], statistic: Callable[..., Any], resampled: Floats, confidence: float
) -> tuple[float, float]:
    """What scipy makes of resamples that are already there."""
    known: Any = SimpleNamespace(bootstrap_distribution=resampled)
    found = bootstrap(
        data,
        statistic,
        paired=True,
        method="BCa",
        confidence_level=confidence,
        n_resamples=0,
        bootstrap_result=known,
    ).confidence_interval
    return float(found.low), float(found.high)


class TestPairedDifference:
    @pytest.mark.parametrize("n", [2, 7, 164])
    @pytest.mark.parametrize("confidence", [0.8, 0.95])
    def test_agrees_with_scipy_on_the_same_resamples(self, n: int, confidence: float) -> None:
        generator = np.random.default_rng(n)
        arm, baseline = generator.exponential(2, n), generator.normal(0, 1, n)
        found = paired_difference(arm, baseline, confidence=confidence, resamples=10_000, seed=5)
        resampled = resampled_means((arm - baseline)[:, None], resamples=10_000, seed=5)[:, 0]
        expected = scipy_bca((arm, baseline), lambda x, y, axis: (x - y).mean(axis=axis), resampled, confidence)
        assert found is not None
        assert found.interval is not None
        assert (found.interval.low, found.interval.high) == pytest.approx(expected, abs=1e-9)

    def test_agrees_with_scipy_on_other_resamples_within_the_monte_carlo_error(self) -> None:
        generator = np.random.default_rng(1)
        arm, baseline = generator.random(300) < 0.5, generator.random(300) < 0.7
        found = paired_difference(arm, baseline, resamples=20_000, seed=1)
        expected = bootstrap(
            (arm.astype(float), baseline.astype(float)),
            lambda x, y, axis: (x - y).mean(axis=axis),
            paired=True,
            method="BCa",
            n_resamples=20_000,
            rng=np.random.default_rng(99),
        ).confidence_interval
        assert found is not None
        assert found.interval is not None
        assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high), abs=0.005)

    def test_repeats_of_a_task_are_drawn_together(self) -> None:
        """Ten identical repeats tell no more than one: the interval must not shrink."""
        generator = np.random.default_rng(3)
        arm, baseline = generator.random(40) < 0.4, generator.random(40) < 0.6
        once = paired_difference(arm, baseline)
        clusters = np.repeat(np.arange(40), 10)
        often = paired_difference(np.repeat(arm, 10), np.repeat(baseline, 10), clusters)
        assert once is not None
        assert often is not None
        assert often.interval == once.interval
        assert (often.pairs, often.clusters) == (400, 40)
        alone = paired_difference(np.repeat(arm, 10), np.repeat(baseline, 10))
        assert alone is not None
        assert alone.interval is not None
        assert once.interval is not None
        assert alone.interval.high - alone.interval.low < 0.5 * (once.interval.high - once.interval.low)

    @given(BINARY)
    def test_contains_the_estimate(self, pairs: list[tuple[bool, bool]]) -> None:
        found = paired_difference(*zip(*pairs, strict=True), resamples=2000)
        assert found is not None
        assert found.estimate == pytest.approx(np.mean([left - right for left, right in np.array(pairs, float)]))
        if found.interval is None:
            assert len({left - right for left, right in np.array(pairs, float)}) == 1
        else:
            assert found.interval.low <= found.estimate + 1e-12
            assert found.estimate - 1e-12 <= found.interval.high

    @given(BINARY)
    def test_swapping_the_sides_flips_the_sign(self, pairs: list[tuple[bool, bool]]) -> None:
        arm, baseline = zip(*pairs, strict=True)
        one, other = (
            paired_difference(left, right, resamples=1000) for left, right in ((arm, baseline), (baseline, arm))
        )
        assert one is not None
        assert other is not None
        assert one.estimate == -other.estimate
        assert (one.interval is None) == (other.interval is None)
        if one.interval and other.interval:
            assert (one.interval.low, one.interval.high) == pytest.approx((-other.interval.high, -other.interval.low))

    def test_one_pair_has_an_estimate_and_no_interval(self) -> None:
        found = paired_difference([1.0], [0.0])
        assert found is not None
        assert (found.estimate, found.interval, found.pairs) == (1.0, None, 1)

    def test_one_task_with_repeats_has_no_interval(self) -> None:
        found = paired_difference([1.0, 0.0, 1.0], [0.0, 0.0, 0.0], [4, 4, 4])
        assert found is not None
        assert found.estimate == pytest.approx(2 / 3)
        assert (found.interval, found.clusters) == (None, 1)

    def test_the_same_difference_everywhere_is_not_certainty(self) -> None:
        found = paired_difference([1, 1, 1], [0, 0, 0])
        assert found is not None
        assert (found.estimate, found.interval) == (1.0, None)

    def test_pairs_that_are_half_measured_are_left_out(self) -> None:
        nan = float("nan")
        found = paired_difference([1, nan, 0, 1], [0, 1, nan, 1])
        assert found is not None
        assert (found.pairs, found.estimate) == (2, 0.5)

    def test_nothing_measured_says_nothing(self) -> None:
        assert paired_difference([], []) is None
        assert paired_difference([float("nan")], [1.0]) is None

    def test_the_same_seed_gives_the_same_interval(self) -> None:
        values = np.random.default_rng(0).random((2, 30))
        assert paired_difference(*values, seed=3) == paired_difference(*values, seed=3)
        assert paired_difference(*values, seed=3) != paired_difference(*values, seed=4)

    def test_bad_input_is_refused(self) -> None:
        with pytest.raises(InputError, match="as many values"):
            paired_difference([1, 2], [1])
        with pytest.raises(InputError, match="as many values"):
            paired_difference([1, 2], [1, 2], [0])
        with pytest.raises(InputError, match="infinite"):
            paired_difference([float("inf")], [1])
        with pytest.raises(InputError, match="resamples"):
            paired_difference([1], [1], resamples=0)
