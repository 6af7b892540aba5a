"""What one option of a strategy adds: arms that differ in nothing else, one beside the other.

Two arms of the same model and strategy whose options differ in exactly one name are an ablation of that option. What it
adds is the paired difference of success, and what it costs that of every cost, over the tasks of both. The intervals
are of each pair of arms alone, not corrected for several.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeAlias

import pandas as pd

from smallenough.analysis.by_task import Success, caveat, cells, difference, scored, success, told
from smallenough.analysis.costs import COSTS, Cost
from smallenough.analysis.courses import ADDITIVE
from smallenough.analysis.statistics import RESAMPLES, Difference
from smallenough.records import Json

Options: TypeAlias = Mapping[str, Json]
"""An arm's options by name, as values or as the text that MLflow holds of them."""


@dataclass(frozen=True, slots=True)
class Ablation:
    """An arm beside one that differs by a single option. 'More' of it is `value`: on before off, larger numbers."""

    option: str
    value: str
    """Of the arm, as MLflow holds it; `unset`: it has none."""
    without: str
    """Of the other arm."""
    arm: str
    other: str
    success: Success
    costs: Mapping[str, Difference]
    """Of each cost that both arms have measured, by its name in `COSTS`, for a trial."""


def ablations(
    trials: pd.DataFrame,
    options: Mapping[str, Options],
    *,
    confidence: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[Ablation, ...]:
    """Every pair of arms that is an ablation, by option.

    Args:
        trials: one row a trial: `label`, `model`, `provider`, `strategy`, `suite`, `task`, `outcome`, `solved`, and the
            columns of the costs that are known.
        options: of each arm by its label, all that was chosen for it besides model and strategy. What is missing here
            and differs nevertheless (sampling, say) is taken for the option's doing. Arms without an entry have no
            part.
        confidence: of the intervals.
        resamples: of tasks.
        seed: of the resampling.
    """
    arms = trials.drop_duplicates("label").set_index("label")[["model", "provider", "strategy"]].astype("object")
    known = [str(label) for label in arms.index if label in options]
    settings = confidence, resamples, seed
    found: list[Ablation] = []
    for one, two in combinations(known, 2):
        if tuple(arms.loc[one]) != tuple(arms.loc[two]):
            continue
        differing = _differing(options[one], options[two])
        if len(differing) == 1:
            found += _compared(trials, differing[0], (one, two), options, settings)
    return tuple(sorted(found, key=lambda one: (one.option, one.without, one.value)))


def to_frame(found: Sequence[Ablation]) -> pd.DataFrame:
    """One row a pair of arms.

    `option`, `value`, `without`, `arm`, `other` and `finding` are `string`; `difference` of success with `_low` and
    `_high`, `mcnemar_p`, and for each cost its column with `_difference`, `_difference_low` and `_difference_high` (as
    `latency_seconds_difference`) are `Float64`; `better`, `worse` and `tasks` (counts of tasks) are `Int64`.
    """
    columns = [f"{cost.column}_difference{end}" for cost in _costs() for end in ("", "_low", "_high")]
    types = {
        **dict.fromkeys(("option", "value", "without", "arm", "other", "finding"), "string"),
        **dict.fromkeys(("difference", "difference_low", "difference_high", "mcnemar_p", *columns), "Float64"),
        **dict.fromkeys(("better", "worse", "tasks"), "Int64"),
    }
    rows = [
        (
            *(one.option, one.value, one.without, one.arm, one.other, one.success.finding),
            *cells(one.success.difference),
            one.success.mcnemar_p,
            *(cell for cost in _costs() for cell in cells(one.costs.get(cost.name))),
            *(one.success.better, one.success.worse, one.success.difference.clusters),
        )
        for one in found
    ]
    return pd.DataFrame(rows, columns=list(types)).astype(types)


def sentence(found: Ablation, currency: str = "") -> str:
    """What the option adds and costs, in words with the numbers behind it; money in `currency`."""
    said = {
        "better": "solves more",
        "worse": "solves less",
        "not better": "does not show that it solves more",
        "not enough data": "has not enough data to tell whether it solves more",
    }[found.success.finding]
    tasks = found.success.difference.clusters
    common = "1 common task" if tasks == 1 else f"{tasks} common tasks"
    spent = "; ".join(_spent(COSTS[name], one, currency) for name, one in found.costs.items())
    costs = f" A task takes it {spent}." if spent else " What it costs was not measured."
    return (
        f"{found.option}: {found.value} instead of {found.without} {said}: {told(found.success)}, {found.arm!r} against"
        f" {found.other!r} on {common}.{caveat(found.success)}{costs}"
    )


def sentences(found: Sequence[Ablation], currency: str = "") -> tuple[str, ...]:
    """Every ablation in words; where there is none, why."""
    if found:
        return tuple(sentence(one, currency) for one in found)
    return ("No two arms of one model and strategy differ by a single option: what options add can't be told apart.",)


def _compared(
    trials: pd.DataFrame,
    option: str,
    pair: tuple[str, str],
    options: Mapping[str, Options],
    settings: tuple[float, int, int],
) -> Iterator[Ablation]:
    """The ablation, unless no task is common."""
    confidence, resamples, seed = settings
    values = {label: _value(options[label].get(option)) for label in pair}
    other, arm = sorted(pair, key=lambda label: _rank(values[label]))
    solved = success(trials, arm, other, confidence=confidence, resamples=resamples, seed=seed)
    if solved is None:
        return
    ended = scored(trials)
    costs = {
        cost.name: found
        for cost in _costs()
        if (found := difference(ended, arm, other, cost.column, confidence=confidence, resamples=resamples, seed=seed))
    }
    yield Ablation(option, _text(values[arm]), _text(values[other]), arm, other, solved, costs)


def _costs() -> tuple[Cost, ...]:
    return tuple(COSTS[name] for name in ADDITIVE)


def _differing(one: Options, two: Options) -> list[str]:
    return [name for name in sorted(one.keys() | two.keys()) if _value(one.get(name)) != _value(two.get(name))]


def _value(told: Json) -> Json:
    """What an option is, from its value or its text."""
    if not isinstance(told, str):
        return list(told) if isinstance(told, tuple) else told
    try:
        return json.loads(told)
    except ValueError:
        return told


def _rank(value: Json) -> tuple[int, float, str]:
    """Off before on, small before large, else by what is written."""
    if value is None or value is False or value in ("off", [], ""):
        return 0, 0.0, ""
    if isinstance(value, bool | int | float):
        return 1, float(value), ""
    return 2, 0.0, json.dumps(value)


def _text(value: Json) -> str:
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return "on" if value else "off"
    return value if isinstance(value, str) else json.dumps(value)


def _spent(cost: Cost, found: Difference, currency: str) -> str:
    """A difference of costs in words: `3.2 s more time [1.1 s, 5.0 s]`."""
    which = "more" if found.estimate >= 0 else "less"
    sign = 1 if found.estimate >= 0 else -1
    interval = found.interval
    ends = sorted((sign * interval.low, sign * interval.high)) if interval else []
    told_ends = f" [{', '.join(cost.told(end, currency) for end in ends)}]" if ends else ""
    return f"{cost.told(abs(found.estimate), currency)}{told_ends} {which} {cost.title}"
