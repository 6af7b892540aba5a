"""Break-even: how many requests until what a training cost is repaid by what each request costs less.

A request is what a trial is: one task, with all its attempts. Its saving is that of the tuned model against the large
one on the same tasks; the interval of the requests is that of the saving, seen through `training / saving`. What is
solved by either is not weighed here: whether the tuned model is good enough is the verdict's to say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from smallenough.analysis.costs import cost_named
from smallenough.analysis.money import Prices
from smallenough.analysis.statistics import Difference
from smallenough.errors import InputError


@dataclass(frozen=True, slots=True)
class BreakEven:
    """When a training is repaid, in one cost. Requests are None where there is no such number."""

    cost: str
    """By the name that it has in `COSTS`."""
    training: float
    """What the training took, in the cost's unit."""
    saved: Difference
    """What a request of the large model costs more than one of the tuned one, over common tasks."""
    requests: float | None
    """By the mean saving; None: a request saves nothing, so it is never repaid."""
    low: float | None
    """By the largest saving that the interval holds; None: it holds none, or there is no interval."""
    high: float | None
    """By the smallest saving that the interval holds; None: that is no saving, so there is no bound in the data, or
    there is no interval."""


@dataclass(frozen=True, slots=True)
class Repayment:
    """A tuned arm beside the one that it would replace, in one cost."""

    tuned: str
    large: str
    at: BreakEven


def to_frame(found: Sequence[Repayment]) -> pd.DataFrame:
    """One row a tuned arm and cost.

    `tuned`, `large` and `cost` are `string`; `training` and `saved_per_request` (both in the cost's unit), `requests`,
    `requests_low` and `requests_high` are `Float64`; `tasks` is `Int64`.
    """
    types = {
        **dict.fromkeys(("tuned", "large", "cost"), "string"),
        **dict.fromkeys(("training", "saved_per_request", "requests", "requests_low", "requests_high"), "Float64"),
        "tasks": "Int64",
    }
    rows = [
        (
            *(one.tuned, one.large, one.at.cost, one.at.training, one.at.saved.estimate),
            *(one.at.requests, one.at.low, one.at.high, one.at.saved.clusters),
        )
        for one in found
    ]
    return pd.DataFrame(rows, columns=list(types)).astype(types)


def training_costs(arm: Mapping[Any, Any], prices: Prices | None) -> dict[str, float]:
    """What the training of an arm's adapter took, by the names of `COSTS`, as far as it was measured.

    Args:
        arm: a row of the arms: `training_wall_seconds`, `training_cpu_seconds`, `training_energy_joules`.
        prices: what the machine costs; None: no money.
    """
    columns = {"seconds": "training_wall_seconds", "cpu": "training_cpu_seconds", "energy": "training_energy_joules"}
    found = {cost: float(arm[name]) for cost, name in columns.items() if not pd.isna(arm.get(name))}
    money = prices.cost(found.get("seconds"), found.get("energy")) if prices and found else None
    return found if money is None else {**found, "money": money}


def break_even(cost: str, training: float | None, saved: Difference | None) -> BreakEven | None:
    """When a training is repaid.

    Args:
        cost: a name in `COSTS`.
        training: what it took, in the cost's unit; None or NaN: not measured.
        saved: what a request of the large model costs more than one of the tuned one, with its interval over tasks
            (`difference` of the two arms' costs, the large one first); None: nothing to compare.

    Returns:
        The requests; None where a part was not measured.

    Raises:
        UnknownName: there is no such cost.
        InputError: the training's cost is negative or infinite.
    """
    cost_named(cost)
    if training is None or saved is None or math.isnan(training):
        return None
    if not 0 <= training < math.inf:
        raise InputError(f"what a training took must be 0 or more, not {training}")
    interval, estimate = saved.interval, saved.estimate  # a BCa interval need not hold its estimate
    least, most = (min(interval.low, estimate), max(interval.high, estimate)) if interval else (0.0, 0.0)
    return BreakEven(
        cost=cost,
        training=training,
        saved=saved,
        requests=_requests(training, estimate),
        low=_requests(training, most),
        high=_requests(training, least),
    )


def sentence(found: BreakEven | None, currency: str = "") -> str:
    """When the training is repaid, in words with the numbers behind it; money in `currency`."""
    if found is None:
        return "When the training is repaid can't be told: what it took, or what a request costs, was not measured."
    cost, saved, interval = cost_named(found.cost), found.saved.estimate, found.saved.interval
    took = f"The {cost.title} of the training ({cost.told(found.training, currency)})"
    if saved <= 0:
        costs = (
            f"costs the tuned model {cost.told(-saved, currency)} more" if saved < 0 else "costs both models the same"
        )
        if found.low is None:
            doubt = "" if interval else f" {_no_interval(found)}"
            return f"{took} is never repaid: a request {costs}.{doubt}"
        return (
            f"{took} is not repaid within the data: a request {costs}; the interval allows a saving that repays it"
            f" after {_count(found.low)} requests at the earliest."
        )
    text = f"{took} is repaid after about {_count(found.requests)} requests"
    each = f"each saves {cost.told(saved, currency)}"
    if interval is None:
        return f"{text}: {each}. {_no_interval(found)}"
    if found.high is None:
        return (
            f"{text}, {_count(found.low)} at the earliest: {each}. The latest is not within the data, which allow that"
            " a request saves nothing."
        )
    return f"{text} [{_count(found.low)}–{_count(found.high)}]: {each}."


def sentences(found: Sequence[Repayment], currency: str = "") -> tuple[str, ...]:
    """Every repayment in words."""
    return tuple(f"{one.tuned!r} in place of {one.large!r}: {sentence(one.at, currency)}" for one in found)


def _requests(training: float, saving: float) -> float | None:
    """None: nothing is saved, or so little that no number holds the requests."""
    requests = training / saving if saving > 0 else math.inf
    return requests if requests < math.inf else None


def _count(requests: float | None) -> str:
    """Whole requests, of large numbers three digits."""
    assert requests is not None
    whole = math.ceil(requests)
    return f"{whole:,}" if whole < 1000 else f"{round(whole, 3 - len(str(whole))):,}"


def _no_interval(found: BreakEven) -> str:
    tasks = found.saved.clusters
    return "By 1 task there is no interval." if tasks == 1 else f"The {tasks} tasks have no spread to tell an interval."
