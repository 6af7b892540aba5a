"""The values of a comparison: what is known of each arm, and how sure that is.

Frozen values with no arithmetic but their own; `comparison` fills them. None is 'not measured' or 'not defined',
never 0.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields

import pandas as pd

from smallenough.analysis.costs import COSTS
from smallenough.analysis.money import Prices
from smallenough.analysis.statistics import Difference, Interval, OddsRatio, PassRate, Proportion


@dataclass(frozen=True, slots=True)
class Counts:
    """How the trials of an arm ended."""

    trials: int
    """All that ended, however they ended."""
    tasks: int
    solved: int
    unsolved: int
    unscored: int
    """Free tasks, which no tests decide."""
    model_failed: int
    sandbox_failed: int
    scorer_failed: int

    @property
    def failed(self) -> int:
        """Trials that ended in an infrastructure failure."""
        return self.model_failed + self.sandbox_failed + self.scorer_failed


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure over the trials of an arm that did not end in an infrastructure failure."""

    mean: float | None
    """Over the trials in which it was measured; None: in none."""
    median: float | None
    measured: int
    """Trials in which it was measured."""
    of: int
    """Trials that could have it."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What the whole arm took, as it was measured. None: not measured."""

    wall_seconds: float | None
    """In which the arm ran, from its start to its end without the time between its parts."""
    cpu_seconds: float | None
    peak_memory_bytes: float | None
    mean_memory_bytes: float | None
    gpu_percent: float | None
    gpu_peak_memory_bytes: float | None
    energy_joules: float | None
    """Of the machine, its GPUs included."""
    gpu_energy_joules: float | None
    concurrency: float | None
    """Requests in flight at the same time."""
    idle_cpu_rate: float | None
    """CPU seconds a second that the model's server takes with nothing to do; contained in `cpu_seconds`."""
    operations: float | None
    """2 × parameters × tokens, read and written, of every attempt."""
    money: float | None
    """By the prices that were given."""


@dataclass(frozen=True, slots=True)
class PerSolved:
    """What a solved task costs, the unsolved ones included. None: nothing was solved, or it was not measured."""

    seconds: float | None
    """Seconds of inference."""
    tokens: float | None
    """Tokens in and out, of the model's own tokenizer: no cost to compare between models."""
    cpu_seconds: float | None
    """Of the arm's total, like the energy and the money."""
    energy_joules: float | None
    money: float | None


TOKENS = "tokens"
"""What stands beside the costs where two arms ask the same model."""


@dataclass(frozen=True, slots=True)
class CostDifference:
    """What a trial of an arm takes of one cost beside the baseline, over common pairs."""

    difference: Difference
    """Of the mean trial, in the cost's unit."""
    saved: float | None
    """Share of the baseline's cost that is saved: 0.6 is 60% less; negative: more. None: the baseline took nothing."""
    saved_interval: Interval | None
    wilcoxon_p: float | None
    """Of Wilcoxon's signed-rank test on the tasks' mean differences."""
    wilcoxon_p_corrected: float | None
    """By Holm's method over the arms."""
    rank_biserial: float | None
    """Effect size, from −1 (every task takes less) to 1 (every task takes more)."""


@dataclass(frozen=True, slots=True)
class Against:
    """An arm beside the baseline."""

    difference: Difference | None
    """Of the solved rate, over common pairs; None: nothing is common."""
    better: int
    """Tasks that the arm solves more often than the baseline."""
    worse: int
    """Tasks that the arm solves less often than the baseline."""
    mcnemar_p: float | None
    """Of McNemar's exact test on `better` and `worse`."""
    mcnemar_p_corrected: float | None
    """By Holm's method over the arms."""
    odds_ratio: OddsRatio | None
    """Effect size: `better` by `worse`; None: no task tells the two apart."""
    costs: Mapping[str, CostDifference | None]
    """By the names of `COSTS`, and of `TOKENS`; None: no common pair in which it was measured. Tokens, read and
    written, are no cost to order arms by; None unless both arms ask the same model and no other."""
    less_memory: float | None
    """Share of the baseline's peak memory that is saved, of the whole arm; negative: more."""

    @property
    def faster(self) -> float | None:
        """Share of the baseline's seconds of inference that is saved; negative: slower."""
        seconds = self.costs["seconds"]
        return seconds.saved if seconds else None

    @property
    def faster_pairs(self) -> int:
        """Pairs that `faster` stands on."""
        seconds = self.costs["seconds"]
        return seconds.difference.pairs if seconds else 0


