from __future__ import annotations

from typing import Any

import pytest
from mlflow.system_metrics.metrics import cpu_monitor

from smallenough.resources.samples import ArmUsage, GpuSample, Sample, counters, gpu_samples
from smallenough.resources.system_metrics import SystemMetrics, SystemStep, system_metrics

GPU = GpuSample(0, percent=50.0, memory_bytes=10**9, device_memory_bytes=2 * 10**9, power_watts=80.0)


def test_names_and_units_are_mlflows_own() -> None:
    values = system_metrics(
        [Sample(1.0, cpu_percent=100.0, resident_bytes=10**9, gpus=(GPU,)), Sample(1.1, cpu_percent=300.0)], 4, 10**10
    )
    assert values == {
        "system/cpu_utilization_percentage": 50.0,
        "system/system_memory_usage_megabytes": 1000.0,
        "system/system_memory_usage_percentage": 10.0,
        "system/gpu_0_utilization_percentage": 50.0,
        "system/gpu_0_memory_usage_megabytes": 2000.0,
        "system/gpu_0_power_usage_watts": 80.0,
    }
    monitor: Any = cpu_monitor
    monitor = monitor.CPUMonitor()
    monitor.collect_metrics()
    assert {f"system/{name}" for name in monitor.metrics} == {key for key in values if "gpu" not in key}


def test_gpu_names_are_those_in_mlflows_source() -> None:
    import mlflow.system_metrics.metrics.gpu_monitor as source

    assert source.__file__ is not None
    with open(source.__file__, encoding="utf-8") as file:  # noqa: PTH123 (one line)
        text = file.read()
    for key in system_metrics([Sample(1.0, gpus=(GPU,))], 1, 1):
        assert key.removeprefix("system/").replace("gpu_0", "gpu_{i}") in text


def test_steps_are_a_second_apart_at_least() -> None:
    gathered = SystemMetrics(cores=2, memory_bytes=10**9)
    steps: list[SystemStep] = []
    for tick in range(35):
        step = gathered.add(Sample(1000 + tick / 10, cpu_percent=float(tick)))
        if step:
            steps.append(step)
    assert [step.step for step in steps] == [0, 1, 2]
    assert [step.timestamp for step in steps] == [1_001_000, 1_002_000, 1_003_000]
    assert steps[0].values["system/cpu_utilization_percentage"] == pytest.approx(sum(range(11)) / 11 / 2)
    assert gathered.finish() is None


def test_a_short_arm_has_one_step_and_an_unmeasured_one_none() -> None:
    short = SystemMetrics(cores=1, memory_bytes=10**9)
    assert short.add(Sample(5.0, cpu_percent=10.0)) is None
    assert short.finish() == SystemStep(5000, 0, {"system/cpu_utilization_percentage": 10.0})
    empty = SystemMetrics(cores=1, memory_bytes=10**9)
    empty.add(Sample(5.0))
    assert empty.finish() is None
    assert SystemMetrics(1, 1).finish() is None


def test_a_sample_is_one_flat_row() -> None:
    row = Sample(1.0, cpu_seconds=2.0, gpus=(GPU,), in_flight=3).row()
    assert row["cpu_seconds"] == 2.0
    assert row["gpu_0_memory_bytes"] == 10**9
    assert row["pss_bytes"] is None
    assert not any(isinstance(value, (tuple, list, dict)) for value in row.values())
    assert ArmUsage.__dataclass_fields__.keys() >= {"usage", "idle_cpu_rate", "missed", "pss_reads"}


def test_a_machines_energy_is_told_only_when_all_of_it_is() -> None:
    package = {"package_energy_joules": 10.0}
    assert counters(package) == {"energy_joules": 10.0}
    gpus = {"gpus": 2.0, "gpu_0_energy_joules": 3.0}
    assert counters({**package, **gpus}) == {}
    gpus["gpu_1_energy_joules"] = 4.0
    assert counters({**package, **gpus}) == {"energy_joules": 17.0, "gpu_energy_joules": 7.0}
    assert counters(gpus) == {"gpu_energy_joules": 7.0}
    assert [gpu.energy_joules for gpu in gpu_samples(gpus)] == [3.0, 4.0]
