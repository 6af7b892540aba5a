"""Reads process trees: CPU seconds by the kernel's own counters, resident memory, proportional set size.

Limits: proportional set size is Linux's alone and needs the same user or root; where any process of the trees hides
it, none is reported, because a part of the sum would look like the whole. For the processes themselves see `readers`,
for what of their children's CPU time can be lost see `tree`.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Collection, Iterable, Sequence

from smallenough.resources.readers import LinuxReader, ProcessReader, PsutilReader
from smallenough.resources.tree import TreeCpu

PSS_SHARE = 0.003
"""Share of one core that reading proportional set sizes may take."""


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