@dataclass(frozen=True, slots=True)
class ArmRow:
    """What is known of one arm."""

    arm: str
    """Its name in this comparison; the session is part of it where several sessions have an arm of that name."""
    session: str
    model: str | None
    provider: str | None
    strategy: str | None
    baseline: bool
    counts: Counts
    solved_rate: Proportion | None
    """Of the trials that are solved or unsolved."""
    first_attempt: Proportion | None
    """Solved by the first attempt alone, where that is known."""
    pass_at_k: tuple[PassRate, ...]
    """The chance that one of k answers solves the task, k from 1 to its repeats; empty: no task was repeated."""
    pass_hat_k: tuple[PassRate, ...]
    """The chance that all of k answers solve it."""
    against: Against | None
    """None: it is the baseline."""
    measures: Mapping[str, Measure]
    """What a trial of the arm is like, by the names of `TRIAL_MEASURES`."""
    totals: Totals
    per_solved: PerSolved
    costs: Mapping[str, float | None]
    """What a trial takes, by the names of `COSTS`, from the arm's totals: what the verdict orders arms by."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Arms side by side."""

    rows: tuple[ArmRow, ...]
    baseline: str
    """Name of the arm that the others are compared with."""
    notes: tuple[str, ...]
    """What a reader must know to read the numbers right, each a sentence or two."""
    confidence: float = 0.95
    """Of every interval."""
    prices: Prices | None = None

    def to_frame(self) -> pd.DataFrame:
        """One row an arm, one column a value, units in the names.

        Text is `string`, counts are `Int64`, other numbers `Float64`; NA is 'not measured'. Shares are 0 to 1.
        """
        most = max(len(row.pass_at_k) for row in self.rows)
        cells = [list(_cells(row, most)) for row in self.rows]
        found = pd.DataFrame([{name: value for name, value, _ in row} for row in cells], dtype="object")
        return found.astype({name: dtype for name, _, dtype in cells[0]})

    def to_json(self) -> str:
        """The whole comparison as indented JSON, null for 'not measured'."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False)


_Cell = tuple[str, object, str]


_PER_TRIAL = {
    "seconds": "wall_seconds",
    "cpu": "cpu_seconds",
    "energy": "energy_joules",
    "money": "money",
    "operations": "operations",
}
"""The costs that are shared out over trials, and what they are called with their units."""


def _cells(row: ArmRow, most_k: int) -> Iterator[_Cell]:
    """The row as name, value and pandas type of each column; pass@k and pass^k up to the largest k of any row."""
    for name in ("arm", "session", "model", "provider", "strategy"):
        yield name, getattr(row, name), "string"
    yield "baseline", row.baseline, "bool"
    for field in fields(Counts):
        yield field.name, getattr(row.counts, field.name), "Int64"
    yield from _proportion_cells("solved_rate", row.solved_rate)
    yield from _proportion_cells("first_attempt_rate", row.first_attempt)
    for name, rates in (("pass_at", row.pass_at_k), ("pass_hat", row.pass_hat_k)):
        for k in range(1, most_k + 1):
            yield from _pass_cells(f"{name}_{k}", next((one for one in rates if one.k == k), None))
    yield from _against_cells(row.against)
    for name, measure in row.measures.items():
        yield f"{name}_mean", measure.mean, "Float64"
        yield f"{name}_median", measure.median, "Float64"
        yield f"{name}_measured", measure.measured, "Int64"
    for field in fields(Totals):
        yield field.name, getattr(row.totals, field.name), "Float64"
    for cost, name in _PER_TRIAL.items():
        yield f"{name}_per_trial", row.costs[cost], "Float64"
    for field in fields(PerSolved):
        yield f"{field.name}_per_solved", getattr(row.per_solved, field.name), "Float64"


def _proportion_cells(name: str, found: Proportion | None) -> Iterator[_Cell]:
    yield name, found and found.rate, "Float64"
    yield f"{name}_low", found and found.interval.low, "Float64"
    yield f"{name}_high", found and found.interval.high, "Float64"
    yield f"{name}_n", found and found.n, "Int64"


def _pass_cells(name: str, found: PassRate | None) -> Iterator[_Cell]:
    interval = found and found.interval
    yield name, found and found.estimate, "Float64"
    yield f"{name}_low", interval and interval.low, "Float64"
    yield f"{name}_high", interval and interval.high, "Float64"


def _against_cells(against: Against | None) -> Iterator[_Cell]:
    difference = against and against.difference
    interval = difference and difference.interval
    yield "difference", difference and difference.estimate, "Float64"
    yield "difference_low", interval and interval.low, "Float64"
    yield "difference_high", interval and interval.high, "Float64"
    yield "difference_pairs", difference and difference.pairs, "Int64"
    yield "difference_tasks", difference and difference.clusters, "Int64"
    for name, dtype in (
        ("better", "Int64"),
        ("worse", "Int64"),
        ("mcnemar_p", "Float64"),
        ("mcnemar_p_corrected", "Float64"),
        ("less_memory", "Float64"),
    ):
        yield name, against and getattr(against, name), dtype
    odds = against and against.odds_ratio
    for name, end in (("odds_ratio", "estimate"), ("odds_ratio_low", "low"), ("odds_ratio_high", "high")):
        yield name, odds and getattr(odds, end), "Float64"
    for cost in (*COSTS, TOKENS):
        yield from _cost_cells(cost, against.costs[cost] if against else None)


def _cost_cells(name: str, found: CostDifference | None) -> Iterator[_Cell]:
    interval = found and found.difference.interval
    saved = found and found.saved_interval
    yield f"{name}_difference", found and found.difference.estimate, "Float64"
    yield f"{name}_difference_low", interval and interval.low, "Float64"
    yield f"{name}_difference_high", interval and interval.high, "Float64"
    yield f"{name}_difference_pairs", found and found.difference.pairs, "Int64"
    yield f"{name}_saved", found and found.saved, "Float64"
    yield f"{name}_saved_low", saved and saved.low, "Float64"
    yield f"{name}_saved_high", saved and saved.high, "Float64"
    yield f"{name}_wilcoxon_p", found and found.wilcoxon_p, "Float64"
    yield f"{name}_wilcoxon_p_corrected", found and found.wilcoxon_p_corrected, "Float64"
    yield f"{name}_rank_biserial", found and found.rank_biserial, "Float64"
