"""The monitor on real processes, and on probes that do what real ones can't be made to do here."""

from __future__ import annotations

import threading
import time
import tracemalloc
from collections.abc import Mapping
from typing import Any

import pytest

from smallenough.protocols import Probe
from smallenough.records import Usage
from smallenough.resources.monitor import AttemptWindow, ResourceMonitor, probes_for
from smallenough.resources.processes import ProcessProbe
from smallenough.resources.samples import Sample


class Clock:
    """A probe whose counter is the wall clock: one CPU second a second."""

    def read(self) -> Mapping[str, float]:
        return {"cpu_seconds": time.monotonic(), "rss_bytes": 1000.0}


def test_cpu_seconds_of_a_window_agree_with_the_kernel_within_two_percent(supervisor: Any) -> None:
    monitor = ResourceMonitor([ProcessProbe([supervisor.pid])])
    monitor.start()
    begun = supervisor.ask("burn 0")
    with monitor.attempt() as window:
        kernel = supervisor.ask("shorts 5") - begun
    totals = monitor.stop()
    assert window.usage.seconds >= 5
    assert window.usage.cpu_seconds == pytest.approx(kernel, rel=0.02)
    assert window.usage.cpu_percent == pytest.approx(100 * kernel / window.usage.seconds, rel=0.02)
    assert window.usage.cpu_provenance == "measured"
    assert window.usage.peak_memory_bytes is not None
    assert window.usage.peak_memory_bytes > 2**20
    assert totals.usage.cpu_seconds == pytest.approx(kernel, rel=0.02)


def test_an_arm_with_attempts_one_after_another(supervisor: Any) -> None:
    got: list[Sample] = []
    monitor = ResourceMonitor(probes_for([supervisor.pid]), interval=0.05, sink=got.append)
    monitor.start()
    usages = []
    for _ in range(3):
        with monitor.attempt() as window:
            assert window.usage == Usage()
            supervisor.ask("burn 0.15")
        usages.append(window.usage)
    supervisor.ask("burn 0.1")
    totals = monitor.stop()
    assert [usage.cpu_provenance for usage in usages] == ["measured"] * 3
    assert [usage.cpu_seconds for usage in usages] == pytest.approx([0.15] * 3, abs=0.05)
    assert totals.outside_cpu_seconds is not None
    assert totals.outside_cpu_seconds == pytest.approx(0.1, abs=0.05)
    assert sum(usage.cpu_seconds or 0 for usage in usages) + totals.outside_cpu_seconds == pytest.approx(
        totals.usage.cpu_seconds
    )
    assert (totals.attempts, totals.forced, totals.samples) == (3, 6, len(got))
    assert totals.pss_reads > 0
    assert 0 < totals.sampler_cpu_seconds < totals.usage.seconds
    assert got[-1].cpu_seconds == max(sample.cpu_seconds or 0 for sample in got)
    assert {sample.in_flight for sample in got} <= {0, 1}
    assert abs(got[0].time - time.time()) < 60
    assert "RaplProbe" in totals.reasons or totals.usage.energy_joules is not None
    assert monitor.stop() is totals


