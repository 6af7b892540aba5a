"""How large a difference is, apart from how sure: effect sizes for pairs. None where the data have no such size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest, rankdata

from smallenough.analysis.statistics.significance import cluster_means
from smallenough.analysis.statistics.values import Clusters, check_share
from smallenough.errors import InputError


@dataclass(frozen=True, slots=True)
class OddsRatio:
    """How many pairs only the arm solves for each that only the baseline solves."""

    estimate: float
    corrected: bool
    """Whether one half was added to both counts, since one of them is 0."""
    low: float
    """Lower end of its exact interval."""
    high: float | None
    """Upper end; None: it has none, since the baseline alone solves no pair."""


def matched_odds_ratio(better: int, worse: int, confidence: float = 0.95) -> OddsRatio | None:
    """The conditional odds ratio of pairs: those that only the arm solves over those that only the baseline solves.

    Its interval is that of the share of the arm's among both (Clopper and Pearson), as odds: it leaves out 1 where
    McNemar's exact test rejects.

    Sources: A. Agresti (2013), "Categorical Data Analysis", section 11.2.3; one half added where a count is 0:
    J. B. S. Haldane (1956), Annals of Human Genetics 20, and F. J. Anscombe (1956), Biometrika 43.

    Returns:
        The ratio; None where no pair disagrees.

    Raises:
        InputError: a count is negative, or `confidence` is out of range.
    """
    check_share("confidence", confidence)
    if better < 0 or worse < 0:
        raise InputError(f"counts of pairs can't be negative, as {better} and {worse}")
    if better + worse == 0:
        return None
    corrected = not (better and worse)
    added = 0.5 if corrected else 0.0
    ends = binomtest(better, better + worse).proportion_ci(confidence, method="exact")
    high = float(ends.high / (1 - ends.high)) if ends.high < 1 else None
    return OddsRatio((better + added) / (worse + added), corrected, float(ends.low / (1 - ends.low)), high)


def cohens_h(arm_rate: float, baseline_rate: float) -> float:
    """The difference of two shares on the arcsine scale, on which all differences are as hard to see.

    About 0.2 is small, 0.5 medium, 0.8 large. Source: J. Cohen (1988), "Statistical Power Analysis for the Behavioral
    Sciences", chapter 6.

    Raises:
        InputError: a rate is not within 0 to 1.
    """
    if not (0 <= arm_rate <= 1 and 0 <= baseline_rate <= 1):
        raise InputError(f"rates are within 0 to 1, not {arm_rate} and {baseline_rate}")
    return float(2 * np.arcsin(np.sqrt(arm_rate)) - 2 * np.arcsin(np.sqrt(baseline_rate)))


def rank_biserial(differences: ArrayLike, clusters: Clusters = None) -> float | None:
    """The matched-pairs rank-biserial correlation: the share of the ranks that favour the arm less that against it.

    The effect size of Wilcoxon's signed-rank test, on each task's mean difference; from -1 to 1. Source: D. S. Kerby
    (2014), "The simple difference formula", Comprehensive Psychology 3.

    Returns:
        The correlation; None where no task differs.

    Raises:
        InputError: lengths differ, or a difference is infinite.
    """
    means = cluster_means(differences, clusters)
    different = means[means != 0]
    if not len(different):
        return None
    ranks = rankdata(np.abs(different))
    return float(np.sum(np.sign(different) * ranks) / np.sum(ranks))


def cohens_dz(differences: ArrayLike, clusters: Clusters = None) -> float | None:
    """The mean of the tasks' mean differences over their standard deviation.

    Source: J. Cohen (1988), "Statistical Power Analysis for the Behavioral Sciences", section 2.3.5.

    Returns:
        The size; None where there are fewer than two tasks, or all differ by the same.

    Raises:
        InputError: lengths differ, or a difference is infinite.
    """
    means = cluster_means(differences, clusters)
    if len(means) < 2 or np.ptp(means) <= 1e-12 * np.abs(means).max():
        return None
    return float(means.mean() / means.std(ddof=1))
