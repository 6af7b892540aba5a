"""The statistics that comparisons stand on: proportions, paired differences, and a paired test.

Each is a pure function of numbers and knows nothing of arms or frames. None means that the data say nothing (no
trials, or no spread to resample), never that the answer is 0. Limits: `wilson` takes its trials as independent, and
the bootstrap is the percentile one, which is a little narrow below about 20 tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

from smallenough.errors import InputError

Floats: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.int64]

RESAMPLES = 10_000
"""Resamples of a bootstrap, where nothing else is asked for: the ends of a 95% interval are then good to about 2%
of its width."""

_BLOCK = 2**20
"""Draws that are held in memory at once, so that memory does not grow with the number of resamples."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A confidence interval, its ends included."""

    low: float
    high: float
    confidence: float = 0.95


@dataclass(frozen=True, slots=True)
class Proportion:
    """How many of how many, with the Wilson interval of the share."""

    successes: int
    n: int
    rate: float
    """`successes / n`."""
    interval: Interval


@dataclass(frozen=True, slots=True)
class Difference:
    """How much an arm differs from the baseline in the mean, over the pairs that both have."""

    arm_mean: float
    baseline_mean: float
    estimate: float
    """`arm_mean - baseline_mean`."""
    interval: Interval | None
    """None: fewer than two tasks, or every task differs by the same; resampling then has no spread to show, which
    is not certainty."""
    pairs: int
    """Pairs in which both sides are measured."""
    clusters: int
    """Independent units (tasks) that the pairs belong to."""


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval | None:
    """The score interval of a proportion.

    Source: E. B. Wilson (1927), "Probable inference, the law of succession, and statistical inference", Journal of
    the American Statistical Association 22; without continuity correction, as scipy computes it.

    Returns:
        The interval, within 0 to 1; None where `n` is 0.

    Raises:
        InputError: `successes` is not within 0 to `n`, or `confidence` not between 0 and 1.
    """
    _check_confidence(confidence)
    if not 0 <= successes <= n:
        raise InputError(f"successes must be within 0 to n, not {successes} of {n}")
    if n == 0:
        return None
    found = binomtest(int(successes), int(n)).proportion_ci(confidence_level=confidence, method="wilson")
    return Interval(float(found.low), float(found.high), confidence)


def proportion(successes: int, n: int, confidence: float = 0.95) -> Proportion | None:
    """The share of successes with its Wilson interval; None where `n` is 0.

    Raises:
        InputError: as `wilson`.
    """
    interval = wilson(successes, n, confidence)
    return Proportion(int(successes), int(n), successes / n, interval) if interval else None


def mcnemar(better: int, worse: int) -> float:
    """The two-sided p-value of McNemar's exact test, from the pairs in which the two sides disagree.

    Source: Q. McNemar (1947), "Note on the sampling error of the difference between correlated proportions",
    Psychometrika 12; exact form: the binomial test of `better` among the disagreeing pairs against one half.

    Args:
        better: pairs that only the arm solves.
        worse: pairs that only the baseline solves.

    Returns:
        The p-value; 1 where no pair disagrees.

    Raises:
        InputError: a count is negative.
    """
    if better < 0 or worse < 0:
        raise InputError(f"counts of pairs can't be negative, as {better} and {worse}")
    if better + worse == 0:
        return 1.0
    return float(binomtest(int(better), int(better + worse), 0.5).pvalue)


