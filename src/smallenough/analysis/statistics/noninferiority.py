"""Whether an arm is not worse than the baseline by more than a margin: Tango's score test for paired proportions.

The variance is that under the hypothesis, from the maximum-likelihood estimate restricted to it, so that pairs that
all agree are evidence too. Where the arm solves nothing that the baseline does not, the score test alone is too bold:
at its boundary it then errs in up to 7% of studies instead of 5%. There the exact binomial test of the pairs that only
the baseline solves has to agree; it is valid whatever the share of such pairs.

Sources: T. Tango (1998), "Equivalence test and confidence interval for the difference in proportions for the
paired-sample design", Statistics in Medicine 17; exact test and bound: C. J. Clopper and E. S. Pearson (1934),
Biometrika 26; repeats: counts over their design effect, J. N. K. Rao and A. J. Scott (1992), "A simple method for the
analysis of clustered binary data", Biometrics 48.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import betainc, betaincinv, ndtr, ndtri

from smallenough.analysis.statistics.proportions import kish_design_effect
from smallenough.analysis.statistics.values import Clusters, check_share, complete_pairs
from smallenough.errors import InputError

_EDGE = 1e-9
"""How near to -1 a difference is sought."""


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """The evidence that an arm is not worse than the baseline by more than a margin."""

    p_value: float
    """One-sided, of the hypothesis that the arm is worse by the margin or more."""
    low: float
    """The lower confidence bound of the difference: the test at any margin below its depth is passed."""
    margin: float
    estimate: float
    """The share that the arm solves less the share that the baseline solves."""
    better: int
    """Pairs that only the arm solves."""
    worse: int
    """Pairs that only the baseline solves."""
    pairs: int
    effective_pairs: float
    """Pairs over their design effect: as many independent ones would tell as much."""
    confidence: float
    """Of `low`, one-sided."""


def noninferiority(
    arm: ArrayLike, baseline: ArrayLike, clusters: Clusters = None, *, margin: float, confidence: float = 0.95
) -> NonInferiority | None:
    """Tests paired successes for non-inferiority; repeats of a task count by Kish's design effect of the differences.

    Args:
        arm: 1 or True for each pair that the arm solves, 0 or False for the others, NaN for what was not measured.
        baseline: the same of the baseline, in the same order.
        clusters: the number of the task that each pair belongs to; None: each pair is a task of its own.
        margin: how much worse still counts as good enough, a share between 0 and 1.
        confidence: of the lower bound, one-sided: `p_value` is below 1 - confidence just when `low` is above -margin.

    Returns:
        The evidence; None where no pair has both values.

    Raises:
        InputError: lengths differ, a value is neither 0 nor 1, or `margin` or `confidence` is out of range.
    """
    check_share("margin", margin)
    check_share("confidence", confidence)
    left, right, codes = complete_pairs(arm, baseline, clusters)
    if not np.isin(left, (0.0, 1.0)).all() or not np.isin(right, (0.0, 1.0)).all():
        raise InputError("successes are 0 and 1, and NaN for what was not measured")
    if not len(left):
        return None
    better, worse = int(np.sum(left > right)), int(np.sum(left < right))
    effect = kish_design_effect(left - right, codes)
    counts = better / effect, worse / effect, len(left) / effect
    return NonInferiority(
        p_value=noninferiority_p(*counts, margin),
        low=difference_low(*counts, confidence),
        margin=margin,
        estimate=(better - worse) / len(left),
        better=better,
        worse=worse,
        pairs=len(left),
        effective_pairs=counts[2],
        confidence=confidence,
    )


def noninferiority_p(better: float, worse: float, pairs: float, margin: float) -> float:
    """The one-sided p-value that the difference is -margin or less, from counts that need not be whole."""
    score = float(ndtr(-tango_score(better, worse, pairs, -margin)))
    if better > 0 or worse >= pairs:
        return score
    return max(score, float(betainc(pairs - worse, worse + 1, 1 - margin)))


def difference_low(better: float, worse: float, pairs: float, confidence: float) -> float:
    """The lower bound of the difference: where the test turns, from counts that need not be whole."""
    estimate = (better - worse) / pairs
    quantile = float(ndtri(confidence))

    def beyond(difference: float) -> float:
        return tango_score(better, worse, pairs, difference) - quantile

    if beyond(-1 + _EDGE) <= 0:
        return -1.0
    upper = estimate if quantile > 0 else 1 - _EDGE
    score = float(brentq(beyond, -1 + _EDGE, upper, xtol=1e-13)) if beyond(upper) < 0 else estimate
    if better > 0 or worse >= pairs:
        return score
    return min(score, float(betaincinv(pairs - worse, worse + 1, 1 - confidence)) - 1)


def tango_score(better: float, worse: float, pairs: float, difference: float) -> float:
    """Tango's statistic: standard normal where the true difference is `difference`, larger where it is more."""
    off = better - worse - pairs * difference
    shared = restricted_worse(better, worse, pairs, difference)
    variance = pairs * (2 * shared + difference * (1 - difference))
    if variance <= 0:
        return 0.0 if off == 0 else inf if off > 0 else -inf
    return off / sqrt(variance)


def restricted_worse(better: float, worse: float, pairs: float, difference: float) -> float:
    """The most likely share of pairs that only the baseline solves, among all with that difference of shares."""
    linear = (2 * pairs - better + worse) * difference - better - worse
    constant = -worse * difference * (1 - difference)
    return (sqrt(max(linear**2 - 8 * pairs * constant, 0.0)) - linear) / (4 * pairs)
