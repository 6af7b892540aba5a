"""The comparison: by arm, what was solved, how sure that is, and what it cost.

A pure function of the trials and the totals of the arms. Costs of CPU, memory and energy are the arms' own totals,
which are measured; tokens and seconds of inference are the trials'. Infrastructure failures are counted apart and
have no part in rates and means; a measure that was not taken is counted, and its trial left out of the mean. The
verdict is made of it elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from smallenough.analysis.against import against
from smallenough.analysis.costs import arm_money
from smallenough.analysis.evidence import (
    Against,
    ArmRow,
    Comparison,
    Counts,
    Measure,
    PerSolved,
    Totals,
)
from smallenough.analysis.frames import OUTCOMES, Frames, choose_baseline, prepare
from smallenough.analysis.measures import ARM_MEASURES, TRIAL_MEASURES
from smallenough.analysis.money import Prices
from smallenough.analysis.notes import notes
from smallenough.analysis.statistics import (
    RESAMPLES,
    PassRate,
    Proportion,
    clustered_proportion,
    pass_rates,
)

_REPEATED = 2
_MOST_K = 10
"""Of pass@k: with more repeats a table of them would tell nothing new."""
_PASS_RESAMPLES = 2_000
"""Of pass@k and pass^k, which are many: the ends of an interval are then good to about 5% of its width."""

__all__ = ["ArmRow", "Comparison", "Prices", "compare", "compare_frames"]


def compare(
    trials: pd.DataFrame,
    arms: pd.DataFrame,
    baseline: str | None = None,
    prices: Prices | None = None,
    *,
    attempts: pd.DataFrame | None = None,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compares each arm with the baseline, paired by suite, task and repeat.

    Args:
        trials: one row a trial; see `frames` for the columns.
        arms: one row an arm of a session, in the order in which the arms shall appear.
        baseline: name of the arm that the others are compared with; None: the arm that is flagged so, else the first.
        prices: what time, energy and hosted models cost; None: no money is reported.
        attempts: one row an attempt, from which operations and money come; None: neither is told of trials.
        confidence: of every interval, between 0 and 1.
        resamples: of the bootstrap.
        seed: of the bootstrap; the same frames and seed give the same comparison.

    Raises:
        UnknownName: no arm is called `baseline`; names the nearest.
        InputError: there is nothing to compare, or the frames are not as they should be.
    """
    frames = prepare(trials, arms, attempts, prices)
    return compare_frames(frames, baseline, prices, confidence=confidence, resamples=resamples, seed=seed)


