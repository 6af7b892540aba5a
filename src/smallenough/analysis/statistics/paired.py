"""What an arm differs from the baseline by, over the same pairs: a difference of means, a ratio of totals.

None means that the data say nothing (no pairs, or no spread to resample), never that the answer is 0. Intervals of
amounts are BCa over tasks drawn whole (`resampling`), so that repeats of a task count as what they are: more of the
same. Of successes there is a score interval as well, which also holds where few pairs disagree: with 7 disagreeing
pairs of 100 a 95% BCa interval holds the truth in 92% of studies, with repeats of unlike tasks in 91%.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from smallenough.analysis.statistics.proportions import effective_size
from smallenough.analysis.statistics.resampling import RESAMPLES, cluster_totals, ratio_intervals, summed
from smallenough.analysis.statistics.score import difference_low
from smallenough.analysis.statistics.values import Clusters, Floats, Indices, Interval, check_share, complete_pairs
from smallenough.errors import InputError


@dataclass(frozen=True, slots=True)
class Difference:
    """How much an arm differs from the baseline in the mean, over the pairs that both have."""

    arm_mean: float
    baseline_mean: float
    estimate: float
    """The mean of the pairs' differences, arm less baseline."""
    interval: Interval | None
    """None: fewer than two tasks, or every task differs by the same; resampling then has no spread to show, which
    is not certainty."""
    pairs: int
    """Pairs in which both sides are measured."""
    clusters: int
    """Independent units (tasks) that the pairs belong to."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many times as much an arm takes as the baseline, over the pairs that both have."""

    arm_total: float
    baseline_total: float
    estimate: float
    """`arm_total / baseline_total`."""
    interval: Interval | None
    """None: fewer than two tasks, every task has the same ratio, or too few have a baseline above 0."""
    pairs: int
    clusters: int

    @property
    def saved(self) -> float:
        """The share of the baseline's total that the arm saves; negative where it takes more."""
        return 1 - self.estimate

    @property
    def saved_interval(self) -> Interval | None:
        """The interval of `saved`: that of the ratio, seen from 1."""
        if self.interval is None:
            return None
        return Interval(1 - self.interval.high, 1 - self.interval.low, self.interval.confidence)


def paired_difference(
    arm: ArrayLike,
    baseline: ArrayLike,
    clusters: Clusters = None,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference | None:
    """The difference in means between two sides of the same pairs, with its BCa interval.

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
    check_share("confidence", confidence)
    left, right, codes = complete_pairs(arm, baseline, clusters)
    if resamples < 1:
        raise InputError(f"resamples must be at least 1, not {resamples}")
    if not len(left):
        return None
    sums, counts = cluster_totals((left - right)[:, None], codes)
    (interval,) = ratio_intervals(sums, counts, confidence=confidence, resamples=resamples, seed=seed)
    return Difference(
        arm_mean=float(left.mean()),
        baseline_mean=float(right.mean()),
        estimate=float(np.mean(left - right)),
        interval=interval,
        pairs=len(left),
        clusters=len(sums),
    )


def success_difference(
    arm: ArrayLike, baseline: ArrayLike, clusters: Clusters = None, *, confidence: float = 0.95
) -> Difference | None:
    """The difference in the shares that two sides solve of the same pairs, with Tango's score interval.

    Its ends are where the test of `noninferiority` turns at half of what is left of `confidence`, and it says something
    also where no pair disagrees. Repeats of a task count by the design effect of their differences.

    Args:
        arm: 1 or True for each pair that the arm solves, 0 or False for the others, NaN for what was not measured.
        baseline: the same of the baseline, in the same order.
        clusters: the number of the task that each pair belongs to; None: each pair is a task of its own.
        confidence: of the interval, between 0 and 1.

    Returns:
        The difference; None where no pair has both values.

    Raises:
        InputError: lengths differ, a value is neither 0 nor 1, or `confidence` is out of range.
    """
    check_share("confidence", confidence)
    left, right, codes = paired_successes(arm, baseline, clusters)
    if not len(left):
        return None
    better, worse, pairs = effective_counts(left - right, codes, (1 + confidence) / 2)
    low = difference_low(better, worse, pairs, (1 + confidence) / 2)
    high = -difference_low(worse, better, pairs, (1 + confidence) / 2)
    return Difference(
        arm_mean=float(left.mean()),
        baseline_mean=float(right.mean()),
        estimate=float(np.mean(left - right)),
        interval=Interval(low, high, confidence),
        pairs=len(left),
        clusters=int(codes.max()) + 1,
    )


def paired_ratio(
    arm: ArrayLike,
    baseline: ArrayLike,
    clusters: Clusters = None,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Ratio | None:
    """The ratio of what two sides take in total over the same pairs, with its BCa interval.

    Args:
        arm: one amount for each pair, none below 0; NaN: not measured, and the pair is left out.
        baseline: the other amount of each pair, in the same order.
        clusters: the number of the task that each pair belongs to; None: each pair is a task of its own.
        confidence: of the interval, between 0 and 1.
        resamples: how many resamples.
        seed: of the draws; the same seed and data give the same interval.

    Returns:
        The ratio; None where no pair has both amounts, or the baseline's are all 0.

    Raises:
        InputError: lengths differ, an amount is negative or infinite, or `confidence` or `resamples` is out of range.
    """
    check_share("confidence", confidence)
    left, right, codes = complete_pairs(arm, baseline, clusters)
    if (left < 0).any() or (right < 0).any():
        raise InputError("amounts whose ratio is taken can't be negative; give NaN for what was not measured")
    if not right.sum() > 0:
        return None
    above, below = summed(left[:, None], codes), summed(right[:, None], codes)
    (interval,) = ratio_intervals(above, below, confidence=confidence, resamples=resamples, seed=seed)
    totals = float(left.sum()), float(right.sum())
    return Ratio(*totals, totals[0] / totals[1], interval, pairs=len(left), clusters=len(above))


def paired_successes(arm: ArrayLike, baseline: ArrayLike, clusters: Clusters = None) -> tuple[Floats, Floats, Indices]:
    """The pairs in which both sides were tried, with the position of each one's cluster.

    Raises:
        InputError: lengths differ, or a value is neither 0 nor 1.
    """
    left, right, codes = complete_pairs(arm, baseline, clusters)
    if not np.isin(left, (0.0, 1.0)).all() or not np.isin(right, (0.0, 1.0)).all():
        raise InputError("successes are 0 and 1, and NaN for what was not measured")
    return left, right, codes


def effective_counts(differences: Floats, codes: Indices, quantile: float) -> tuple[float, float, float]:
    """Pairs that only the arm solves, that only the baseline solves, and all; as if they were independent.

    Args:
        differences: 1, -1 or 0 for each pair.
        codes: the position of each pair's cluster.
        quantile: as for `effective_size`.
    """
    pairs = effective_size(differences, codes, quantile)
    share = pairs / len(differences)
    return float(np.sum(differences > 0)) * share, float(np.sum(differences < 0)) * share, pairs
