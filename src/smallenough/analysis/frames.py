"""The two frames that analysis works on: what they must hold, checked once, and the pairs of two arms.

`trials` has one row a trial, `arms` one row an arm of a session; the tracking reader brings both. A column of a
measure that is missing is a measure that was not taken. After `prepare` the rows have one order, whatever order they
came in, so that no result depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from smallenough.analysis.costs import COSTS, attempt_costs, trial_costs
from smallenough.analysis.measures import ARM_MEASURES, TRIAL_MEASURES
from smallenough.analysis.numbering import numbered
from smallenough.errors import InputError, UnknownName

if TYPE_CHECKING:
    from smallenough.analysis.money import Prices
    from smallenough.analysis.statistics import Floats, Indices

IDENTITY = ("session", "arm", "model", "provider", "strategy", "suite", "task", "repeat", "baseline", "outcome")
"""Columns of `trials` that can't be missing, `solved` besides."""

SCORED = ("solved", "unsolved")
FAILED = ("model_failed", "sandbox_failed", "scorer_failed")
OUTCOMES = (*SCORED, "unscored", *FAILED)

_MEASURED = tuple(dict.fromkeys([one.name for one in TRIAL_MEASURES] + [cost.column for cost in COSTS.values()]))
"""Columns of `trials` that hold numbers."""

_SHARED_BY = {
    "wall_seconds": "latency_seconds",
    "cpu_seconds": "cpu_seconds",
    "energy_joules": "energy_joules",
    "gpu_energy_joules": "energy_joules",
}
"""Totals of an arm, and the column of its trials by whose sums they are shared out."""

_KEY = ["label", "suite", "task", "repeat"]


@dataclass(frozen=True, slots=True)
class Frames:
    """Checked frames, and the names of what is compared."""

    trials: pd.DataFrame
    """With `label`, the arm's name in this comparison; `task_number` and `asked`, the same for all arms at the same
    task, and at the same task and repeat; measures are float64 with NaN for 'not measured'."""
    arms: pd.DataFrame
    """One row an arm, by `label`; every measure is there."""
    attempts: pd.DataFrame
    """With `label`, and what each cost; without rows where attempts were not read."""
    labels: tuple[str, ...]
    """The arms that are compared, in the order of `arms`."""
    ambiguous: tuple[str, ...]
    """Names that arms of several sessions share: their labels name the session too."""

    def of(self, label: str) -> pd.DataFrame:
        """The trials of an arm: a part of `trials`, which has them one after the other."""
        own = np.flatnonzero((self.trials["label"] == label).to_numpy(dtype=bool))
        return self.trials.iloc[own[0] : own[-1] + 1] if len(own) else self.trials.iloc[:0]


@dataclass(frozen=True, slots=True)
class Pairs:
    """One measure of two arms on what both were asked: the same task, the same repeat."""

    arm: Floats
    baseline: Floats
    tasks: Indices
    """The number of the task that each pair belongs to."""

    def __len__(self) -> int:
        return len(self.arm)

    def discordant(self) -> tuple[int, int]:
        """Tasks at which the arm does better than the baseline, and worse, by the mean over a task's repeats.

        Repeats of a task are no independent pairs, tasks are. With one repeat this is the count of McNemar's test.
        """
        if not len(self):
            return 0, 0
        sums = np.bincount(self.tasks, weights=self.arm - self.baseline)
        return int((sums > 0).sum()), int((sums < 0).sum())


def prepare(
    trials: pd.DataFrame,
    arms: pd.DataFrame,
    attempts: pd.DataFrame | None = None,
    prices: Prices | None = None,
) -> Frames:
    """Checks the frames, gives every arm the name that it has in a comparison, and reckons what each trial cost.

    Args:
        trials: one row a trial.
        arms: one row an arm of a session.
        attempts: one row an attempt; None: operations and money of trials are not known.
        prices: what is charged; None: money is not known.

    Raises:
        InputError: there are no trials, a column or a value is missing, a trial or an arm is there twice, or what is
            said of a trial contradicts itself.
    """
    if trials.empty:
        raise InputError("there are no trials to compare; run an experiment first, or name a session that has some")
    _need(trials, (*IDENTITY, "solved"), "trials")
    _need(arms, ("session", "arm"), "arms")
    _need_values(trials, ("session", "arm", "suite", "task", "repeat", "outcome"), "trials")
    _need_values(arms, ("session", "arm"), "arms")
    _check_outcomes(trials)
    known = _arms_in_order(trials, arms)
    ambiguous = set(known.loc[known["arm"].duplicated(), "arm"])
    known["label"] = [
        f"{arm} @ {session}" if arm in ambiguous else arm
        for session, arm in zip(known["session"], known["arm"], strict=True)
    ]
    costed = attempt_costs(pd.DataFrame() if attempts is None else attempts, known, prices)
    return Frames(
        trials=_checked_trials(_labelled(trial_costs(trials, costed), known)),
        attempts=_labelled(costed, known) if len(costed) else costed,
        arms=_numbers(known.set_index("label"), ARM_MEASURES, "arms"),
        labels=tuple(known["label"]),
        ambiguous=tuple(sorted(ambiguous)),
    )


