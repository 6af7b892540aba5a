from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil

from smallenough.machine import cgroup_limits, usable_cores
from smallenough.resources.hardware import busy, hardware, others_share


def test_this_machine_is_described() -> None:
    told = hardware()
    assert told["cores_logical"] == os.cpu_count()
    assert told["memory_bytes"] == psutil.virtual_memory().total
    assert told["kernel"] == os.uname().release
    assert told["cpu_model"]
    assert told["os"]
    assert {"container", "cpu_quota_cores", "memory_limit_bytes", "gpus"} <= told.keys()
    assert all(value is None or isinstance(value, (str, int, float)) for value in told.values())


def test_limits_of_control_groups_version_two(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    (tmp_path / "a" / "cpu.max").write_text("150000 100000\n")
    (tmp_path / "a" / "memory.max").write_text("max\n")
    (inner / "cpu.max").write_text("max 100000\n")
    (inner / "memory.max").write_text("1048576\n")
    membership = tmp_path / "membership"
    membership.write_text("0::/a/b\n")
    assert cgroup_limits(tmp_path, membership) == (1.5, 1048576)
    membership.write_text("0::/\n")
    assert cgroup_limits(tmp_path, membership) == (None, None)


def test_limits_of_control_groups_version_one(tmp_path: Path) -> None:
    for folder, files in {
        "cpu,cpuacct": {"cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "100000"},
        "memory": {"memory.limit_in_bytes": "9223372036854771712"},
        "memory/in": {"memory.limit_in_bytes": "4096"},
    }.items():
        (tmp_path / folder).mkdir(parents=True)
        for name, value in files.items():
            (tmp_path / folder / name).write_text(f"{value}\n")
    membership = tmp_path / "membership"
    # Inside a container the path is the host's, and only the top of the hierarchy can be seen.
    membership.write_text("4:cpu,cpuacct:/host/path\n3:memory:/in\n2:pids:/\n")
    assert cgroup_limits(tmp_path, membership) == (0.5, 4096)
    assert cgroup_limits(tmp_path, tmp_path / "nowhere") == (None, None)


def test_the_share_of_others_is_what_is_neither_idle_nor_own() -> None:
    before = {"user": 10.0, "system": 5.0, "idle": 100.0, "iowait": 1.0, "guest": 9.0}
    after = {"user": 13.0, "system": 6.0, "idle": 105.0, "iowait": 2.0, "guest": 12.0}
    assert others_share(before, after, own=0.0) == 0.4
    assert others_share(before, after, own=3.0) == 0.1
    assert others_share(before, after, own=4.5) == 0.0
    assert others_share(before, before, own=0.0) == 0.0


def test_a_stranger_that_works_is_noticed() -> None:
    # The one in between ends at once: what it started is nobody's child here.
    code = "import subprocess, sys; print(subprocess.Popen(sys.argv[1:], stdout=-3, stderr=-3).pid)"
    burn = [sys.executable, "-c", "import time\nwhile time.process_time() < 20: pass"]
    ran = subprocess.run([sys.executable, "-c", code, *burn], capture_output=True, text=True, check=True)
    try:
        assert 0.3 / (os.cpu_count() or 1) < busy(0.5) <= 1.0
    finally:
        os.kill(int(ran.stdout), signal.SIGKILL)


def test_usable_cores_are_those_that_this_process_may_run_on() -> None:
    count = "from smallenough.machine import usable_cores; print(usable_cores())"
    one = "import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); " + count
    told = [int(subprocess.check_output([sys.executable, "-c", source])) for source in (count, one)]
    assert told == [usable_cores(), 1]
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
