"""The verdict: the cheapest arm that is not worse than the baseline by more than a margin, or why there is none.

'Not worse' is shown, never assumed: a one-sided test of paired non-inferiority for each arm, corrected over the arms
by Holm's method. An arm for which it is not shown is either shown to be worse, by the same test the other way round at
half the level, corrected alike, or there is not enough data, and then the verdict says how many more tasks would settle
it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from smallenough.analysis.criterion import Costs, Criterion
from smallenough.analysis.evidence import ArmRow, Comparison
from smallenough.analysis.frames import Frames, pair
from smallenough.analysis.statistics import (
    Difference,
    NonInferiority,
    holm,
    noninferiority,
    pairs_for_noninferiority,
)
from smallenough.errors import InputError

MARGIN = 0.05
SMALL_SUITE_MARGIN = 0.20
SMALL_SUITE = 200
"""Tasks below which the margin is the wider one by default, as of `basics`: five points need about 500 pairs."""

POWER = 0.8
"""With which 'N more tasks would settle it' is reckoned."""

Standing: TypeAlias = Literal["not worse", "worse", "undecided", "not compared"]
Kind: TypeAlias = Literal[
    "found", "none cheaper", "not enough data", "none", "no cost", "not comparable", "nothing solved"
]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An arm besides the baseline, and where it stands."""

    arm: str
    standing: Standing
    cheaper: bool | None
    """Than the baseline, by the criterion; None: one of the two was not measured."""
    costs: Costs
    difference: Difference | None
    """Of the solved rate to the baseline, with its two-sided interval."""
    test: NonInferiority | None
    """None: no task in common."""
    p_corrected: float | None
    """Of the test, by Holm's method over all candidates."""
    more_tasks: int | None
    """So many more would settle it, if what was seen is the truth; None: it is settled, or no number would."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer, with the numbers behind it."""

    kind: Kind
    arm: str | None
    """The cheapest arm that is good enough; None: there is none besides the baseline."""
    baseline: str
    margin: float
    margin_given: bool
    """Whether it was asked for; else it is the default for this many tasks."""
    alpha: float
    """The chance, over all arms, of calling one good enough that is not: of a one-sided test."""
    tasks: int
    """Of the baseline."""
    criterion: Criterion
    unmeasured: tuple[str, ...]
    """Costs that were asked for and measured for no arm."""
    baseline_costs: Costs
    currency: str
    """Of money; empty: not told."""
    candidates: tuple[Candidate, ...]
    """From the cheapest on; last those whose cost was not measured."""

    def candidate(self, arm: str) -> Candidate:
        """The candidate of that name."""
        return next(one for one in self.candidates if one.arm == arm)


def default_margin(tasks: int) -> float:
    """The margin where none is given: five points, and twenty for suites of fewer than `SMALL_SUITE` tasks."""
    return SMALL_SUITE_MARGIN if tasks < SMALL_SUITE else MARGIN


def judge(
    frames: Frames,
    comparison: Comparison,
    margin: float | None = None,
    criterion: Criterion | None = None,
) -> Verdict:
    """The verdict on a comparison.

    Args:
        frames: what was compared.
        comparison: the comparison of them.
        margin: by how much of the solved rate an arm may be worse, between 0 and 1; None: by the number of tasks.
        criterion: what cheap means; None: peak memory, then seconds.

    Raises:
        InputError: the margin is not between 0 and 1.
    """
    if margin is not None and not 0 < margin < 1:
        raise InputError(f"a margin is a share between 0 and 1, as 0.05 for five points, not {margin:g}")
    base = next(row for row in comparison.rows if row.baseline)
    others = [row for row in comparison.rows if not row.baseline]
    width = default_margin(base.counts.tasks) if margin is None else margin
    alpha = 1 - comparison.confidence
    wanted = criterion or Criterion()
    unmeasured = tuple(name for name in wanted.costs if all(row.costs.get(name) is None for row in comparison.rows))
    used = wanted.without(unmeasured)
    places = _places(comparison.rows, used)
    candidates = _candidates(frames, others, base.arm, width, alpha, places)
    kind, arm = _decide(candidates, ordered=used is not None)
    return Verdict(
        kind=kind,
        arm=arm,
        baseline=base.arm,
        margin=width,
        margin_given=margin is not None,
        alpha=alpha,
        tasks=base.counts.tasks,
        criterion=used or wanted,
        unmeasured=unmeasured,
        baseline_costs=base.costs,
        currency=comparison.prices.currency if comparison.prices else "",
        candidates=candidates,
    )


