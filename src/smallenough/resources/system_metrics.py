"""Samples under the names of MLflow's own system metrics, one step a second at most, for its system-metrics page.

The values of CPU and memory are those of the model's processes, not of the whole machine as MLflow's own monitor has
them; those of GPUs are of whole devices, as MLflow's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from smallenough.resources.samples import Sample


@dataclass(frozen=True, slots=True)
class SystemStep:
    """One step of the system metrics."""

    timestamp: int
    """Milliseconds since the epoch, of the last sample in it."""
    step: int
    """From 0."""
    values: dict[str, float]
    """By MLflow's key, `system/` included; what was not measured is left out."""


def system_metrics(samples: Sequence[Sample], cores: int, memory_bytes: int) -> dict[str, float]:
    """The means of some samples by MLflow's keys.

    Args:
        samples: the samples of about a second.
        cores: logical cores of the machine: MLflow's CPU percentage is 100 when all of them are busy.
        memory_bytes: the machine's memory.
    """
    values: dict[str, float] = {}
    cpu = [sample.cpu_percent for sample in samples if sample.cpu_percent is not None]
    if cpu:
        values["system/cpu_utilization_percentage"] = fmean(cpu) / cores
    resident = [sample.resident_bytes for sample in samples if sample.resident_bytes is not None]
    if resident:
        values["system/system_memory_usage_megabytes"] = fmean(resident) / 1e6
        values["system/system_memory_usage_percentage"] = 100.0 * fmean(resident) / memory_bytes
    for index in sorted({gpu.index for sample in samples for gpu in sample.gpus}):
        gpus = [gpu for sample in samples for gpu in sample.gpus if gpu.index == index]
        at = f"system/gpu_{index}_"
        percent = [gpu.percent for gpu in gpus if gpu.percent is not None]
        if percent:
            values[f"{at}utilization_percentage"] = fmean(percent)
        memory = [gpu.device_memory_bytes for gpu in gpus if gpu.device_memory_bytes is not None]
        if memory:
            values[f"{at}memory_usage_megabytes"] = fmean(memory) / 1e6
        power = [gpu.power_watts for gpu in gpus if gpu.power_watts is not None]
        if power:
            values[f"{at}power_usage_watts"] = fmean(power)
    return values


class SystemMetrics:
    """Gathers samples into steps.

    Args:
        cores: logical cores of the machine.
        memory_bytes: the machine's memory.
        seconds: the shortest time between two steps.
    """

    def __init__(self, cores: int, memory_bytes: int, seconds: float = 1.0) -> None:
        self._cores, self._memory, self._seconds = cores, memory_bytes, seconds
        self._samples: list[Sample] = []
        self._until: float | None = None
        self._steps = 0

    def add(self, sample: Sample) -> SystemStep | None:
        """Takes in the next sample; returns the step that it completes, if it does."""
        if self._until is None:
            self._until = sample.time + self._seconds
        self._samples.append(sample)
        if sample.time < self._until:
            return None
        self._until = sample.time + self._seconds
        return self._emit()

    def finish(self) -> SystemStep | None:
        """The step of an arm that ended within its first second; later remainders are left out."""
        return self._emit() if self._samples and not self._steps else None

    def _emit(self) -> SystemStep | None:
        values = system_metrics(self._samples, self._cores, self._memory)
        timestamp = round(self._samples[-1].time * 1000)
        self._samples = []
        if not values:
            return None
        self._steps += 1
        return SystemStep(timestamp, self._steps - 1, values)
