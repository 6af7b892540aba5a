from __future__ import annotations

from collections.abc import Callable
from random import Random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from smallenough.analysis.statistics import (
    Floats,
    Indices,
    paired_difference,
    paired_ratio,
    resampled_means,
    resampled_ratios,
)
from smallenough.errors import InputError

BINARY = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=60)
AMOUNTS = st.lists(st.tuples(st.floats(0.01, 100), st.floats(0.01, 100), st.integers(0, 9)), min_size=2, max_size=40)


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


def totals(values: Floats, clusters: Indices) -> Floats:
    return np.bincount(clusters, weights=values).astype(np.float64)


def uneven(tasks: int) -> tuple[Floats, Floats, Indices]:
    """Skewed amounts of two sides on tasks with one to four repeats."""
    generator = np.random.default_rng(tasks)
    clusters = np.repeat(np.arange(tasks), generator.integers(1, 5, tasks))
    task = generator.lognormal(0, 0.6, tasks)[clusters]
    arm, baseline = task * generator.lognormal(0, 0.3, (2, len(clusters))) * [[1.0], [2.0]]
    return arm, baseline, clusters


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

    def test_agrees_with_scipy_on_the_same_resamples_of_uneven_clusters(self) -> None:
        """What scipy resamples are the clusters: their sums, and how many pairs they have."""
        arm, baseline, clusters = uneven(40)
        found = paired_difference(arm, baseline, clusters, resamples=5000, seed=2)
        resampled = resampled_means((arm - baseline)[:, None], clusters, resamples=5000, seed=2)[:, 0]
        sums, counts = totals(arm - baseline, clusters), totals(np.ones(len(arm)), clusters)
        expected = scipy_bca((sums, counts), lambda x, y, axis: x.sum(axis=axis) / y.sum(axis=axis), resampled, 0.95)
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

    @given(AMOUNTS, st.randoms(use_true_random=False))
    def test_the_order_of_pairs_changes_no_estimate(
        self, pairs: list[tuple[float, float, int]], random: Random
    ) -> None:
        shuffled = random.sample(pairs, len(pairs))
        one, other = (
            paired_difference(*columns(each)[:2], columns(each)[2], resamples=50) for each in (pairs, shuffled)
        )
        assert one is not None
        assert other is not None
        assert one.estimate == pytest.approx(other.estimate, abs=1e-12)
        assert (one.pairs, one.clusters) == (other.pairs, other.clusters)

    @given(AMOUNTS, st.integers(-1000, 1000))
    def test_the_same_added_to_both_sides_changes_nothing(
        self, pairs: list[tuple[float, float, int]], added: int
    ) -> None:
        arm, baseline, clusters = (np.round(each) for each in columns(pairs))
        one, other = (
            paired_difference(arm + more, baseline + more, clusters.astype(np.int64), resamples=500)
            for more in (0, added)
        )
        assert one is not None
        assert other is not None
        assert one.interval == other.interval
        assert one.estimate == other.estimate


class TestPairedRatio:
    def test_agrees_with_scipy_on_the_same_resamples(self) -> None:
        arm, baseline, clusters = uneven(60)
        found = paired_ratio(arm, baseline, clusters, resamples=5000, seed=3)
        above, below = totals(arm, clusters), totals(baseline, clusters)
        resampled = resampled_ratios(above[:, None], below[:, None], resamples=5000, seed=3)[:, 0]
        expected = scipy_bca((above, below), lambda x, y, axis: x.sum(axis=axis) / y.sum(axis=axis), resampled, 0.95)
        assert found is not None
        assert found.interval is not None
        assert found.estimate == pytest.approx(arm.sum() / baseline.sum())
        assert (found.interval.low, found.interval.high) == pytest.approx(expected, abs=1e-9)

    def test_the_share_saved_is_seen_from_the_other_end(self) -> None:
        found = paired_ratio(*uneven(60))
        assert found is not None
        assert found.interval is not None
        assert found.saved_interval is not None
        assert found.saved == 1 - found.estimate
        assert (found.saved_interval.low, found.saved_interval.high) == (
            1 - found.interval.high,
            1 - found.interval.low,
        )

    @given(AMOUNTS)
    def test_holds_the_estimate(self, pairs: list[tuple[float, float, int]]) -> None:
        found = paired_ratio(*columns(pairs)[:2], columns(pairs)[2], resamples=500)
        assert found is not None
        if found.interval is not None:
            assert found.interval.low <= found.estimate * (1 + 1e-12)
            assert found.estimate * (1 - 1e-12) <= found.interval.high

    def test_mean_coverage_of_the_share_saved(self) -> None:
        held = 0
        for study in range(400):
            generator = np.random.default_rng(study)
            task = generator.lognormal(0, 0.5, 100)
            arm, baseline = task * generator.lognormal(0, 0.4, (2, 100)) * [[1.0], [4.0]]
            found = paired_ratio(arm, baseline, resamples=1000, seed=study)
            held += bool(
                found and found.saved_interval and found.saved_interval.low <= 0.75 <= found.saved_interval.high
            )
        assert 0.93 <= held / 400 <= 0.97

    def test_the_same_ratio_everywhere_is_not_certainty(self) -> None:
        found = paired_ratio([1.0, 2.0, 3.0], [2.0, 4.0, 6.0])
        assert found is not None
        assert (found.estimate, found.interval, found.saved_interval) == (0.5, None, None)

    def test_a_baseline_that_takes_nothing_has_no_ratio(self) -> None:
        assert paired_ratio([1.0, 2.0], [0.0, 0.0]) is None
        assert paired_ratio([float("nan")], [1.0]) is None
        assert paired_ratio([], []) is None

    def test_a_baseline_that_often_takes_nothing_has_no_interval(self) -> None:
        found = paired_ratio([1.0, 2.0, 1.0], [0.0, 0.0, 4.0])
        assert found is not None
        assert (found.estimate, found.interval) == (1.0, None)

    def test_negative_amounts_are_refused(self) -> None:
        with pytest.raises(InputError, match="negative"):
            paired_ratio([1.0, -2.0], [1.0, 1.0])


def columns(pairs: list[tuple[float, float, int]]) -> tuple[Floats, Floats, Indices]:
    return (
        np.array([each[0] for each in pairs]),
        np.array([each[1] for each in pairs]),
        np.array([each[2] for each in pairs], dtype=np.int64),
    )
