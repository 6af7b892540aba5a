"""The front of success against a cost: the arms to which no other is preferable, and how sure that is.

An arm is dominated where another one solves at least as much for at most as much, and one of the two better. How sure
the front is, tells the bootstrap: tasks are drawn anew, for all arms together, and the share of draws is counted in
which an arm is on the front. Each task counts once, by the mean over its repeats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from smallenough.analysis.by_task import scored, task_means
from smallenough.analysis.costs import cost_named
from smallenough.analysis.courses import MOST_UNMEASURED
from smallenough.analysis.statistics import (
    RESAMPLES,
    Floats,
    Interval,
    clustered_proportion,
    mean_intervals,
    resampled_means,
)
from smallenough.wording import share

Flags: TypeAlias = NDArray[np.bool_]

_SAME = 1e-9
"""Means that differ by less, relative to the largest, differ by rounding only."""


@dataclass(frozen=True, slots=True)
class FrontArm:
    """Where an arm stands, on the tasks that all arms have."""

    arm: str
    success: float
    success_interval: Interval | None
    """Wilson's, as in a comparison; where tasks were repeated, the bootstrap's. None: nothing to resample."""
    cost: float
    """Of a trial, in the unit of the cost; or the arm's own, where that was given."""
    cost_interval: Interval | None
    on_front: bool
    front_share: float
    """Share of the resamples in which it is on the front."""


@dataclass(frozen=True, slots=True)
class Front:
    """The arms beside one another, the cheapest first."""

    cost: str
    """By the name that it has in `COSTS`."""
    arms: tuple[FrontArm, ...]
    missing: tuple[str, ...]
    """Arms that are left out: what they cost is not known, or not of all of their tasks."""
    tasks: int
    """Those that all arms have, scored and measured."""
    other_tasks: int
    """Those that only some of the arms have: they have no part in it."""

    def to_frame(self) -> pd.DataFrame:
        """One row an arm.

        `arm` is `string`, `on_front` is `bool`; `success_rate`, the cost by its column's name (`latency_seconds`),
        both with `_low` and `_high`, and `front_share` are `Float64`. Shares are 0 to 1.
        """
        column = cost_named(self.cost).column
        types = {
            "arm": "string",
            **dict.fromkeys(("success_rate", "success_rate_low", "success_rate_high"), "Float64"),
            **dict.fromkeys((column, f"{column}_low", f"{column}_high"), "Float64"),
            "on_front": "bool",
            "front_share": "Float64",
        }
        rows = [
            (
                *(one.arm, one.success, *_ends(one.success_interval), one.cost, *_ends(one.cost_interval)),
                *(one.on_front, one.front_share),
            )
            for one in self.arms
        ]
        return pd.DataFrame(rows, columns=list(types)).astype(types)


