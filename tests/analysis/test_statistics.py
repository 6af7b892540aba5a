from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.proportion import proportion_confint

from smallenough.analysis.statistics import (
    draws,
    mcnemar,
    paired_difference,
    proportion,
    resampled_means,
    wilson,
)
from smallenough.errors import InputError

COUNTS = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
BINARY = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=60)


class TestWilson:
    @given(COUNTS, st.floats(0.5, 0.999))
    def test_agrees_with_statsmodels(self, counts: tuple[int, int], confidence: float) -> None:
        found = wilson(*counts, confidence)
        assert found is not None
        expected = proportion_confint(*counts, alpha=1 - confidence, method="wilson")
        assert (found.low, found.high) == pytest.approx(expected, abs=1e-9)

    @given(COUNTS)
    def test_contains_the_estimate_and_stays_within_0_and_1(self, counts: tuple[int, int]) -> None:
        found = proportion(*counts)
        assert found is not None
        assert 0 <= found.interval.low <= found.rate <= found.interval.high <= 1

    def test_no_trials_say_nothing(self) -> None:
        assert wilson(0, 0) is None
        assert proportion(0, 0) is None

    def test_none_and_all_are_not_certain(self) -> None:
        none, every = wilson(0, 10), wilson(10, 10)
        assert none is not None
        assert every is not None
        assert [none.low, none.high] == pytest.approx([0.0, 0.2775327998628892], abs=1e-12)
        assert [every.low, every.high] == pytest.approx([0.7224672001371107, 1.0], abs=1e-12)

    @pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5), (1, 0), (0, -1)])
    def test_impossible_counts_are_refused(self, successes: int, n: int) -> None:
        with pytest.raises(InputError, match="within 0 to n"):
            wilson(successes, n)

    @pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, float("nan")])
    def test_a_confidence_that_is_no_share_is_refused(self, confidence: float) -> None:
        with pytest.raises(InputError, match="between 0 and 1"):
            wilson(1, 2, confidence)


class TestMcNemar:
    @given(st.integers(0, 400), st.integers(0, 400))
    def test_agrees_with_statsmodels(self, better: int, worse: int) -> None:
        expected = statsmodels_mcnemar([[7, better], [worse, 11]], exact=True).pvalue
        assert mcnemar(better, worse) == pytest.approx(expected, abs=1e-9)

    def test_agreement_on_every_pair_is_no_evidence(self) -> None:
        assert mcnemar(0, 0) == 1.0

    def test_negative_counts_are_refused(self) -> None:
        with pytest.raises(InputError, match="negative"):
            mcnemar(-1, 3)


class TestPairedDifference:
    @pytest.mark.parametrize("n", [2, 7, 164])
    @pytest.mark.parametrize("confidence", [0.8, 0.95])
    def test_agrees_with_scipy_on_the_same_resamples(self, n: int, confidence: float) -> None:
        generator = np.random.default_rng(n)
        arm, baseline = generator.normal(1, 2, n), generator.normal(0, 1, n)
        found = paired_difference(arm, baseline, confidence=confidence, resamples=10_000, seed=5)
        expected = bootstrap(
            (arm, baseline),
            lambda x, y, axis: (x - y).mean(axis=axis),
            paired=True,
            method="percentile",
            confidence_level=confidence,
            n_resamples=10_000,
            rng=np.random.default_rng(5),
        ).confidence_interval
        assert found is not None
        assert found.interval is not None
        assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high), abs=1e-9)

    def test_agrees_with_scipy_on_other_resamples_within_the_monte_carlo_error(self) -> None:
        generator = np.random.default_rng(1)
        arm, baseline = generator.random(300) < 0.5, generator.random(300) < 0.7
        found = paired_difference(arm, baseline, resamples=20_000, seed=1)
        expected = bootstrap(
            (arm.astype(float), baseline.astype(float)),
            lambda x, y, axis: (x - y).mean(axis=axis),
            paired=True,
            method="percentile",
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

    def test_uneven_clusters_weigh_by_their_pairs(self) -> None:
        sums, counts = np.array([3.0, 0.0]), np.array([3, 1])
        drawn = np.array([[0, 0], [0, 1], [1, 1]])
        assert resampled_means(sums, counts, drawn) == pytest.approx([1.0, 0.75, 0.0])

    def test_blocks_of_draws_are_one_sequence(self) -> None:
        blocks = list(draws(600_000, 3, seed=4))
        assert [block.shape for block in blocks] == [(1, 600_000)] * 3
        whole = np.random.default_rng(4).integers(0, 600_000, size=(3, 600_000))
        assert np.array_equal(np.concatenate(blocks), whole)

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


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_mean_coverage_of_the_interval_is_near_its_confidence(p: float) -> None:
    """300 studies of 100 tasks whose true difference is 0.1: the interval holds it in 95% of them, give or take."""
    generator = np.random.default_rng(17)
    held = 0
    for study in range(300):
        common = generator.random(100)
        noise = generator.random((2, 100)) < 0.3
        arm = np.where(noise[0], generator.random(100), common) < p + 0.1
        baseline = np.where(noise[1], generator.random(100), common) < p
        found = paired_difference(arm, baseline, resamples=1000, seed=study)
        held += bool(found and found.interval and found.interval.low <= 0.1 <= found.interval.high)
    assert 0.91 <= held / 300 <= 0.985
