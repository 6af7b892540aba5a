"""How much a plan asks for, and how long that took in earlier sessions on the same models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from smallenough import journal
from smallenough.errors import JournalError
from smallenough.events import Plan
from smallenough.options import strategy_options


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a plan comes to."""

    trials: int
    least: int
    """Inferences, if every first attempt passes."""
    most: int | None
    """Inferences, if every budget is used up; None: some strategy does not tell."""
    seconds: float | None
    """Time it takes; None: some arm has not been run before."""
    basis: str
    """What the time is estimated from."""


def estimate(plan: Plan, journals: Path) -> Estimate:
    """Counts a plan's trials and inferences, and estimates its time from the newest sessions with the same arms.

    Args:
        plan: what shall be run.
        journals: the folder of all journals.
    """
    each = len(plan.task_ids) * plan.repeats
    rates = _rates(plan, journals)
    mosts = [strategy_options(arm.strategy, arm.options).most_asks for arm in plan.arms]
    known = all(arm.name in rates for arm in plan.arms)
    seconds = sum(rates[arm.name] for arm in plan.arms) * each if known else None
    return Estimate(
        plan.trials,
        plan.trials,
        None if None in mosts else each * sum(most for most in mosts if most is not None),
        seconds,
        "the seconds a trial of earlier sessions" if known else "",
    )


def _rates(plan: Plan, journals: Path, most: int = 20) -> dict[str, float]:
    """Seconds a trial, by arm, from the newest sessions that ran such an arm with the same concurrency."""
    rates: dict[str, float] = {}
    for session in journal.sessions(journals)[:most]:
        if all(arm.name in rates for arm in plan.arms):
            break
        try:
            for name, rate in _rates_of(session.folder, plan.concurrency).items():
                rates.setdefault(name, rate)
        except JournalError:
            continue
    return rates


def _rates_of(folder: Path, concurrency: int) -> dict[str, float]:
    started: dict[str, float] = {}
    spent: dict[str, float] = {}
    counted: dict[str, int] = {}
    for _, event in journal.read(folder):
        if event.kind == "session_started" and event.plan.concurrency != concurrency:
            return {}
        if event.kind == "arm_started":
            started[event.arm] = event.time
        elif event.kind == "arm_finished":
            spent[event.arm] = spent.get(event.arm, 0.0) + event.time - started[event.arm]
        elif event.kind == "trial_finished":
            counted[event.key.arm] = counted.get(event.key.arm, 0) + 1
    return {name: seconds / counted[name] for name, seconds in spent.items() if counted.get(name)}
