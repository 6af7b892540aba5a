"""How much a plan asks for, and how long that took in earlier sessions on the same models."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from smallenough import journal
from smallenough.errors import JournalError
from smallenough.events import ArmFinished, ArmStarted, Plan, SessionStarted, TrialFinished
from smallenough.options import strategy_options
from smallenough.records import Arm, digest


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
    """Counts a plan's trials and inferences; estimates its time from the newest sessions with these arms and suite.

    Args:
        plan: what shall be run.
        journals: the folder of all journals.
    """
    each = len(plan.task_ids) * plan.repeats
    rates = _rates(plan, journals)
    options = [strategy_options(arm.strategy, arm.options) for arm in plan.arms]
    mosts = [one.most_asks for one in options]
    known = all(_same(arm) in rates for arm in plan.arms)
    seconds = sum(rates[_same(arm)] for arm in plan.arms) * each if known else None
    return Estimate(
        plan.trials,
        each * sum(one.least_asks for one in options),
        None if None in mosts else each * sum(most for most in mosts if most is not None),
        seconds,
        "the seconds a trial of earlier sessions on this suite" if known else "",
    )


def _same(arm: Arm) -> str:
    """What two arms share that take the same time a task: all but what they are called."""
    return digest([arm.provider, arm.model, arm.strategy, arm.options, asdict(arm.sampling), arm.size_class])


def _rates(plan: Plan, journals: Path, most: int = 20) -> dict[str, float]:
    """Seconds a trial, by arm, from the newest sessions that ran it on this suite with the same concurrency."""
    rates: dict[str, float] = {}
    wanted = {_same(arm) for arm in plan.arms}
    alike = (one for one in journal.sessions(journals) if one.suite == plan.suite)
    for session in islice(alike, most):
        if wanted <= rates.keys():
            break
        try:
            for arm, rate in _rates_of(session.folder, plan.concurrency).items():
                rates.setdefault(arm, rate)
        except JournalError:
            continue
    return rates


def _rates_of(folder: Path, concurrency: int) -> dict[str, float]:
    """Seconds a trial that went through, by arm. What failed took its time too, and counts as none."""
    arms: dict[str, str] = {}
    started: dict[str, float] = {}
    spent: dict[str, float] = {}
    counted: Counter[str] = Counter()
    for _, event in journal.read(folder):
        match event:
            case SessionStarted():
                if event.plan.concurrency != concurrency:
                    return {}
                arms = {arm.name: _same(arm) for arm in event.plan.arms}
            case ArmStarted():
                started[event.arm] = event.time
            case ArmFinished():
                spent[event.arm] = spent.get(event.arm, 0.0) + event.time - started[event.arm]
            case TrialFinished(failure=None):
                counted[event.key.arm] += 1
            case _:
                pass
    return {arms[name]: seconds / counted[name] for name, seconds in spent.items() if counted[name]}
