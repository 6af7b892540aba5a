"""What was consumed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Provenance: TypeAlias = Literal["measured", "apportioned", "estimated", "none"]
"""Where a number of `Usage` comes from."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What an attempt, an arm or a training run consumed, by the resource monitor. None: not measured."""

    seconds: float = 0.0
    """Length of the window that this covers."""
    cpu_seconds: float | None = None
    cpu_percent: float | None = None
    """Mean use; 100 is one core."""
    peak_memory_bytes: int | None = None
    mean_memory_bytes: int | None = None
    gpu_percent: float | None = None
    """Mean use of the busiest GPU, 0 to 100."""
    gpu_peak_memory_bytes: int | None = None
    energy_joules: float | None = None
    gpu_energy_joules: float | None = None
    cpu_provenance: Provenance = "none"
    memory_provenance: Provenance = "none"
    gpu_provenance: Provenance = "none"
    energy_provenance: Provenance = "none"
