"""Reads process trees: CPU seconds by the kernel's own counters, resident memory, proportional set size.

On Linux /proc is read directly (a kept-open file a process, one listing of /proc to find new children), elsewhere
through psutil. Linux tells the CPU time of any process in nanoseconds through its CPU clock; where that is refused,
and elsewhere, the counters come in the system's clock ticks.

Limits: a process whose parent ended before the next reading, and that was never seen before, can't be told from a
stranger. Proportional set size is Linux's alone and needs the same user or root; where any process of the trees hides
it, none is reported, because a part of the sum would look like the whole.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

import psutil

from smallenough.resources.tree import ProcessReading, TreeCpu

PSS_SHARE = 0.005
"""Share of one core that reading proportional set sizes may take."""

_TICK = 1.0 / os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 0.01
_PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096


class ProcessReader(Protocol):
    """Finds and reads the processes of some trees."""

    def follow(self, pids: Iterable[int]) -> None:
        """Adds roots; those that don't live are left out."""
        ...

    def read(self) -> list[ProcessReading]:
        """Every process that lives, parents before children."""
        ...

    def clock(self) -> float:
        """Now, on the clock of `ProcessReading.started`."""
        ...

    def close(self) -> None:
        """Gives back what is held open."""
        ...


class ProcessProbe:
    """Reads the trees below `pids`.

    What the processes used before the probe was made is not counted. Safe to call from several threads.

    Args:
        pids: the roots. One that does not live is left out.
        reader: how processes are read; None: the system's best way.
        pss_share: share of one core that reading proportional set sizes may take.
    """

    def __init__(
        self, pids: Sequence[int], *, reader: ProcessReader | None = None, pss_share: float = PSS_SHARE
    ) -> None:
        self._reader = reader or (LinuxReader() if sys.platform == "linux" else PsutilReader())
        self._cpu = TreeCpu(self._reader.clock())
        self._members: tuple[int, ...] = ()
        self._lock = threading.Lock()
        self._pss = PssPace(pss_share)
        self._pss_lock = threading.Lock()
        self._reader.follow(pids)
        self.read()

    @property
    def available(self) -> bool:
        """Whether any process of the trees is there to be read."""
        return bool(self._members)

    @property
    def reason(self) -> str:
        """Why there is nothing to read, and what to do about it; empty: there is."""
        if self._members:
            return ""
        return "no process of the model's server can be seen from here; run on its machine, or name its process id"

    @property
    def members(self) -> tuple[int, ...]:
        """The processes of the trees at the last reading."""
        return self._members

    @property
    def pss_reads(self) -> int:
        """How often the proportional set sizes were read."""
        return self._pss.reads

    def follow(self, pids: Iterable[int]) -> None:
        """Adds trees, such as that of an engine that was started again."""
        with self._lock:
            self._reader.follow(pids)

    def read(self) -> dict[str, float]:
        """`cpu_seconds` since the probe was made, `rss_bytes` and `processes`; empty when no process lives."""
        with self._lock:
            readings = self._reader.read()
            seconds = self._cpu.advance(readings)
            self._members = tuple(reading.pid for reading in readings)
        if not readings:
            return {}
        resident = sum(reading.resident_bytes for reading in readings)
        return {"cpu_seconds": seconds, "rss_bytes": float(resident), "processes": float(len(readings))}

    def gauges(self, last: bool = False) -> dict[str, float]:
        """`pss_bytes`, when it is due: empty in between, and where it can't be read.

        Args:
            last: whether an attempt ends here: such readings may come twice as close as the others.
        """
        if not self._pss_lock.acquire(blocking=False):
            return {}
        try:
            if not self._pss.due(time.monotonic(), 1.0 if last else 2.0):
                return {}
            spent = time.thread_time()
            total = tree_pss(self._members)
            self._pss.note(time.monotonic(), time.thread_time() - spent, total is not None)
        finally:
            self._pss_lock.release()
        return {} if total is None else {"pss_bytes": float(total)}

    def close(self) -> None:
        """Closes what is held open."""
        with self._lock:
            self._reader.close()


class PssPace:
    """Spaces readings so that they cost a fixed share of one core. Pure: told the time and the costs.

    Args:
        share: the share of one core that they may take.
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._ended = float("-inf")
        self._cost = 0.0
        self.reads = 0

    def due(self, now: float, factor: float) -> bool:
        """Whether the last reading's cost, times `factor`, is paid off."""
        return now - self._ended >= factor * self._cost / self._share

    def note(self, now: float, cost: float, told: bool) -> None:
        """Takes in that a reading ended `now`, cost `cost` CPU seconds, and told a number or did not."""
        self._ended, self._cost = now, cost
        self.reads += told


def tree_pss(pids: Collection[int]) -> int | None:
    """Proportional set size of `pids` together in bytes; None: a process hides it, or there is none to read."""
    total, told = 0, False
    for pid in pids:
        try:
            # Not kept open: the file is bound to the memory map that the process had before it called exec.
            with open(f"/proc/{pid}/smaps_rollup", "rb", buffering=0) as file:  # noqa: PTH123 (five times the cost)
                text = file.read()
        except PermissionError:
            return None
        except OSError:  # It ended, is about to, or the system has no such file.
            continue
        at = text.find(b"\nPss:")
        if at >= 0:
            total += int(text[at + 5 :].split(None, 1)[0]) * 1024
            told = True
    return total if told else None


