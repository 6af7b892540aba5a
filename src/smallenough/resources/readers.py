"""Finds and reads the processes below some roots: on Linux straight from /proc, elsewhere through psutil.

On Linux a file a process is kept open, /proc is listed only when a process was born, and the CPU time comes in
nanoseconds from the process's CPU clock; where that is refused, and elsewhere, it comes in the system's clock ticks.

Limits: a process whose parent ended before the next reading, and that was never seen before, can't be told from a
stranger.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from typing import Protocol

import psutil

from smallenough.resources.tree import ProcessReading

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


class LinuxReader:
    """Reads /proc, keeping one file a process open.

    A kept-open file stays bound to its process: a new process with the same number is never taken for it.
    """

    def __init__(self) -> None:
        self._files: dict[int, int] = {}  # in the order of discovery: parents before children
        self._strangers: set[int] = set()
        self._births = Births()
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
        self._births.forget()

    def read(self) -> list[ProcessReading]:
        """Every process that lives, parents before children."""
        if self._files and self._births.any():
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
        self._births.close()
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
        if fields[17] == b"0":
            return None  # No threads: it is being released right now, and its parent and its counters read as 0.
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


class Births:
    """Tells cheaply whether any process may have been born since the last question.

    The last process id that was given away stands in /proc/loadavg: one small file instead of a listing of /proc. It
    is trusted only where it is the kernel's own and speaks of the processes that /proc shows, and once a second the
    answer is yes in any case.
    """

    _TRUSTED_SECONDS = 1.0

    def __init__(self) -> None:
        self._last = b""
        self._scanned = float("-inf")
        self._file: int | None = None
        try:
            # A container's own view of the load (lxcfs) is a mount of its own, and is renewed every few seconds only.
            kernels_own = os.stat("/proc/loadavg").st_dev == os.stat("/proc").st_dev  # noqa: PTH116 (as all here)
            if kernels_own and os.readlink("/proc/self") == str(os.getpid()):  # noqa: PTH115
                self._file = os.open("/proc/loadavg", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return  # Then the answer is always yes.

    def any(self) -> bool:
        """Whether a listing of /proc may show a process that the last one did not."""
        if self._file is None:
            return True
        last = os.pread(self._file, 128, 0).rsplit(None, 1)[-1]
        now = time.monotonic()
        if last == self._last and last != b"0" and now - self._scanned < self._TRUSTED_SECONDS:
            return False
        self._last, self._scanned = last, now
        return True

    def forget(self) -> None:
        """The next answer is yes."""
        self._last = b""

    def close(self) -> None:
        """Gives back what is held open."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


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
