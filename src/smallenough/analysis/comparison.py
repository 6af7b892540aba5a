"""The comparison: by arm, what was solved, how sure that is, and what it cost.

A pure function of the trials and the totals of the arms. Costs of CPU, memory and energy are the arms' own totals,
which are measured; tokens and seconds of inference are the trials'. Infrastructure failures are counted apart and
have no part in rates and means; a measure that was not taken is counted, and its trial left out of the mean. There
is no verdict here, and no correction for several comparisons.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from smallenough.analysis.evidence import (
    Against,
    ArmRow,
    Comparison,
    Counts,
    Measure,
    PerSolved,
    Prices,
    Totals,
)
from smallenough.analysis.frames import OUTCOMES, Frames, choose_baseline, pair, prepare
from smallenough.analysis.measures import ARM_MEASURES, TRIAL_MEASURES
from smallenough.analysis.notes import notes
from smallenough.analysis.statistics import RESAMPLES, Proportion, mcnemar, paired_difference, proportion

__all__ = ["ArmRow", "Comparison", "Prices", "compare"]


@dataclass(frozen=True, slots=True)
class _Settings:
    """What holds for every arm of a comparison."""

    baseline: str
    prices: Prices | None
    confidence: float
    resamples: int
    seed: int


def compare(
    trials: pd.DataFrame,
    arms: pd.DataFrame,
    baseline: str | None = None,
    prices: Prices | None = None,
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
    """Compares each arm with the baseline, paired by suite, task and repeat.

    Args:
        trials: one row a trial; see `frames` for the columns.
        arms: one row an arm of a session, in the order in which the arms shall appear.
        baseline: name of the arm that the others are compared with; None: the arm that is flagged so, else the first.
        prices: what time and energy cost; None: no money is reported.
        confidence: of every interval, between 0 and 1.
        resamples: of the bootstrap.
        seed: of the bootstrap; the same frames and seed give the same comparison.

    Raises:
        UnknownName: no arm is called `baseline`; names the nearest.
        InputError: there is nothing to compare, or the frames are not as they should be.
    """
    frames = prepare(trials, arms)
    settings = _Settings(choose_baseline(frames, baseline), prices, confidence, resamples, seed)
    rows = tuple(_row(frames, label, settings) for label in frames.labels)
    return Comparison(rows, settings.baseline, notes(frames, rows, settings.baseline, prices), confidence, prices)


def _row(frames: Frames, label: str, settings: _Settings) -> ArmRow:
    trials = frames.trials[frames.trials["label"] == label]
    valid = trials[~trials["failed"]]
    counts = _counts(trials)
    totals = _totals(frames, label, counts.trials, settings.prices)
    return ArmRow(
        arm=label,
        session=str(frames.arms.at[label, "session"]),
        model=_word(trials, "model"),
        provider=_word(trials, "provider"),
        strategy=_word(trials, "strategy"),
        baseline=label == settings.baseline,
        counts=counts,
        solved_rate=_share(valid["solved"], settings.confidence),
        first_attempt=_share(valid["first_attempt_solved"], settings.confidence),
        against=None if label == settings.baseline else _against(frames, label, settings),
        measures={one.name: _measure(valid[one.name]) for one in TRIAL_MEASURES},
        totals=totals,
        per_solved=_per_solved(valid, counts.solved, totals),
    )


def _counts(trials: pd.DataFrame) -> Counts:
    ended = {outcome: int((trials["outcome"] == outcome).sum()) for outcome in OUTCOMES}
    return Counts(trials=len(trials), tasks=len(trials[["suite", "task"]].drop_duplicates()), **ended)


def _totals(frames: Frames, label: str, trials: int, prices: Prices | None) -> Totals:
    found = {name: _known(frames.arms.at[label, name]) for name in ARM_MEASURES}
    cpu = found["cpu_seconds"]
    return Totals(
        **found,
        cpu_seconds_per_trial=cpu / trials if cpu is not None and trials else None,
        money=prices.cost(found["wall_seconds"], found["energy_joules"]) if prices else None,
    )


def _per_solved(valid: pd.DataFrame, solved: int, totals: Totals) -> PerSolved:
    def of_total(total: float | None) -> float | None:
        return total / solved if total is not None and solved else None

    return PerSolved(
        seconds=_ratio_per_solved(valid, valid["latency_seconds"]),
        tokens=_ratio_per_solved(valid, valid["tokens_in"] + valid["tokens_out"]),
        cpu_seconds=of_total(totals.cpu_seconds),
        energy_joules=of_total(totals.energy_joules),
        money=of_total(totals.money),
    )


def _ratio_per_solved(valid: pd.DataFrame, cost: pd.Series[float]) -> float | None:
    """Cost by solved trials, both over the trials in which both are known, so that a gap shifts neither."""
    both = valid["solved"].notna() & cost.notna()
    solved = float(valid.loc[both, "solved"].sum())
    return float(cost[both].sum()) / solved if solved else None


def _against(frames: Frames, label: str, settings: _Settings) -> Against:
    base = settings.baseline
    pairs = pair(frames, label, base, "solved")
    better, worse = pairs.discordant()
    seconds = pair(frames, label, base, "latency_seconds")
    memory = [_known(frames.arms.at[name, "peak_memory_bytes"]) for name in (label, base)]
    return Against(
        difference=paired_difference(
            pairs.arm,
            pairs.baseline,
            pairs.tasks,
            confidence=settings.confidence,
            resamples=settings.resamples,
            seed=settings.seed,
        ),
        better=better,
        worse=worse,
        mcnemar_p=mcnemar(better, worse) if len(pairs) else None,
        faster=_saved(float(seconds.arm.sum()), float(seconds.baseline.sum())) if len(seconds) else None,
        faster_pairs=len(seconds),
        less_memory=_saved(*memory),
    )


def _saved(arm: float | None, baseline: float | None) -> float | None:
    """The share of the baseline's cost that the arm saves; None where there is nothing to save from."""
    if arm is None or baseline is None or baseline <= 0:
        return None
    return 1 - arm / baseline


def _share(values: pd.Series[float], confidence: float) -> Proportion | None:
    known = values.dropna()
    return proportion(int(known.sum()), len(known), confidence)


def _measure(values: pd.Series[float]) -> Measure:
    known = values.dropna()
    if known.empty:
        return Measure(None, None, 0, len(values))
    return Measure(float(known.mean()), float(known.median()), len(known), len(values))


def _known(value: object) -> float | None:
    number = float(np.float64(value))  # type: ignore[arg-type]  # a cell of a float64 column is typed as any scalar
    return None if np.isnan(number) else number


def _word(trials: pd.DataFrame, column: str) -> str | None:
    """What the arm's trials say of it; None: they say nothing."""
    said = trials[column].dropna()
    return str(said.iloc[0]) if len(said) else None
