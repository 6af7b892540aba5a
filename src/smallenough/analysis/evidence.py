"""The values of a comparison: what is known of each arm, and how sure that is.

Frozen values with no arithmetic but their own; `comparison` fills them. None is 'not measured' or 'not defined',
never 0.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields

import pandas as pd

from smallenough.analysis.statistics import Difference, Proportion
from smallenough.errors import InputError

_JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True, slots=True)
class Prices:
    """What a local machine costs. None: that part is not charged."""

    per_kwh: float | None = None
    """Money for a kilowatt-hour of the energy that was measured."""
    per_machine_hour: float | None = None
    """Money for an hour of wall time."""
    currency: str = ""
    """As it shall be shown (`EUR`)."""
    as_of: str = ""
    """The day of which they are; empty: not known."""

    def __post_init__(self) -> None:
        given = [price for price in (self.per_kwh, self.per_machine_hour) if price is not None]
        if not given:
            raise InputError("prices: give per_kwh, per_machine_hour or both")
        if any(not math.isfinite(price) or price < 0 for price in given):
            raise InputError(f"prices must be 0 or more, not {', '.join(map(str, given))}")

    @property
    def told(self) -> str:
        """The prices in words."""
        parts = ((self.per_kwh, "a kilowatt-hour"), (self.per_machine_hour, "an hour of the machine"))
        said = " and ".join(
            f"{price:g} {self.currency}".rstrip() + f" {what}" for price, what in parts if price is not None
        )
        return said + (f", as of {self.as_of}" if self.as_of else "")

    def cost(self, wall_seconds: float | None, energy_joules: float | None) -> float | None:
        """Money for so much time and energy; None where a part that is charged was not measured."""
        parts = ((self.per_kwh, energy_joules, _JOULES_PER_KWH), (self.per_machine_hour, wall_seconds, 3600.0))
        total = 0.0
        for price, amount, unit in parts:
            if price is None:
                continue
            if amount is None:
                return None
            total += price * amount / unit
        return total


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
    cpu_seconds_per_trial: float | None
    """`cpu_seconds` by all trials, failed ones included, since the total includes them."""
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
    """Of McNemar's exact test on `better` and `worse`, not corrected for several comparisons."""
    faster: float | None
    """Share of the baseline's seconds of inference that is saved, over common pairs: 0.6 is 60% less time;
    negative: slower."""
    faster_pairs: int
    """Pairs that `faster` stands on."""
    less_memory: float | None
    """Share of the baseline's peak memory that is saved; negative: more."""


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
    against: Against | None
    """None: it is the baseline."""
    measures: Mapping[str, Measure]
    """What a trial of the arm is like, by the names of `TRIAL_MEASURES`."""
    totals: Totals
    per_solved: PerSolved


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
        cells = [list(_cells(row)) for row in self.rows]
        found = pd.DataFrame([{name: value for name, value, _ in row} for row in cells], dtype="object")
        return found.astype({name: dtype for name, _, dtype in cells[0]})

    def to_json(self) -> str:
        """The whole comparison as indented JSON, null for 'not measured'."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False)


_Cell = tuple[str, object, str]


def _cells(row: ArmRow) -> Iterator[_Cell]:
    """The row as name, value and pandas type of each column."""
    for name in ("arm", "session", "model", "provider", "strategy"):
        yield name, getattr(row, name), "string"
    yield "baseline", row.baseline, "bool"
    for field in fields(Counts):
        yield field.name, getattr(row.counts, field.name), "Int64"
    yield from _proportion_cells("solved_rate", row.solved_rate)
    yield from _proportion_cells("first_attempt_rate", row.first_attempt)
    yield from _against_cells(row.against)
    for name, measure in row.measures.items():
        yield f"{name}_mean", measure.mean, "Float64"
        yield f"{name}_median", measure.median, "Float64"
        yield f"{name}_measured", measure.measured, "Int64"
    for field in fields(Totals):
        yield field.name, getattr(row.totals, field.name), "Float64"
    for field in fields(PerSolved):
        yield f"{field.name}_per_solved", getattr(row.per_solved, field.name), "Float64"


def _proportion_cells(name: str, found: Proportion | None) -> Iterator[_Cell]:
    yield name, found and found.rate, "Float64"
    yield f"{name}_low", found and found.interval.low, "Float64"
    yield f"{name}_high", found and found.interval.high, "Float64"
    yield f"{name}_n", found and found.n, "Int64"


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
        ("faster", "Float64"),
        ("faster_pairs", "Int64"),
        ("less_memory", "Float64"),
    ):
        yield name, against and getattr(against, name), dtype
