"""Success as a function of what is spent on a task: each arm's curve, from its own attempts, with a band.

What a trial has at a budget is said in `courses`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from smallenough.analysis.costs import cost_named
from smallenough.analysis.courses import Course, LeftOut, courses, resampling_courses
from smallenough.analysis.statistics import Floats, mean_intervals, wilson

METHOD = (
    "At a budget, a trial that fits into it as a whole has the answer that it chose; any other has the best of the"
    " attempts that fit, as the public tests tell, and with none is unsolved. What attempts cost is added up in their"
    " order, also where they ran in parallel: a budget of work, not of waiting."
)
"""What the curves show, for a reader."""

RESAMPLES = 2_000
"""Resamples of what is drawn, or told for many pairs of arms and costs: the ends of an interval are then good to about
5% of its width."""


@dataclass(frozen=True, slots=True)
class BudgetCurve:
    """Success of one arm at each budget, with a pointwise band."""

    arm: str
    budgets: tuple[float, ...]
    """Rising; between two of them success is that of the lower one. A budget is of one trial."""
    success: tuple[float, ...]
    """Share of the trials that are solved at the budget."""
    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    """The band, by resampling of whole tasks; where no trial is solved, or every one, the Wilson interval by the tasks;
    None: the tasks have no other spread to resample."""
    largest: float
    """What the costliest trial took: from here on the curve says nothing new."""
    trials: int
    tasks: int
    left_out: LeftOut


@dataclass(frozen=True, slots=True)
class Budgets:
    """The curves of all arms for one cost, on the same budgets."""

    cost: str
    """By the name that it has in `COSTS`."""
    curves: tuple[BudgetCurve, ...]
    missing: Mapping[str, LeftOut]
    """Arms without a curve, since none of their trials is both scored and measured."""
    confidence: float = 0.95

    def to_frame(self) -> pd.DataFrame:
        """One row an arm and budget.

        `arm` is `string`; `budget_…`, named as the cost's column is (`budget_latency_seconds`), `success_rate`,
        `success_rate_low` and `success_rate_high` are `Float64`; `trials` and `tasks` are `Int64`.
        """
        budget = f"budget_{cost_named(self.cost).column}"
        types = {
            "arm": "string",
            **dict.fromkeys((budget, "success_rate", "success_rate_low", "success_rate_high"), "Float64"),
            **dict.fromkeys(("trials", "tasks"), "Int64"),
        }
        rows = [
            (curve.arm, *point, curve.trials, curve.tasks)
            for curve in self.curves
            for point in zip(curve.budgets, curve.success, curve.low, curve.high, strict=True)
        ]
        return pd.DataFrame(rows, columns=list(types)).astype(types)


def budget_curves(
    trials: pd.DataFrame,
    attempts: pd.DataFrame,
    cost: str,
    *,
    points: int = 100,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Budgets:
    """The curve of every arm, from its own attempts; and of resampling by repeats, where no arm of the model samples.

    Args:
        trials: as for `courses`, with `model`, `provider` and `strategy`.
        attempts: as for `courses`.
        cost: one of `ADDITIVE`.
        points: about how many budgets; the curves are exact at each.
        confidence: of the band.
        resamples: of the band.
        seed: of the resampling.

    Raises:
        UnknownName: there is no such cost.
        InputError: the cost does not add up over attempts.
    """
    known = [
        *courses(trials, attempts, cost).values(),
        *(
            replace(course, arm=f"{course.arm}, repeats as samples")
            for course in resampling_courses(trials, attempts, cost).values()
        ),
    ]
    usable = [course for course in known if course.whole]
    budgets = _grid(usable, points)
    curves = tuple(_curve(course, budgets, confidence, resamples, seed) for course in usable)
    missing = {course.arm: course.left_out for course in known if not course.whole}
    return Budgets(cost, curves, missing, confidence)


def _grid(known: Sequence[Course], points: int) -> Floats:
    """Budgets at which a curve changes, evenly by how many attempts end there; the largest of each arm among them."""
    spent = np.concatenate([np.zeros(1), *(course.spent for course in known)])
    distinct = np.unique(spent)
    if len(distinct) <= points:
        return distinct
    chosen = np.quantile(spent, np.linspace(0, 1, points), method="inverted_cdf")
    return np.unique(np.concatenate([chosen, [0.0], [course.largest for course in known]]))


def _curve(course: Course, budgets: Floats, confidence: float, resamples: int, seed: int) -> BudgetCurve:
    solved = course.success(budgets)
    numbers, tasks = pd.factorize(course.tasks)
    clusters = np.asarray(numbers, dtype=np.int64)
    band = mean_intervals(solved, clusters, confidence=confidence, resamples=resamples, seed=seed)
    rate = solved.mean(axis=0).tolist()
    alike = {share: wilson(share * len(tasks), len(tasks), confidence) for share in (0, 1)}
    band = tuple(found or alike.get(share) for found, share in zip(band, rate, strict=True))
    return BudgetCurve(
        arm=course.arm,
        budgets=tuple(budgets.tolist()),
        success=tuple(rate),
        low=tuple(found.low if found else None for found in band),
        high=tuple(found.high if found else None for found in band),
        largest=course.largest,
        trials=len(course),
        tasks=len(tasks),
        left_out=course.left_out,
    )


def sentences(found: Budgets) -> tuple[str, ...]:
    """What a reader of the curves must know about what is not in them."""
    title = cost_named(found.cost).title
    lines = [
        f"No curve of {arm!r}: "
        + (
            f"{left.unmeasured} of its scored trials lack measured {title}, and may be others than the rest."
            if left.unmeasured
            else "none of its trials is scored."
        )
        for arm, left in found.missing.items()
    ]
    for curve in found.curves:
        parts = (
            (curve.left_out.failed, "ended in an infrastructure failure"),
            (curve.left_out.unscored, "no tests decide"),
            (curve.left_out.unmeasured, f"lack measured {title}"),
        )
        if gaps := [f"{count} {what}" for count, what in parts if count]:
            total = curve.trials + sum(count for count, _ in parts)
            lines.append(f"Of {total} trials of {curve.arm!r}, {', '.join(gaps)}: they have no part in its curve.")
    return tuple(lines)
