"""What an arm consumed over all its parts: an arm that was interrupted has one for each stretch in which it ran.

A part that ended in order says itself what it took. One that was killed is known by its samples, up to the last of
them: at most one interval of the sampler before the end is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from smallenough.events import ArmFinished, ArmStarted
from smallenough.metrics import mean_by_time, total, total_usage
from smallenough.records import Json, Usage
from smallenough.resources.samples import Sample


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch in which an arm ran."""

    started: ArmStarted
    finished: ArmFinished | None = None
    """None: it was killed."""


@dataclass(frozen=True, slots=True)
class ArmTotals:
    """What all parts come to."""

    usage: Usage
    """Its `seconds` are those in which the arm ran."""
    idle_cpu_rate: float | None
    """CPU seconds a second of the idle server, the mean over the parts; None: not measured."""
    monitor: Mapping[str, Json]
    """The monitor's account of itself, summed; what a killed part could not say is None."""
    killed: int
    """Parts that were killed."""


def arm_totals(parts: Sequence[Part], samples: Sequence[Sample]) -> ArmTotals:
    """The totals of an arm.

    Args:
        parts: in order; the last one has ended.
        samples: of all parts, in order.
    """
    ends = [*(part.started.time for part in parts[1:]), float("inf")]
    held = [
        [sample for sample in samples if part.started.time <= sample.time < end]
        for part, end in zip(parts, ends, strict=True)
    ]
    usages = [
        part.finished.usage if part.finished else usage_of(part.started.time, own)
        for part, own in zip(parts, held, strict=True)
        if part.finished or own
    ]
    accounts = [
        part.finished.monitor if part.finished else {"samples": len(own)} for part, own in zip(parts, held, strict=True)
    ]
    lengths = [part.finished.usage.seconds if part.finished else 0.0 for part in parts]
    return ArmTotals(
        usage=total_usage(usages),
        idle_cpu_rate=mean_by_time(
            (part.started.idle_cpu_rate, seconds) for part, seconds in zip(parts, lengths, strict=True)
        ),
        monitor=_account(accounts),
        killed=sum(part.finished is None for part in parts),
    )


def usage_of(started: float, samples: Sequence[Sample]) -> Usage:
    """What a killed part consumed up to its last sample.

    Args:
        started: when the part began, in seconds since the epoch.
        samples: those of the part, in order; at least one.
    """
    last = samples[-1]
    seconds = max(last.time - started, 0.0)
    memory = _known(sample.pss_bytes for sample in samples) or _known(sample.resident_bytes for sample in samples)
    percents = _by_gpu(samples, "percent")
    on_gpus = [
        sum(gpu.memory_bytes for gpu in sample.gpus if gpu.memory_bytes is not None)
        for sample in samples
        if any(gpu.memory_bytes is not None for gpu in sample.gpus)
    ]
    meters = _by_gpu(samples, "energy_joules")
    metered = bool(last.gpus) and all(len(meters.get(gpu.index, ())) == len(samples) for gpu in last.gpus)
    gpu_energy = sum(values[-1] - values[0] for values in meters.values()) if metered else None
    energy = last.energy_joules
    return Usage(
        seconds=seconds,
        cpu_seconds=last.cpu_seconds,
        cpu_percent=100.0 * last.cpu_seconds / seconds if last.cpu_seconds is not None and seconds > 0 else None,
        peak_memory_bytes=int(max(memory)) if memory else None,
        mean_memory_bytes=int(sum(memory) / len(memory)) if memory else None,
        gpu_percent=max((sum(values) / len(values) for values in percents.values()), default=None),
        gpu_peak_memory_bytes=max(on_gpus, default=None),
        energy_joules=energy,
        gpu_energy_joules=gpu_energy,
        cpu_provenance="none" if last.cpu_seconds is None else "measured",
        memory_provenance="measured" if memory else "none",
        gpu_provenance="measured" if percents or on_gpus else "none",
        energy_provenance="none" if energy is None and gpu_energy is None else "measured",
    )


def _known(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _by_gpu(samples: Sequence[Sample], measure: str) -> dict[int, list[float]]:
    """The known values of one measure of each GPU, in order."""
    found: dict[int, list[float]] = {}
    for sample in samples:
        for gpu in sample.gpus:
            value = getattr(gpu, measure)
            if value is not None:
                found.setdefault(gpu.index, []).append(value)
    return found


def _account(accounts: Sequence[Mapping[str, Json]]) -> dict[str, Json]:
    """The monitor's accounts as one: counts are summed, and None where a part does not say them."""
    names = dict.fromkeys(name for account in accounts for name in account)
    fixed = ("started", "interval", "reasons", "idle_cpu_rate")
    summed: dict[str, Json] = {
        name: total(account.get(name) for account in accounts) for name in names if name not in fixed
    }
    interval = next((account["interval"] for account in accounts if "interval" in account), None)
    reasons = {name: told for account in accounts for name, told in account.get("reasons", {}).items()}
    return {"interval": interval, **summed, "reasons": reasons}
