from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from smallenough.resources.nvidia import Descent, NvidiaProbe, gpu_inventory, joules, memory_of, watts


@dataclass
class OnGpu:
    pid: int
    usedGpuMemory: int | None  # noqa: N815 (the library's name)


def test_units() -> None:
    assert joules(1500) == 1.5
    assert watts(120_500) == 120.5


def test_memory_is_that_of_the_models_processes_once_each() -> None:
    found = [OnGpu(1, 100), OnGpu(2, 30), OnGpu(2, 30), OnGpu(3, 7)]
    assert memory_of(found, {2, 3}.__contains__) == 37
    assert memory_of(found, {9}.__contains__) is None
    assert memory_of([OnGpu(2, None), OnGpu(3, 7)], {2, 3}.__contains__) is None
    assert memory_of([OnGpu(1, None), OnGpu(3, 7)], {2, 3}.__contains__) == 7


def test_descent_is_told_by_the_system() -> None:
    assert Descent([os.getpid()])(os.getpid())
    assert Descent([os.getppid()])(os.getpid())
    assert not Descent([os.getpid()])(os.getppid())
    with subprocess.Popen(["true"]) as child:
        child.wait()
    assert not Descent([child.pid])(child.pid)


def test_a_machine_without_a_gpu_says_so() -> None:
    probe = NvidiaProbe([os.getpid()])
    if probe.available:
        pytest.skip("this machine has an NVIDIA GPU")
    assert probe.read() == {}
    assert probe.gauges() == {}
    assert "driver" in probe.reason
    assert gpu_inventory() == {"gpus": None, "gpu_driver": None}
    probe.close()


READ = """
import json, os, sys
from smallenough.resources.nvidia import NvidiaProbe, gpu_inventory
probe = NvidiaProbe([int(os.environ["MODEL_PID"])])
told = [probe.read(), probe.read(), probe.gauges(), probe.gauges(last=True), gpu_inventory()]
probe.close()
sys.stdout.write(json.dumps([probe.reason, *told, probe.read()]))
"""


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="needs a C compiler on Linux")
def test_what_cards_tell_is_read_and_what_they_do_not_is_left_out(tmp_path: Path) -> None:
    source = Path(__file__).with_name("nvml_driver.c")
    library = tmp_path / "libnvidia-ml.so.1"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path), "MODEL_PID": str(os.getpid())}
    ran = subprocess.run([sys.executable, "-c", READ], capture_output=True, text=True, check=True, env=environment)
    reason, first, second, gauges, fresh, inventory, closed = json.loads(ran.stdout)
    assert reason == ""
    assert first == {"gpus": 2, "gpu_0_energy_joules": 6.5}
    assert second == {"gpus": 2, "gpu_0_energy_joules": 8.0}
    assert gauges == {
        "gpus": 2,
        "gpu_0_percent": 75,
        "gpu_0_device_memory_bytes": 3e9,
        "gpu_0_power_watts": 120.5,
        "gpu_0_memory_bytes": 1e9,
        "gpu_1_device_memory_bytes": 3e9,
        "gpu_1_power_watts": 120.5,
    }
    assert fresh == {}
    assert inventory["gpus"] == 2
    assert (inventory["gpu_driver"], inventory["gpu_1_name"]) == ("555.1", "Card")
    assert inventory["gpu_0_memory_bytes"] == 8e9
    assert closed == {}
