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
    ks: Sequence[int],
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[PassRate, ...]:
    """The mean of `pass_at_k` over tasks, for every k of `ks` from the same resamples of the tasks.

    Args:
        answers: how many each task has.
        right: how many of them are right.
        ks: of how many answers.
        confidence: of the intervals.
        resamples: of tasks.
        seed: of the resampling.

    Returns:
        The means with their intervals; without those for which no task has k answers.

    Raises:
        InputError: lengths differ, a count is impossible, or a k, `confidence` or `resamples` is out of range.
    """
    return _means(pass_at_k, answers, right, ks, confidence=confidence, resamples=resamples, seed=seed)


def mean_pass_hat_k(
    answers: Sequence[int] | Indices,
    right: Sequence[int] | Indices,
    ks: Sequence[int],
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[PassRate, ...]:
    """The mean of `pass_hat_k` over tasks, as `mean_pass_at_k`."""
    return _means(pass_hat_k, answers, right, ks, confidence=confidence, resamples=resamples, seed=seed)


def _means(
    estimator: Callable[[int, int, int], float],
    answers: Sequence[int] | Indices,
    right: Sequence[int] | Indices,
    ks: Sequence[int],
    *,
    confidence: float,
    resamples: int,
    seed: int,
) -> tuple[PassRate, ...]:
    """The means of an estimator, each over the tasks that have k answers."""
    check_share("confidence", confidence)
    if len(answers) != len(right):
        raise InputError(f"each task has its answers and its right ones, not {len(answers)} and {len(right)}")
    if any(k < 1 for k in ks):
        raise InputError(f"k must be at least 1, not {min(ks)}")
    counts = [(int(all_), int(good)) for all_, good in zip(answers, right, strict=True)]
    known: dict[tuple[int, int], list[float]] = {}  # tasks have the same few counts
    for all_, good in set(counts):
        _check_counts(all_, good)
        known[all_, good] = [estimator(all_, good, k) if all_ >= k else np.nan for k in ks]
    values = np.array([known[count] for count in counts], dtype=np.float64).reshape(len(counts), len(ks))
    values = values[~np.isnan(values).all(axis=1)]
    if not len(values):
        return ()
    intervals = mean_intervals(values, confidence=confidence, resamples=resamples, seed=seed)
    tasks = (~np.isnan(values)).sum(axis=0)
    return tuple(
        PassRate(
            k, float(np.nanmean(values[:, place])), intervals[place], int(tasks[place]), len(counts) - int(tasks[place])
        )
        for place, k in enumerate(ks)
        if tasks[place]
    )


def _check(answers: int, right: int, k: int) -> None:
    """Refuses counts that can't be, and more answers than there are."""
    _check_counts(answers, right)
    if not 1 <= k <= answers:
        raise InputError(f"k must be within 1 to the number of answers, not {k} of {answers}")


def _check_counts(answers: int, right: int) -> None:
    """Refuses counts that can't be."""
    if not 0 <= right <= answers:
        raise InputError(f"right answers must be within 0 to all answers, not {right} of {answers}")
