"""pass@k and pass^k: how likely one of k answers is right, and all k are, without bias from those that were drawn.

Sources: M. Chen et al. (2021), "Evaluating large language models trained on code", section 2.1 (pass@k); S. Yao et
al. (2024), "tau-bench: a benchmark for tool-agent-user interaction in real-world domains", section 3 (pass^k).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from smallenough.analysis.statistics.resampling import RESAMPLES, mean_intervals
from smallenough.analysis.statistics.values import Indices, Interval, check_share
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


def mean_pass_at_k(
    answers: Sequence[int] | Indices,
    right: Sequence[int] | Indices,
    k: int,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PassRate | None:
    """The mean of `pass_at_k` over tasks, one number of answers and of right ones for each.

    Returns:
        The mean with its interval; None where no task has k answers.

    Raises:
        InputError: lengths differ, a count is impossible, or `k`, `confidence` or `resamples` is out of range.
    """
    return _mean(pass_at_k, answers, right, k, confidence=confidence, resamples=resamples, seed=seed)


def mean_pass_hat_k(
    answers: Sequence[int] | Indices,
    right: Sequence[int] | Indices,
    k: int,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> PassRate | None:
    """The mean of `pass_hat_k` over tasks, as `mean_pass_at_k`."""
    return _mean(pass_hat_k, answers, right, k, confidence=confidence, resamples=resamples, seed=seed)


def _mean(
    estimator: Callable[[int, int, int], float],
    answers: Sequence[int] | Indices,
    right: Sequence[int] | Indices,
    k: int,
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> PassRate | None:
    """The mean of an estimator over the tasks that have k answers."""
    check_share("confidence", confidence)
    if len(answers) != len(right):
        raise InputError(f"each task has its answers and its right ones, not {len(answers)} and {len(right)}")
    counts = [(int(all_), int(good)) for all_, good in zip(answers, right, strict=True)]
    for all_, good in counts:
        _check_counts(all_, good)
    if k < 1:
        raise InputError(f"k must be at least 1, not {k}")
    values = np.array([[estimator(all_, good, k)] for all_, good in counts if all_ >= k], dtype=np.float64)
    if not len(values):
        return None
    (interval,) = mean_intervals(values, confidence=confidence, resamples=resamples, seed=seed)
    return PassRate(k, float(values.mean()), interval, tasks=len(values), too_few=len(counts) - len(values))


def _check(answers: int, right: int, k: int) -> None:
    """Refuses counts that can't be, and more answers than there are."""
    _check_counts(answers, right)
    if not 1 <= k <= answers:
        raise InputError(f"k must be within 1 to the number of answers, not {k} of {answers}")


def _check_counts(answers: int, right: int) -> None:
    """Refuses counts that can't be."""
    if not 0 <= right <= answers:
        raise InputError(f"right answers must be within 0 to all answers, not {right} of {answers}")
