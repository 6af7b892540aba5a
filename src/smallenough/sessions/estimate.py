"""How much a plan asks for, and what that took in earlier sessions on the same models."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from smallenough.analysis.money import Prices
from smallenough.events import Plan
from smallenough.metrics import total
from smallenough.options import strategy_options
from smallenough.sessions.rates import alike, rates
from smallenough.tracking.runs import texts


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a plan comes to."""

    trials: int
    least: int
    """Inferences, if every first attempt passes."""
    most: int | None
    """Inferences, if every budget is used up; None: some strategy does not tell."""
    inferences: float | None
    """Inferences to expect; None, as for all that follows: some arm has not been run before."""
    seconds: float | None
    """Time it takes."""
    joules: float | None
    """Energy it takes; None also where it was not measured."""
    money: float | None
    """What it costs by the plan's prices; None also where there are none, or what is charged was not measured."""
    currency: str
    basis: str
    """What this is estimated from."""


def estimate(plan: Plan, journals: Path) -> Estimate:
    """Counts a plan's trials and inferences; estimates the rest from the newest sessions with these arms and suite.

    Args:
        plan: what shall be run.
        journals: the folder of all journals.
    """
    each = len(plan.task_ids) * plan.repeats
    found = rates(plan, journals)
    taken = [found.get(alike(arm)) for arm in plan.arms]
    known = [one for one in taken if one]
    complete = len(known) == len(taken)

    def whole(values: list[float | None]) -> float | None:
        summed = total(values) if complete else None
        return None if summed is None else summed * each

    options = [strategy_options(arm.strategy, arm.options) for arm in plan.arms]
    mosts = [one.most_asks for one in options]
    prices = Prices.recorded(texts(plan.prices))
    return Estimate(
        plan.trials,
        each * sum(one.least_asks for one in options),
        None if None in mosts else each * sum(most for most in mosts if most is not None),
        whole([one.inferences for one in known]),
        whole([one.seconds for one in known]),
        whole([one.joules for one in known]),
        whole([one.money(prices) for one in known]) if prices else None,
        prices.currency if prices else "",
        "what a trial took in earlier sessions on this suite" if complete else "",
    )


def together(first: Estimate, *others: Estimate) -> Estimate:
    """What plans with the same arms and prices come to, one after another."""
    every = (first, *others)

    def whole(values: Sequence[float | None]) -> float | None:
        return None if None in values else total(values)

    mosts = [one.most for one in every]
    return replace(
        first,
        trials=sum(one.trials for one in every),
        least=sum(one.least for one in every),
        most=None if None in mosts else sum(most for most in mosts if most is not None),
        inferences=whole([one.inferences for one in every]),
        seconds=whole([one.seconds for one in every]),
        joules=whole([one.joules for one in every]),
        money=whole([one.money for one in every]),
    )
