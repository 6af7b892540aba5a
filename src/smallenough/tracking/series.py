"""An arm's samples as MLflow's system metrics, within the number of metrics that a run may have."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from smallenough.metrics.names import ARM_KEYS
from smallenough.records import Json
from smallenough.resources.samples import Sample
from smallenough.resources.system_metrics import SystemMetrics
from smallenough.tracking.runs import MOST_METRICS, Series


def system_series(samples: Sequence[Sample], provenance: Mapping[str, Json]) -> Series:
    """The system metrics of an arm: at most so many keys as its own metrics leave.

    A measure of GPUs is drawn for all of them or for none, the use first; every sample of every GPU is in the samples'
    table.

    Args:
        samples: of the whole arm, in order.
        provenance: the session's, which tells the machine's cores and memory.
    """
    gathered = SystemMetrics(int(provenance["hardware_cores_logical"]), int(provenance["hardware_memory_bytes"]))
    steps = [step for sample in samples if (step := gathered.add(sample))]
    if last := gathered.finish():
        steps.append(last)
    drawn = _fitting([name for step in steps for name in step.values], MOST_METRICS - len(ARM_KEYS))
    return tuple(
        (name, value, step.timestamp / 1000, step.step)
        for step in steps
        for name, value in step.values.items()
        if name in drawn
    )


def _fitting(names: Sequence[str], room: int) -> set[str]:
    """The names of the first measures for which there is room, each for all GPUs."""
    measures: dict[str, set[str]] = {}
    for name in names:
        measures.setdefault(re.sub(r"gpu_\d+", "gpu", name), set()).add(name)
    drawn: set[str] = set()
    for group in measures.values():
        if len(drawn | group) <= room:
            drawn |= group
    return drawn
