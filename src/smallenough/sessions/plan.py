"""How large an experiment has to be for an answer: how many tasks and repeats, and what those take. Pure.

Pairs are a task that two arms were tried at. Repeats of a task tell less than new tasks do, by the design effect; with
several arms the level is the one that Holm's method asks of the smallest p-value, which is the worst case.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from smallenough.analysis.money import Prices
from smallenough.analysis.statistics import (
    Interval,
    design_effect,
    pairs_for_difference,
    pairs_for_noninferiority,
    tasks_needed,
)
from smallenough.errors import InputError
from smallenough.metrics import total
from smallenough.sessions.rates import Rate

ASSUMED_DISCORDANCE = 0.3
"""Share of tasks at which two arms are taken to disagree, where no session tells."""
ASSUMED_CORRELATION = 0.5
"""How alike a task's repeats are taken to be, where no session tells."""

_FINEST = 1000
"""Differences are told to 1 / `_FINEST`; smaller ones would need millions of tasks."""


@dataclass(frozen=True, slots=True)
class Question:
    """What an experiment shall be able to answer: either whether arms differ, or whether one is not worse."""

    difference: float | None = None
    """Of the solved rates that shall be found, a share."""
    margin: float | None = None
    """By how much an arm may be worse and still be good enough, a share; it is taken to solve as much in truth."""
    power: float = 0.8
    """How often the answer shall be found."""
    alpha: float = 0.05
    """How often, over all arms, it may be found where it is not the truth; of a margin's test one-sided."""
    arms: int = 2
    """The baseline included."""

    def __post_init__(self) -> None:
        if (self.difference is None) == (self.margin is None):
            raise InputError(
                "say either the difference to find, or the margin by which an arm may be worse; one of them"
            )
        for name, share in (("difference", self.difference), ("margin", self.margin)):
            if share is not None and not 1 / _FINEST <= share < 1:
                said = f"a {name} is a share of the tasks from {1 / _FINEST:g} to below 1, as 0.05 for 5 points"
                raise InputError(f"{said}; not {share:g}")
        for name, share in (("power", self.power), ("alpha", self.alpha)):
            if not _LEAST_SHARE <= share <= 1 - _LEAST_SHARE:
                raise InputError(f"{name} is a share between 0 and 1, as {_USUAL[name]:g}, not {share:g}")
        if self.power <= self.alpha:
            raise InputError(f"a power of {self.power:g} needs no data at a level of {self.alpha:g}; ask for more")
        if self.arms < 2:
            raise InputError(f"a comparison has at least 2 arms, not {self.arms}")

    @property
    def size(self) -> float:
        """The difference, or the margin."""
        return self.difference if self.difference is not None else self.margin or 0.0

    @property
    def level(self) -> float:
        """Of each arm's test, at worst."""
        return self.alpha / (self.arms - 1)


_LEAST_SHARE = 1e-6
_USUAL = {"power": 0.8, "alpha": 0.05}


@dataclass(frozen=True, slots=True)
class Known:
    """A share that the numbers rest on."""

    value: float
    source: str
    """In words."""
    measured: bool = False
    """In earlier sessions; else it was given, or is assumed."""
    interval: Interval | None = None
    session: str | None = None
    """In which it was measured."""


@dataclass(frozen=True, slots=True)
class Basis:
    """What a plan rests on."""

    discordance: Known
    """Share of tasks at which two arms disagree."""
    correlation: Known
    """How alike the repeats of a task are (intraclass)."""
    rates: tuple[Rate, ...] = ()
    """What a trial takes, by arm of an earlier session; empty: none tells."""
    rates_source: str = ""
    prices: Prices | None = None
    """As that session was told."""


@dataclass(frozen=True, slots=True)
class Row:
    """One way to get the answer."""

    repeats: int
    tasks: int
    trials: int
    """Of all arms."""
    inferences: float | None
    seconds: float | None
    joules: float | None
    money: float | None
    smallest: float | None
    """The smallest difference, or margin, that the suite's tasks are enough for; None: no suite, or too few for any."""


