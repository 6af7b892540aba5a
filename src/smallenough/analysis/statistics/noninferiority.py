"""Whether an arm is worse than the baseline by more than a margin, or not: Tango's score test for paired proportions.

Repeats of a task count by the design effect of their differences. Limits: with one trial a task, an arm that is worse
by the margin passes in at most 5.5% of studies at 5%; with repeats of 15 to 30 tasks, of which a few are lost nearly
always and the others never, in 6 to 7%.

Sources: `score`; counts over their design effect: J. N. K. Rao and A. J. Scott (1992), "A simple method for the
analysis of clustered binary data", Biometrics 48.
"""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from smallenough.analysis.statistics.paired import effective_counts, paired_successes
from smallenough.analysis.statistics.score import difference_low, inferiority_p, noninferiority_p
from smallenough.analysis.statistics.values import Clusters, check_share


@dataclass(frozen=True, slots=True)
class NonInferiority:
    """The evidence that an arm is not worse than the baseline by more than a margin."""

    p_value: float
    """One-sided, of the hypothesis that the arm is worse by the margin or more."""
    p_worse: float
    """One-sided, of the hypothesis that it is worse by the margin at most: small where it is shown to be worse."""
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
    """As many independent pairs would tell as much: all of them, where each task has one."""
    confidence: float
    """Of `low`, one-sided."""


def noninferiority(
    arm: ArrayLike, baseline: ArrayLike, clusters: Clusters = None, *, margin: float, confidence: float = 0.95
) -> NonInferiority | None:
    """Tests paired successes for non-inferiority.

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
    left, right, codes = paired_successes(arm, baseline, clusters)
    if not len(left):
        return None
    differences = left - right
    better, worse = int((differences > 0).sum()), int((differences < 0).sum())
    counts = effective_counts(differences, codes, confidence)
    return NonInferiority(
        p_value=noninferiority_p(*counts, margin),
        p_worse=inferiority_p(*effective_counts(differences, codes, (1 + confidence) / 2), margin),
        low=difference_low(*counts, confidence),
        margin=margin,
        estimate=(better - worse) / len(differences),
        better=better,
        worse=worse,
        pairs=len(differences),
        effective_pairs=counts[2],
        confidence=confidence,
    )