def compare_frames(
    frames: Frames,
    baseline: str | None = None,
    prices: Prices | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """As `compare`, of frames that are prepared."""
    base = choose_baseline(frames, baseline)
    beside = against(frames, base, confidence=confidence, resamples=resamples, seed=seed)
    rows = tuple(_row(frames, label, beside.get(label), prices, confidence) for label in frames.labels)
    return Comparison(rows, base, notes(frames, rows, base, prices, named=baseline is not None), confidence, prices)


def _row(frames: Frames, label: str, beside: Against | None, prices: Prices | None, confidence: float) -> ArmRow:
    trials = frames.of(label)
    valid = trials if not trials["failed"].any() else trials[~trials["failed"]]
    counts = _counts(trials)
    totals = _totals(frames, label, trials, prices)
    at_k, hat_k = _passes(valid, confidence)
    return ArmRow(
        arm=label,
        session=str(frames.arms.at[label, "session"]),
        model=_word(trials, "model"),
        provider=_word(trials, "provider"),
        strategy=_word(trials, "strategy"),
        baseline=beside is None,
        counts=counts,
        solved_rate=_share(valid, "solved", confidence),
        first_attempt=_share(valid, "first_attempt_solved", confidence),
        pass_at_k=at_k,
        pass_hat_k=hat_k,
        against=beside,
        measures={one.name: _measure(valid[one.name]) for one in TRIAL_MEASURES},
        totals=totals,
        per_solved=_per_solved(valid, counts.solved, totals),
        costs=_costs(totals, counts.trials - counts.failed),
    )


def _counts(trials: pd.DataFrame) -> Counts:
    found = trials["outcome"].value_counts()
    ended = {outcome: int(found.get(outcome, 0)) for outcome in OUTCOMES}
    return Counts(trials=len(trials), tasks=int(trials["task_number"].nunique()), **ended)


def _totals(frames: Frames, label: str, trials: pd.DataFrame, prices: Prices | None) -> Totals:
    found = {name: _known(frames.arms.at[label, name]) for name in ARM_MEASURES}
    return Totals(
        **found,
        operations=_whole(trials["operations"]),
        money=_money(frames, label, _word(trials, "model"), found, prices) if prices else None,
    )


def _money(
    frames: Frames, label: str, model: str | None, totals: Mapping[str, float | None], prices: Prices
) -> float | None:
    attempts = frames.attempts
    own = attempts[attempts["label"] == label] if len(attempts) else attempts
    return arm_money(model, own, totals, prices)


def _whole(values: pd.Series[float]) -> float | None:
    """The sum, if every part is known."""
    return float(values.sum()) if len(values) and not values.isna().any() else None


def _costs(totals: Totals, trials: int) -> dict[str, float | None]:
    """What a trial takes, by cost: what the failed ones took is shared by those that went through, never a discount."""

    def each(total: float | None) -> float | None:
        return total / trials if total is not None and trials else None

    return {
        "memory": totals.peak_memory_bytes,
        "seconds": each(totals.wall_seconds),
        "cpu": each(totals.cpu_seconds),
        "energy": each(totals.energy_joules),
        "money": each(totals.money),
        "operations": each(totals.operations),
    }


def _per_solved(valid: pd.DataFrame, solved: int, totals: Totals) -> PerSolved:
    def of_total(total: float | None) -> float | None:
        return total / solved if total is not None and solved else None

    return PerSolved(
        seconds=_ratio_per_solved(valid, "latency_seconds"),
        tokens=_ratio_per_solved(valid, "tokens_in", "tokens_out"),
        cpu_seconds=of_total(totals.cpu_seconds),
        energy_joules=of_total(totals.energy_joules),
        money=of_total(totals.money),
    )


def _ratio_per_solved(valid: pd.DataFrame, *costs: str) -> float | None:
    """The sum of costs by solved trials, both over the trials in which all are known, so that a gap shifts neither."""
    solved = valid["solved"].to_numpy(dtype=np.float64)
    cost = valid[list(costs)].to_numpy(dtype=np.float64).sum(axis=1)
    both = ~np.isnan(solved + cost)
    return float(cost[both].sum()) / float(solved[both].sum()) if solved[both].any() else None


def _share(trials: pd.DataFrame, column: str, confidence: float) -> Proportion | None:
    values, tasks = trials[column].to_numpy(dtype=np.float64), trials["task_number"].to_numpy(dtype=np.int64)
    known = ~np.isnan(values)
    return clustered_proportion(values[known], tasks[known], confidence)


def _passes(trials: pd.DataFrame, confidence: float) -> tuple[tuple[PassRate, ...], tuple[PassRate, ...]]:
    """pass@k and pass^k for every k up to the most repeats of a task, where there are any."""
    solved, numbers = trials["solved"].to_numpy(dtype=np.float64), trials["task_number"].to_numpy(dtype=np.int64)
    known = ~np.isnan(solved)
    answers = np.bincount(numbers[known])
    right = np.bincount(numbers[known], weights=solved[known]).astype(np.int64)[answers > 0]
    answers = answers[answers > 0]
    most = int(answers.max()) if len(answers) else 0
    if most < _REPEATED:
        return (), ()
    ks = range(1, min(most, _MOST_K) + 1)
    return pass_rates(answers, right, ks, confidence=confidence, resamples=_PASS_RESAMPLES)


def _measure(values: pd.Series[float]) -> Measure:
    found = values.to_numpy(dtype=np.float64)
    known = found[~np.isnan(found)]
    if not len(known):
        return Measure(None, None, 0, len(found))
    return Measure(float(known.mean()), float(np.median(known)), len(known), len(found))


def _known(value: object) -> float | None:
    number = float(np.float64(value))  # type: ignore[arg-type]  # a cell of a float64 column is typed as any scalar
    return None if np.isnan(number) else number


def _word(trials: pd.DataFrame, column: str) -> str | None:
    """What the arm's trials say of it; None: they say nothing."""
    told = trials[column].dropna()
    return str(told.iloc[0]) if len(told) else None
