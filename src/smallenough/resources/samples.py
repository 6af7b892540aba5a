"""What the monitor hands out: samples, and the totals of an arm. Also the names that probes report under.

Names of counters, which only grow: `cpu_seconds`, `package_energy_joules`, `gpu_0_energy_joules` …
Names of gauges: `rss_bytes`, `pss_bytes`, `gpus` (how many GPUs are read), `gpu_0_percent`,
`gpu_0_memory_bytes` (of the model's processes), `gpu_0_device_memory_bytes`, `gpu_0_power_watts` … A name that is none
of these is a gauge that stands in the samples as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Protocol, runtime_checkable

from smallenough.protocols import Probe
from smallenough.records import Json, Usage

_NESTED = ("gpus", "more")
_KNOWN = ("cpu_seconds", "package_energy_joules", "rss_bytes", "pss_bytes", "gpus")
_GPU = re.compile(r"gpu_(\d+)_(percent|memory_bytes|device_memory_bytes|power_watts|energy_joules)")


@runtime_checkable
class GaugeProbe(Probe, Protocol):
    """A probe some of whose values are dear to read: they come apart, and never while an attempt waits for them."""

    def gauges(self, last: bool = False) -> Mapping[str, float]:
        """The dear values; what is not due or can't be read is left out.

        Args:
            last: whether an attempt ends here.
        """
        ...


@runtime_checkable
class FollowingProbe(Probe, Protocol):
    """A probe that reads process trees, and can be given more of them."""

    def follow(self, pids: Iterable[int]) -> None:
        """Reads the trees below `pids` too; those that it reads already change nothing."""
        ...


@dataclass(frozen=True, slots=True)
class GpuSample:
    """One GPU at one moment."""

    index: int
    percent: float | None = None
    """Use of the whole device, 0 to 100."""
    memory_bytes: int | None = None
    """Of the model's processes; None: the driver does not tell it, or names none of them."""
    device_memory_bytes: int | None = None
    """Of everything on the device."""
    power_watts: float | None = None
    energy_joules: float | None = None
    """Since the driver was loaded."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The model's processes, and the machine's energy counters, at one moment. None: not measured."""

    time: float
    """Seconds since the epoch, on a clock that does not jump during an arm."""
    cpu_seconds: float | None = None
    """Since the monitor was started."""
    cpu_percent: float | None = None
    """Mean use since the last sample; 100 is one core."""
    resident_bytes: int | None = None
    pss_bytes: int | None = None
    """Proportional set size, in the samples for which it was read."""
    energy_joules: float | None = None
    """Of the whole machine as far as it has counters, since the monitor was started."""
    gpus: tuple[GpuSample, ...] = ()
    in_flight: int = 0
    """Attempts that were being answered."""
    more: Mapping[str, float] = field(default_factory=dict)
    """What else probes report, by their own names."""

    def row(self) -> dict[str, Json]:
        """One flat row for a table: the fields' names, `gpu_0_percent` and so on for the GPUs, and what else is."""
        row: dict[str, Json] = {
            "time": self.time,
            "cpu_seconds": self.cpu_seconds,
            "cpu_percent": self.cpu_percent,
            "resident_bytes": self.resident_bytes,
            "pss_bytes": self.pss_bytes,
            "energy_joules": self.energy_joules,
            "in_flight": self.in_flight,
        }
        for gpu in self.gpus:
            at = f"gpu_{gpu.index}_"
            row[f"{at}percent"] = gpu.percent
            row[f"{at}memory_bytes"] = gpu.memory_bytes
            row[f"{at}device_memory_bytes"] = gpu.device_memory_bytes
            row[f"{at}power_watts"] = gpu.power_watts
            row[f"{at}energy_joules"] = gpu.energy_joules
        return {**self.more, **row}

    @classmethod
    def from_row(cls, row: Mapping[str, Json]) -> Sample:
        """The sample that `row` was made of."""
        own = {field.name: row[field.name] for field in fields(cls) if field.name in row and field.name not in _NESTED}
        told: dict[int, dict[str, Json]] = {}
        more = {}
        for name, value in row.items():
            if found := _GPU.fullmatch(name):
                told.setdefault(int(found[1]), {})[found[2]] = value
            elif name not in own and value is not None:
                more[name] = value
        return cls(**own, gpus=tuple(GpuSample(index, **values) for index, values in sorted(told.items())), more=more)


@dataclass(frozen=True, slots=True)
class ArmUsage:
    """What an arm consumed, and how that was found out."""

    usage: Usage
    """From `start` to `stop`, all attempts together and what passed between them."""
    started: float
    """Seconds since the epoch."""
    attempts: int
    """Windows that ended."""
    outside_cpu_seconds: float | None
    """Of `usage.cpu_seconds`, what belongs to no attempt; with the attempts' shares it sums to the whole."""
    idle_cpu_rate: float | None
    """CPU seconds per second of the idle server, before the arm; never subtracted here. None: not measured."""
    interval: float
    """Seconds between samples."""
    samples: int
    missed: int
    """Samples that could not be taken in time, and were left out."""
    forced: int
    """Readings at the begin and end of attempts."""
    pss_reads: int
    """Readings of proportional set sizes; rarer than samples where they are dear."""
    sampler_cpu_seconds: float
    """What all this measuring took, which is not part of `usage`."""
    reasons: Mapping[str, str]
    """Why a probe reports nothing, and what to do about it, by its name."""


def others(values: Mapping[str, float]) -> dict[str, float]:
    """Of the values that probes report, those whose names mean nothing here."""
    return {name: value for name, value in values.items() if name not in _KNOWN and not _GPU.fullmatch(name)}


def gpu_samples(values: Mapping[str, float]) -> tuple[GpuSample, ...]:
    """The GPUs among the values that probes report."""

    def whole(name: str) -> int | None:
        return None if name not in values else int(values[name])

    return tuple(
        GpuSample(
            index=index,
            percent=values.get(f"gpu_{index}_percent"),
            memory_bytes=whole(f"gpu_{index}_memory_bytes"),
            device_memory_bytes=whole(f"gpu_{index}_device_memory_bytes"),
            power_watts=values.get(f"gpu_{index}_power_watts"),
            energy_joules=values.get(f"gpu_{index}_energy_joules"),
        )
        for index in range(int(values.get("gpus", 0)))
    )


def counters(values: Mapping[str, float]) -> dict[str, float]:
    """The counters that attempts have shares of: `cpu_seconds`, `energy_joules`, `gpu_energy_joules`.

    A machine's energy is its processor packages' and its GPUs'; it is left out where one of them can't be read,
    because a part of the sum would look like the whole.
    """
    found = {"cpu_seconds": values["cpu_seconds"]} if "cpu_seconds" in values else {}
    gpus = [values.get(f"gpu_{index}_energy_joules") for index in range(int(values.get("gpus", 0)))]
    told = [joules for joules in gpus if joules is not None]
    complete = len(told) == len(gpus)
    if gpus and complete:
        found["gpu_energy_joules"] = sum(told)
    if "package_energy_joules" in values and complete:
        found["energy_joules"] = values["package_energy_joules"] + sum(told)
    return found
