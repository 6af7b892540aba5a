"""Shares of successes with Wilson intervals, also where a task has repeats, which are more of the same.

Sources: E. B. Wilson (1927), "Probable inference, the law of succession, and statistical inference", Journal of the
American Statistical Association 22; design effect: L. Kish (1965), "Survey Sampling", chapter 5; interval on the
effective sample size with the factor for degrees of freedom: E. L. Korn and B. I. Graubard (1998), "Confidence
intervals for proportions with small expected number of positive counts estimated from survey data", Survey
Methodology 24; Wilson's interval in that place: N. Dean and M. Pagano (2015), "Evaluating confidence interval methods
for binomial proportions in clustered surveys", Journal of Survey Statistics and Methodology 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit
from scipy.stats import binomtest

from smallenough.analysis.statistics.values import Clusters, Floats, Indices, Interval, check_share, measured
from smallenough.errors import InputError


@dataclass(frozen=True, slots=True)
class Proportion:
    """How many of how many, with the Wilson interval of the share."""

    successes: int
    n: int
    rate: float
    """`successes / n`."""
    interval: Interval
    effective_n: float | None = None
    """How many independent trials the interval stands on; None: as many as there are."""


def wilson(successes: int, n: int, confidence: float = 0.95) -> Interval | None:
    """The score interval of a proportion of independent trials, without continuity correction, as scipy computes it.

    Returns:
        The interval, within 0 to 1; None where `n` is 0.

    Raises:
        InputError: `successes` is not within 0 to `n`, or `confidence` not between 0 and 1.
    """
    check_share("confidence", confidence)
    if not 0 <= successes <= n:
        raise InputError(f"successes must be within 0 to n, not {successes} of {n}")
    if n == 0:
        return None
    found = binomtest(int(successes), int(n)).proportion_ci(confidence_level=confidence, method="wilson")
    return Interval(float(found.low), float(found.high), confidence)


def proportion(successes: int, n: int, confidence: float = 0.95) -> Proportion | None:
    """The share of successes of independent trials with its Wilson interval; None where `n` is 0.

    Raises:
        InputError: as `wilson`.
    """
    interval = wilson(successes, n, confidence)
    return Proportion(int(successes), int(n), int(successes) / int(n), interval) if interval else None


def clustered_proportion(values: ArrayLike, clusters: Clusters = None, confidence: float = 0.95) -> Proportion | None:
    """The share of successes of trials that belong to tasks, with Wilson's interval on the effective sample size.

    That size is `effective_size`; with one trial a task the interval is Wilson's own.

    Args:
        values: 1 or True for a success, 0 or False for a failure, NaN for what was not measured and is left out.
        clusters: the number of the task that each value belongs to; None: each is a task of its own.
        confidence: of the interval.

    Returns:
        The share over all trials; None where nothing is measured.

    Raises:
        InputError: lengths differ, a value is neither 0 nor 1, or `confidence` is out of range.
    """
    check_share("confidence", confidence)
    known, codes = measured(values, clusters)
    if not np.isin(known, (0.0, 1.0)).all():
        raise InputError("the values of a proportion are 0 and 1, and NaN for what was not measured")
    n = len(known)
    if n == 0 or n == codes.max() + 1:
        return proportion(int(known.sum()), n, confidence)
    effective = effective_size(known, codes, (1 + confidence) / 2)
    rate = float(known.mean())
    return Proportion(int(known.sum()), n, rate, _score_interval(rate, effective, confidence), effective)


def effective_size(values: ArrayLike, clusters: Clusters, quantile: float) -> float:
    """How many independent values tell as much of the mean as these.

    Their number over their design effect, times the squared ratio of Student's quantiles for as many values and for as
    many clusters: a variance seen on few clusters is itself uncertain. It is never below what repeats that are all
    alike are worth, and with one value a cluster it is their number.

    Args:
        values: NaN: not measured, and left out.
        clusters: the number of the task that each value belongs to; how many it has is unrelated to its values.
        quantile: the level at which the ends of the interval lie, as 0.975 for 95% on two sides.

    Raises:
        InputError: lengths differ, a value is infinite, or nothing is measured.
    """
    known, codes = measured(values, clusters)
    n, alike = len(known), _size_if_alike(codes)
    effective = n / kish_design_effect(known, codes)
    groups = int(codes.max()) + 1
    if not 1 < groups < n:
        return effective
    degrees = float((stdtrit(n - 1, quantile) / stdtrit(groups - 1, quantile)) ** 2)
    return max(alike, effective * degrees)


def kish_design_effect(values: ArrayLike, clusters: Clusters = None) -> float:
    """How many times larger the variance of the mean is than that of as many independent values.

    Kish's ratio of variances: between clusters, of the mean as a ratio of totals, over that of simple random
    sampling. It is never below 1, nor above what repeats that are all alike give. Values without spread, or of a
    single cluster, tell nothing of how alike repeats are; they are taken to be all alike.

    Raises:
        InputError: lengths differ, a value is infinite, or nothing is measured.
    """
    known, codes = measured(values, clusters)
    if not len(known):
        raise InputError("a design effect needs at least one measured value")
    n, groups = len(known), int(codes.max()) + 1
    if n == groups:
        return 1.0
    most = n / _size_if_alike(codes)
    off: Floats = known - known.mean()
    simple = float(np.sum(off**2)) / (n * (n - 1))
    if groups == 1 or np.ptp(known) <= 1e-12 * np.abs(known).max():
        return most
    totals = np.bincount(codes, weights=off)
    return min(most, max(1.0, groups / (groups - 1) * float(np.sum(totals**2)) / n**2 / simple))


def intraclass_correlation(values: ArrayLike, clusters: Indices) -> float | None:
    """How alike the repeats of a task are: 0, no more than those of other tasks; 1, all the same.

    The estimator from the analysis of variance, for clusters of any sizes. Source: A. Donner (1986), "A review of
    inference procedures for the intraclass correlation coefficient in the one-way random effects model",
    International Statistical Review 54.

    Returns:
        The correlation, within 0 to 1; None where no task has two values, there are fewer than two tasks, or the
        values have no spread.

    Raises:
        InputError: lengths differ, or a value is infinite.
    """
    known, codes = measured(values, clusters)
    sizes = np.bincount(codes).astype(np.float64)
    n, groups = len(known), len(sizes)
    if groups < 2 or n == groups:
        return None
    means = np.bincount(codes, weights=known) / sizes
    between = float(np.sum(sizes * (means - known.mean()) ** 2)) / (groups - 1)
    within = float(np.sum((known - means[codes]) ** 2)) / (n - groups)
    size = (n - float(np.sum(sizes**2)) / n) / (groups - 1)
    total = between + (size - 1) * within
    return min(1.0, max(0.0, (between - within) / total)) if total > 0 else None


def _size_if_alike(codes: Indices) -> float:
    """How many values would tell as much, if all values of a cluster were the same: clusters, where sizes are equal.

    Source: L. Kish (1965), section 8.2: the loss by unequal weights.
    """
    return float(len(codes) ** 2 / np.sum(np.bincount(codes).astype(np.float64) ** 2))


def _score_interval(rate: float, n: float, confidence: float) -> Interval:
    """Wilson's interval for a number of trials that need not be whole."""
    z = float(ndtri((1 + confidence) / 2))
    centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * float(np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2)))
    return Interval(max(0.0, centre - half), min(1.0, centre + half), confidence)
