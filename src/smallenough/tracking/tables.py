"""What is read of sessions: three frames, a row a trial, an attempt and an arm, whose columns are those of `layout`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from smallenough.tracking import arrow
from smallenough.tracking.columns import ARMS, ATTEMPTS, TRIALS, typed
from smallenough.tracking.runs import TAG

_PRICE, _OPTION = "price_", "strategy_"
WORDS = {"RUNNING": "running", "FINISHED": "completed", "KILLED": "interrupted", "FAILED": "failed"}
"""What MLflow's words for a run's status mean for a session."""


@dataclass(frozen=True)
class Tables:
    """What was read."""

    trials: pd.DataFrame
    attempts: pd.DataFrame
    arms: pd.DataFrame
    sessions: tuple[str, ...]
    experiments: tuple[str, ...] = ()
    """Ids of the experiments that the sessions belong to; empty: read from journals."""
    notes: tuple[str, ...] = ()
    """What a person should know about where this comes from."""
    parameters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What each session was run with, by session: suite, seed, versions, machine, as its run's parameters say it."""

    def prices(self, session: str) -> dict[str, str]:
        """What the machine and hosted models cost by the session's own word."""
        told = self.parameters.get(session, {})
        return {name.removeprefix(_PRICE): value for name, value in told.items() if name.startswith(_PRICE)}


@dataclass
class Rows:
    """What was read so far; of trials and attempts, Arrow tables."""

    trials: list[Any] = field(default_factory=list)
    attempts: list[Any] = field(default_factory=list)
    arms: list[dict[str, Any]] = field(default_factory=list)
    parameters: dict[str, Mapping[str, str]] = field(default_factory=dict)


def arm_row(
    tags: Mapping[str, str], params: Mapping[str, str], metrics: Mapping[str, float], status: str
) -> dict[str, Any]:
    """A row of the arms, from what its run says; the same from either source."""
    return {
        **{name: tags[f"{TAG}{name}"] for name in ("session", "arm", "model", "provider", "strategy", "suite")},
        "status": WORDS[status],
        "options": json.dumps(
            {name.removeprefix(_OPTION): value for name, value in params.items() if name.startswith(_OPTION)}
        ),
        **{name: params.get(name) for name in ("size_class", "model_quantization", "model_digest", "further_models")},
        "base_model": params.get("adapter_base"),
        "training_suite": params.get("adapter_suite"),
        "training_run_id": params.get("adapter_run_id"),
        "energy_provenance": tags.get(f"{TAG}energy_provenance"),
        "killed_parts": float(tags.get(f"{TAG}killed_parts", "nan")),
        **{name: float(params.get(name, "nan")) for name in ("concurrency", "model_parameters", "model_size_bytes")},
        **{name: value for name, value in metrics.items() if not name.startswith("system/")},
    }


def tables(rows: Rows, wanted: list[str], experiments: tuple[str, ...], notes: tuple[str, ...]) -> Tables:
    """What was read, as frames whose columns have one type each, whatever they were read from."""
    return Tables(
        arrow.frame(rows.trials, TRIALS),
        arrow.frame(rows.attempts, ATTEMPTS),
        typed(pd.DataFrame(rows.arms), ARMS),
        tuple(wanted),
        experiments,
        notes,
        rows.parameters,
    )
