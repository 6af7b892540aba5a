"""The CPU time of a set of process trees as one counter that only grows. Pure arithmetic on readings.

The kernel keeps two numbers a process: what it used itself, and what the children used that it has waited for.
When a child is waited for, its number moves from the first kind to its parent's second kind; a sum over the
processes that live would count it twice or lose it, depending on when one looks. `TreeCpu` therefore counts growth:
what a process used itself since the last reading, and what its waited-for children's number grew by beyond what had
been counted while they lived (a debt, paid once).

Limits: what a child used between its last reading and its end is lost if nobody in the tree waits for it (it was
orphaned, or its parent ignores SIGCHLD).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

ROUNDING = 0.02
"""Seconds by which a parent's number may lag behind its children's: it is told in whole clock ticks, twice rounded."""


@dataclass(frozen=True, slots=True)
class ProcessReading:
    """One process at one moment."""

    pid: int
    parent: int
    started: float
    """Seconds since boot or since the epoch, always the same of the two; with `pid` it identifies the process."""
    own: float
    """CPU seconds of all its threads, ended ones too."""
    reaped: float
    """CPU seconds of the children that it has waited for, and of those that they had waited for."""
    resident_bytes: int


class TreeCpu:
    """Sums up readings of the same trees.

    Counting starts at the first reading: what its processes have used by then is not counted. Of a process that is
    first seen later, all is counted if it was born since, and otherwise what it uses from then on.

    Args:
        since: when counting starts, on the clock of `ProcessReading.started`.
    """

    def __init__(self, since: float) -> None:
        self._since = since
        self._first = True
        self._seen: dict[int, ProcessReading] = {}
        self._debts: dict[int, tuple[float, float]] = {}  # by parent: older than one reading, from the last one
        self.seconds = 0.0
        """CPU seconds since `since`."""

    def advance(self, readings: Iterable[ProcessReading]) -> float:
        """Takes in the next reading of every process that lives, parents read before their children."""
        now = {reading.pid: reading for reading in readings}
        reaped = {pid: self._own_growth(reading) for pid, reading in now.items()}
        for reading in self._vanished(now):
            self._owe(now, reading)
        for pid, growth in reaped.items():
            self._settle(pid, growth)
        self._seen, self._first = now, False
        self._debts = {pid: debt for pid, debt in self._debts.items() if pid in now}
        return self.seconds

    def _own_growth(self, reading: ProcessReading) -> float:
        """Counts what a process used itself; returns by how much its waited-for children's number grew."""
        before = self._seen.get(reading.pid)
        if before is not None and before.started == reading.started:
            self.seconds += max(0.0, reading.own - before.own)
            return max(0.0, reading.reaped - before.reaped)
        if self._first or reading.started < self._since:
            return 0.0
        self.seconds += reading.own
        return reading.reaped

    def _vanished(self, now: dict[int, ProcessReading]) -> list[ProcessReading]:
        return [old for pid, old in self._seen.items() if pid not in now or now[pid].started != old.started]

    def _owe(self, now: dict[int, ProcessReading], ended: ProcessReading) -> None:
        """Notes what has been counted of an ended process, and what it still owed, with the next who may tell it."""
        inherited = sum(self._debts.pop(ended.pid, (0.0, 0.0)))
        heir = ended.parent
        while heir not in now and heir in self._seen:
            heir = self._seen[heir].parent
        if heir in now:
            old, fresh = self._debts.get(heir, (0.0, 0.0))
            self._debts[heir] = (old, fresh + ended.own + ended.reaped + inherited)

    def _settle(self, pid: int, growth: float) -> None:
        old, fresh = self._debts.pop(pid, (0.0, 0.0))
        paid_old = min(old, growth)
        paid_fresh = min(fresh, growth - paid_old)
        self.seconds += growth - paid_old - paid_fresh
        # A child that has vanished has been waited for before the reading after that. What that one didn't pay is
        # rounding, or belongs to a child that nobody waited for: keeping it would swallow other children's time.
        left = min(old - paid_old, ROUNDING) + fresh - paid_fresh
        if left > 0.0:
            self._debts[pid] = (left, 0.0)
