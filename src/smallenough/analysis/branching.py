"""Branching from within: which failures are rescued, what each move is good for, how deep trials go.

All of it is read off the attempts of trials that are solved or unsolved. Shares have Wilson intervals that know of
repeats. They tell what happened, not what would have happened without: a task whose first attempt fails is a harder one
than most, and a later attempt may have solved it by chance. What a move adds is for an ablation to say, and for the
same failures under independent resampling, which stand here too where an arm samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from smallenough.analysis.by_task import TASK, floats, scored
from smallenough.analysis.statistics import Floats, Proportion, clustered_proportion

KINDS: Mapping[str, str] = {
    **dict.fromkeys(("SyntaxError", "IndentationError", "TabError"), "syntax"),
    **dict.fromkeys(("NameError", "UnboundLocalError", "ImportError", "ModuleNotFoundError"), "name"),
    **dict.fromkeys(("TypeError", "AttributeError"), "type"),
    "AssertionError": "assertion",
    **dict.fromkeys(("Timeout", "TimeoutError"), "timeout"),
}
"""Kind of each class of error; every other is `other`. An attribute that is missing is a value of the wrong type."""

ORDER = ("syntax", "name", "type", "assertion", "timeout", "other")

FIRST, PART, PROPOSED = "first", "part", "whole"
"""Moves that have no note of their own: the first question; one part of a split task; a proposal, which is put together
from parts without an inference, so that there is no attempt to count."""

_KEY = ["label", *TASK, "repeat"]


@dataclass(frozen=True, slots=True)
class Rescue:
    """What became of the trials of an arm in which an attempt failed in one way, before any passed."""

    arm: str
    kind: str
    """Of the error at the first public test that failed, one of `ORDER`."""
    trials: int
    """In which such a failure was seen; each counts once, from the first on."""
    followed: int
    """Of these, in which a further attempt came after it."""
    rescued: Proportion | None
    """Of those followed, how many ended solved by what came after the failure; None: none was followed."""
    seconds_after: float | None
    """Seconds of inference after the failure, mean of those followed, rescued or not; None: not measured in all."""
    tokens_after: float | None
    """Tokens in and out after it, likewise."""
    calls_after: float | None
    """Inferences after it, likewise."""

    @property
    def seconds_per_rescue(self) -> float | None:
        """Seconds of inference after the failure, of all that were followed, for one that ended solved."""
        if self.seconds_after is None or self.rescued is None or not self.rescued.successes:
            return None
        return self.seconds_after / self.rescued.rate


@dataclass(frozen=True, slots=True)
class Move:
    """How one kind of question fared in an arm."""

    arm: str
    move: str
    """The note of its attempts (`feedback`, `hint`, `reformulate`, …), or `first`, `part`, `whole`."""
    attempts: int | None
    """None: proposals are not counted, but for those that were chosen."""
    trials: int | None
    passed: Proportion | None
    """Of the attempts with public tests, how many pass all of them; None: none had any."""
    chosen: int
    """Trials whose answer it gave."""
    chosen_solved: int
    """Of these, solved."""


@dataclass(frozen=True, slots=True)
class Reach:
    """The trials of an arm that went so deep, or took so many calls."""

    arm: str
    measure: str
    """`branching_depth` or `model_calls`."""
    value: int
    solved: Proportion
    """`n`: how many trials."""


def rescues(trials: pd.DataFrame, attempts: pd.DataFrame, confidence: float = 0.95) -> tuple[Rescue, ...]:
    """Which failures were rescued in each arm, and at what cost.

    Args:
        trials: one row a trial: `label`, `suite`, `task`, `repeat`, `outcome`, `solved`, `chosen`.
        attempts: one row an attempt: `label`, `suite`, `task`, `repeat`, `attempt`, `error`, `public_passed_ratio`,
            `latency_seconds`, `tokens_in`, `tokens_out`.
        confidence: of the intervals.
    """
    rows = _rows(trials, attempts)
    ratio = pd.Series(floats(rows, "public_passed_ratio"))
    passed = (ratio == 1).astype(float)
    before = passed.groupby(rows["trial"]).cummax().groupby(rows["trial"]).shift(fill_value=0.0)
    tokens = floats(rows, "tokens_in") + floats(rows, "tokens_out")
    rows = rows.assign(
        kind=rows["error"].astype("object").map(lambda name: KINDS.get(name, "other"), na_action="ignore"),
        followed=rows["trial"].duplicated(keep="last"),
        seconds_after=_after(floats(rows, "latency_seconds"), rows["trial"]),
        tokens_after=_after(tokens, rows["trial"]),
        calls_after=_after(np.ones(len(rows)), rows["trial"]),
    )
    failures = rows[rows["kind"].notna() & (passed == 0) & (before == 0)].drop_duplicates(["trial", "kind"])
    groups = {(str(arm), kind): group for (arm, kind), group in failures.groupby(["label", "kind"], observed=True)}
    arms = dict.fromkeys(map(str, trials["label"]))
    return tuple(
        _rescue(arm, kind, groups[arm, kind], confidence) for arm in arms for kind in ORDER if (arm, kind) in groups
    )


def moves(trials: pd.DataFrame, attempts: pd.DataFrame, confidence: float = 0.95) -> tuple[Move, ...]:
    """How each kind of question fared in each arm, in the order in which they first came.

    Args:
        trials: as for `rescues`.
        attempts: as for `rescues`, with `note`.
        confidence: of the intervals.
    """
    rows = _rows(trials, attempts)
    rows = rows.assign(move=rows["note"].astype("object").map(_move, na_action="ignore").fillna(FIRST))
    answers = rows[floats(rows, "attempt") == rows["chosen"]]
    ended = scored(trials)
    found = []
    for label, own in ended.groupby("label", sort=False, observed=True):
        mine, gave = rows[rows["label"] == label], answers[answers["label"] == label]
        for move in dict.fromkeys(mine.sort_values("attempt", kind="stable")["move"]):
            found.append(
                _moved(str(label), str(move), mine[mine["move"] == move], gave[gave["move"] == move], confidence)
            )
        rest = own[own["chosen"].notna()].merge(gave[_KEY], on=_KEY, how="left", indicator=True)
        proposed = rest[rest["_merge"] == "left_only"]
        if len(proposed):
            solved = int(np.nansum(floats(proposed, "solved")))
            found.append(Move(str(label), PROPOSED, None, None, None, len(proposed), solved))
    return tuple(found)


def reaches(trials: pd.DataFrame, measure: str = "branching_depth", confidence: float = 0.95) -> tuple[Reach, ...]:
    """Success by how deep trials went, or by how many calls they took, from the smallest number on.

    Args:
        trials: as for `rescues`, with `measure`. Trials in which it is not known are left out.
        measure: `branching_depth` or `model_calls`.
        confidence: of the intervals.
    """
    ended = scored(trials)
    ended = ended.assign(reach=floats(ended, measure), right=floats(ended, "solved")).dropna(subset=["reach"])
    found = []
    for label, own in ended.groupby("label", sort=False, observed=True):
        for value in np.unique(own["reach"]):
            group = own[own["reach"] == value]
            share = _share(group["right"].to_numpy(dtype=np.float64), group, confidence)
            assert share is not None  # a scored trial is solved or not
            found.append(Reach(str(label), measure, int(value), share))
    return tuple(found)


def rescues_frame(found: Sequence[Rescue]) -> pd.DataFrame:
    """One row an arm and kind of failure.

    `arm` and `kind` are `string`; `trials`, `followed` and `rescued` (counts of trials) are `Int64`; `rescued_rate`
    with `_low` and `_high`, and `seconds_after`, `tokens_after`, `calls_after`, `seconds_per_rescue` are `Float64`.
    """
    types = {
        **dict.fromkeys(("arm", "kind"), "string"),
        **dict.fromkeys(("trials", "followed", "rescued"), "Int64"),
        **dict.fromkeys(("rescued_rate", "rescued_rate_low", "rescued_rate_high"), "Float64"),
        **dict.fromkeys(("seconds_after", "tokens_after", "calls_after", "seconds_per_rescue"), "Float64"),
    }
    rows = [
        (
            *(one.arm, one.kind, one.trials, one.followed, *_cells(one.rescued)),
            *(one.seconds_after, one.tokens_after, one.calls_after, one.seconds_per_rescue),
        )
        for one in found
    ]
    return pd.DataFrame(rows, columns=list(types)).astype(types)


def moves_frame(found: Sequence[Move]) -> pd.DataFrame:
    """One row an arm and move.

    `arm` and `move` are `string`; `attempts`, `trials`, `passed` (attempts), `chosen` and `chosen_solved` (trials) are
    `Int64`; `passed_rate` with `_low` and `_high` is `Float64`.
    """
    types = {
        **dict.fromkeys(("arm", "move"), "string"),
        **dict.fromkeys(("attempts", "trials", "passed"), "Int64"),
        **dict.fromkeys(("passed_rate", "passed_rate_low", "passed_rate_high"), "Float64"),
        **dict.fromkeys(("chosen", "chosen_solved"), "Int64"),
    }
    rows = [
        (one.arm, one.move, one.attempts, one.trials, *_cells(one.passed), one.chosen, one.chosen_solved)
        for one in found
    ]
    return pd.DataFrame(rows, columns=list(types)).astype(types)


def reaches_frame(found: Sequence[Reach]) -> pd.DataFrame:
    """One row an arm, measure and value.

    `arm` and `measure` are `string`; `value`, `trials` and `solved` are `Int64`; `solved_rate` with `_low` and `_high`
    is `Float64`.
    """
    types = {
        **dict.fromkeys(("arm", "measure"), "string"),
        **dict.fromkeys(("value", "trials", "solved"), "Int64"),
        **dict.fromkeys(("solved_rate", "solved_rate_low", "solved_rate_high"), "Float64"),
    }
    rows = [(one.arm, one.measure, one.value, one.solved.n, *_cells(one.solved)) for one in found]
    return pd.DataFrame(rows, columns=list(types)).astype(types)


def _cells(found: Proportion | None) -> tuple[int | None, float | None, float | None, float | None]:
    """A share as the cells of a table: the successes, their share, the ends of its interval."""
    if found is None:
        return None, None, None, None
    return found.successes, found.rate, found.interval.low, found.interval.high


def _rows(trials: pd.DataFrame, attempts: pd.DataFrame) -> pd.DataFrame:
    """The attempts of scored trials in order, with `trial`, its number, and of it `right` (0 or 1) and `chosen`."""
    ended = scored(trials)
    known = ended[_KEY].assign(
        trial=np.arange(len(ended)),
        right=floats(ended, "solved"),
        chosen=floats(ended, "chosen"),
    )
    rows = attempts.drop(columns=["trial", "right", "chosen"], errors="ignore").merge(known, on=_KEY)
    return rows.sort_values(["trial", "attempt"], kind="stable", ignore_index=True)


def _rescue(arm: str, kind: str, failures: pd.DataFrame, confidence: float) -> Rescue:
    followed = failures[failures["followed"]]
    rescued = (followed["right"] == 1) & (followed["chosen"] > floats(followed, "attempt"))

    def mean(column: str) -> float | None:
        values = followed[column].to_numpy(dtype=np.float64)
        return float(values.mean()) if len(values) and not np.isnan(values).any() else None

    return Rescue(
        arm=arm,
        kind=kind,
        trials=len(failures),
        followed=len(followed),
        rescued=_share(np.asarray(rescued, dtype=np.float64), followed, confidence),
        seconds_after=mean("seconds_after"),
        tokens_after=mean("tokens_after"),
        calls_after=mean("calls_after"),
    )


def _moved(arm: str, move: str, asked: pd.DataFrame, gave: pd.DataFrame, confidence: float) -> Move:
    ratio = floats(asked, "public_passed_ratio")
    passed = np.where(np.isnan(ratio), np.nan, (ratio == 1).astype(np.float64))
    return Move(
        arm=arm,
        move=move,
        attempts=len(asked),
        trials=int(asked["trial"].nunique()),
        passed=_share(passed, asked, confidence),
        chosen=len(gave),
        chosen_solved=int(gave["right"].sum()),
    )


def _move(note: str) -> str:
    """The move that a note names; that of a part also names the part."""
    return PART if note.startswith(f"{PART} ") else note


def _share(values: Floats, rows: pd.DataFrame, confidence: float) -> Proportion | None:
    """The share of 1 among values that belong to the tasks of `rows`."""
    tasks = rows.groupby(TASK, observed=True).ngroup()
    return clustered_proportion(values, np.asarray(tasks, dtype=np.int64), confidence)


def _after(values: Floats, trial: pd.Series[int]) -> Floats:
    """What comes after each attempt in its trial, added up; NaN where a part of it is not known."""
    back = pd.Series(values)[::-1]
    turned = trial[::-1]
    known = ~back.isna().groupby(turned).cummax()
    sums = back.groupby(turned).cumsum().where(known)
    return np.asarray(sums[::-1].groupby(trial).shift(-1), dtype=np.float64)
