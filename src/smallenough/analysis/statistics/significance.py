"""Tests of pairs, and the correction for testing several times.

A p-value of 1 means that the pairs show no difference at all; None that there was nothing to test.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binomtest, rankdata
from scipy.stats import wilcoxon as signed_rank

from smallenough.analysis.statistics.values import Clusters, Floats, measured
from smallenough.errors import InputError

_EXACT = 50
"""Tasks up to which scipy takes the exact distribution where there are no ties."""


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


def wilcoxon(differences: ArrayLike, clusters: Clusters = None) -> float | None:
    """The two-sided p-value of Wilcoxon's signed-rank test, on each task's mean difference.

    Tasks without a difference are left out, as Wilcoxon did. Up to 50 tasks the distribution is exact, also where
    differences are of the same size (scipy would draw or enumerate signs there, for seconds); above, it is the normal
    approximation.

    Sources: F. Wilcoxon (1945), "Individual comparisons by ranking methods", Biometrics Bulletin 1; exact distribution
    with ties: B. Streitberg and J. Röhmel (1986), "Exact distributions for permutation and rank tests", Statistical
    Software Newsletter 12.

    Args:
        differences: arm less baseline of each pair; NaN: not measured, and left out.
        clusters: the number of the task that each difference belongs to; None: each is a task of its own.

    Returns:
        The p-value; 1 where no task differs, None where nothing is measured.

    Raises:
        InputError: lengths differ, or a difference is infinite.
    """
    means = cluster_means(differences, clusters)
    if not len(means):
        return None
    different = means[means != 0]
    if not len(different):
        return 1.0
    ties = len(np.unique(np.abs(different))) < len(different)
    return _tied_signed_rank(different) if ties and len(different) <= _EXACT else float(signed_rank(different).pvalue)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """P-values adjusted for having tested several times, by Holm's step-down method, in the order given.

    Source: S. Holm (1979), "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6. What was not tested (None) stays None and doesn't count as a test. (statsmodels has it too, and
    collects the garbage of the whole process at each call, which takes longer than a comparison.)

    Raises:
        InputError: a p-value is not within 0 to 1.
    """
    tested = [p for p in p_values if p is not None]
    wrong = [p for p in tested if not 0 <= p <= 1]
    if wrong:
        raise InputError(f"p-values are within 0 to 1, not {wrong[0]}; give None for what was not tested")
    order = np.argsort(tested, kind="stable")
    adjusted = np.empty(len(tested))
    left = len(tested) - np.arange(len(tested))
    adjusted[order] = np.minimum(np.maximum.accumulate(left * np.asarray(tested, dtype=np.float64)[order]), 1.0)
    found = iter(adjusted.tolist())
    return [None if p is None else next(found) for p in p_values]


def _tied_signed_rank(different: Floats) -> float:
    """The exact two-sided p-value: in how many of all choices of signs the sum of ranks lies as far out."""
    ranks = np.rint(2 * rankdata(np.abs(different))).astype(np.int64)  # halves of ranks are whole when doubled
    ways = np.ones(1)
    for rank in ranks:
        more = np.zeros(len(ways) + rank)
        more[: len(ways)] += ways
        more[rank:] += ways
        ways = more
    found = int(ranks[different > 0].sum())
    tail = min(ways[: found + 1].sum(), ways[found:].sum())
    return min(1.0, 2 * float(tail) / 2.0 ** len(different))


def cluster_means(values: ArrayLike, clusters: Clusters = None) -> Floats:
    """The mean of the measured values of each task that has any, in the order of the tasks' numbers."""
    known, codes = measured(values, clusters)
    if not len(known):
        return known
    return np.asarray(np.bincount(codes, weights=known) / np.bincount(codes), dtype=np.float64)