def _places(rows: Sequence[ArmRow], criterion: Criterion | None) -> Mapping[str, int]:
    """The place of each arm from the cheapest on; without those that can't be ordered."""
    order = criterion.order({row.arm: row.costs for row in rows}) if criterion else ()
    return {name: place for place, name in enumerate(order)}


def _candidates(
    frames: Frames, rows: Sequence[ArmRow], base: str, margin: float, alpha: float, places: Mapping[str, int]
) -> tuple[Candidate, ...]:
    tests = {row.arm: _test(frames, row.arm, base, margin, 1 - alpha) for row in rows}
    corrected = holm([test.p_value if test else None for test in tests.values()])
    inferior = holm([test.p_worse if test else None for test in tests.values()])
    number = sum(test is not None for test in tests.values())
    found = []
    for row, p, p_worse in zip(rows, corrected, inferior, strict=True):
        test, difference = tests[row.arm], row.against.difference if row.against else None
        standing = _standing(p, p_worse, alpha)
        cheaper = places[row.arm] < places[base] if row.arm in places and base in places else None
        more = _more_tasks(test, difference, margin, alpha / number) if test and standing == "undecided" else None
        found.append(Candidate(row.arm, standing, cheaper, row.costs, difference, test, p, more))
    return tuple(sorted(found, key=lambda one: places.get(one.arm, len(places))))


def _test(frames: Frames, arm: str, base: str, margin: float, confidence: float) -> NonInferiority | None:
    pairs = pair(frames, arm, base, "solved")
    return noninferiority(pairs.arm, pairs.baseline, pairs.tasks, margin=margin, confidence=confidence)


def _standing(p: float | None, p_worse: float | None, alpha: float) -> Standing:
    if p is None or p_worse is None:
        return "not compared"
    if p <= alpha:
        return "not worse"
    return "worse" if p_worse <= alpha / 2 else "undecided"


def _more_tasks(test: NonInferiority, difference: Difference | None, margin: float, alpha: float) -> int | None:
    """Tasks besides those there are, until the test would be passed with `POWER`, the truth being what was seen."""
    if difference is None:
        return None
    discordance = (test.better + test.worse) / test.pairs
    pairs = pairs_for_noninferiority(test.estimate, discordance, margin, power=POWER, alpha=alpha)
    if pairs is None:
        return None
    tasks = math.ceil(pairs * difference.clusters / test.effective_pairs)
    return max(tasks - difference.clusters, 1)


def _decide(candidates: Sequence[Candidate], *, ordered: bool) -> tuple[Kind, str | None]:
    """The kind of the verdict, and its arm: the cheapest that is not worse, unless the baseline is cheaper still."""
    if all(one.standing == "not compared" for one in candidates):
        return "not comparable", None
    solved = [one.difference for one in candidates if one.difference]
    if all(one.arm_mean == one.baseline_mean == 0 for one in solved):
        return "nothing solved", None
    if not ordered:
        return "no cost", None
    good = next((one for one in candidates if one.standing == "not worse" and one.cheaper is not False), None)
    if good:
        return "found", good.arm
    hopeful = [one for one in candidates if one.cheaper is not False]
    if any(one.standing == "undecided" and one.more_tasks is not None for one in hopeful):
        return "not enough data", None
    if not hopeful or any(one.standing == "not worse" for one in candidates):
        return "none cheaper", None
    return "none", None
