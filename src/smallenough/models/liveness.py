"""Whether a server that says nothing hangs, or only takes long: it loads a model, reads a prompt, serves others first.

Time alone can't tell: a slow machine may need minutes for a first token, and says nothing before. So a server hangs
only where something shows it:

* it answers no other question either, however simple;
* or it has said nothing for half of a try's time, and between the last two looks its processes did nothing: they
  neither computed nor wait for a disk. A server elsewhere, and one whose processes can't be seen, is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

_IDLE_SHARE = 0.01
"""Of one processor: whoever uses no more does nothing."""

_SHORTEST = 1.0
"""Seconds: processor time is counted in hundredths of a second, which must be few against the time looked at."""


@dataclass(frozen=True, slots=True)
class _Work:
    """What processes have done so far."""

    moment: float
    cpu_seconds: float
    waits_for_disk: bool


class Liveness:
    """Looks into the silence of one try.

    Args:
        answers: whether the server answers a simple question.
        processes: the server's processes on this machine; None: they can't be seen.
        seconds: what the try may take in all; None: as long as it takes.
        patience: seconds between two looks at most.
    """

    def __init__(
        self,
        answers: Callable[[], bool],
        processes: Callable[[], Sequence[int] | None],
        seconds: float | None,
        patience: float,
    ) -> None:
        self._answers = answers
        self._processes = processes
        self._half = None if seconds is None else seconds / 2
        self._before: _Work | None = None
        self.every = max(_SHORTEST, patience if seconds is None else min(patience, seconds / 4))
        """Seconds between two looks."""

    def hangs(self, silent: float) -> str | None:
        """What shows that the server hangs, which said nothing for `silent` seconds; None: nothing does."""
        before, self._before = self._before, _work(self._processes() or ())
        if not self._answers():
            return f"not a byte for {silent:.3g} s, and no answer to another question"
        if self._half is not None and silent >= self._half and _idle(before, self._before):
            return f"not a byte for {silent:.3g} s, and its processes do nothing"
        return None


def _idle(before: _Work | None, now: _Work | None) -> bool:
    if before is None or now is None or now.waits_for_disk:
        return False
    # Less than before: a process has ended, so that something happens.
    return 0 <= now.cpu_seconds - before.cpu_seconds <= _IDLE_SHARE * (now.moment - before.moment)


def _work(pids: Sequence[int]) -> _Work | None:
    """What these processes and those that they started have done; None: it can't be seen."""
    moment, cpu, disk = time.monotonic(), 0.0, False
    try:
        for pid in pids:
            root = psutil.Process(pid)
            for process in (root, *root.children(recursive=True)):
                times = process.cpu_times()
                cpu += times.user + times.system
                disk = disk or _waits_for_disk(process.pid)
    except (psutil.Error, OSError):
        return None
    return _Work(moment, cpu, disk) if pids else None


def _waits_for_disk(pid: int) -> bool:
    """Whether one of the process's threads does; it may be another than the first that loads a model."""
    states = (path.read_text().rpartition(")")[2] for path in Path(f"/proc/{pid}/task").glob("*/stat"))
    return any(state.split()[0] == "D" for state in states)
