"""How many pairs an answer needs, before running and when the data don't decide.

Pairs are independent here; `design_effect` tells how much repeats of the same tasks are worth. The discordance is the
share of pairs in which the two sides disagree, which earlier sessions tell.

Sources: R. J. Connor (1987), "Sample size for testing differences in proportions for the paired-sample design",
Biometrics 43; power of the exact test: S. W. Duffy (1984), "Asymptotic and exact power for the McNemar test and its
analogue with R controls per case", Biometrics 40; non-inferiority: J.-M. Nam (1997), "Establishing equivalence of two
treatments and sample size requirements in matched-pairs design", Biometrics 53; repeats: L. Kish (1965), "Survey
Sampling", section 5.4.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, sqrt

import numpy as np
from scipy.special import bdtr, ndtri
from scipy.stats import binom

from smallenough.analysis.statistics.score import noninferiority_p, restricted_worse
from smallenough.analysis.statistics.values import check_share
from smallenough.errors import InputError

_UNSEEN = 1e-9
"""Numbers of discordant pairs that are together less likely are left out of a power."""


def pairs_for_difference(difference: float, discordance: float, *, power: float = 0.8, alpha: float = 0.05) -> int:
    """How many pairs McNemar's exact test (two-sided) needs to find a difference.

    Args:
        difference: of the shares that the two sides solve; its sign doesn't matter.
        discordance: the share of pairs in which they disagree, at least the difference.
        power: how often the difference shall be found.
        alpha: how often a difference may be found where there is none.

    Returns:
        The number. Connor's is the start, and the exact test's own power decides: since whole pairs make that test
        cautious, its number is larger.

    Raises:
        InputError: a share is out of range, or the difference is 0 or above the discordance.
    """
    for name, share in (("power", power), ("alpha", alpha)):
        check_share(name, share)
    size = abs(difference)
    _check_difference(difference, discordance)
    if not size:
        raise InputError("no number of pairs finds a difference of 0")
    normal = _z(1 - alpha / 2) * sqrt(discordance) + _z(power) * sqrt(max(discordance - size**2, 0.0))
    start = max(1, ceil((normal / size) ** 2))
    return _fewest(lambda pairs: difference_power(pairs, size, discordance, alpha=alpha) >= power, start)


def difference_power(pairs: int, difference: float, discordance: float, *, alpha: float = 0.05) -> float:
    """How often McNemar's exact test (two-sided) finds a difference with that many pairs.

    Raises:
        InputError: a share is out of range, or the difference is above the discordance.
    """
    check_share("alpha", alpha)
    _check_difference(difference, discordance)
    if pairs < 0:
        raise InputError(f"pairs can't be negative, as {pairs}")
    if not discordance:
        return 0.0
    fewest, most = (int(binom.ppf(share, pairs, discordance)) for share in (_UNSEEN / 2, 1 - _UNSEEN / 2))
    discordant = np.arange(fewest, most + 1)
    critical = binom.ppf(alpha / 2, discordant, 0.5)
    critical = np.where(binom.cdf(critical, discordant, 0.5) <= alpha / 2, critical, critical - 1)
    share = (discordance + abs(difference)) / (2 * discordance)
    found = binom.cdf(critical, discordant, share) + binom.sf(discordant - critical - 1, discordant, share)
    return float(np.sum(binom.pmf(discordant, pairs, discordance) * found))


def pairs_for_noninferiority(
    difference: float, discordance: float, margin: float, *, power: float = 0.8, alpha: float = 0.05
) -> int | None:
    """How many pairs the non-inferiority test needs, if the shares are what they are taken to be.

    Args:
        difference: the share that the arm solves less that of the baseline.
        discordance: the share of pairs in which they disagree, at least the size of the difference.
        margin: how much worse still counts as good enough.
        power: how often an arm like this shall pass.
        alpha: how often one that is worse by the margin may pass.

    Returns:
        The number; None where the difference is at or below -margin: no number of pairs would show it.

    Raises:
        InputError: a share is out of range, or the difference is above the discordance.
    """
    for name, share in (("margin", margin), ("power", power), ("alpha", alpha)):
        check_share(name, share)
    _check_difference(difference, discordance)
    if difference <= -margin:
        return None
    better, worse = (discordance + difference) / 2, (discordance - difference) / 2
    under_margin = 2 * restricted_worse(better, worse, 1, -margin) - margin * (1 + margin)
    normal = _z(1 - alpha) * sqrt(under_margin) + _z(power) * sqrt(max(discordance - difference**2, 0.0))
    start = max(1, ceil((normal / (difference + margin)) ** 2))
    if better > 0:
        return start
    return _fewest(lambda pairs: _never_better_power(pairs, worse, margin, alpha) >= power, start)


def design_effect(repeats: int, correlation: float) -> float:
    """How many times more trials are needed when each task is tried several times, than with new tasks each time.

    Args:
        repeats: trials of a task, at least 1.
        correlation: how alike a task's repeats are (intraclass), 0 to 1.

    Raises:
        InputError: `repeats` is below 1, or `correlation` not within 0 to 1.
    """
    if repeats < 1:
        raise InputError(f"repeats must be at least 1, not {repeats}")
    if not 0 <= correlation <= 1:
        raise InputError(f"a correlation of repeats is within 0 to 1, not {correlation}")
    return 1 + (repeats - 1) * correlation


def tasks_needed(pairs: int, repeats: int, correlation: float) -> int:
    """How many tasks with that many repeats are worth a number of independent pairs.

    Raises:
        InputError: as `design_effect`.
    """
    return ceil(pairs * design_effect(repeats, correlation) / repeats - 1e-9)


def _never_better_power(pairs: int, worse: float, margin: float, alpha: float) -> float:
    """How often the test is passed where the arm solves nothing that the baseline doesn't."""
    lost, most = -1, pairs
    while most - lost > 1:
        middle = (lost + most) // 2
        lost, most = (middle, most) if noninferiority_p(0, middle, pairs, margin) < alpha else (lost, middle)
    return float(bdtr(lost, pairs, worse)) if lost >= 0 else 0.0


def _fewest(enough: Callable[[int], bool], start: int) -> int:
    """A number that is enough while the one before is not; found between doublings and halvings from a first guess."""
    low, high = 0, start
    while not enough(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _check_difference(difference: float, discordance: float) -> None:
    """Refuses shares that no pairs can have."""
    if not 0 <= abs(difference) <= discordance <= 1:
        raise InputError(
            f"the discordance is a share, at least the size of the difference: not {discordance} with {difference}"
        )


def _z(share: float) -> float:
    """The quantile of the normal distribution."""
    return float(ndtri(share))
