"""A memory limit for a whole tree of processes, by a control group of its own, where this user may make one.

Version 2 needs a group above this process that is ours to write and hands the memory controller down (a delegated
session of systemd, or root); version 1 needs root. Elsewhere, as in most containers, there is none, and `find` says so.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PREFIX = "smallenough-"
_counter = itertools.count()

_REMOVE_SECONDS = 2.0
_OLD_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Group:
    """The control group of one run."""

    path: Path
    version: int

    def enter(self, pid: int) -> None:
        """Moves a process in; what it starts from then on is in too. One that has ended already is left as it is.

        Raises:
            OSError: it may not be moved.
        """
        with contextlib.suppress(ProcessLookupError):
            (self.path / "cgroup.procs").write_text(str(pid))

    @property
    def kills(self) -> int:
        """How many processes the kernel has killed since the memory was used up."""
        text = (self.path / ("memory.events" if self.version == 2 else "memory.oom_control")).read_text()
        return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("oom_kill "))

    @property
    def peak_bytes(self) -> int | None:
        """The most that the group has used at a time, temporary files included; None: the kernel can't say."""
        path = self.path / ("memory.peak" if self.version == 2 else "memory.max_usage_in_bytes")
        return int(path.read_text()) if path.exists() else None


@dataclass(frozen=True, slots=True)
class Parent:
    """Where groups can be made."""

    path: Path
    version: int

    @contextlib.contextmanager
    def group(self, memory_bytes: int) -> Iterator[Group]:
        """A new group with a limit; removed at the end, when everything in it must have ended.

        Raises:
            OSError: it can't be made or limited.
        """
        path = self.path / f"{_PREFIX}{os.getpid()}-{next(_counter)}"
        path.mkdir()
        try:
            swap, limit = _LIMIT_FILES[self.version]
            (path / limit).write_text(str(memory_bytes))
            if (path / swap).exists():
                (path / swap).write_text("0" if self.version == 2 else str(memory_bytes))
            yield Group(path, self.version)
        finally:
            _remove(path)

    def sweep(self) -> None:
        """Removes the groups that a killed process of smallenough has left; none of them holds a process any more."""
        for path in self.path.glob(f"{_PREFIX}*-*"):
            owner = path.name.removeprefix(_PREFIX).split("-")[0]
            with contextlib.suppress(OSError):
                # A container's process may have a number that does not exist here: leave it time to fill its group.
                old = time.time() - path.stat().st_mtime > _OLD_SECONDS
                if old and owner.isdigit() and not Path(f"/proc/{owner}").exists():
                    path.rmdir()


_LIMIT_FILES = {1: ("memory.memsw.limit_in_bytes", "memory.limit_in_bytes"), 2: ("memory.swap.max", "memory.max")}


def _remove(path: Path) -> None:
    """Removes a group; the kernel may need a moment after its last process."""
    deadline = time.monotonic() + _REMOVE_SECONDS
    while True:
        try:
            path.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.001)
        else:
            return


def find() -> Parent | None:
    """Where a group with a memory limit can be made; tried out, not guessed. None: nowhere."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text()
        own = Path("/proc/self/cgroup").read_text()
    except OSError:
        return None
    for parent in candidates(mounts, own):
        with contextlib.suppress(OSError):
            parent.sweep()
            if os.access(parent.path / "cgroup.procs", os.W_OK):
                with parent.group(2**26) as group:
                    readable = group.kills == 0
                if readable:
                    return parent
    return None


def candidates(mounts: str, own: str) -> Iterator[Parent]:
    """Where to try, nearest first.

    Args:
        mounts: the text of /proc/self/mountinfo.
        own: the text of /proc/self/cgroup.
    """
    groups = {line.split(":")[1]: line.split(":", 2)[2].strip() for line in own.splitlines() if line.count(":") > 1}
    for line in mounts.splitlines():
        before, _, after = line.partition(" - ")
        root, point = before.split()[3:5]
        kind, _, options = after.split(maxsplit=2)
        if kind == "cgroup" and "memory" in options.split(","):
            controllers = next((name for name in groups if "memory" in name.split(",")), "")
            yield Parent(_below(Path(point), root, groups.get(controllers, "/")), 1)
        elif kind == "cgroup2":
            path = _below(Path(point), root, groups.get("", "/"))
            while path.is_relative_to(point):
                handed_down = path / "cgroup.subtree_control"
                if handed_down.exists() and "memory" in handed_down.read_text().split():
                    yield Parent(path, 2)
                if path == path.parent:
                    break
                path = path.parent


def _below(point: Path, root: str, group: str) -> Path:
    """Where `group` lies below a mount point that shows the hierarchy from `root` downwards."""
    inner = os.path.relpath(group, root)
    path = point if inner == "." or inner.startswith("..") else point / inner
    return path if path.exists() else point
