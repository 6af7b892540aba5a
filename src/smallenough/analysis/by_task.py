"""Values by task: the unit in which arms are compared here, since repeats of a task are more of the same.

Each task counts once, by the mean over its repeats, so that arms with unlike numbers of repeats can be compared.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from smallenough.analysis.frames import SCORED
from smallenough.analysis.statistics import RESAMPLES, Difference, Floats, paired_difference

TASK = ["suite", "task"]


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
    means = task_means(trials[trials["label"].isin([arm, other])], column)
    if not {arm, other} <= set(means.columns):
        return None
    left, right = means[arm].to_numpy(dtype=np.float64), means[other].to_numpy(dtype=np.float64)
    return paired_difference(left, right, confidence=confidence, resamples=resamples, seed=seed)
