"""A run as it shall stand in a store: what `layout` makes and `sinks` writes, and how its parts are spelled."""

from __future__ import annotations

import getpass
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from smallenough.records import Json, TrialKey
from smallenough.tracking.masking import masked

TAG = "smallenough."
"""Prefix of every tag of ours."""

MOST_METRICS = 49
"""So many metrics a run has at most."""

Kind: TypeAlias = Literal[
    "session", "arm", "trial", "attempt", "resources", "training", "comparison", "validation", "search", "candidate"
]
RunStatus: TypeAlias = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]
Series: TypeAlias = tuple[tuple[str, float, float, int], ...]
"""Metrics over time: name, value, seconds since the epoch, step."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A run as it shall stand in the store. The same `record` always means the same run."""

    record: str
    """Identity within the session: `session`, `arm:A`, `trial:A/T/0`, `attempt:A/T/0/1`, …"""
    parent: str | None
    """The record of the run that this one is nested in."""
    kind: Kind
    name: str
    status: RunStatus
    start: float
    end: float | None
    tags: Mapping[str, str]
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    artifacts: Mapping[str, bytes] = field(default_factory=dict)
    series: Series = ()
    dataset: Mapping[str, str] | None = None
    """The suite, as MLflow's 'dataset used': name, digest, source_type, source, profile."""


def record_of(kind: str, key: TrialKey | str, index: int | None = None) -> str:
    """The identity of a run within its session."""
    return f"{kind}:{key}" if index is None else f"{kind}:{key}/{index}"


def tags(kind: Kind, record: str, **more: Json) -> dict[str, str]:
    """What a run is, as tags of ours; what is not known is left out."""
    values = {"kind": kind, "record": record, **more}
    return {f"{TAG}{name}": str(value) for name, value in values.items() if value is not None}


def texts(values: Mapping[str, Json]) -> dict[str, str]:
    """Parameters: what is not known is left out, and passwords in URLs; MLflow's longest value is 6,000 characters."""
    told = {name: value for name, value in values.items() if value is not None and value != ""}
    return {
        name: masked(value if isinstance(value, str) else json.dumps(value, sort_keys=True))[:6000]
        for name, value in told.items()
    }


def numbers(values: Mapping[str, Json]) -> dict[str, float]:
    """Metrics: what was not measured is left out."""
    return {name: float(value) for name, value in values.items() if value is not None}


def tags_of(run: RunRecord, parent: str | None) -> dict[str, str]:
    """A run's tags, with those by which MLflow nests and attributes it."""
    nested = {"mlflow.parentRunId": parent} if parent else {}
    return {**run.tags, **nested, "mlflow.user": _user(), "mlflow.source.name": "smallenough"}


def metric_rows(run: RunRecord) -> list[tuple[str, float, int, int]]:
    """A run's metrics: name, value, milliseconds since the epoch, step."""
    at = milliseconds(run.end if run.end is not None else run.start)
    single = [(name, value, at, 0) for name, value in run.metrics.items()]
    return single + [(name, value, milliseconds(stamp), step) for name, value, stamp, step in run.series]


def milliseconds(seconds: float) -> int:
    """A time as MLflow keeps it."""
    return round(seconds * 1000)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container's user need not have a name
        return "unknown"
