"""What each trial would have had, had it been stopped after so much was spent.

At a budget, a trial that fits into it as a whole has the answer that it chose. One that does not has the best of the
attempts that fit, as the public tests tell: the first that passes all of them, else the one that passes most, of
equals one that parses, then the earliest. With nothing finished it is unsolved. Attempts that write no solution (parts
of a split task) cost, and are no answers.

What attempts cost is added up in the order in which they were decided. For attempts in parallel this is what they took
together, as if one had followed the other: a budget of work, not of waiting. A proposal, which is no inference, costs
nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from smallenough.analysis.by_task import TASK, floats
from smallenough.analysis.costs import Cost, cost_named
from smallenough.analysis.frames import FAILED, SCORED
from smallenough.analysis.statistics import Floats, Indices
from smallenough.errors import InputError

ADDITIVE = ("seconds", "cpu", "energy", "money", "operations")
"""Costs that add up over the attempts of a trial, and so can be a budget."""

ONE_SHOT, RESAMPLING = "single", "best_of_n"
"""Strategies that others are set beside."""

MOST_UNMEASURED = 0.05
"""Share of an arm's scored trials that may lack a cost. What such trials have in common (that a cascade asked its large
model, say) tells them apart from the others: without them, an arm looks better or worse than it is."""

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
    def whole(self) -> bool:
        """Whether it stands for its arm: trials whose cost is not known may be others than the rest, so few may be."""
        return len(self) > 0 and self.left_out.unmeasured <= MOST_UNMEASURED * (len(self) + self.left_out.unmeasured)

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


def courses(trials: pd.DataFrame, attempts: pd.DataFrame, cost: str) -> dict[str, Course]:
    """The course of every arm, by label, in the order of the trials.

    Args:
        trials: one row a trial: `label`, `suite`, `task`, `repeat`, `outcome`, `solved`.
        attempts: one row an attempt: `label`, `suite`, `task`, `repeat`, `attempt`, `solved`, `public_passed_ratio`,
            `syntax_valid` and the cost's column (see `attempt_costs` for money and operations).
        cost: one of `ADDITIVE`.

    Raises:
        UnknownName: there is no such cost.
        InputError: the cost does not add up over attempts.
    """
    column = _additive(cost).column
    return {
        str(label): _course(str(label), own, attempts[attempts["label"] == label], column)
        for label, own in trials.groupby("label", sort=False, observed=True)
    }


def resampling_courses(trials: pd.DataFrame, attempts: pd.DataFrame, cost: str) -> dict[str, Course]:
    """Independent resampling where no arm does it: read off the repeats of the arms that ask once.

    Args:
        trials: as for `courses`, with `model`, `provider` and `strategy`.
        attempts: as for `courses`.
        cost: one of `ADDITIVE`.

    Returns:
        By label, the courses of those `single` arms that have repeats and whose model no `best_of_n` arm asks.
    """
    arms = trials.drop_duplicates("label").set_index("label")[["model", "provider", "strategy"]].astype("object")
    sampled = set(arms.loc[arms["strategy"] == RESAMPLING, ["model", "provider"]].itertuples(index=False, name=None))
    once = arms[arms["strategy"] == ONE_SHOT]
    found = {
        str(label): resampling_course(str(label), trials, attempts, cost)
        for label, model, provider in once[["model", "provider"]].itertuples(name=None)
        if (model, provider) not in sampled
    }
    return {label: course for label, course in found.items() if course is not None}


def resampling_course(arm: str, trials: pd.DataFrame, attempts: pd.DataFrame, cost: str) -> Course | None:
    """Independent resampling as the repeats of an arm that asks once show it: each repeat, in its order, is a sample.

    The samples of a task are one trial, its answer the best of them by the public tests. They are as independent as
    the arm's sampling makes them: at temperature 0 every repeat may say the same.

    Args:
        arm: label of an arm with one attempt a trial.
        trials: as for `courses`.
        attempts: as for `courses`.
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
    spent = rows.groupby("trial")["cost"].cumsum().groupby(rows["trial"]).cummax()  # rounding must not let it fall
    return Course(
        arm=arm,
        tasks=pd.MultiIndex.from_frame(ended.loc[measured, TASK].astype("object")),
        trial=np.asarray(place[rows["trial"].to_numpy()], dtype=np.int64),
        spent=np.asarray(spent, dtype=np.float64),
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
