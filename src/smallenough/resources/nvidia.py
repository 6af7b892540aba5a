"""Reads NVIDIA's GPUs through the driver's management library: use, memory, power, energy.

Limits: use, power and energy are those of whole devices. The memory of the model's processes is told where the driver
names them: inside a container it often names none, then it is left out. Devices that are split into instances (MIG)
tell no use.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Protocol

import psutil

FRESH_SECONDS = 0.05
"""For so long a reading of the gauges serves the attempts that end."""


class _GpuProcess(Protocol):
    pid: int
    usedGpuMemory: int | None  # noqa: N815 (the library's name)


def joules(millijoules: int) -> float:
    """The driver's energy counter in joules."""
    return millijoules / 1000.0


def watts(milliwatts: int) -> float:
    """The driver's power reading in watts."""
    return milliwatts / 1000.0


def memory_of(processes: Iterable[_GpuProcess], members: Callable[[int], bool]) -> int | None:
    """Bytes that the processes for which `members` holds have on a device; None: none is named, or one hides it."""
    used: dict[int, int] = {}
    for process in processes:
        if not members(process.pid):
            continue
        if process.usedGpuMemory is None:
            return None
        # One that computes and draws is in both lists, with the same memory.
        used[process.pid] = max(used.get(process.pid, 0), process.usedGpuMemory)
    return sum(used.values()) if used else None


def _text(answer: Any) -> str | None:
    """Older releases of the library answer in bytes."""
    return answer.decode() if isinstance(answer, bytes) else answer


class Descent:
    """Tells whether a process belongs to the trees below some roots, asking the system once a process.

    Args:
        roots: the roots' process ids.
    """

    def __init__(self, roots: Collection[int]) -> None:
        self._roots = frozenset(roots)
        self._known: dict[tuple[int, float], bool] = {}

    def follow(self, roots: Iterable[int]) -> None:
        """Adds trees."""
        self._roots |= frozenset(roots)
        self._known.clear()

    def __call__(self, pid: int) -> bool:
        """Whether the process lives and belongs to them."""
        try:
            process = psutil.Process(pid)
            key = (pid, process.create_time())
            if key not in self._known:
                ancestors = {parent.pid for parent in process.parents()}
                self._known[key] = not self._roots.isdisjoint(ancestors | {pid})
        except psutil.Error:
            return False
        return self._known[key]


class NvidiaProbe:
    """Reads every NVIDIA GPU of the machine.

    Args:
        pids: the roots of the model's process trees.
    """

    def __init__(self, pids: Sequence[int] = ()) -> None:
        self.reason = ""
        """Why there is nothing to read, and what to do about it; empty: there is."""
        self._members = Descent(pids)
        self._lock = threading.Lock()
        self._devices: list[Any] = []
        self._unsupported: set[tuple[str, int]] = set()
        self._looked = float("-inf")
        try:
            import pynvml
        except ImportError:
            self.reason = "nvidia-ml-py is not installed; run: pip install nvidia-ml-py"
            return
        self._nvml: Any = pynvml
        try:
            pynvml.nvmlInit()
            self._devices = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        except pynvml.NVMLError as error:
            self.reason = f"no NVIDIA GPU can be read ({error}); if there is one, install its driver (see nvidia-smi)"
            return
        if not self._devices:
            self.reason = "the NVIDIA driver is installed and shows no GPU"

    @property
    def available(self) -> bool:
        """Whether there is anything to read."""
        return bool(self._devices)

    def follow(self, pids: Iterable[int]) -> None:
        """Adds process trees whose memory is told."""
        with self._lock:
            self._members.follow(pids)

    def read(self) -> dict[str, float]:
        """How many `gpus` there are, and the energy counter of each that has one."""
        if not self._devices:
            return {}
        values = {"gpus": float(len(self._devices))}
        with self._lock:
            for index, device in enumerate(self._devices):
                energy = self._ask("nvmlDeviceGetTotalEnergyConsumption", index, device)
                if energy is not None:
                    values[f"gpu_{index}_energy_joules"] = joules(energy)
        return values

    def gauges(self, last: bool = False) -> dict[str, float]:
        """Use, memory and power of every GPU; what a card does not tell is left out.

        Args:
            last: whether an attempt ends here: where the last reading is fresh, this one is left out.
        """
        values: dict[str, float] = {}
        with self._lock:
            now = time.monotonic()
            if last and now - self._looked < FRESH_SECONDS:
                return {}
            self._looked = now
            for index, device in enumerate(self._devices):
                values.update({f"gpu_{index}_{name}": value for name, value in self._gauges_of(index, device)})
        return {"gpus": float(len(self._devices)), **values} if values else {}

    def inventory(self) -> dict[str, str | int | None]:
        """What GPUs there are: `gpus`, `gpu_driver`, `gpu_0_name`, `gpu_0_memory_bytes` …; None: not known."""
        if not self._devices:
            return {"gpus": None, "gpu_driver": None}
        found: dict[str, str | int | None] = {
            "gpus": len(self._devices),
            "gpu_driver": _text(self._ask("nvmlSystemGetDriverVersion")),
        }
        for index, device in enumerate(self._devices):
            found[f"gpu_{index}_name"] = _text(self._ask("nvmlDeviceGetName", index, device))
            memory = self._ask("nvmlDeviceGetMemoryInfo", index, device)
            found[f"gpu_{index}_memory_bytes"] = None if memory is None else int(memory.total)
        return found

    def close(self) -> None:
        """Lets go of the driver."""
        if self._devices:
            self._devices = []
            self._nvml.nvmlShutdown()

    def _gauges_of(self, index: int, device: Any) -> Iterable[tuple[str, float]]:
        rates = self._ask("nvmlDeviceGetUtilizationRates", index, device)
        if rates is not None:
            yield "percent", float(rates.gpu)
        memory = self._ask("nvmlDeviceGetMemoryInfo", index, device)
        if memory is not None:
            yield "device_memory_bytes", float(memory.used)
        power = self._ask("nvmlDeviceGetPowerUsage", index, device)
        if power is not None:
            yield "power_watts", watts(power)
        computing = self._ask("nvmlDeviceGetComputeRunningProcesses", index, device) or []
        drawing = self._ask("nvmlDeviceGetGraphicsRunningProcesses", index, device) or []
        used = memory_of([*computing, *drawing], self._members)
        if used is not None:
            yield "memory_bytes", float(used)

    def _ask(self, function: str, index: int = 0, *device: Any) -> Any:
        """One answer of the driver; None: it gives none. What a card never tells is not asked again."""
        if (function, index) in self._unsupported:
            return None
        try:
            return getattr(self._nvml, function)(*device)
        except (self._nvml.NVMLError_NotSupported, self._nvml.NVMLError_FunctionNotFound):
            self._unsupported.add((function, index))
        except self._nvml.NVMLError:
            return None  # Lost for now: the reading lacks it.
        return None


def gpu_inventory() -> dict[str, str | int | None]:
    """How many `gpus` there are, `gpu_driver`, and each one's name and memory; None: the driver's library is away."""
    probe = NvidiaProbe()
    try:
        return probe.inventory()
    finally:
        probe.close()
