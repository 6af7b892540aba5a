"""Samples what a model's processes consume while an arm runs, and tells each attempt's part of it.

A daemon thread samples on a steady grid; the begin and the end of an attempt take readings of their own, as long as
these stay within a small share of a core. Memory is constant however long it runs: samples go to the sink, attempts
keep a few numbers each.

Limits: where attempts begin and end so quickly that not each can have its own reading, they share intervals and are
marked `apportioned`, also when they did not overlap; one that would end without any reading since its begin gets one
whatever it costs, so with many attempts of a few hundredths of a second the sampler costs more than its budget. A
server that is started again during an arm has to be told with `follow`. Energy counters are those of the whole machine:
what else runs on it is in them.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import TracebackType

from smallenough.clock import now
from smallenough.plugins import load, names
from smallenough.protocols import Probe
from smallenough.records import Usage
from smallenough.resources.ledger import Ledger, Share, usage
from smallenough.resources.samples import ArmUsage, FollowingProbe, GaugeProbe, Sample, counters, gpu_samples, others

FORCED_SHARE = 0.002
"""Share of one core that the readings at the begin and end of attempts may take."""
_FORCED_SAVED = 0.02
"""Seconds of CPU that may be saved up for them."""


def probes_for(pids: Sequence[int] | None) -> list[Probe]:
    """Every probe that is installed, built-in or plugin, made for the trees below `pids`.

    Args:
        pids: the roots of the model's process trees, as `ModelClient.processes` tells them; None: they can't be seen
            from here, and nothing is measured.

    Raises:
        InputError: a plugin can't be loaded.
    """
    return [] if pids is None else [load("probes", name)(pids) for name in names("probes")]


class AttemptWindow:
    """The time in which one attempt is answered. `token` may be called from any thread."""

    def __init__(self, monitor: ResourceMonitor, key: int) -> None:
        self._monitor = monitor
        self._key = key
        self._lock = threading.Lock()
        self._begun = 0.0
        self._usage: Usage | None = None
        self.pieces = 0
        """Pieces that were streamed so far."""

    def token(self) -> None:
        """Notes that one piece was streamed."""
        with self._lock:
            self.pieces += 1

    @property
    def usage(self) -> Usage:
        """What the attempt consumed; empty until the window has ended."""
        return self._usage or Usage()

    def __enter__(self) -> AttemptWindow:
        self._monitor._begin(self._key, self)
        self._begun = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._usage = self._monitor._end(self._key, self._begun, time.monotonic() - self._begun)


class ResourceMonitor:
    """Measures one arm: `start`, attempts, `stop`. Attempts may come from several threads.

    Args:
        probes: what is read, and closed in the end; `probes_for` makes them. None of them: nothing is measured, and
            everything else works.
        interval: seconds between samples.
        sink: gets every sample, in the sampler's thread.
        estimate_watts_per_core: estimates energy from CPU seconds where no counter tells it, marked `estimated`.
    """

    def __init__(
        self,
        probes: Sequence[Probe],
        interval: float = 0.1,
        sink: Callable[[Sample], None] | None = None,
        *,
        estimate_watts_per_core: float | None = None,
    ) -> None:
        self._probes = list(probes)
        self._gauge_probes = [probe for probe in probes if isinstance(probe, GaugeProbe)]
        self._interval = interval
        self._sink = sink
        self._watts = estimate_watts_per_core
        self._ledger = Ledger()
        self._windows: dict[int, AttemptWindow] = {}
        self._keys = itertools.count()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="resource-monitor", daemon=True)
        self._reasons: dict[str, str] = {}
        self._idle_rate: float | None = None
        self._origin = 0.0  # monotonic
        self._epoch = 0.0  # of the origin
        self._previous: tuple[float, float | None] = (0.0, None)  # time and CPU seconds of the last sample
        self._latest_reading = 0.0
        self._samples = self._missed = self._forced = self._attempts = 0
        self._thread_cost = self._forced_cost = 0.0
        self._allowance, self._allowed_at = _FORCED_SAVED, time.monotonic()
        self._totals: ArmUsage | None = None

    def measure_idle(self, seconds: float = 2.0) -> float | None:
        """Watches the idle server before the arm.

        Args:
            seconds: how long.

        Returns:
            CPU seconds per second, also kept for the totals; None: they can't be read.
        """
        begun, before = time.monotonic(), self._read().get("cpu_seconds")
        self._stopping.wait(seconds)
        ended, after = time.monotonic(), self._read().get("cpu_seconds")
        if before is not None and after is not None:
            self._idle_rate = (after - before) / (ended - begun)
        return self._idle_rate

    def start(self) -> None:
        """Begins to sample."""
        with self._lock:
            self._origin, self._epoch = time.monotonic(), now()
            self._latest_reading = self._origin
            self._advance()
            self._previous = (self._origin, self._ledger.whole.amount("cpu_seconds"))
        self._thread.start()

    def follow(self, pids: Sequence[int] | None) -> None:
        """Reads further process trees too, such as that of a server that was started again."""
        with self._lock:
            for probe in [probe for probe in self._probes if isinstance(probe, FollowingProbe)]:
                self._call(probe, partial(_follow, probe, pids or ()))

    def attempt(self) -> AttemptWindow:
        """The window of one attempt, to be used as `with monitor.attempt() as window`."""
        return AttemptWindow(self, next(self._keys))

    def stop(self) -> ArmUsage:
        """Ends sampling and closes the probes; returns the totals, the same at every call."""
        if self._totals is None:
            self._stopping.set()
            if self._thread.ident is not None:
                self._thread.join()
            with self._lock:
                self._advance()
                self._totals = self._make_totals(self._latest_reading - self._origin)
            for probe in self._probes:
                getattr(probe, "close", lambda: None)()
        return self._totals

    # ------------------------------------------------------------------------------------------- readings

    def _call(self, probe: Probe, method: Callable[[], Mapping[str, float]]) -> Mapping[str, float]:
        try:
            return method()
        except Exception as error:  # noqa: BLE001 (a plugin's fault must not end what it measures; it is recorded)
            self._reasons[_name(probe)] = f"failed and was left out: {type(error).__name__}: {error}"
            self._probes = [other for other in self._probes if other is not probe]
            self._gauge_probes = [other for other in self._gauge_probes if other is not probe]
            return {}

    def _read(self) -> dict[str, float]:
        values: dict[str, float] = {}
        for probe in self._probes:
            values.update(self._call(probe, probe.read))
        return values

    def _read_gauges(self, last: bool) -> dict[str, float]:
        """The dear values; never under the lock, so that no attempt waits for them."""
        values: dict[str, float] = {}
        for probe in self._gauge_probes:
            values.update(self._call(probe, partial(probe.gauges, last)))
        return values

    def _advance(self) -> dict[str, float]:
        """Reads the counters and ends the interval. Under the lock: readings must reach the ledger in order."""
        values = self._read()
        self._latest_reading = time.monotonic()
        self._ledger.advance(counters(values), {key: window.pieces for key, window in self._windows.items()})
        self._ledger.gauge(_shown(values))
        return values

    # ------------------------------------------------------------------------------------------- attempts

    def _begin(self, key: int, window: AttemptWindow) -> None:
        with self._lock:
            self._ledger.begin(key, exact=self._force())
            self._windows[key] = window

    def _end(self, key: int, begun: float, seconds: float) -> Usage:
        with self._lock:
            # Without a reading since its begin, an attempt would seem to have consumed nothing.
            share = self._ledger_end(key, self._force(needed=self._latest_reading <= begun))
        spent = time.thread_time()
        gauges = _shown(self._read_gauges(last=True))
        share.gauge(gauges)
        with self._lock:
            self._forced_cost += time.thread_time() - spent
            self._ledger.gauge(gauges)
        return usage(share, seconds, self._watts)

    def _ledger_end(self, key: int, exact: bool) -> Share:
        del self._windows[key]
        self._attempts += 1
        return self._ledger.end(key, exact)

    def _force(self, needed: bool = False) -> bool:
        """Takes a reading outside the grid if its cost is within the budget, or if `needed`; returns whether."""
        now = time.monotonic()
        self._allowance = min(_FORCED_SAVED, self._allowance + FORCED_SHARE * (now - self._allowed_at))
        self._allowed_at = now
        if self._allowance <= 0.0 and not needed:
            return False
        spent = time.thread_time()
        self._advance()
        cost = time.thread_time() - spent
        self._allowance = max(-_FORCED_SAVED, self._allowance - cost)
        self._forced_cost += cost
        self._forced += 1
        return True

    # -------------------------------------------------------------------------------------------- the grid

    def _run(self) -> None:
        """Samples at whole multiples of the interval; what can't be done in time is counted and left out."""
        tick = 1
        while not self._stopping.wait(max(0.0, self._origin + tick * self._interval - time.monotonic())):
            self._sample()
            self._thread_cost = time.thread_time()
            following = int((time.monotonic() - self._origin) / self._interval) + 1
            self._missed += max(0, following - tick - 1)
            tick = max(following, tick + 1)

    def _sample(self) -> None:
        with self._lock:
            values = self._advance()
            now, in_flight = self._latest_reading, len(self._windows)
            totals = dict(self._ledger.whole.amounts)
        gauges = self._read_gauges(last=False)
        with self._lock:
            self._ledger.gauge(_shown(gauges))
        values.update(gauges)
        known = {name: totals[name] for name in counters(values)}
        before, cpu_before = self._previous
        self._previous = (now, known.get("cpu_seconds"))
        sample = Sample(
            time=self._epoch + now - self._origin,
            cpu_seconds=known.get("cpu_seconds"),
            cpu_percent=_percent(cpu_before, known.get("cpu_seconds"), now - before),
            resident_bytes=_whole(values.get("rss_bytes")),
            pss_bytes=_whole(values.get("pss_bytes")),
            energy_joules=known.get("energy_joules"),
            gpus=gpu_samples(values),
            in_flight=in_flight,
            more=others(values),
        )
        self._samples += 1
        self._hand_out(sample)

    def _hand_out(self, sample: Sample) -> None:
        if self._sink is None:
            return
        try:
            self._sink(sample)
        except Exception as error:  # noqa: BLE001 (a full disk must not end the measuring; it is recorded)
            self._reasons["sink"] = f"failed, later samples were not kept: {type(error).__name__}: {error}"
            self._sink = None

    def _make_totals(self, seconds: float) -> ArmUsage:
        whole = self._ledger.whole
        cpu = whole.amount("cpu_seconds")
        unseen = {_name(probe): reason for probe in self._probes if (reason := getattr(probe, "reason", ""))}
        return ArmUsage(
            usage=usage(whole, seconds, self._watts),
            started=self._epoch,
            attempts=self._attempts,
            outside_cpu_seconds=None if cpu is None else self._ledger.outside.get("cpu_seconds", 0.0),
            idle_cpu_rate=self._idle_rate,
            interval=self._interval,
            samples=self._samples,
            missed=self._missed,
            forced=self._forced,
            pss_reads=sum(getattr(probe, "pss_reads", 0) for probe in self._probes),
            sampler_cpu_seconds=self._thread_cost + self._forced_cost,
            reasons={**unseen, **self._reasons},
        )


def _follow(probe: FollowingProbe, pids: Sequence[int]) -> Mapping[str, float]:
    probe.follow(pids)
    return {}


def _name(probe: Probe) -> str:
    return type(probe).__name__


def _percent(before: float | None, after: float | None, seconds: float) -> float | None:
    return None if before is None or after is None or seconds <= 0 else 100.0 * (after - before) / seconds


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def _shown(values: Mapping[str, float]) -> dict[str, float]:
    """Of what probes report, the gauges that attempts have a peak or a mean of."""
    shown = {name: values[name] for name in ("rss_bytes", "pss_bytes") if name in values}
    gpus = gpu_samples(values)
    shown.update({f"gpu_{gpu.index}_percent": gpu.percent for gpu in gpus if gpu.percent is not None})
    memory = [gpu.memory_bytes for gpu in gpus if gpu.memory_bytes is not None]
    if memory:
        shown["gpu_memory_bytes"] = float(sum(memory))
    return shown
