"""What a process and all its descendants use: read from /proc, or through psutil where that does not list children.

A process whose parent has ended belongs to another parent and is not seen; inside a process-id namespace that parent
is the namespace's first process, so that nothing gets lost there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_LISTED = Path("/proc/thread-self/children").exists()
"""Whether the kernel lists a process's children, as Linux can."""

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Tree:
    """One look at a tree of processes."""

    pids: tuple[int, ...]
    tasks: int
    """Processes and threads."""
    cpu_seconds: float
    """User and system time, including that of descendants that have ended and were waited for."""
    resident_bytes: int
    """Sum of the resident sets; what is shared counts once for each process that shares it."""

    @property
    def proportional_bytes(self) -> int | None:
        """Memory with what is shared counted once; None: it can't, or may not, be read here."""
        if not Path("/proc/self/smaps_rollup").exists():
            return None
        total = 0
        for pid in self.pids:
            try:
                text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            except OSError:
                return None
            total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
        return total * 1024

    @property
    def peak_bytes(self) -> int:
        """The largest resident set that a process of the tree has had, as long as it lives; 0: not known here."""
        peak = 0
        for pid in self.pids:
            with contextlib.suppress(OSError):
                for line in Path(f"/proc/{pid}/status").read_text().splitlines():
                    if line.startswith("VmHWM:"):
                        peak = max(peak, int(line.split()[1]) * 1024)
        return peak


def look(root: int, most: int | None = None) -> Tree:
    """The tree of `root`, as it is now; what ends meanwhile is left out.

    Args:
        root: the process at its top.
        most: processes and threads at which enough is seen: a tree that grows faster than it is walked has no end.
    """
    return _look(root, most) if _LISTED else _look_by_psutil(root, most)


def _look(root: int, most: int | None) -> Tree:
    pids: list[int] = []
    tasks = ticks = pages = 0
    todo = [root]
    while todo and (most is None or tasks <= most):
        pid = todo.pop()
        with contextlib.suppress(OSError):
            # The command name in brackets may contain spaces; after it, fields start with the third of proc(5).
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            for task in Path(f"/proc/{pid}/task").iterdir():
                with contextlib.suppress(OSError):
                    todo += map(int, (task / "children").read_text().split())
            pids.append(pid)
            ticks += sum(map(int, fields[11:15]))
            tasks += int(fields[17])
            pages += int(fields[21])
    return Tree(tuple(pids), tasks, ticks / _TICKS, pages * _PAGE)


def _look_by_psutil(root: int, most: int | None) -> Tree:
    import psutil

    pids: list[int] = []
    tasks = seconds = resident = 0.0
    with contextlib.suppress(psutil.Error):
        first = psutil.Process(root)
        for process in [first, *first.children(recursive=True)]:
            if most is not None and tasks > most:
                break
            with contextlib.suppress(psutil.Error):
                with process.oneshot():
                    times = process.cpu_times()
                    seconds += times.user + times.system + times.children_user + times.children_system
                    resident += process.memory_info().rss
                    tasks += process.num_threads()
                pids.append(process.pid)
    return Tree(tuple(pids), int(tasks), seconds, int(resident))


def group_lives(group: int) -> bool:
    """Whether a process of that process group still runs; one that only waits to be waited for does not."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # on macOS, also for a group of which only dead ones are left
        if _LISTED:
            return True
    return any(_states(group) if _LISTED else _states_by_psutil(group))


def has_ended(pid: int) -> bool:
    """Whether a child of this process has ended; it remains to be waited for."""
    if hasattr(os, "waitid"):
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    import psutil  # macOS, before Python 3.13

    return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


def _states(group: int) -> Iterable[bool]:
    """Of each process of the group, whether it runs."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group:
                yield state not in "ZX"


def _states_by_psutil(group: int) -> Iterable[bool]:
    import psutil

    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if os.getpgid(process.pid) == group:
                yield process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD)
