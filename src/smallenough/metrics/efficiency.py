"""Quality and costs in one number, with weights that the user chooses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from smallenough.errors import InputError, UnknownName

_PARTS = {
    "quality": "tests_passed_ratio",
    "latency": "latency_seconds",
    "tokens": "tokens_total",
    "cpu": "cpu_seconds",
    "memory": "peak_memory_bytes",
    "energy": "energy_joules",
}


@dataclass(frozen=True, slots=True)
class EfficiencyWeights:
    """How much each part counts, and the cost at which a part is worth one half.

    The score is the weighted geometric mean of its parts, from 0 to 1: quality is the ratio of tests passed, and a
    cost c is worth 1 / (1 + c / half). A part with weight 0 is left out. An answer that passes nothing scores 0,
    however cheap it was; halving any cost helps wherever the others stand.
    """

    quality: float = 1.0
    latency: float = 0.5
    tokens: float = 0.0
    cpu: float = 0.25
    memory: float = 0.25
    energy: float = 0.0
    half_latency: float = 10.0
    """Seconds of inference."""
    half_tokens: float = 1000.0
    half_cpu: float = 20.0
    """CPU seconds."""
    half_memory: float = 4 * 2.0**30
    """Bytes at the peak."""
    half_energy: float = 500.0
    """Joules."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            least = "above 0" if field.name.startswith("half_") else "0 or more"
            if not math.isfinite(value) or value < 0 or (value == 0 and least == "above 0"):
                raise InputError(f"the efficiency weight {field.name} is {value}; give a number of {least}")
        if not any(getattr(self, part) for part in _PARTS):
            raise InputError("every efficiency weight is 0; give at least one part some weight")

    @classmethod
    def of(cls, weights: Mapping[str, float]) -> EfficiencyWeights:
        """The defaults, changed by `weights`.

        Raises:
            UnknownName: there is no such weight.
            InputError: a weight is negative, or all are 0.
        """
        known = [field.name for field in fields(cls)]
        for name in weights:
            if name not in known:
                raise UnknownName("efficiency weight", name, known)
        return cls(**{name: float(value) for name, value in weights.items()})


def efficiency(metrics: Mapping[str, float | None], weights: EfficiencyWeights) -> float | None:
    """The score of a trial by its other metrics; None: a part that counts was not measured."""
    logarithm = total = 0.0
    for part, name in _PARTS.items():
        weight, value = getattr(weights, part), metrics.get(name)
        if weight == 0:
            continue
        if value is None:
            return None
        worth = value if part == "quality" else 1 / (1 + value / getattr(weights, f"half_{part}"))
        if worth <= 0:
            return 0.0
        logarithm += weight * math.log(worth)
        total += weight
    return math.exp(logarithm / total)
