"""How much a plan asks for, and how long that took in earlier sessions on the same models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from smallenough import journal
from smallenough.errors import JournalError
from smallenough.events import Plan
from smallenough.options import strategy_options
from smallenough.records import Arm


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a plan comes to."""

    trials: int
    least: int
    """Inferences, if every first attempt passes."""
    most: int
    """Inferences, if every budget is used up."""
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
    known = all(arm.name in rates for arm in plan.arms)
    seconds = sum(rates[arm.name] for arm in plan.arms) * each if known else None
    return Estimate(
        plan.trials,
        plan.trials,
        each * sum(most_attempts(arm) for arm in plan.arms),
        seconds,
        "the seconds a trial of earlier sessions" if known else "",
    )


def most_attempts(arm: Arm) -> int:
    """How many inferences one trial of an arm can take."""
    if arm.strategy != "branching":
        return 1
    options = strategy_options(arm.strategy, arm.options)
    return 1 + int(options.max_depth) * int(options.width)


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
