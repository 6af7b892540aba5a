"""Success as a function of what is spent on a task: what each arm would have had, had it been stopped there.

At a budget, a trial that fits into it as a whole has the answer that it chose. One that does not has the best of the
attempts that fit, as the public tests tell: the first that passes all of them, else the one that passes most, of
equals one that parses, then the earliest. With nothing finished it is unsolved. Attempts that write no solution (parts
of a split task) cost, and are no answers.

What attempts cost is added up in the order in which they were decided. For attempts in parallel this is what they took
together, as if one had followed the other: a budget of work, not of waiting. A proposal, which is no inference, costs
nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from smallenough.analysis.by_task import TASK, floats
from smallenough.analysis.costs import Cost, cost_named
from smallenough.analysis.frames import FAILED, SCORED
from smallenough.analysis.statistics import Floats, Indices, mean_intervals, wilson
from smallenough.errors import InputError

ADDITIVE = ("seconds", "cpu", "energy", "money", "operations")
"""Costs that add up over the attempts of a trial, and so can be a budget."""

RESAMPLES = 2_000
"""Resamples of a band, which is drawn and not read to a digit."""

_KEY = [*TASK, "repeat"]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Trials of an arm that have no part in its curve."""

    failed: int = 0
    """They ended in an infrastructure failure."""
    unscored: int = 0
    """Free tasks, which no tests decide."""
    unmeasured: int = 0
    """What one of their attempts cost is not known."""


@dataclass(frozen=True, eq=False)
class Course:
    """How the answers of an arm's trials change as it spends."""

    arm: str
    tasks: pd.MultiIndex
    """Suite and task of each trial, sorted."""
    trial: Indices
    """Place in `tasks` of the trial that each attempt belongs to."""
    spent: Floats
    """What the trial has cost once the attempt is done."""
    change: Floats
    """1 where the attempt makes the answer right, −1 where it makes it wrong, else 0."""
    left_out: LeftOut

    def __len__(self) -> int:
        return len(self.tasks)

    @property
    def largest(self) -> float:
        """What the costliest trial took; the curve is flat from there on."""
        return float(self.spent.max(initial=0.0))

    def of(self, tasks: pd.MultiIndex) -> Course:
        """The course of some tasks alone."""
        kept = np.asarray(self.tasks.isin(tasks))
        place = np.cumsum(kept) - 1
        attempts = kept[self.trial]
        trial = np.asarray(place[self.trial[attempts]], dtype=np.int64)
        kept_tasks = pd.MultiIndex.from_tuples(self.tasks[kept].to_list(), names=TASK) if kept.any() else _NO_TASKS
        return Course(self.arm, kept_tasks, trial, self.spent[attempts], self.change[attempts], self.left_out)

    def success(self, budgets: Floats) -> Floats:
        """Whether each trial is solved at each budget, 0 or 1.

        Args:
            budgets: rising.

        Returns:
            One row a trial, one column a budget.
        """
        changes = np.zeros((len(self), len(budgets) + 1))
        np.add.at(changes, (self.trial, np.searchsorted(budgets, self.spent, side="left")), self.change)
        return np.asarray(changes.cumsum(axis=1)[:, :-1])

    def mean_success(self, budget: float) -> Floats:
        """The mean of each trial's success over all budgets from 0 to `budget`: the area below its curve, exactly."""
        share = np.clip(1 - self.spent / budget, 0, None)
        return np.asarray(np.bincount(self.trial, self.change * share, len(self)), dtype=np.float64)


_NO_TASKS = pd.MultiIndex.from_arrays([[], []], names=TASK)


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
    """The curve of every arm, from its own attempts.

    Args:
        trials: one row a trial: `label`, `suite`, `task`, `repeat`, `outcome`, `solved`.
        attempts: one row an attempt: `label`, `suite`, `task`, `repeat`, `attempt`, `solved`, `public_passed_ratio`,
            `syntax_valid` and the cost's column (see `attempt_costs` for money and operations).
        cost: one of `ADDITIVE`.
        points: about how many budgets; the curves are exact at each.
        confidence: of the band.
        resamples: of the band.
        seed: of the resampling.

    Raises:
        UnknownName: there is no such cost.
        InputError: the cost does not add up over attempts.
    """
    known = courses(trials, attempts, cost)
    usable = [course for course in known.values() if len(course)]
    budgets = _grid(usable, points)
    curves = tuple(_curve(course, budgets, confidence, resamples, seed) for course in usable)
    missing = {course.arm: course.left_out for course in known.values() if not len(course)}
    return Budgets(cost, curves, missing, confidence)


