"""What a report tells: findings, and what follows from them, as values. How it looks is for the pages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from smallenough.analysis import ablation, branching
from smallenough.analysis.ablation import Ablation
from smallenough.analysis.branching import Move, Reach, Rescue
from smallenough.analysis.breakeven import Repayment
from smallenough.analysis.budgets import Budgets
from smallenough.analysis.by_task import floats
from smallenough.analysis.categories import CategoryShare, by_category
from smallenough.analysis.classification import FrequencyShare, by_frequency
from smallenough.analysis.costs import COSTS
from smallenough.analysis.courses import ADDITIVE
from smallenough.analysis.equal_budgets import EqualBudget
from smallenough.analysis.findings import Findings
from smallenough.analysis.frames import Frames
from smallenough.analysis.pareto import Front
from smallenough.analysis.plots.resources import Samples
from smallenough.analysis.report.grid import Grid, grid
from smallenough.tracking.answers import Answers


@dataclass(frozen=True)
class Branching:
    """How arms with several attempts a trial came to their answers."""

    rescues: tuple[Rescue, ...]
    moves: tuple[Move, ...]
    reaches: tuple[Reach, ...]
    ablations: tuple[Ablation, ...]

    @property
    def empty(self) -> bool:
        """Whether no arm tried twice."""
        return not (self.rescues or self.moves or self.ablations)


@dataclass(frozen=True)
class Content:
    """All that a report tells."""

    findings: Findings
    fronts: tuple[Front, ...]
    """One for each cost that was measured for an arm; without arms where they have no task in common."""
    budgets: tuple[Budgets, ...]
    """One for each cost that adds up and was measured of attempts."""
    equal: Mapping[str, tuple[EqualBudget, ...]]
    """What strategies are worth at equal cost, by the cost."""
    repayments: tuple[Repayment, ...]
    """When trainings are repaid; none where no arm was trained."""
    unmeasured: tuple[str, ...]
    """Names of costs that were measured for no arm."""
    categories: tuple[CategoryShare, ...]
    branching: Branching
    grid: Grid
    samples: Samples = field(default_factory=dict)
    answers: Answers | None = None
    """None: not asked for."""
    frequencies: tuple[FrequencyShare, ...] = ()
    """Arms by how often labels were learned; none where that is not known."""

    @property
    def currency(self) -> str:
        """Of money; empty: not told."""
        prices = self.findings.comparison.prices
        return prices.currency if prices else ""

    @property
    def frames(self) -> Frames:
        """What was compared."""
        return self.findings.frames


def gather(
    found: Findings,
    chosen: Grid | None = None,
    samples: Samples | None = None,
    answers: Answers | None = None,
    learned: Mapping[str, int] | None = None,
) -> Content:
    """Works out all that a report tells.

    Args:
        found: the findings.
        chosen: the tasks, and those whose answers were read; None: without answers.
        samples: of the arms' resources.
        answers: to the tasks that `chosen` shows.
        learned: how many rows of each label were trained on; None or empty: not known.
    """
    frames = found.frames
    measured = [name for name in COSTS if _measured(found, name)]
    drawn = [name for name in ADDITIVE if _known(frames.attempts, name)]
    budgets = (found.budgets(name) for name in drawn)
    return Content(
        findings=found,
        fronts=tuple(found.front(name) for name in measured),
        budgets=tuple(one for one in budgets if one.curves),
        equal={name: found.at_equal_budget(name) for name in drawn},
        repayments=found.repayments(),
        unmeasured=tuple(name for name in COSTS if name not in measured),
        categories=by_category(frames.trials, frames.labels, found.comparison.confidence),
        branching=_branching(frames),
        grid=chosen or grid(frames, 0),
        samples=samples or {},
        answers=answers,
        frequencies=_frequencies(found, learned or {}),
    )


def _measured(found: Findings, cost: str) -> bool:
    """Whether a cost is known of an arm as a whole, or of one of its trials."""
    return any(row.costs[cost] is not None for row in found.comparison.rows) or _known(found.frames.trials, cost)


def _frequencies(found: Findings, learned: Mapping[str, int]) -> tuple[FrequencyShare, ...]:
    """None where no label of the tasks was learned: the training was of another task."""
    asked = {str(one.name) for arm in found.labels for one in arm.classes}
    if not asked & set(learned):
        return ()
    return by_frequency(found.frames.trials, found.frames.labels, learned, found.comparison.confidence)


def _known(frame: pd.DataFrame, cost: str) -> bool:
    return not np.isnan(floats(frame, COSTS[cost].column)).all()


def _branching(frames: Frames) -> Branching:
    """Arms none of whose trials has a second attempt have no part in it."""
    trials, attempts = frames.trials, frames.attempts
    if attempts.empty:
        return Branching((), (), (), ())
    calls = attempts.groupby("label", observed=True)["attempt"].max()
    several = trials[trials["label"].isin(calls.index[calls > 0])]
    return Branching(
        rescues=branching.rescues(several, attempts) if len(several) else (),
        moves=branching.moves(several, attempts) if len(several) else (),
        reaches=branching.reaches(several) if len(several) else (),
        ablations=ablation.ablations(trials, _options(frames)),
    )


def _options(frames: Frames) -> dict[str, dict[str, str]]:
    """The options of each arm, as the store holds them."""
    if "options" not in frames.arms:
        return {}
    return {str(label): json.loads(told) for label, told in frames.arms["options"].items() if isinstance(told, str)}
