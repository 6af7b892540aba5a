"""pass@k and pass^k: how likely one of k answers is right, and all k are, without bias from those that were drawn.

Sources: M. Chen et al. (2021), "Evaluating large language models trained on code", section 2.1 (pass@k); S. Yao et
al. (2024), "tau-bench: a benchmark for tool-agent-user interaction in real-world domains", section 3 (pass^k).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from smallenough.analysis.statistics.resampling import RESAMPLES, mean_intervals
from smallenough.analysis.statistics.values import Floats, Indices, Interval, check_share
from smallenough.errors import InputError


@dataclass(frozen=True, slots=True)
class PassRate:
    """The mean of pass@k or pass^k over the tasks of a suite."""

    k: int
    estimate: float
    interval: Interval | None
    """BCa over tasks; None where there are fewer than two, or all have the same value."""
    tasks: int
    """Tasks in the mean."""
    too_few: int
    """Tasks with fewer than k answers: they are in no mean."""


def pass_at_k(answers: int, right: int, k: int) -> float:
    """The chance that at least one of k answers is right, from `right` of `answers`: 1 - C(n-c, k) / C(n, k).

    Raises:
        InputError: `right` is not within 0 to `answers`, or k not within 1 to `answers`.
    """
    _check(answers, right, k)
    if answers - right < k:
        return 1.0
    return 1.0 - float(np.prod(1.0 - k / np.arange(answers - right + 1, answers + 1)))


def pass_hat_k(answers: int, right: int, k: int) -> float:
    """The chance that all of k answers are right, from `right` of `answers`: C(c, k) / C(n, k).

    Raises:
        InputError: `right` is not within 0 to `answers`, or k not within 1 to `answers`.
    """
    _check(answers, right, k)
    drawn = np.arange(k)
    return float(np.prod((right - drawn) / (answers - drawn))) if right >= k else 0.0


def pass_rates(
    answers: Sequence[int] | Indices,
    right: Sequence[int] | Indices,
    ks: Sequence[int],
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[tuple[PassRate, ...], tuple[PassRate, ...]]:
    """The means of `pass_at_k` and of `pass_hat_k` over tasks, for every k of `ks`, from the same resamples of tasks.

    Args:
        answers: how many each task has.
        right: how many of them are right.
        ks: of how many answers.
        confidence: of the intervals.
        resamples: of tasks.
        seed: of the resampling.

    Returns:
        pass@k and pass^k; without those for which no task has k answers.

    Raises:
        InputError: lengths differ, a count is impossible, or a k, `confidence` or `resamples` is out of range.
    """
    check_share("confidence", confidence)
    if len(answers) != len(right):
        raise InputError(f"each task has its answers and its right ones, not {len(answers)} and {len(right)}")
    if any(k < 1 for k in ks):
        raise InputError(f"k must be at least 1, not {min(ks)}")
    counts = [(int(all_), int(good)) for all_, good in zip(answers, right, strict=True)]
    for all_, good in set(counts):
        _check_counts(all_, good)
    both = np.hstack([_values(estimator, counts, ks) for estimator in (pass_at_k, pass_hat_k)])
    both = both[~np.isnan(both).all(axis=1)]
    if not len(both):
        return (), ()
    intervals = mean_intervals(both, confidence=confidence, resamples=resamples, seed=seed)
    tasks = (~np.isnan(both)).sum(axis=0)
    found = [
        PassRate(k, float(np.nanmean(both[:, at])), intervals[at], int(tasks[at]), len(counts) - int(tasks[at]))
        if tasks[at]
        else None
        for at, k in enumerate([*ks, *ks])
    ]
    at_k, hat_k = found[: len(ks)], found[len(ks) :]
    return tuple(one for one in at_k if one), tuple(one for one in hat_k if one)


def _values(
    estimator: Callable[[int, int, int], float], counts: Sequence[tuple[int, int]], ks: Sequence[int]
) -> Floats:
    """The estimator for each task and k; NaN where the task has too few answers. Tasks share a few counts."""
    known = {
        (all_, good): [estimator(all_, good, k) if all_ >= k else np.nan for k in ks] for all_, good in set(counts)
    }
    return np.array([known[count] for count in counts], dtype=np.float64).reshape(len(counts), len(ks))


def _check(answers: int, right: int, k: int) -> None:
    """Refuses counts that can't be, and more answers than there are."""
    _check_counts(answers, right)
    if not 1 <= k <= answers:
        raise InputError(f"k must be within 1 to the number of answers, not {k} of {answers}")


def _check_counts(answers: int, right: int) -> None:
    """Refuses counts that can't be."""
    if not 0 <= right <= answers:
        raise InputError(f"right answers must be within 0 to all answers, not {right} of {answers}")