@dataclass(frozen=True, slots=True)
class Sized:
    """The answer: how large the experiment has to be."""

    question: Question
    basis: Basis
    pairs: int
    """Independent ones that are needed."""
    tasks_range: tuple[int, int] | None
    """Tasks for the ends of the discordance's interval, with the first row's repeats; None: it has none."""
    rows: tuple[Row, ...]
    suite: str | None = None
    suite_tasks: int | None = None


def sized(
    question: Question, basis: Basis, repeats: Sequence[int] = (1,), suite: tuple[str, int] | None = None
) -> Sized:
    """How many tasks an answer needs with each number of repeats, and what they take.

    Args:
        question: what shall be answered.
        basis: what is known, or assumed.
        repeats: how often each arm tries each task; at least one number.
        suite: name and number of tasks of the suite that shall be used.

    Raises:
        InputError: a number of repeats is below 1, or the discordance no share.
    """
    if not repeats or min(repeats) < 1:
        raise InputError(f"repeats are 1 or more, not {', '.join(map(str, repeats)) or 'none'}")
    if not 0 <= basis.discordance.value <= 1:
        raise InputError(f"the discordance is a share of the tasks, from 0 to 1, not {basis.discordance.value:g}")
    pairs = pairs_needed(question, basis.discordance.value)
    interval, first = basis.discordance.interval, repeats[0]
    ends = [] if interval is None else [pairs_needed(question, end) for end in (interval.low, interval.high)]
    between = [tasks_needed(end, first, basis.correlation.value) for end in ends]
    return Sized(
        question,
        basis,
        pairs,
        (min(between), max(between)) if between else None,
        tuple(_row(question, basis, pairs, number, suite[1] if suite else None) for number in repeats),
        *(suite or ()),
    )


def pairs_needed(question: Question, discordance: float) -> int:
    """Independent pairs for the answer; two arms that differ disagree at that share of tasks at least."""
    power, level = question.power, question.level
    if question.difference is not None:
        share = max(discordance, question.difference)
        return pairs_for_difference(question.difference, share, power=power, alpha=level)
    pairs = pairs_for_noninferiority(0.0, discordance, question.size, power=power, alpha=level)
    assert pairs is not None  # a difference of 0 is above every margin
    return pairs


def smallest(question: Question, discordance: float, pairs: int) -> float | None:
    """The smallest difference, or margin, that so many independent pairs are enough for; None: they are for none."""

    def enough(parts: int) -> bool:
        size = parts / _FINEST
        if question.difference is not None:
            share = max(discordance, size)
            return pairs_for_difference(size, share, power=question.power, alpha=question.level) <= pairs
        needed = pairs_for_noninferiority(0.0, discordance, size, power=question.power, alpha=question.level)
        return needed is not None and needed <= pairs

    parts = _first(enough, 1, _FINEST - 1)
    return None if parts is None else parts / _FINEST


def _first(enough: Callable[[int], bool], low: int, high: int) -> int | None:
    """The first number that is enough, if all above it are; None: not even the last is."""
    if not enough(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return high


def _row(question: Question, basis: Basis, pairs: int, repeats: int, available: int | None) -> Row:
    correlation = basis.correlation.value
    tasks = tasks_needed(pairs, repeats, correlation)
    trials = tasks * repeats * question.arms
    taken = basis.rates
    found = None
    if available is not None:
        worth = math.floor(available * repeats / design_effect(repeats, correlation) + 1e-9)
        found = smallest(question, basis.discordance.value, worth)
    return Row(
        repeats,
        tasks,
        trials,
        _mean([one.inferences for one in taken], trials),
        _mean([one.seconds for one in taken], trials),
        _mean([one.joules for one in taken], trials),
        _mean([one.money(basis.prices) for one in taken], trials) if basis.prices else None,
        found,
    )


def _mean(each: Sequence[float | None], trials: int) -> float | None:
    """What so many trials take, spread evenly over the arms; None: some arm's is not known."""
    whole = total(each)
    return None if whole is None or not each else whole / len(each) * trials
