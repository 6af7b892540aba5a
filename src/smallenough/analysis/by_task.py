"""Values by task: the unit in which arms are compared here, since repeats of a task are more of the same.

Each task counts once, by the mean over its repeats, so that arms with unlike numbers of repeats can be compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from smallenough.analysis.frames import SCORED
from smallenough.analysis.statistics import (
    RESAMPLES,
    Difference,
    Floats,
    mcnemar,
    paired_difference,
    success_difference,
)
from smallenough.analysis.wording import p_value, points

TASK = ["suite", "task"]

LEAST_TASKS = 20
"""Common tasks below which nothing is concluded: the intervals are too narrow there."""

Finding: TypeAlias = Literal["better", "worse", "not better", "not enough data"]


@dataclass(frozen=True, slots=True)
class Success:
    """How much more of the tasks one arm solves than another, each task counted once."""

    difference: Difference
    better: int
    """Tasks that the arm solves more often than the other one."""
    worse: int
    """Tasks that it solves less often."""

    @property
    def mcnemar_p(self) -> float:
        """Of McNemar's exact test on `better` and `worse`."""
        return mcnemar(self.better, self.worse)

    @property
    def finding(self) -> Finding:
        """What the difference shows.

        A difference is shown where its interval holds no 0 and McNemar's exact test agrees: of few tasks that differ,
        all one way, a bootstrap alone concludes too much. 'not better' is that no gain was shown, which the interval
        may yet allow.
        """
        found = self.difference
        if found.clusters < LEAST_TASKS:
            return "not enough data"
        low, high = (found.interval.low, found.interval.high) if found.interval else (found.estimate, found.estimate)
        confidence = found.interval.confidence if found.interval else 0.95
        if low <= 0 <= high or self.mcnemar_p >= 1 - confidence:
            return "not better"
        return "better" if low > 0 else "worse"


def scored(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials that are solved or unsolved; infrastructure failures and free tasks are left out."""
    return trials[trials["outcome"].isin(SCORED)]


def floats(frame: pd.DataFrame, column: str) -> Floats:
    """A column as float64, NaN where a value or the whole column is missing."""
    if column not in frame.columns:
        return np.full(len(frame), np.nan)
    return np.asarray(frame[column].astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan))


def task_means(trials: pd.DataFrame, column: str) -> pd.DataFrame:
    """The mean of `column` over the repeats in which it was measured.

    Args:
        trials: one row a trial: `label`, `suite`, `task` and `column`.
        column: of numbers or booleans; missing in `trials`: measured nowhere.

    Returns:
        One row a task, one column an arm, in sorted order; NaN where no repeat was measured.
    """
    values = trials[["label", *TASK]].astype("object").assign(value=floats(trials, column))
    return values.pivot_table(index=TASK, columns="label", values="value", aggfunc="mean", dropna=False, observed=True)


def difference(
    trials: pd.DataFrame,
    arm: str,
    other: str,
    column: str,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference | None:
    """How much `arm` differs from `other` in the mean of `column`, over the tasks of both.

    Returns:
        The difference; None where no task has both values.
    """
    left, right = _sides(trials, arm, other, column)
    return paired_difference(left, right, confidence=confidence, resamples=resamples, seed=seed)


def success(
    trials: pd.DataFrame, arm: str, other: str, *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Success | None:
    """How much more `arm` solves than `other`, over the tasks of both; None where no task is common."""
    left, right = _sides(scored(trials), arm, other, "solved")
    return success_of(left, right, confidence=confidence, resamples=resamples, seed=seed)


def success_of(
    arm: Floats, other: Floats, *, confidence: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Success | None:
    """The same, from the share of its repeats in which each task is solved; NaN: not scored.

    The interval is the score interval, as in a comparison; the bootstrap's where tasks were repeated.
    """
    values = np.concatenate([arm, other])
    if np.isin(values[~np.isnan(values)], (0.0, 1.0)).all():
        found = success_difference(arm, other, confidence=confidence)
    else:  # shares, of tasks with repeats
        found = paired_difference(arm, other, confidence=confidence, resamples=resamples, seed=seed)
    return Success(found, better=int((arm > other).sum()), worse=int((arm < other).sum())) if found else None


def told(found: Success) -> str:
    """A difference of success in words: `3 [−3, 11] points (p = 0.688)`."""
    p = p_value(found.mcnemar_p)
    return f"{points(found.difference)} points (p {p if p.startswith('<') else f'= {p}'})"


def caveat(found: Success) -> str:
    """What a difference that shows nothing does not rule out, as a further sentence; nothing where there is none."""
    interval = found.difference.interval
    if found.finding == "not enough data":
        return f" At least {LEAST_TASKS} common tasks are needed."
    if found.finding == "not better" and interval and interval.high >= 0.01:
        return f" A gain of up to {round(100 * interval.high)} points is not ruled out."
    return ""


def cells(found: Difference | None) -> tuple[float | None, float | None, float | None]:
    """A difference as the cells of a table: the estimate, the ends of its interval."""
    if found is None:
        return None, None, None
    return (found.estimate, found.interval.low, found.interval.high) if found.interval else (found.estimate, None, None)


def _sides(trials: pd.DataFrame, arm: str, other: str, column: str) -> tuple[Floats, Floats]:
    """The values of both arms by task, in the same order."""
    means = task_means(trials[trials["label"].isin([arm, other])], column).reindex(columns=[arm, other])
    return means[arm].to_numpy(dtype=np.float64), means[other].to_numpy(dtype=np.float64)