def pareto_front(
    trials: pd.DataFrame,
    cost: str,
    *,
    totals: Mapping[str, float | None] | None = None,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Front:
    """The front of success against one cost.

    Args:
        trials: one row a trial: `label`, `suite`, `task`, `outcome`, `solved`, and the cost's column.
        cost: a name in `COSTS`.
        totals: what the whole arm has or takes, by label, in place of the trials' column: what is no property of a
            task, such as peak memory, is the same in every resample. Arms without a value are left out.
        confidence: of the intervals.
        resamples: of tasks.
        seed: of the resampling.

    Raises:
        UnknownName: there is no such cost.
    """
    known = scored(trials)
    labels = [str(label) for label in trials["label"].drop_duplicates()]
    success = task_means(known, "solved")
    costs = _costs(known, success, cost, totals)
    measured = costs[success.notna()].notna().sum() / success.notna().sum()
    kept = [label for label in labels if label in costs and measured[label] >= 1 - MOST_UNMEASURED]
    common = (success[kept].notna() & costs[kept].notna()).all(axis=1).to_numpy()
    asked = int(success[kept].notna().any(axis=1).sum())
    values = np.hstack([success[kept].to_numpy(dtype=np.float64), costs[kept].to_numpy(dtype=np.float64)])[common]
    arms = _stand(kept, values, confidence, resamples, seed) if kept and len(values) else []
    return Front(
        cost=cost,
        arms=tuple(sorted(arms, key=lambda one: (one.cost, -one.success))),
        missing=tuple(label for label in labels if label not in kept),
        tasks=len(values),
        other_tasks=asked - len(values),
    )


def on_front(success: Floats, costs: Floats) -> Flags:
    """Which arms are not dominated, within each row.

    Args:
        success: one row a resample, one column an arm.
        costs: of the same shape.

    Returns:
        Of the same shape. Means that differ by rounding only are equal.
    """
    near = _SAME * np.abs(success).max(initial=0.0), _SAME * np.abs(costs).max(initial=0.0)
    free = np.ones(success.shape, dtype=np.bool_)
    for arm in range(success.shape[1]):
        more, less = success - success[:, [arm]], costs[:, [arm]] - costs
        better = (more >= -near[0]) & (less >= -near[1]) & ((more > near[0]) | (less > near[1]))
        free[:, arm] = ~better.any(axis=1)
    return free


def sentences(front: Front) -> tuple[str, ...]:
    """Who is on the front and how surely, and who is left out."""
    cost = cost_named(front.cost)
    on, off = ([one for one in front.arms if one.on_front == flag] for flag in (True, False))
    lines = []
    if on:
        lines.append(f"On the front of success against {cost.title}, by {_tasks(front.tasks)}: {_shares(on)}.")
    if off:
        lines.append(f"Not on it, since another arm solves at least as much for at most as much: {_shares(off)}.")
    if not front.arms:
        lines.append(f"There is no front of success against {cost.title}: no task has both measured for every arm.")
    if front.missing:
        named = ", ".join(map(repr, front.missing))
        lines.append(f"Left out, since their {cost.title} was not measured, or not of all of their tasks: {named}.")
    if front.arms and front.other_tasks:
        lines.append(
            f"{_tasks(front.other_tasks)[0].upper()}{_tasks(front.other_tasks)[1:]} that not all arms have"
            " are left out."
        )
    return tuple(lines)


def _costs(
    trials: pd.DataFrame, success: pd.DataFrame, cost: str, totals: Mapping[str, float | None] | None
) -> pd.DataFrame:
    """The cost of each task, one column an arm; of totals, the same for each task."""
    column = cost_named(cost).column
    if totals is None:
        return task_means(trials, column).reindex(index=success.index, columns=success.columns)
    rows = {label: np.nan if totals.get(str(label)) is None else totals[str(label)] for label in success.columns}
    return pd.DataFrame(rows, index=success.index, columns=success.columns, dtype=np.float64)


def _stand(labels: list[str], values: Floats, confidence: float, resamples: int, seed: int) -> list[FrontArm]:
    count = len(labels)
    means = values.mean(axis=0)
    drawn = resampled_means(values, resamples=resamples, seed=seed)
    intervals = mean_intervals(values, confidence=confidence, resamples=resamples, seed=seed)
    rates = [_rate_interval(values[:, arm], confidence) or intervals[arm] for arm in range(count)]
    now = on_front(means[None, :count], means[None, count:])[0]
    shares = on_front(drawn[:, :count], drawn[:, count:]).mean(axis=0)
    return [
        FrontArm(
            arm=label,
            success=float(means[arm]),
            success_interval=rates[arm],
            cost=float(means[count + arm]),
            cost_interval=intervals[count + arm],
            on_front=bool(now[arm]),
            front_share=float(shares[arm]),
        )
        for arm, label in enumerate(labels)
    ]


def _rate_interval(values: Floats, confidence: float) -> Interval | None:
    """The interval that the rate has in a comparison's table; None: shares, of tasks with repeats."""
    if not np.isin(values, (0.0, 1.0)).all():
        return None
    found = clustered_proportion(values, None, confidence)
    return found.interval if found else None


def _ends(interval: Interval | None) -> tuple[float | None, float | None]:
    return (interval.low, interval.high) if interval else (None, None)


def _shares(arms: list[FrontArm]) -> str:
    return ", ".join(f"{one.arm!r} (in {share(one.front_share)} of resamples)" for one in arms)


def _tasks(count: int) -> str:
    return "1 task" if count == 1 else f"{count} tasks"