class LinuxReader:
    """Reads /proc, keeping one file a process open.

    A kept-open file stays bound to its process: a new process with the same number is never taken for it.
    """

    def __init__(self) -> None:
        self._files: dict[int, int] = {}  # in the order of discovery: parents before children
        self._strangers: set[int] = set()
        self._nanoseconds = _cpu_clock(os.getpid()) is not None

    def clock(self) -> float:
        """Now, in seconds since boot."""
        # In whole ticks, as the system tells the start of a process: one that is born now must not seem older.
        return int(time.clock_gettime(time.CLOCK_BOOTTIME) / _TICK) * _TICK

    def follow(self, pids: Iterable[int]) -> None:
        """Adds roots; those that don't live are left out."""
        for pid in pids:
            self._open(pid)
        self._strangers.clear()  # Children of the new roots may be among them.

    def read(self) -> list[ProcessReading]:
        """Every process that lives, parents before children."""
        if self._files:
            self._discover()
        readings = []
        for pid, file in list(self._files.items()):
            reading = self._reading(pid, file)
            if reading is None:
                os.close(self._files.pop(pid))
            else:
                readings.append(reading)
        return readings

    def close(self) -> None:
        """Gives back what is held open."""
        while self._files:
            os.close(self._files.popitem()[1])

    def _open(self, pid: int) -> None:
        if pid in self._files:
            return
        try:
            self._files[pid] = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return  # It has ended, or it is hidden: then nothing of it is reported.

    def _discover(self) -> None:
        """Finds the members among the processes that are new since the last reading."""
        present = {int(name) for name in os.listdir("/proc") if name.isdigit()}  # noqa: PTH208 (twice the cost)
        self._strangers &= present
        parents = {}
        for pid in present - self._strangers - self._files.keys():
            fields = _stat(pid)
            if fields is not None:
                parents[pid] = int(fields[1])
        while found := [pid for pid, parent in parents.items() if parent in self._files]:
            for pid in found:
                self._open(pid)
                del parents[pid]
        self._strangers |= parents.keys()

    def _reading(self, pid: int, file: int) -> ProcessReading | None:
        own = _cpu_clock(pid) if self._nanoseconds else None
        try:
            fields = _fields(os.pread(file, 1024, 0))
        except OSError:
            return None
        if own is None:
            if self._nanoseconds:
                return None  # It ended between the two calls.
            own = (int(fields[11]) + int(fields[12])) * _TICK
        return ProcessReading(
            pid=pid,
            parent=int(fields[1]),
            started=int(fields[19]) * _TICK,
            own=own,
            reaped=(int(fields[13]) + int(fields[14])) * _TICK,
            resident_bytes=int(fields[21]) * _PAGE,
        )


def _fields(stat: bytes) -> list[bytes]:
    """The fields of a /proc/PID/stat from the third (the state) on; the second may hold spaces and brackets."""
    return stat[stat.rindex(b")") + 2 :].split()


def _stat(pid: int) -> list[bytes] | None:
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123 (twice the cost)
            return _fields(file.read())
    except OSError:
        return None


def _cpu_clock(pid: int) -> float | None:
    """CPU seconds of all threads of a process by its CPU clock, whose id Linux forms of the process id."""
    try:
        return time.clock_gettime_ns((~pid << 3) | 2) / 1e9
    except OSError:
        return None


class PsutilReader:
    """Reads processes through psutil, on systems without a /proc of Linux's form.

    Listing all processes is dear there, so new children are looked for once a second.
    """

    _SCAN_SECONDS = 1.0

    def __init__(self) -> None:
        self._processes: dict[int, psutil.Process] = {}
        self._scanned = float("-inf")

    def clock(self) -> float:
        """Now, in seconds since the epoch."""
        return time.time()

    def follow(self, pids: Iterable[int]) -> None:
        """Adds roots; those that don't live are left out."""
        for pid in pids:
            try:
                self._processes.setdefault(pid, psutil.Process(pid))
            except psutil.Error:
                continue  # It has ended, or it is hidden: then nothing of it is reported.
        self._scanned = float("-inf")

    def read(self) -> list[ProcessReading]:
        """Every process that lives, parents before children."""
        if time.monotonic() - self._scanned >= self._SCAN_SECONDS:
            self._discover()
        readings = []
        for pid, process in list(self._processes.items()):
            reading = self._reading(process)
            if reading is None:
                del self._processes[pid]
            else:
                readings.append(reading)
        return readings

    def close(self) -> None:
        """Gives back what is held open."""
        self._processes.clear()

    def _discover(self) -> None:
        for process in list(self._processes.values()):
            try:
                for child in process.children(recursive=True):
                    self._processes.setdefault(child.pid, child)
            except psutil.Error:
                continue
        self._scanned = time.monotonic()

    def _reading(self, process: psutil.Process) -> ProcessReading | None:
        try:
            if not process.is_running():
                return None
            with process.oneshot():
                times = process.cpu_times()
                return ProcessReading(
                    pid=process.pid,
                    parent=process.ppid(),
                    started=process.create_time(),
                    own=times.user + times.system,
                    # macOS and Windows tell 0 here: what a child used after its last reading is lost there.
                    reaped=times.children_user + times.children_system,
                    resident_bytes=process.memory_info().rss,
                )
        except psutil.Error:
            return None
