"""What is reported of a trial and of an arm besides whether it was solved: each measure once, with how it is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from smallenough import wording


@dataclass(frozen=True, slots=True)
class TrialMeasure:
    """A column of the trials whose mean and median over an arm are reported."""

    name: str
    title: str
    """Of the mean over an arm, as a table calls it."""
    write: Callable[[float | None], str]
    scored_only: bool = False
    """Whether a free task can't have it: its absence there is no gap."""


TRIAL_MEASURES = (
    TrialMeasure("tests_passed_ratio", "tests passed", wording.share, scored_only=True),
    TrialMeasure("syntax_valid", "syntax valid", wording.share, scored_only=True),
    TrialMeasure("latency_seconds", "time per trial", wording.duration),
    TrialMeasure("time_to_first_token_seconds", "time to the first token", wording.duration),
    TrialMeasure("tokens_in", "tokens in per trial", wording.number),
    TrialMeasure("tokens_out", "tokens out per trial", wording.number),
    TrialMeasure("tokens_per_second", "tokens per second", wording.number),
    TrialMeasure("branching_depth", "depth per trial", wording.number),
    TrialMeasure("model_calls", "model calls per trial", wording.number),
    TrialMeasure("sandbox_runs", "sandboxes per trial", wording.number),
    TrialMeasure("efficiency", "efficiency", wording.number, scored_only=True),
)
"""In the order in which they are shown."""

ARM_MEASURES = (
    "wall_seconds",
    "cpu_seconds",
    "peak_memory_bytes",
    "mean_memory_bytes",
    "gpu_percent",
    "gpu_peak_memory_bytes",
    "energy_joules",
    "gpu_energy_joules",
    "concurrency",
    "idle_cpu_rate",
)
"""Columns of the arms: measured over the whole arm, so that nothing in them is apportioned."""
