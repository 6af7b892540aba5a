"""Every arm beside the baseline: what it solves and what it takes, paired by suite, task and repeat.

The difference of what is solved has the score interval that belongs to the verdict's test; the BCa bootstrap,
which the costs have, covers too little where few tasks are solved. All costs' intervals come from the same resamples of
the tasks, so that arms and measures can be read side by side. Tests of several arms are corrected by Holm's method, for
each measure on its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from smallenough.analysis.costs import COSTS
from smallenough.analysis.evidence import TOKENS, Against, CostDifference
from smallenough.analysis.frames import Frames, Pairs, pair
from smallenough.analysis.statistics import (
    Difference,
    Floats,
    Indices,
    Interval,
    holm,
    matched_odds_ratio,
    mcnemar,
    rank_biserial,
    ratio_intervals,
    success_difference,
    wilcoxon,
)
from smallenough.analysis.statistics.resampling import cluster_totals


@dataclass(frozen=True, slots=True)
class _Side:
    """One measure of one arm beside the baseline."""

    pairs: Pairs
    difference: Difference | None
    saved: float | None
    saved_interval: Interval | None


def against(frames: Frames, baseline: str, *, confidence: float, resamples: int, seed: int) -> Mapping[str, Against]:
    """Each arm but the baseline beside it, by label.

    Args:
        frames: as `prepare` gives them.
        baseline: the label of the arm to compare with.
        confidence: of every interval.
        resamples: of the bootstrap over tasks.
        seed: of the bootstrap.
    """
    labels = [label for label in frames.labels if label != baseline]
    if not labels:
        return {}
    columns = {**{name: cost.column for name, cost in COSTS.items()}, TOKENS: TOKENS}
    alike = set(_one_tokenizer(frames, baseline))
    cells = [(label, name) for name in columns for label in labels]
    left, right, tasks = _table(frames, baseline, [(label, columns[name]) for label, name in cells])
    sides = dict(zip(cells, _sides(left, right, tasks, confidence, resamples, seed), strict=True))
    solved = {label: pair(frames, label, baseline, "solved") for label in labels}
    for label in labels:
        if label not in alike:
            sides[label, TOKENS] = replace(sides[label, TOKENS], difference=None)
    costs = {name: _cost_differences([sides[label, name] for label in labels]) for name in columns}
    memory = frames.arms["peak_memory_bytes"]
    return {
        label: Against(
            **_solved(solved[label], corrected, confidence),
            costs={name: found[place] for name, found in costs.items()},
            less_memory=_saved(memory[label], memory[baseline]),
        )
        for place, (label, corrected) in enumerate(
            zip(labels, holm([_mcnemar(pairs) for pairs in solved.values()]), strict=True)
        )
    }


def _one_tokenizer(frames: Frames, baseline: str) -> Iterator[str]:
    """The arms that ask the baseline's model and no other: whose tokens are the same unit."""
    models = {label: frames.of(label)["model"].iloc[:1].tolist() for label in frames.labels}  # none: it has not begun
    further = frames.arms["further_models"] if "further_models" in frames.arms.columns else None
    for label in frames.labels:
        alone = further is None or further[[label, baseline]].isna().all()
        if alone and models[label] == models[baseline]:
            yield label


def _mcnemar(pairs: Pairs) -> float | None:
    return mcnemar(*pairs.discordant()) if len(pairs) else None


def _solved(pairs: Pairs, corrected: float | None, confidence: float) -> dict[str, Any]:
    """What `Against` says of what was solved."""
    better, worse = pairs.discordant()
    return {
        "difference": success_difference(pairs.arm, pairs.baseline, pairs.tasks, confidence=confidence),
        "better": better,
        "worse": worse,
        "mcnemar_p": _mcnemar(pairs),
        "mcnemar_p_corrected": corrected,
        "odds_ratio": matched_odds_ratio(better, worse, confidence) if len(pairs) else None,
    }


