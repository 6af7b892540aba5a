"""Frames as the tracking reader brings them, for the tests of the analysis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

MEASURES = {
    "first_attempt_solved": None,
    "tests_passed_ratio": 0.5,
    "syntax_valid": 1.0,
    "latency_seconds": 2.0,
    "wall_seconds": 2.5,
    "time_to_first_token_seconds": 0.25,
    "tokens_in": 100.0,
    "tokens_out": 50.0,
    "tokens_per_second": 25.0,
    "branching_depth": 1.0,
    "model_calls": 1.0,
    "sandbox_runs": 1.0,
    "cpu_seconds": 3.0,
    "peak_memory_bytes": 1e9,
    "mean_memory_bytes": 9e8,
    "energy_joules": 10.0,
    "efficiency": 0.5,
}
BOOLEANS = ("solved", "first_attempt_solved")


def trial(arm: str, task: str, outcome: str = "solved", **said: Any) -> dict[str, Any]:
    """One row of the trials."""
    solved = {"solved": True, "unsolved": False}.get(outcome)
    row = {
        "session": "s1",
        "arm": arm,
        "model": arm.split()[0],
        "provider": "ollama",
        "strategy": "single",
        "suite": "basics",
        "task": task,
        "category": "lists",
        "level": 1,
        "repeat": 0,
        "baseline": False,
        "outcome": outcome,
        "solved": solved,
        **MEASURES,
        "first_attempt_solved": solved,
    }
    return row | said


def arm_totals(arm: str, **said: Any) -> dict[str, Any]:
    """One row of the arms."""
    row = {
        "session": "s1",
        "arm": arm,
        "status": "completed",
        "wall_seconds": 100.0,
        "cpu_seconds": 60.0,
        "peak_memory_bytes": 2e9,
        "mean_memory_bytes": 1.5e9,
        "gpu_percent": None,
        "gpu_peak_memory_bytes": None,
        "energy_joules": 3600.0,
        "gpu_energy_joules": None,
        "concurrency": 1,
        "idle_cpu_rate": 0.001,
        "energy_provenance": "measured",
    }
    return row | said


def trials_frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Rows with the types that the reader gives them."""
    frame = pd.DataFrame(list(rows))
    types = dict.fromkeys(MEASURES, "Float64") | dict.fromkeys(BOOLEANS, "boolean") | {"level": "Int64"}
    return frame.astype({name: kind for name, kind in types.items() if name in frame.columns})


def arms_frame(rows: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Rows with the types that the reader gives them."""
    frame = pd.DataFrame(list(rows))
    numbers = [name for name in frame.columns if name not in ("session", "arm", "status", "energy_provenance")]
    return frame.astype(dict.fromkeys(numbers, "Float64"))


def study(arms: Mapping[str, Sequence[str]], **totals: dict[str, Any]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A session in which each arm had these outcomes at tasks t0, t1, …; the first arm is the baseline."""
    first = next(iter(arms))
    rows = [
        trial(arm, f"t{index}", outcome, baseline=arm == first)
        for arm, outcomes in arms.items()
        for index, outcome in enumerate(outcomes)
    ]
    return trials_frame(rows), arms_frame([arm_totals(arm, **totals.get(arm, {})) for arm in arms])