def common_tasks(frames: Frames) -> Frames:
    """What every arm tried: the same tasks of the same suite, the same repeats.

    Of an arm that tried more, the totals become the shares of the tasks that stay; its peaks are the whole arm's.

    Raises:
        InputError: there is nothing that every arm tried.
    """
    key = _KEY[1:]
    tried = frames.trials.groupby(key, observed=True)["label"].nunique()
    shared = tried.index[tried == len(frames.labels)]
    idle = [label for label in frames.labels if label not in set(frames.trials["label"])]
    if idle:
        raise InputError(f"{', '.join(map(repr, idle))}: no trials yet, so that no task was tried by every arm")
    if not len(shared):
        raise InputError("no task was tried by every arm; compare arms of one suite, or name fewer sessions")
    kept = [
        frame[pd.MultiIndex.from_frame(frame[key]).isin(shared)].reset_index(drop=True) if len(frame) else frame
        for frame in (frames.trials, frames.attempts)
    ]
    return replace(frames, trials=kept[0], attempts=kept[1], arms=_shares(frames, kept[0]))


def _shares(frames: Frames, kept: pd.DataFrame) -> pd.DataFrame:
    """The arms with the totals of the trials that are kept: each total by the share that their trials took of it."""
    arms = frames.arms.copy()
    before, after = (frame.groupby("label", observed=True).size() for frame in (frames.trials, kept))
    untouched = after == before
    for total, share in _SHARED_BY.items():
        whole, some = (
            frame.groupby("label", observed=True)[share].agg(lambda own: own.sum(min_count=1))
            for frame in (frames.trials, kept)
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = np.where(untouched[some.index] | (some == whole), 1.0, some / whole)
        arms[total] = arms[total] * factor[some.index.get_indexer(arms.index)]
    return arms


def choose_baseline(frames: Frames, wanted: str | None) -> str:
    """The label of the arm that the others are compared with: the one that is wanted, the flagged, or the first.

    An arm is named whole, or by the words with which only it begins.

    Raises:
        UnknownName: no arm is called `wanted`.
        InputError: arms of several sessions are called `wanted`.
    """
    if wanted is None:
        flagged = flagged_baselines(frames)
        return flagged[0] if flagged else frames.labels[0]
    if wanted in frames.labels:
        return wanted
    if wanted in frames.ambiguous:
        choices = [label for label in frames.labels if label.startswith(f"{wanted} @ ")]
        raise InputError(f"several sessions have an arm {wanted!r}; name one as baseline: {', '.join(choices)}")
    begun = [label for label in frames.labels if label.startswith(f"{wanted} ")]
    if len(begun) == 1:
        return begun[0]
    raise UnknownName("arm", wanted, begun or frames.labels)


def flagged_baselines(frames: Frames) -> tuple[str, ...]:
    """The labels of the arms whose trials are flagged as the baseline's."""
    flagged = set(frames.trials.loc[frames.trials["baseline"], "label"])
    return tuple(label for label in frames.labels if label in flagged)


def pair(frames: Frames, arm: str, baseline: str, measure: str) -> Pairs:
    """The values of `measure` at every task and repeat for which both arms have one.

    Args:
        frames: as `prepare` gives them.
        arm: label of one arm.
        baseline: label of the other.
        measure: a column of the trials. Trials that ended in an infrastructure failure have no part in it.
    """
    trials = frames.trials
    values, labels = trials[measure].to_numpy(dtype=np.float64), trials["label"].to_numpy(dtype=object)
    usable = ~(trials["failed"].to_numpy(dtype=bool) | np.isnan(values))
    asked, task = (trials[name].to_numpy(dtype=np.int64) for name in ("asked", "task_number"))
    left, right = (np.flatnonzero(usable & (labels == label)) for label in (arm, baseline))
    _, ours, theirs = np.intersect1d(asked[left], asked[right], assume_unique=True, return_indices=True)
    return Pairs(arm=values[left[ours]], baseline=values[right[theirs]], tasks=task[left[ours]])


def _need(frame: pd.DataFrame, columns: tuple[str, ...], name: str) -> None:
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise InputError(f"the frame of {name} lacks the columns {', '.join(missing)}")


def _need_values(frame: pd.DataFrame, columns: tuple[str, ...], name: str) -> None:
    for column in columns:
        missing = int(frame[column].isna().sum())
        if missing:
            raise InputError(f"the frame of {name} has {missing} rows without {column}")


def _check_outcomes(trials: pd.DataFrame) -> None:
    """Refuses outcomes that there are not, and a `solved` that says something else than the outcome."""
    unknown = set(trials["outcome"]) - set(OUTCOMES)
    if unknown:
        raise UnknownName("outcome", sorted(map(str, unknown))[0], OUTCOMES)
    expected = trials["outcome"].map({"solved": 1.0, "unsolved": 0.0}).astype("float64")
    said = trials["solved"].astype("boolean").astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    wrong = ~((expected == said) | (expected.isna() & np.isnan(said)))
    if wrong.any():
        row = trials[wrong.to_numpy()].iloc[0]
        raise InputError(
            f"trial {row['arm']}/{row['task']}/{row['repeat']} of session {row['session']} is {row['outcome']},"
            f" but its solved is {row['solved']}; read the session again"
        )


def _arms_in_order(trials: pd.DataFrame, arms: pd.DataFrame) -> pd.DataFrame:
    """One row an arm of a session: those of `arms` in their order, then by name those that only trials tell of."""
    key = ["session", "arm"]
    if arms.duplicated(key).any():
        first = arms[arms.duplicated(key)].iloc[0]
        raise InputError(f"arms: {first['arm']!r} of session {first['session']} is there twice")
    seen = trials[key].drop_duplicates().sort_values(key)
    extra = seen.merge(arms[key], on=key, how="left", indicator=True)
    extra = extra.loc[extra["_merge"] == "left_only", key]
    if arms.empty:
        return extra.reset_index(drop=True)
    return pd.concat([arms, extra], ignore_index=True) if len(extra) else arms.reset_index(drop=True)


def _labelled(frame: pd.DataFrame, known: pd.DataFrame) -> pd.DataFrame:
    """The rows of the arms that are known, with their labels."""
    arms, rows = (pd.MultiIndex.from_frame(one[["session", "arm"]]) for one in (known, frame))
    place = arms.get_indexer(rows)
    kept = frame if (place >= 0).all() else frame[place >= 0]
    return kept.assign(label=known["label"].to_numpy()[place[place >= 0]])


def _checked_trials(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials with flags, plain floats, and numbers of what was asked, in one order."""
    task = numbered(trials, ["suite", "task"])
    asked = numbered(trials.assign(task_number=task), ["task_number", "repeat"])
    order = np.lexsort([asked, numbered(trials, ["label"])])
    found = trials.assign(
        baseline=trials["baseline"].astype("boolean").fillna(False).astype(bool),
        failed=trials["outcome"].isin(FAILED),
        task_number=task,
        asked=asked,
    )
    found = _numbers(found, ("solved", "first_attempt_solved", *_MEASURED), "trials").take(order)
    found.index = pd.RangeIndex(len(found))
    twice = found.duplicated(["label", "asked"])
    if twice.any():
        row = found[twice].iloc[0]
        raise InputError(f"trials: {row['label']}/{row['task']}/{row['repeat']} of suite {row['suite']} is there twice")
    return found


def _numbers(frame: pd.DataFrame, columns: tuple[str, ...], name: str) -> pd.DataFrame:
    """`frame` with `columns` as float64, NaN where a value or the whole column is missing."""
    found: dict[str, Floats] = {}
    for column in columns:
        if column not in frame.columns:
            found[column] = np.full(len(frame), np.nan)
            continue
        try:
            values = pd.to_numeric(frame[column]).astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
        except (TypeError, ValueError) as error:
            raise InputError(f"{name}: the column {column} holds something that is no number: {error}") from error
        if np.isinf(values).any():
            raise InputError(f"{name}: the column {column} holds an infinite value; NA is for what was not measured")
        if (values < 0).any():
            raise InputError(f"{name}: the column {column} holds a value below 0, which nothing that is measured has")
        found[column] = np.asarray(values, dtype=np.float64)
    return frame.assign(**found)