def test_overlapping_attempts_share_what_was_measured_and_sum_to_it() -> None:
    monitor = ResourceMonitor([Clock()], interval=0.01)
    monitor.start()
    barrier = threading.Barrier(4)
    windows: list[AttemptWindow] = []

    def answer(pieces: int) -> None:
        barrier.wait()
        with monitor.attempt() as window:
            windows.append(window)
            barrier.wait()
            for _ in range(pieces):
                window.token()
            barrier.wait()
            until = time.monotonic() + 0.1
            while time.monotonic() < until:
                window.token()
            barrier.wait()

    threads = [threading.Thread(target=answer, args=(pieces,)) for pieces in (0, 10, 100, 1000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with monitor.attempt() as alone:
        pass
    totals = monitor.stop()
    assert [window.usage.cpu_provenance for window in windows] == ["apportioned"] * 4
    assert alone.usage.cpu_provenance == "measured"
    shares = sum(window.usage.cpu_seconds or 0 for window in [*windows, alone])
    assert totals.outside_cpu_seconds is not None
    assert shares + totals.outside_cpu_seconds == pytest.approx(totals.usage.cpu_seconds, rel=1e-9)
    assert totals.usage.cpu_seconds == pytest.approx(totals.usage.seconds, rel=0.05)


def test_an_attempt_that_fails_is_measured_all_the_same() -> None:
    monitor = ResourceMonitor([Clock()])
    monitor.start()
    with pytest.raises(KeyError), monitor.attempt() as window:
        raise KeyError
    assert window.usage.cpu_seconds is not None
    assert monitor.stop().attempts == 1


def test_without_probes_everything_works_and_nothing_is_measured() -> None:
    assert probes_for(None) == []
    monitor = ResourceMonitor([], interval=0.01, estimate_watts_per_core=10.0)
    assert monitor.measure_idle(0.01) is None
    monitor.start()
    with monitor.attempt() as window:
        window.token()
    totals = monitor.stop()
    assert window.usage == Usage(seconds=window.usage.seconds)
    assert totals.usage == Usage(seconds=totals.usage.seconds)
    assert (totals.outside_cpu_seconds, totals.idle_cpu_rate) == (None, None)
    assert window.pieces == 1


def test_a_server_that_ends_in_the_middle_is_not_an_error(supervisor: Any) -> None:
    got: list[Sample] = []
    monitor = ResourceMonitor([ProcessProbe([supervisor.pid])], interval=0.02, sink=got.append)
    monitor.start()
    with monitor.attempt() as window:
        supervisor.ask("burn 0.1")
        supervisor.end()
    with monitor.attempt() as after:
        pass
    totals = monitor.stop()
    assert (window.usage.cpu_seconds, window.usage.cpu_provenance) == (None, "none")
    assert window.usage.peak_memory_bytes is not None
    assert (after.usage.cpu_seconds, after.usage.peak_memory_bytes) == (None, None)
    assert "ProcessProbe" in totals.reasons


def test_the_idle_servers_share_is_measured_and_not_subtracted() -> None:
    monitor = ResourceMonitor([Clock()])
    assert monitor.measure_idle(0.1) == pytest.approx(1.0, rel=0.05)
    monitor.start()
    totals = monitor.stop()
    assert totals.idle_cpu_rate == pytest.approx(1.0, rel=0.05)
    assert totals.usage.cpu_seconds == pytest.approx(totals.usage.seconds, abs=0.005)


def test_samples_that_come_too_late_are_counted_and_left_out() -> None:
    times: list[float] = []
    enough = threading.Event()

    def slow_once(sample: Sample) -> None:
        times.append(sample.time)
        if len(times) == 1:
            until = time.monotonic() + 0.5
            while time.monotonic() < until:
                pass
        if len(times) == 4:
            enough.set()

    monitor = ResourceMonitor([Clock()], interval=0.1, sink=slow_once)
    monitor.start()
    assert enough.wait(20)
    totals = monitor.stop()
    assert totals.missed >= 4
    assert times[1] - times[0] >= 0.5
    # Each has its own place on the grid: none follows another at once to make up for it.
    slots = [int((at - totals.started) / 0.1) for at in times]
    assert slots == sorted(set(slots))
    assert totals.samples + totals.missed == pytest.approx(totals.usage.seconds / 0.1, abs=2)


class Broken:
    reason = ""

    def __init__(self) -> None:
        self.calls = 0

    def read(self) -> Mapping[str, float]:
        self.calls += 1
        if self.calls > 1:
            raise ValueError("the sensor is gone")
        return {"package_energy_joules": 1.0}


def test_a_probe_that_fails_is_left_out_and_named() -> None:
    broken = Broken()
    probes: list[Probe] = [broken, Clock()]
    monitor = ResourceMonitor(probes)
    monitor.start()
    with monitor.attempt() as window:
        pass
    totals = monitor.stop()
    assert window.usage.cpu_seconds is not None
    assert window.usage.energy_joules is None
    assert broken.calls == 2
    assert totals.reasons["Broken"].endswith("ValueError: the sensor is gone")


def test_a_sink_that_fails_ends_neither_the_measuring_nor_goes_unnoticed() -> None:
    called = threading.Event()

    def full(sample: Sample) -> None:
        called.set()
        raise OSError(28, "No space left on device")

    monitor = ResourceMonitor([Clock()], interval=0.01, sink=full)
    monitor.start()
    assert called.wait(20)
    totals = monitor.stop()
    assert "No space left" in totals.reasons["sink"]
    assert totals.usage.cpu_seconds is not None


def test_energy_is_an_estimate_only_when_asked_for() -> None:
    monitor = ResourceMonitor([Clock()], estimate_watts_per_core=12.0)
    monitor.start()
    totals = monitor.stop()
    assert totals.usage.cpu_seconds is not None
    assert totals.usage.energy_joules == pytest.approx(12.0 * totals.usage.cpu_seconds)
    assert totals.usage.energy_provenance == "estimated"


def test_memory_is_flat_however_many_attempts_and_samples() -> None:
    monitor = ResourceMonitor([Clock()], interval=0.001, sink=lambda sample: None)
    monitor.start()

    def answer(count: int) -> int:
        for _ in range(count):
            with monitor.attempt() as window:
                window.token()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        few = answer(300)
        many = answer(6000)
    finally:
        tracemalloc.stop()
    assert monitor.stop().attempts == 6300
    assert many - few < 32 * 1024


def test_a_server_that_is_started_again_is_followed(supervisor: Any) -> None:
    monitor = ResourceMonitor(probes_for([]), interval=0.05)
    monitor.start()
    with monitor.attempt() as unseen:
        supervisor.ask("burn 0.1")
        monitor.follow(None)
        monitor.follow([supervisor.pid])
    with monitor.attempt() as seen:
        supervisor.ask("burn 0.2")
    totals = monitor.stop()
    assert unseen.usage.cpu_seconds is None
    assert seen.usage.cpu_seconds == pytest.approx(0.2, abs=0.05)
    assert totals.usage.cpu_seconds == pytest.approx(0.2, abs=0.05)