def courses(trials: pd.DataFrame, attempts: pd.DataFrame, cost: str) -> dict[str, Course]:
    """The course of every arm, by label, in the order of the trials; for the arguments see `budget_curves`."""
    column = _additive(cost).column
    return {
        str(label): _course(str(label), own, attempts[attempts["label"] == label], column)
        for label, own in trials.groupby("label", sort=False, observed=True)
    }


def resampling_course(arm: str, trials: pd.DataFrame, attempts: pd.DataFrame, cost: str) -> Course | None:
    """Independent resampling as the repeats of an arm that asks once show it: each repeat, in its order, is a sample.

    The samples of a task are one trial, its answer the best of them by the public tests. They are as independent as
    the arm's sampling makes them: at temperature 0 every repeat may say the same.

    Args:
        arm: label of an arm with one attempt a trial.
        trials: as for `budget_curves`.
        attempts: as for `budget_curves`.
        cost: one of `ADDITIVE`.

    Returns:
        The course; None where no task has two repeats that are scored.
    """
    column = _additive(cost).column
    own = trials[(trials["label"] == arm) & trials["outcome"].isin(SCORED)]
    samples = attempts[attempts["label"] == arm].merge(own[_KEY], on=_KEY)
    if not own.duplicated(TASK).any():
        return None
    samples = samples.sort_values([*_KEY, "attempt"], kind="stable")
    samples = samples.assign(attempt=samples.groupby(TASK, observed=True).cumcount(), repeat=0)
    ended = own[TASK].drop_duplicates().assign(repeat=0, outcome=SCORED[0], solved=np.nan)
    return _course(arm, ended, samples, column)


def _additive(cost: str) -> Cost:
    if cost not in ADDITIVE:
        found = cost_named(cost)
        raise InputError(f"{found.title} does not add up over attempts; as a budget take {', '.join(ADDITIVE)}")
    return cost_named(cost)


def _course(arm: str, trials: pd.DataFrame, attempts: pd.DataFrame, column: str) -> Course:
    """One arm's course. A trial whose `solved` is missing ends with the best of its attempts."""
    failed = int(trials["outcome"].isin(FAILED).sum())
    ended = trials.loc[trials["outcome"].isin(SCORED), _KEY].assign(
        final=floats(trials[trials["outcome"].isin(SCORED)], "solved")
    )
    ended = ended.sort_values(_KEY, kind="stable", ignore_index=True)
    ended["trial"] = np.arange(len(ended))
    rows = attempts[[*_KEY, "attempt"]].assign(
        cost=floats(attempts, column),
        solved=floats(attempts, "solved"),
        merit=_merit(attempts),
    )
    rows = rows.merge(ended, on=_KEY).sort_values(["trial", "attempt"], kind="stable", ignore_index=True)
    measured = rows["cost"].notna().groupby(rows["trial"]).all().reindex(ended["trial"], fill_value=False).to_numpy()
    rows = rows[measured[rows["trial"].to_numpy()]]
    place = np.cumsum(measured) - 1
    return Course(
        arm=arm,
        tasks=pd.MultiIndex.from_frame(ended.loc[measured, TASK].astype("object")),
        trial=np.asarray(place[rows["trial"].to_numpy()], dtype=np.int64),
        spent=rows.groupby("trial")["cost"].cumsum().to_numpy(dtype=np.float64),
        change=_changes(rows),
        left_out=LeftOut(failed, len(trials) - failed - len(ended), int((~measured).sum())),
    )


def _merit(attempts: pd.DataFrame) -> Floats:
    """How good the public tests find each attempt, as strategies see it: any order of numbers, −1 for no solution."""
    passed = np.nan_to_num(floats(attempts, "public_passed_ratio"))
    parses = (np.nan_to_num(floats(attempts, "syntax_valid")) > 0) | (passed > 0)
    return np.where(np.isnan(floats(attempts, "solved")), -1.0, passed + parses)


def _changes(rows: pd.DataFrame) -> Floats:
    """What each attempt changes in whether its trial's answer is right. Rows are sorted by trial and attempt."""
    trial = rows["trial"]
    before = rows.groupby("trial")["merit"].cummax().groupby(trial).shift(fill_value=-1.0)
    answer = rows["solved"].where(rows["merit"] > before).groupby(trial).ffill().fillna(0.0)
    last = ~trial.duplicated(keep="last") & rows["final"].notna()
    answer = answer.where(~last, rows["final"])
    return (answer - answer.groupby(trial).shift(fill_value=0.0)).to_numpy(dtype=np.float64)


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


def told(found: Budgets) -> tuple[str, ...]:
    """What a reader of the curves must know about what is not in them."""
    title = cost_named(found.cost).title
    lines = [
        f"No curve of {arm!r}: none of its trials is scored and has its {title} measured." for arm in found.missing
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
