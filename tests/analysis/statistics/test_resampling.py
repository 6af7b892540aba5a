from __future__ import annotations

import numpy as np
import pytest

from smallenough.analysis.statistics import bca_interval, mean_intervals, resampled_means
from smallenough.analysis.statistics.resampling import cluster_weights, draws
from smallenough.errors import InputError

NAN = float("nan")


class TestResampledMeans:
    def test_is_the_mean_over_the_pairs_of_the_clusters_that_were_drawn(self) -> None:
        generator = np.random.default_rng(8)
        values = generator.normal(size=(60, 3))
        values[generator.random((60, 3)) < 0.2] = NAN
        clusters = generator.integers(0, 9, 60) * 7 - 20
        found = resampled_means(values, clusters, resamples=200, seed=3)
        numbers = np.unique(clusters)
        drawn = np.random.default_rng(3).integers(0, len(numbers), size=(200, len(numbers)))
        for resample in range(200):
            rows = np.concatenate([np.flatnonzero(clusters == numbers[place]) for place in drawn[resample]])
            assert found[resample] == pytest.approx(np.nanmean(values[rows], axis=0), abs=1e-12)

    def test_the_same_clusters_are_drawn_for_all_columns_and_by_the_same_seed(self) -> None:
        values = np.random.default_rng(1).random((40, 1))
        both = resampled_means(np.hstack([values, values + 1]), seed=9, resamples=500)
        assert both[:, 1] == pytest.approx(both[:, 0] + 1, abs=1e-12)
        assert both[:, 0] == pytest.approx(resampled_means(values, seed=9, resamples=500)[:, 0], abs=1e-12)

    def test_a_resample_without_a_measured_value_is_not_a_number(self) -> None:
        found = resampled_means([[1.0, 1.0], [NAN, 2.0]], resamples=100)
        assert np.isnan(found[:, 0]).any()
        assert set(found[~np.isnan(found[:, 0]), 0]) == {1.0}
        assert not np.isnan(found[:, 1]).any()

    def test_bad_input_is_refused(self) -> None:
        with pytest.raises(InputError, match="2 dimensions"):
            resampled_means([1.0, 2.0])
        with pytest.raises(InputError, match="infinite"):
            resampled_means([[float("inf")]])
        with pytest.raises(InputError, match="its cluster"):
            resampled_means([[1.0], [2.0]], [1])
        with pytest.raises(InputError, match="resamples"):
            resampled_means([[1.0]], resamples=0)
        with pytest.raises(InputError, match="nothing to resample"):
            resampled_means(np.empty((0, 2)))


class TestDraws:
    def test_blocks_are_one_sequence(self) -> None:
        blocks = list(draws(600_000, 3, seed=4))
        assert [block.shape for block in blocks] == [(1, 600_000)] * 3
        whole = np.random.default_rng(4).integers(0, 600_000, size=(3, 600_000))
        assert np.array_equal(np.concatenate(blocks), whole)

    def test_weights_count_the_draws(self) -> None:
        drawn = np.concatenate(list(draws(5, 50, seed=2)))
        weights = np.concatenate(list(cluster_weights(5, 50, seed=2)))
        assert np.array_equal(weights, [np.bincount(row, minlength=5) for row in drawn])


class TestIntervals:
    def test_a_column_without_spread_has_none_and_leaves_the_others_theirs(self) -> None:
        values = np.random.default_rng(0).random((30, 1))
        same, spread = mean_intervals(np.hstack([np.full((30, 1), 0.1), values]))
        assert same is None
        assert spread == mean_intervals(values)[0]

    def test_one_cluster_has_none(self) -> None:
        assert mean_intervals([[1.0], [2.0]], [5, 5]) == (None,)

    def test_resamples_on_one_side_of_the_estimate_say_nothing(self) -> None:
        assert bca_interval(0.0, np.array([1.0, 2.0]), np.array([0.0, 1.0])) is None
