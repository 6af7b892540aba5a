"""Success by category: where one arm is strong and another is not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from smallenough.analysis.by_task import TASK, floats, scored
from smallenough.analysis.statistics import Proportion, clustered_proportion


@dataclass(frozen=True, slots=True)
class CategoryShare:
    """One arm on the tasks of one category."""

    arm: str
    category: str
    solved: Proportion | None
    """Of the scored trials; None: the arm has none there."""
    tasks: int


def by_category(trials: pd.DataFrame, labels: Sequence[str], confidence: float = 0.95) -> tuple[CategoryShare, ...]:
    """Every arm on every category, the categories by name; nothing where tasks have no categories.

    Args:
        trials: one row a trial: `label`, `suite`, `task`, `category`, `outcome`, `solved`.
        labels: the arms, in the order in which they shall come.
        confidence: of the intervals.
    """
    known = scored(trials)
    if "category" not in known.columns:
        return ()
    names = sorted(map(str, known["category"].dropna().unique()))
    return tuple(_share(known, label, name, confidence) for name in names for label in labels)


def to_frame(found: Sequence[CategoryShare]) -> pd.DataFrame:
    """One row a category and arm.

    `category` and `arm` are `string`; `solved_rate` with `_low` and `_high` is `Float64`; `trials` and `tasks` are
    `Int64`.
    """
    types = {
        **dict.fromkeys(("category", "arm"), "string"),
        **dict.fromkeys(("solved_rate", "solved_rate_low", "solved_rate_high"), "Float64"),
        **dict.fromkeys(("trials", "tasks"), "Int64"),
    }
    rows = [(one.category, one.arm, *_cells(one.solved), one.solved.n if one.solved else 0, one.tasks) for one in found]
    return pd.DataFrame(rows, columns=list(types)).astype(types)


def _share(trials: pd.DataFrame, label: str, category: str, confidence: float) -> CategoryShare:
    own = trials[(trials["label"] == label) & (trials["category"] == category)]
    tasks = np.asarray(own.groupby(TASK, observed=True).ngroup(), dtype=np.int64)
    return CategoryShare(
        label, category, clustered_proportion(floats(own, "solved"), tasks, confidence), len(np.unique(tasks))
    )


def _cells(found: Proportion | None) -> tuple[float | None, float | None, float | None]:
    return (found.rate, found.interval.low, found.interval.high) if found else (None, None, None)
