"""What a strategy is worth at equal cost: an arm beside another one, both stopped at the same budgets.

Every arm with a strategy of its own (branching, a cascade, a plugin's) is set beside independent resampling and beside
one attempt, of the same model. A strategy that costs three inferences has to beat three inferences, not one. The
intervals are of each pair of arms alone, not corrected for several.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from smallenough.analysis.budgets import RESAMPLES
from smallenough.analysis.by_task import TASK, Success, caveat, cells, success_of, told
from smallenough.analysis.costs import cost_named
from smallenough.analysis.courses import ONE_SHOT, RESAMPLING, Course, courses, resampling_courses
from smallenough.analysis.criterion import TIE
from smallenough.analysis.statistics import Difference, Floats, paired_difference
from smallenough.analysis.wording import points
from smallenough.wording import share

Beside: TypeAlias = Literal["one attempt", "resampling"]


@dataclass(frozen=True, slots=True)
class AtBudget:
    """Two arms stopped at equal cost. Each task counts once, by the mean over its repeats."""

    budget: float
    """The largest budget that both curves cover: what the costliest trial took on the common tasks, of that arm of
    which it took less. It is held fixed in the intervals. What exceeds it by no more than `TIE` still fits: the same
    answer takes a little more in one arm than in another."""
    success: Success
    """At `budget`."""
    over_range: Difference | None
    """Of the mean success over all budgets up to `budget`: the area between the curves by its width. None: everything
    is free."""


@dataclass(frozen=True, slots=True)
class EqualBudget:
    """An arm beside another one at equal cost."""

    arm: str
    strategy: str
    """Of the arm."""
    other: str
    beside: Beside
    """What the other arm stands for."""
    from_repeats: bool
    """Whether resampling is read off the repeats of an arm that asks once."""
    cost: str
    """By the name that it has in `COSTS`."""
    at: AtBudget


def equal_budgets(
    trials: pd.DataFrame,
    attempts: pd.DataFrame,
    cost: str,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[EqualBudget, ...]:
    """Every arm with a strategy of its own beside resampling and beside one attempt of the same model.

    Resampling is every `best_of_n` arm of the model; where there is none, the repeats of its `single` arms.

    Args:
        trials: as for `courses`, with `model`, `provider` and `strategy`.
        attempts: as for `courses`.
        cost: one of `ADDITIVE`.
        confidence: of the intervals.
        resamples: of the intervals.
        seed: of the resampling.

    Raises:
        UnknownName: there is no such cost.
        InputError: the cost does not add up over attempts.
    """
    known, repeated = (
        {label: course for label, course in made(trials, attempts, cost).items() if course.whole}
        for made in (courses, resampling_courses)
    )
    arms = trials.drop_duplicates("label").set_index("label")[["model", "provider", "strategy"]].astype("object")
    found = []
    own = arms[~arms["strategy"].isin([ONE_SHOT, RESAMPLING]) & arms.index.isin(list(known))]
    for label, row in own.iterrows():
        alike = arms[(arms["model"] == row["model"]) & (arms["provider"] == row["provider"])]
        singles, sampled = (
            [str(one) for one in alike.index[alike["strategy"] == strategy]] for strategy in (ONE_SHOT, RESAMPLING)
        )
        others: list[tuple[Course, Beside, bool]] = [
            *((known[one], "resampling", False) for one in sampled if one in known),
            *((repeated[one], "resampling", True) for one in singles if one in repeated),
            *((known[one], "one attempt", False) for one in singles if one in known),
        ]
        for other, beside, from_repeats in others:
            at = at_equal_budget(known[str(label)], other, confidence=confidence, resamples=resamples, seed=seed)
            if at:
                found.append(EqualBudget(str(label), str(row["strategy"]), other.arm, beside, from_repeats, cost, at))
    return tuple(found)


def at_equal_budget(
    arm: Course,
    other: Course,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> AtBudget | None:
    """Two arms stopped at the largest budget that both cover, and at all budgets up to it.

    Returns:
        What they differ by; None where no task is common.
    """
    common = arm.tasks.unique().intersection(other.tasks.unique())
    if not len(common):
        return None
    left, right = arm.of(common), other.of(common)
    budget = min(left.largest, right.largest)
    limit = np.array([budget * (1 + TIE)])
    one, two = (_by_task(course, course.success(limit)[:, 0]) for course in (left, right))
    success = success_of(one, two, confidence=confidence, resamples=resamples, seed=seed)
    assert success is not None  # the common tasks are scored
    if budget == 0:
        return AtBudget(budget, success, None)
    one, two = (_by_task(course, course.mean_success(budget)) for course in (left, right))
    over = paired_difference(one, two, confidence=confidence, resamples=resamples, seed=seed)
    return AtBudget(budget, success, over)


def to_frame(found: Sequence[EqualBudget]) -> pd.DataFrame:
    """One row a pair of arms.

    `arm`, `strategy`, `other`, `beside`, `cost` and `finding` are `string`, `from_repeats` is `bool`; `budget` (in the
    unit of the cost), `success_rate` and `other_success_rate` at it, `difference` with `_low` and `_high`, and the same
    of `mean_difference` over all budgets up to it, and `mcnemar_p` are `Float64`; `better`, `worse` and `tasks` (counts
    of tasks) are `Int64`.
    """
    types = {
        **dict.fromkeys(("arm", "strategy", "other", "beside", "cost", "finding"), "string"),
        "from_repeats": "bool",
        **dict.fromkeys(("budget", "success_rate", "other_success_rate"), "Float64"),
        **dict.fromkeys(("difference", "difference_low", "difference_high"), "Float64"),
        **dict.fromkeys(("mean_difference", "mean_difference_low", "mean_difference_high"), "Float64"),
        "mcnemar_p": "Float64",
        **dict.fromkeys(("better", "worse", "tasks"), "Int64"),
    }
    rows = [
        (
            *(one.arm, one.strategy, one.other, one.beside, one.cost, one.at.success.finding, one.from_repeats),
            *(one.at.budget, one.at.success.difference.arm_mean, one.at.success.difference.baseline_mean),
            *cells(one.at.success.difference),
            *cells(one.at.over_range),
            *(one.at.success.mcnemar_p, one.at.success.better, one.at.success.worse),
            one.at.success.difference.clusters,
        )
        for one in found
    ]
    return pd.DataFrame(rows, columns=list(types)).astype(types)


def sentence(found: EqualBudget, currency: str = "") -> str:
    """What a pair of arms shows, in words with the numbers behind it; money in `currency`."""
    cost, success = cost_named(found.cost), found.at.success
    rival = f"{found.beside} at equal {cost.title}"
    said = {
        "better": f"{found.strategy} beats {rival}",
        "worse": f"{found.strategy} does worse than {rival}",
        "not better": f"{found.strategy} does not beat {rival}",
        "not enough data": f"not enough data to tell whether {found.strategy} beats {rival}",
    }[success.finding]
    source = ", its repeats taken as samples," if found.from_repeats else ""
    difference = success.difference
    tasks = "1 common task" if difference.clusters == 1 else f"{difference.clusters} common tasks"
    text = (
        f"{said[0].upper()}{said[1:]}: with at most {cost.told(found.at.budget, currency)} a task, {found.arm!r} solves"
        f" {share(difference.arm_mean)} and {found.other!r}{source} {share(difference.baseline_mean)} of {tasks},"
        f" a difference of {told(success)}"
    )
    over = found.at.over_range
    though = success.finding != "better" and over and over.interval and over.interval.low > 0
    average = (
        f"{', though' if though else ';'} on average over all smaller budgets it is {points(over)}" if over else ""
    )
    return f"{text}{average}.{caveat(success)}"


def sentences(found: Sequence[EqualBudget], currency: str = "") -> tuple[str, ...]:
    """Every pair of arms in words; where there is none, why."""
    if found:
        return tuple(sentence(one, currency) for one in found)
    return (
        "No arm can be set beside another at equal cost: that takes a strategy of its own and, of the same model on the"
        " same tasks, best_of_n or single, with the cost measured.",
    )


def _by_task(course: Course, values: Floats) -> Floats:
    """The mean over the trials of each task, in the order of the tasks."""
    means = pd.Series(values, index=course.tasks).groupby(level=TASK).mean()
    return np.asarray(means, dtype=np.float64)
