"""Whose a counter's growth is: the accounting of attempts that may overlap. Pure; told readings and who is in flight.

Between two readings a counter's growth belongs to the one attempt in flight; among several it is apportioned by the
pieces that each streamed in that interval, equally when none did; with none in flight it is `outside`. So the shares
and what is outside sum to the whole. A share for which a reading was missing is not handed out as a part that looks
like the whole: it goes to `outside`, and the attempt has None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from smallenough.records import Provenance, Usage

_SELDOM = ("pss_bytes",)
"""Gauges that cost so much to read that an attempt may end without one."""


@dataclass(slots=True)
class Gauge:
    """Peak and mean of a value that is read now and then, in constant memory."""

    peak: float = 0.0
    total: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        """Takes in one reading."""
        self.peak = max(self.peak, value) if self.count else value
        self.total += value
        self.count += 1

    @property
    def mean(self) -> float | None:
        """The mean of the readings; None: there were none."""
        return self.total / self.count if self.count else None


@dataclass(slots=True)
class Share:
    """What one attempt, or an arm, has had so far."""

    amounts: dict[str, float] = field(default_factory=dict)
    gaps: set[str] = field(default_factory=set)
    """Counters that were not readable all the time."""
    pieces: int = 0
    """Pieces that it has streamed by the last reading."""
    shared: bool = False
    """Whether another one was in flight in one of its intervals."""
    gauges: dict[str, Gauge] = field(default_factory=dict)

    def gauge(self, values: Mapping[str, float]) -> None:
        """Takes in readings of gauges."""
        for name, value in values.items():
            self.gauges.setdefault(name, Gauge()).add(value)

    def amount(self, counter: str) -> float | None:
        """What it had of `counter`; None: not measured, or not all the time."""
        return None if counter in self.gaps else self.amounts.get(counter)


class Ledger:
    """Keeps the shares of those in flight, of the whole, and what belongs to nobody."""

    def __init__(self) -> None:
        self.whole = Share()
        self.outside: dict[str, float] = {}
        self.in_flight: dict[int, Share] = {}
        self._last: dict[str, float] = {}
        self._held: dict[str, float] = {}
        self._missing: set[str] = set()

    def begin(self, key: int, exact: bool = True) -> None:
        """An attempt begins.

        Args:
            key: names it.
            exact: whether a reading was taken right now; else the running interval is not its alone.
        """
        self.in_flight[key] = Share(shared=not exact)
        self.in_flight[key].gauge(self._held)
        if len(self.in_flight) > 1:
            for share in self.in_flight.values():
                share.shared = True

    def end(self, key: int, exact: bool = True) -> Share:
        """An attempt ends; `exact` as at its begin."""
        share = self.in_flight.pop(key)
        share.shared |= not exact
        for counter in share.gaps & share.amounts.keys():
            self._give_outside(counter, share.amounts[counter])
        return share

    def advance(self, counters: Mapping[str, float], pieces: Mapping[int, int]) -> None:
        """Ends the interval that runs since the last reading.

        Args:
            counters: the counters now; what can't be read is left out.
            pieces: how many pieces each attempt in flight has streamed since its begin.
        """
        weights = self._weights(pieces)
        for counter in self._last.keys() - counters.keys():
            self._missing.add(counter)
            self._mark_gap(counter)
        for counter, value in counters.items():
            before = self._last.get(counter)
            self._last[counter] = max(value, before) if before is not None else value
            if before is None:
                self._mark_gap(counter)
                self.whole.amounts[counter] = 0.0
                continue
            growth = max(0.0, value - before)
            self.whole.amounts[counter] += growth
            spans_gap = counter in self._missing
            self._missing.discard(counter)
            if spans_gap or not weights:
                self._mark_gap(counter)
                self._give_outside(counter, growth)
                continue
            for key, weight in weights.items():
                amounts = self.in_flight[key].amounts
                amounts[counter] = amounts.get(counter, 0.0) + growth * weight

    def gauge(self, values: Mapping[str, float]) -> None:
        """Takes in readings of gauges: they are those of every attempt in flight, and of the whole.

        One that is read seldom is that of the attempts that begin after it too, until it is read again: an arm's
        attempts are then all told by the same measure.
        """
        if "rss_bytes" in values:
            self._held |= {name: value for name, value in values.items() if name in _SELDOM}
        else:  # there is nothing that has memory any more
            self._held.clear()
        for share in (self.whole, *self.in_flight.values()):
            share.gauge(values)

    def _weights(self, pieces: Mapping[int, int]) -> dict[int, float]:
        """The part of the interval's growth that belongs to each in flight; they sum to 1."""
        streamed = {}
        for key, share in self.in_flight.items():
            streamed[key] = pieces.get(key, share.pieces) - share.pieces
            share.pieces += streamed[key]
        total = sum(streamed.values())
        if total:
            return {key: count / total for key, count in streamed.items()}
        return {key: 1.0 / len(streamed) for key in streamed}

    def _mark_gap(self, counter: str) -> None:
        for share in self.in_flight.values():
            share.gaps.add(counter)

    def _give_outside(self, counter: str, amount: float) -> None:
        self.outside[counter] = self.outside.get(counter, 0.0) + amount


def usage(share: Share, seconds: float, watts_per_core: float | None = None) -> Usage:
    """A share as a record.

    Args:
        share: what was had.
        seconds: the length of its window.
        watts_per_core: estimates energy from CPU seconds where no counter tells it; None: no estimate.
    """
    provenance: Provenance = "apportioned" if share.shared else "measured"
    cpu, energy = share.amount("cpu_seconds"), share.amount("energy_joules")
    gpu_energy = share.amount("gpu_energy_joules")
    energy_provenance = provenance if energy is not None or gpu_energy is not None else "none"
    if energy is None and watts_per_core is not None and cpu is not None:
        energy, energy_provenance = cpu * watts_per_core, "estimated"
    memory = share.gauges.get("pss_bytes") or share.gauges.get("rss_bytes")
    mean = memory.mean if memory else None
    gpu_means = [gauge.mean or 0.0 for name, gauge in share.gauges.items() if name.endswith("_percent")]
    gpu_memory = share.gauges.get("gpu_memory_bytes")
    return Usage(
        seconds=seconds,
        cpu_seconds=cpu,
        cpu_percent=100.0 * cpu / seconds if cpu is not None and seconds > 0 else None,
        peak_memory_bytes=int(memory.peak) if memory else None,
        mean_memory_bytes=int(mean) if mean is not None else None,
        gpu_percent=max(gpu_means, default=None),
        gpu_peak_memory_bytes=int(gpu_memory.peak) if gpu_memory else None,
        energy_joules=energy,
        gpu_energy_joules=gpu_energy,
        cpu_provenance=provenance if cpu is not None else "none",
        memory_provenance="measured" if memory else "none",
        gpu_provenance="measured" if gpu_means or gpu_memory else "none",
        energy_provenance=energy_provenance,
    )
