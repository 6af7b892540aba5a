"""Energy of the processor packages by the hardware's own counters (RAPL, through Linux's powercap interface).

Limits: the counters are those of the whole machine, and most systems let only root read them. The memory's and the
peripherals' energy is not in them. Virtual machines have none.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/class/powercap")


def unwrapped(before: int, now: int, limit: int) -> int:
    """How much a counter grew between two readings, if it went back to 0 after `limit` at most once."""
    return now - before if now >= before else now + limit + 1 - before


@dataclass(slots=True)
class _Package:
    file: Path
    limit: int
    """The counter's largest value, in microjoules."""
    last: int
    total: int = 0


class RaplProbe:
    """Reads the energy of all processor packages, in joules since the probe was made.

    Args:
        pids: not needed; every probe is made the same way.
        root: where the powercap interface lies.
    """

    def __init__(self, pids: Sequence[int] = (), root: Path = ROOT) -> None:
        self._lock = threading.Lock()
        self._packages: list[_Package] = []
        self.reason = ""
        """Why there is nothing to read, and what to do about it; empty: there is."""
        zones = _package_zones(root)
        try:
            for zone in zones.values():
                file = zone / "energy_uj"
                self._packages.append(_Package(file, _number(zone / "max_energy_range_uj"), _number(file)))
        except PermissionError as error:
            self._packages.clear()
            self.reason = f"{error.filename} can't be read: run as root, or let root make it readable (chmod a+r)"
        except (OSError, ValueError) as error:
            self._packages.clear()
            self.reason = f"the energy counters below {root} can't be read: {error}"
        if not zones:
            self.reason = f"no processor package below {root}: this machine, or its virtual machine, shows no counters"

    @property
    def available(self) -> bool:
        """Whether there is anything to read."""
        return bool(self._packages)

    def read(self) -> dict[str, float]:
        """`package_energy_joules` of all packages together; empty when one of them can't be read."""
        with self._lock:
            try:
                for package in self._packages:
                    now = _number(package.file)
                    package.total += unwrapped(package.last, now, package.limit)
                    package.last = now
            except (OSError, ValueError):
                return {}
            if not self._packages:
                return {}
            return {"package_energy_joules": sum(package.total for package in self._packages) / 1e6}


def _package_zones(root: Path) -> dict[str, Path]:
    """The zone of every package by its name. One package may be shown twice, by its register and by its memory map."""
    zones: dict[str, Path] = {}
    try:
        candidates = sorted(root.iterdir(), key=lambda path: ("mmio" in path.name, path.name))
    except OSError:
        return zones
    for zone in candidates:
        try:
            name = (zone / "name").read_text().strip()
        except OSError:
            continue
        if zone.name.startswith("intel-rapl") and name.startswith("package"):
            zones.setdefault(name, zone)
    return zones


def _number(file: Path) -> int:
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return int(os.read(descriptor, 64))
    finally:
        os.close(descriptor)
