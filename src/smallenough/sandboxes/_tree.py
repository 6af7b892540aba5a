"""What a process and all its descendants use, read from /proc.

A process whose parent has ended belongs to another parent and is not seen; inside a process-id namespace that parent
is the namespace's first process, so that nothing gets lost there.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

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
        """Memory with what is shared counted once; None: it may not be read here."""
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
        """The largest resident set that a process of the tree has had, as long as it lives."""
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


def group_lives(group: int) -> bool:
    """Whether a process of that process group still runs; one that only waits to be waited for does not."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, its_group = path.read_text().rpartition(")")[2].split()[:3]
            if int(its_group) == group and state not in "ZX":
                return True
    return False


def lists_children() -> bool:
    """Whether this kernel lists a process's children, without which only the process itself is seen."""
    return Path("/proc/thread-self/children").exists()
