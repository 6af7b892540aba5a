"""What of this machine this process may use: processors, its control groups' limits, room on a disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def usable_cores() -> int:
    """Processors that this process may use: those that it may run on, within its control groups' quota; at least 1."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _ = cgroup_limits()
    return max(1, min(allowed, round(quota))) if quota is not None else allowed


def cgroup_limits(
    root: Path = Path("/sys/fs/cgroup"), membership: Path = Path("/proc/self/cgroup")
) -> tuple[float | None, int | None]:
    """The tightest limits on this process's control group and those above it.

    Args:
        root: where control groups lie, of version 2, or of version 1 in one folder a controller.
        membership: the file that tells this process's groups.

    Returns:
        Cores (may be broken) and bytes; None: there is no limit, or it can't be read.
    """
    quotas: list[float] = []
    limits: list[int] = []
    for line in _text(membership).splitlines():
        _, controllers, path = line.split(":", 2)
        for folder in _upwards(root, controllers, path):
            quotas += _quota(folder)
            limits += _limit(folder)
    return min(quotas, default=None), min(limits, default=None)


def free_bytes(folder: Path) -> int:
    """Bytes that are free where `folder` is, or will be.

    Raises:
        OSError: a folder on the way can't be read.
    """
    return shutil.disk_usage(nearest_folder(folder)).free


def nearest_folder(path: Path) -> Path:
    """`path`, or the nearest folder above it that exists.

    Raises:
        OSError: a folder on the way can't be read.
    """
    return next(place for place in (path, *path.parents) if place.exists())


def _upwards(root: Path, controllers: str, path: str) -> list[Path]:
    """A control group's folder and those above it. Inside a container the path may be the host's and not exist."""
    tops = [root] if not controllers else [root / controllers, *(root / name for name in controllers.split(","))]
    inner = Path(path.lstrip("/"))
    return [top / folder for top in tops for folder in (inner, *inner.parents) if (top / folder).is_dir()]


def _quota(folder: Path) -> list[float]:
    words = _text(folder / "cpu.max").split() or [
        *_text(folder / "cpu.cfs_quota_us").split(),
        *_text(folder / "cpu.cfs_period_us").split(),
    ]
    if len(words) != 2 or words[0] in ("max", "-1"):
        return []
    return [int(words[0]) / int(words[1])]


def _limit(folder: Path) -> list[int]:
    word = (_text(folder / "memory.max") or _text(folder / "memory.limit_in_bytes")).strip()
    # Version 1 writes 'no limit' as the largest number of whole pages.
    return [int(word)] if word and word != "max" and int(word) < 2**62 else []


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def path_fault(path: str | Path) -> str:
    """Why nothing can have this path; empty: something can."""
    try:
        parts = [os.fsencode(part) for part in Path(path).parts]
    except UnicodeEncodeError:
        return "holds a character that no file's name can have"
    if any(b"\0" in part for part in parts):
        return "holds a character that no file's name can have"
    if any(len(part) > 255 for part in parts) or len(b"/".join(parts)) > 4000:
        return "is longer than a file's name can be"
    return ""
