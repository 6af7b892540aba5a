"""Tango's score statistic for the difference of two shares of the same pairs, from counts that need not be whole.

The variance is that under the hypothesis, from the maximum-likelihood estimate restricted to it, so that pairs that
all agree are evidence too. Where one side solves nothing that the other does not, the score alone is too bold: a
one-sided test at 5% then errs in up to 7% of studies. There the exact binomial test of the pairs that only the other
side solves has to agree; it is valid whatever the share of such pairs.

Sources: T. Tango (1998), "Equivalence test and confidence interval for the difference in proportions for the
paired-sample design", Statistics in Medicine 17; exact test and bound: C. J. Clopper and E. S. Pearson (1934), "The use
of confidence or fiducial limits illustrated in the case of the binomial", Biometrika 26.
"""

from __future__ import annotations

from math import inf, sqrt

from scipy.optimize import brentq
from scipy.special import betainc, betaincinv, ndtr, ndtri

_EDGE = 1e-9
"""How near to -1 a difference is sought."""


def noninferiority_p(better: float, worse: float, pairs: float, margin: float) -> float:
    """The one-sided p-value that the difference is -margin or less, from counts that need not be whole."""
    score = float(ndtr(-tango_score(better, worse, pairs, -margin)))
    if better > 0 or worse >= pairs:
        return score
    return max(score, float(betainc(pairs - worse, worse + 1, 1 - margin)))


def inferiority_p(better: float, worse: float, pairs: float, margin: float) -> float:
    """The one-sided p-value that the difference is -margin or more, from counts that need not be whole."""
    score = float(ndtr(-tango_score(worse, better, pairs, margin)))
    if better > 0 or worse <= 0:
        return score
    return max(score, float(betainc(worse, pairs - worse + 1, margin)))


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