def _table(frames: Frames, baseline: str, cells: Sequence[tuple[str, str]]) -> tuple[Floats, Floats, Indices]:
    """The values of arms and of the baseline, a row for each repeat of a task, a column for each arm and measure.

    NaN stands on both sides where one of them was not measured, or ended in an infrastructure failure.
    """
    trials = frames.trials[~frames.trials["failed"]]
    trials = trials.assign(**{TOKENS: trials["tokens_in"] + trials["tokens_out"]})
    number, first = np.unique(trials["asked"].to_numpy(dtype=np.int64), return_index=True)
    place = np.searchsorted(number, trials["asked"].to_numpy(dtype=np.int64))
    labels = trials["label"].to_numpy(dtype=object)
    rows = {label: np.flatnonzero(labels == label) for label in frames.labels}

    def values(label: str, column: str) -> Floats:
        found = np.full(len(number), np.nan)
        found[place[rows[label]]] = trials[column].to_numpy(dtype=np.float64)[rows[label]]
        return found

    left = np.column_stack([values(label, column) for label, column in cells])
    right = np.column_stack([values(baseline, column) for _, column in cells])
    gap = np.isnan(left) | np.isnan(right)
    tasks = trials["task_number"].to_numpy(dtype=np.int64)[first]
    return np.where(gap, np.nan, left), np.where(gap, np.nan, right), tasks


def _sides(left: Floats, right: Floats, tasks: Indices, confidence: float, resamples: int, seed: int) -> list[_Side]:
    """Differences and shares saved, column by column, with intervals from the same resamples."""
    if not len(left):
        return [_Side(Pairs(left[:, 0], left[:, 0], tasks), None, None, None) for _ in range(left.shape[1])]
    sums, counts = cluster_totals(left - right, tasks)
    arm, base = cluster_totals(left, tasks)[0], cluster_totals(right, tasks)[0]
    both = ratio_intervals(
        np.hstack([sums, arm]),
        np.hstack([counts, base]),
        confidence=confidence,
        resamples=resamples,
        seed=seed,
    )
    differences, ratios = both[: left.shape[1]], both[left.shape[1] :]
    return [
        _side(left[:, column], right[:, column], tasks, differences[column], ratios[column])
        for column in range(left.shape[1])
    ]


def _side(arm: Floats, base: Floats, tasks: Indices, interval: Interval | None, ratio: Interval | None) -> _Side:
    known = ~np.isnan(arm)
    pairs = Pairs(arm[known], base[known], tasks[known])
    if not len(pairs):
        return _Side(pairs, None, None, None)
    means = float(pairs.arm.mean()), float(pairs.baseline.mean())
    difference = Difference(
        *means, float(np.mean(pairs.arm - pairs.baseline)), interval, len(pairs), len(np.unique(pairs.tasks))
    )
    saved = _saved(means[0], means[1])
    turned = Interval(1 - ratio.high, 1 - ratio.low, ratio.confidence) if ratio and saved is not None else None
    return _Side(pairs, difference, saved, turned)


def _cost_differences(sides: Sequence[_Side]) -> list[CostDifference | None]:
    """One cost of each arm beside the baseline's, Wilcoxon's test corrected over the arms."""
    off = [side.pairs.arm - side.pairs.baseline for side in sides]
    tests = [
        wilcoxon(values, side.pairs.tasks) if side.difference else None for values, side in zip(off, sides, strict=True)
    ]
    return [
        CostDifference(
            difference=side.difference,
            saved=side.saved,
            saved_interval=side.saved_interval,
            wilcoxon_p=p,
            wilcoxon_p_corrected=corrected,
            rank_biserial=rank_biserial(values, side.pairs.tasks),
        )
        if side.difference
        else None
        for side, values, p, corrected in zip(sides, off, tests, holm(tests), strict=True)
    ]


def _saved(arm: float, baseline: float) -> float | None:
    """The share of the baseline's cost that the arm saves; None where there is nothing to save from."""
    return 1 - float(arm) / float(baseline) if baseline > 0 and not np.isnan(arm) else None
