"""What 'cheap' means: costs one after the other, or a weighted score of several; and the arms in that order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from smallenough.analysis.costs import COSTS, cost_named
from smallenough.errors import InputError

TIE = 0.05
"""Costs that differ by no more than this share of the lower one are taken as equal: about what the same arm's memory
and time differ by from one session to the next."""

Costs = Mapping[str, float | None]
"""What a trial of an arm takes, by the names of `COSTS`."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """By what arms are ordered.

    Without weights the first cost decides; where it is equal within `TIE`, the next one. With weights the score is the
    weighted geometric mean of the costs, so that its order does not depend on units.
    """

    costs: tuple[str, ...] = ("memory", "seconds")
    weights: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Criterion:
        """Reads `memory,seconds` (one after the other) or `memory=2,seconds=1` (a weighted score).

        Raises:
            UnknownName: there is no such cost.
            InputError: it is neither form, tokens are asked for, or a weight is not above 0.
        """
        parts = [part.strip() for part in text.split(",") if part.strip()]
        pairs = [part.partition("=") for part in parts]
        if not parts or len({bool(sign) for _, sign, _ in pairs}) > 1:
            raise InputError(f"costs are given as `memory,seconds` or as `memory=2,seconds=1`, not {text!r}")
        names = tuple(cost_named(name.strip()).name for name, _, _ in pairs)
        if len(set(names)) < len(names):
            raise InputError(f"a cost is named twice in {text!r}")
        if not pairs[0][1]:
            return cls(names)
        return cls(names, dict(zip(names, (_weight(name, told) for name, _, told in pairs), strict=True)))

    @property
    def told(self) -> str:
        """The criterion in words."""
        if self.weights:
            return "a score of " + ", ".join(f"{COSTS[name].arm_title} × {self.weights[name]:g}" for name in self.costs)
        return ", then ".join(COSTS[name].arm_title for name in self.costs)

    def without(self, names: Sequence[str]) -> Criterion | None:
        """The criterion by its other costs; None: there is no other."""
        left = tuple(name for name in self.costs if name not in names)
        return Criterion(left, {name: self.weights[name] for name in left if self.weights}) if left else None

    def order(self, arms: Mapping[str, Costs]) -> tuple[str, ...]:
        """The arms from the cheapest on; those of which a cost that decides was not measured are left out."""
        if self.weights:
            scores = {name: score for name, costs in arms.items() if (score := self.score(costs)) is not None}
            return tuple(sorted(scores, key=lambda name: scores[name]))
        return tuple(_in_turn(list(arms), arms, self.costs))

    def score(self, costs: Costs) -> float | None:
        """The weighted geometric mean of an arm's costs; None: one of them was not measured."""
        logarithm = 0.0
        for name, weight in self.weights.items():
            value = costs.get(name)
            if value is None:
                return None
            if value <= 0:
                return 0.0
            logarithm += weight * math.log(value)
        return math.exp(logarithm / sum(self.weights.values()))


def equal(one: float, other: float) -> bool:
    """Whether two costs differ by no more than `TIE` of the lower one."""
    return max(one, other) <= min(one, other) * (1 + TIE)


def _in_turn(names: list[str], arms: Mapping[str, Costs], costs: Sequence[str]) -> list[str]:
    """Sorts by the first cost; those that are equal within `TIE` of the cheapest of them by the next ones."""
    if not costs:
        return names
    known = {name: value for name in names if (value := arms[name].get(costs[0])) is not None}
    rest = sorted(known, key=lambda name: known[name])
    found: list[str] = []
    while rest:
        tied = [rest[0], *(name for name in rest[1:] if equal(known[rest[0]], known[name]))]
        rest = rest[len(tied) :]
        found += tied if len(tied) == 1 else _tied(tied, arms, costs[1:])
    return found


def _tied(names: list[str], arms: Mapping[str, Costs], costs: Sequence[str]) -> list[str]:
    """Those of which the next cost is known by that cost, then the others as they stand."""
    ordered = _in_turn(names, arms, costs)
    return ordered + [name for name in names if name not in ordered]


def _weight(name: str, told: str) -> float:
    try:
        weight = float(told)
    except ValueError as error:
        raise InputError(f"the weight of {name.strip()} is no number: {told.strip()!r}") from error
    if not math.isfinite(weight) or weight <= 0:
        raise InputError(f"the weight of {name.strip()} must be above 0, not {told.strip()}")
    return weight
