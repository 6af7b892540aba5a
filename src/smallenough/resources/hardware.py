"""What machine this is, what of it may be used, and whether others are using it.

Limits: a container's limits are read from control groups as the container sees them; what a hypervisor withholds can't
be seen from inside.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from smallenough.machine import cgroup_limits
from smallenough.resources.nvidia import NvidiaProbe, gpu_inventory
from smallenough.resources.processes import ProcessProbe

BUSY = 0.2
"""A larger share of the machine's CPU time in others' hands, and timings suffer from it."""


def hardware() -> dict[str, str | int | float | None]:
    """What is known of this machine by name; None: not known, or there is no such limit.

    `cpu_model`, `cores_physical`, `cores_logical`, `memory_bytes`, `architecture`, `os`, `kernel`, `container`,
    `cpu_quota_cores`, `memory_limit_bytes`, `gpus` (how many), `gpu_driver`, `gpu_0_name`, `gpu_0_memory_bytes` …
    """
    quota, limit = cgroup_limits()
    return {
        "cpu_model": _cpu_model(),
        "cores_physical": psutil.cpu_count(logical=False),
        "cores_logical": psutil.cpu_count(),
        "memory_bytes": psutil.virtual_memory().total,
        "architecture": platform.machine() or None,
        "os": _system(),
        "kernel": platform.release() or None,
        "container": _container(),
        "cpu_quota_cores": quota,
        "memory_limit_bytes": limit,
        **gpu_inventory(),
    }


@dataclass(frozen=True, slots=True)
class MemoryInUse:
    """What is taken of this machine's memory, by everybody."""

    system_bytes: int
    system_total_bytes: int
    device_bytes: int | None
    """Of all GPUs; None: there is none that can be read."""


def memory_in_use() -> MemoryInUse:
    """What is taken of the machine's memory right now; what can be given back at once, as caches, is not counted."""
    memory, gpus = psutil.virtual_memory(), NvidiaProbe()
    try:
        taken = [value for name, value in gpus.gauges().items() if name.endswith("_device_memory_bytes")]
    finally:
        gpus.close()
    return MemoryInUse(memory.total - memory.available, memory.total, int(sum(taken)) if taken else None)


def busy(seconds: float = 0.5, pids: Sequence[int] = ()) -> float:
    """The share of the machine's CPU time, 0 to 1, that others use.

    Args:
        seconds: how long to look.
        pids: roots of process trees that are not 'others', beside this process and its children: the model's server.
    """
    ours = ProcessProbe([os.getpid(), *pids])
    try:
        before, own_before = psutil.cpu_times(), ours.read().get("cpu_seconds", 0.0)
        time.sleep(seconds)
        after, own_after = psutil.cpu_times(), ours.read().get("cpu_seconds", 0.0)
    finally:
        ours.close()
    return others_share(before._asdict(), after._asdict(), own_after - own_before)


def others_share(before: Mapping[str, float], after: Mapping[str, float], own: float) -> float:
    """The share of the machine's CPU time between two readings of its clocks that is not `own`.

    Args:
        before: seconds of all cores together by kind (`user`, `system`, `idle` …).
        after: the same, later.
        own: CPU seconds between them that are not others'.
    """
    # `guest` is in `user` already; time that a hypervisor gave to other machines (`steal`) is used by others.
    kinds = ("user", "nice", "system", "irq", "softirq", "steal", "idle", "iowait")
    spent = {kind: after.get(kind, 0.0) - before.get(kind, 0.0) for kind in kinds}
    total = sum(spent.values())
    if total <= 0.0:
        return 0.0
    return min(1.0, max(0.0, (total - spent["idle"] - spent["iowait"] - own) / total))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _cpu_model() -> str | None:
    for line in _text(Path("/proc/cpuinfo")).splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model", "cpu model") and value.strip():
            return value.strip()
    return platform.processor() or None


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return f"{platform.system()} {platform.version()}".strip()


def _container() -> str | None:
    if Path("/.dockerenv").exists():
        return "docker"
    if Path("/run/.containerenv").exists():
        return "podman"
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return "kubernetes"
    return os.environ.get("container") or None  # noqa: SIM112 (the name that container engines give it)