def paired_difference(
    arm: ArrayLike,
    baseline: ArrayLike,
    clusters: Sequence[int] | Indices | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference | None:
    """The difference in means between two sides of the same pairs, with a percentile bootstrap interval.

    Whole clusters are drawn with replacement, so that repeats of a task count as what they are: more of the same.

    Source: B. Efron and R. J. Tibshirani (1993), "An Introduction to the Bootstrap", chapters 8 and 13; drawing of
    whole clusters: A. C. Davison and D. V. Hinkley (1997), "Bootstrap Methods and their Application", section 3.8.

    Args:
        arm: one value for each pair; NaN: not measured, and the pair is left out.
        baseline: the other value of each pair, in the same order.
        clusters: the number of the task that each pair belongs to; None: each pair is a task of its own.
        confidence: of the interval, between 0 and 1.
        resamples: how many resamples.
        seed: of the draws; the same seed and data give the same interval.

    Returns:
        The difference; None where no pair has both values.

    Raises:
        InputError: lengths differ, a value is infinite, or `confidence` or `resamples` is out of range.
    """
    _check_confidence(confidence)
    if resamples < 1:
        raise InputError(f"resamples must be at least 1, not {resamples}")
    left, right, groups = _complete_pairs(arm, baseline, clusters)
    if not len(left):
        return None
    _, codes = np.unique(groups, return_inverse=True)
    sums = np.bincount(codes, weights=left - right).astype(np.float64)
    counts = np.bincount(codes).astype(np.int64)
    means = left.mean(), right.mean()
    return Difference(
        arm_mean=float(means[0]),
        baseline_mean=float(means[1]),
        estimate=float(means[0] - means[1]),
        interval=_percentile_interval(sums, counts, confidence, resamples, seed),
        pairs=len(left),
        clusters=len(sums),
    )


def draws(clusters: int, resamples: int, seed: int) -> Iterator[Indices]:
    """Indices of the clusters in each resample, one resample a row, in blocks that bound the memory."""
    generator = np.random.default_rng(seed)
    rows = max(1, _BLOCK // clusters)
    for start in range(0, resamples, rows):
        yield generator.integers(0, clusters, size=(min(rows, resamples - start), clusters), dtype=np.int64)


def resampled_means(sums: Floats, counts: Indices, drawn: Indices) -> Floats:
    """The mean over all pairs of each resample.

    Args:
        sums: the sum over the pairs of each cluster.
        counts: the number of pairs of each cluster.
        drawn: indices of clusters, one resample a row.
    """
    totals: Floats = sums[drawn].sum(axis=1)
    if (counts == counts[0]).all():
        return totals / float(counts[0] * drawn.shape[1])
    sizes: Indices = counts[drawn].sum(axis=1)
    return np.asarray(totals / sizes, dtype=np.float64)


def _percentile_interval(
    sums: Floats, counts: Indices, confidence: float, resamples: int, seed: int
) -> Interval | None:
    """The interval between the percentiles of the resampled means; None where the clusters have no spread."""
    means = sums / counts
    if len(sums) < 2 or np.ptp(means) <= 1e-12 * np.abs(means).max():
        return None
    resampled = np.concatenate([resampled_means(sums, counts, drawn) for drawn in draws(len(sums), resamples, seed)])
    tail = 100 * (1 - confidence) / 2
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return Interval(float(low), float(high), confidence)


def _complete_pairs(
    arm: ArrayLike, baseline: ArrayLike, clusters: Sequence[int] | Indices | None
) -> tuple[Floats, Floats, Indices]:
    """The pairs in which both values are measured, with their clusters."""
    left = np.asarray(arm, dtype=np.float64)
    right = np.asarray(baseline, dtype=np.float64)
    groups = np.arange(len(left), dtype=np.int64) if clusters is None else np.asarray(clusters, dtype=np.int64)
    if not left.ndim == right.ndim == groups.ndim == 1 or not len(left) == len(right) == len(groups):
        raise InputError(
            f"pairs need as many values of the arm as of the baseline and of clusters,"
            f" not {left.shape}, {right.shape} and {groups.shape}"
        )
    if np.isinf(left).any() or np.isinf(right).any():
        raise InputError("a value of a pair is infinite; give NaN for what was not measured")
    both = ~(np.isnan(left) | np.isnan(right))
    return left[both], right[both], groups[both]


def _check_confidence(confidence: float) -> None:
    """Refuses a confidence that is not a share between 0 and 1."""
    if not 0 < confidence < 1:
        raise InputError(f"confidence must be between 0 and 1, as 0.95, not {confidence}")
