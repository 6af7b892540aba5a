"""The bootstrap over tasks: whole clusters are drawn, counted into weights, and weighted sums give all columns at once.

Every statistic here is a ratio of totals over clusters: a mean is the sum of its values over their number, a share of
seconds the seconds of one side over those of the other. A resample of n clusters is a row of n weights (how often each
was drawn), so all resamples of all columns are two products of matrices.

Sources: B. Efron (1987), "Better bootstrap confidence intervals", Journal of the American Statistical Association 82
(BCa); B. Efron and R. J. Tibshirani (1993), "An Introduction to the Bootstrap", chapter 14; drawing of whole clusters:
A. C. Davison and D. V. Hinkley (1997), "Bootstrap Methods and their Application", section 3.8.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from smallenough.analysis.statistics.values import Clusters, Floats, Indices, Interval, check_share, finite, positions
from smallenough.errors import InputError

RESAMPLES = 10_000
"""Resamples of a bootstrap, where nothing else is asked for: the ends of a 95% interval are then good to about 2%
of its width."""

_BLOCK = 2**18
"""Draws that are held in memory at once, so that memory does not grow with the number of resamples."""

_KEPT = 2**24
"""Counts that are kept from one interval to the next: of 10,000 resamples of 1,600 tasks, 32 MB."""

Counts: TypeAlias = NDArray[np.unsignedinteger]

_SAME = 1e-12
"""Clusters whose values differ by less, relative to the largest of them, differ by rounding only."""


def resampled_means(
    values: ArrayLike, clusters: Clusters = None, *, resamples: int = RESAMPLES, seed: int = 0
) -> Floats:
    """Means of columns over resampled clusters, all columns over the same ones.

    Args:
        values: one row a pair, one column for each thing that is measured of it; NaN: not measured, left out of its
            column's mean.
        clusters: the number of the task that each row belongs to; None: each row is a task of its own.
        resamples: how many resamples.
        seed: of the draws; the same seed draws the same clusters wherever there are as many of them.

    Returns:
        One row a resample, one column a column; NaN where a resample holds no measured value of the column.

    Raises:
        InputError: lengths differ, a value is infinite, there is no row, or `resamples` is below 1.
    """
    return resampled_ratios(*cluster_totals(values, clusters), resamples=resamples, seed=seed)


def mean_intervals(
    values: ArrayLike,
    clusters: Clusters = None,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Interval | None, ...]:
    """The BCa interval of each column's mean, from the resamples that `resampled_means` gives.

    Returns:
        An interval for each column; None where the clusters have no spread: fewer than two, or all the same.

    Raises:
        InputError: as `resampled_means`, or `confidence` is out of range.
    """
    sums, counts = cluster_totals(values, clusters)
    return ratio_intervals(sums, counts, confidence=confidence, resamples=resamples, seed=seed)


def bca_interval(estimate: float, resampled: Floats, jackknife: Floats, confidence: float = 0.95) -> Interval | None:
    """The bias-corrected and accelerated interval of any statistic.

    Ties with the estimate count half, as in scipy. Resamples that are NaN (they hold nothing that is measured) are
    left out.

    Args:
        estimate: the statistic of the data.
        resampled: the statistic of each resample.
        jackknife: the statistic without each of the clusters in turn.
        confidence: of the interval.

    Returns:
        The interval; None where the jackknife has no spread, or all resamples lie on one side of the estimate;
        nor beyond what the transformation can express, which only confidences next to 1 ask for.
    """
    drawn = resampled[~np.isnan(resampled)]
    if not len(drawn) or not np.isfinite(drawn).all() or not np.isfinite(jackknife).all():
        return None
    off = jackknife.mean() - jackknife
    spread = float(np.sum(off**2))
    if not spread > 0:
        return None
    acceleration = float(np.sum(off**3)) / (6 * spread**1.5)
    near = _SAME * max(abs(estimate), float(np.abs(drawn).max()))  # equal but for the order in which they were summed
    share = (np.count_nonzero(drawn < estimate - near) + np.count_nonzero(drawn <= estimate + near)) / (2 * len(drawn))
    if not 0 < share < 1:
        return None
    bias = float(ndtri(share))
    shifted = bias + float(ndtri((1 - confidence) / 2)) * np.array([1.0, -1.0])
    stretch = 1 - acceleration * shifted
    if (stretch <= 0).any():
        return None
    low, high = np.percentile(drawn, 100 * ndtr(bias + shifted / stretch))
    return Interval(float(low), float(high), confidence)


def ratio_intervals(
    numerators: Floats,
    denominators: Floats,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Interval | None, ...]:
    """The BCa interval of each column's ratio of totals; the jackknife leaves out one cluster at a time.

    Args:
        numerators: one row a cluster, one column a ratio.
        denominators: of the same shape; none is negative.
        confidence: of the intervals.
        resamples: how many resamples.
        seed: of the draws.
    """
    check_share("confidence", confidence)
    drawn = resampled_ratios(numerators, denominators, resamples=resamples, seed=seed)
    above, below = numerators.sum(axis=0), denominators.sum(axis=0)
    estimates, without = _ratios(above, below), _ratios(above - numerators, below - denominators)
    spread = _spread(numerators, denominators)
    return tuple(
        bca_interval(float(estimates[column]), drawn[:, column], without[:, column], confidence)
        if spread[column]
        else None
        for column in range(numerators.shape[1])
    )


def resampled_ratios(numerators: Floats, denominators: Floats, *, resamples: int = RESAMPLES, seed: int = 0) -> Floats:
    """Ratios of totals over resampled clusters: one row a resample, one column a ratio; NaN is nothing over nothing."""
    if resamples < 1:
        raise InputError(f"resamples must be at least 1, not {resamples}")
    if not len(numerators):
        raise InputError("there is nothing to resample: no values")
    both = np.hstack([numerators, denominators])
    totals = np.concatenate([weights @ both for weights in cluster_weights(len(both), resamples, seed)])
    columns = numerators.shape[1]
    return _ratios(totals[:, :columns], totals[:, columns:])


def cluster_weights(clusters: int, resamples: int, seed: int) -> Iterator[Floats]:
    """How often each cluster is drawn: one row a resample, one column a cluster, in blocks that bound the memory."""
    kept = clusters * resamples <= _KEPT
    for counts in _kept_counts(clusters, resamples, seed) if kept else _counts(clusters, resamples, seed):
        yield counts.astype(np.float64)


@lru_cache(maxsize=2)
def _kept_counts(clusters: int, resamples: int, seed: int) -> tuple[Counts, ...]:
    """The counts of `_counts`, for the next who asks: every measure of a comparison has the same resamples."""
    return tuple(_counts(clusters, resamples, seed))


def _counts(clusters: int, resamples: int, seed: int) -> Iterator[Counts]:
    for drawn in draws(clusters, resamples, seed):
        drawn += np.arange(len(drawn), dtype=np.int64)[:, None] * clusters
        yield np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(np.min_scalar_type(clusters))


def draws(clusters: int, resamples: int, seed: int) -> Iterator[Indices]:
    """Indices of the clusters in each resample, one resample a row, in blocks that bound the memory."""
    generator = np.random.default_rng(seed)
    rows = max(1, _BLOCK // clusters)
    for start in range(0, resamples, rows):
        yield generator.integers(0, clusters, size=(min(rows, resamples - start), clusters), dtype=np.int64)


def cluster_totals(values: ArrayLike, clusters: Clusters = None) -> tuple[Floats, Floats]:
    """The sum of each column's measured values over each cluster, and how many they are.

    Raises:
        InputError: lengths differ, or a value is infinite.
    """
    table = finite(values, dimensions=2)
    known = ~np.isnan(table)
    return (
        summed(np.where(known, table, 0.0), positions(len(table), clusters)),
        summed(known.astype(np.float64), positions(len(table), clusters)),
    )


def summed(table: Floats, codes: Indices) -> Floats:
    """The sum of the rows of each cluster, from the position of each row's cluster; every position has a row."""
    if not len(codes):
        return table
    order = np.argsort(codes, kind="stable")
    starts = np.flatnonzero(np.diff(codes[order], prepend=-1))
    return np.asarray(np.add.reduceat(table[order], starts, axis=0), dtype=np.float64)


def _ratios(above: Floats, below: Floats) -> Floats:
    """Quotients; NaN for nothing over nothing, infinite for something over nothing."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return np.asarray(above / below, dtype=np.float64)


def _spread(numerators: Floats, denominators: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Whether the clusters' own ratios differ by more than rounding, for each column; not where one is infinite."""
    own = _ratios(numerators, denominators)
    low = np.where(np.isnan(own), np.inf, own).min(axis=0)
    high = np.where(np.isnan(own), -np.inf, own).max(axis=0)
    largest = np.where(np.isnan(own), 0.0, np.abs(own)).max(axis=0)
    with np.errstate(invalid="ignore"):  # the difference of two infinite ones is none
        return np.asarray(high - low > _SAME * largest, dtype=np.bool_)
