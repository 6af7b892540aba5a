from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallenough.resources.rapl import RaplProbe, unwrapped


def zone(root: Path, folder: str, name: str, energy: int, limit: int = 1_000_000) -> Path:
    at = root / folder
    at.mkdir()
    (at / "name").write_text(f"{name}\n")
    (at / "max_energy_range_uj").write_text(f"{limit}\n")
    (at / "energy_uj").write_text(f"{energy}\n")
    return at / "energy_uj"


@given(st.lists(st.integers(0, 999)), st.integers(0, 999))
def test_a_counter_that_goes_back_to_nought_is_carried_on(steps: list[int], start: int) -> None:
    value, total = start, 0
    for step in steps:
        following = (value + step) % 1000
        total += unwrapped(value, following, 999)
        value = following
    assert total == sum(steps)


def test_packages_are_summed_once_each_and_nothing_else(tmp_path: Path) -> None:
    first = zone(tmp_path, "intel-rapl:0", "package-0", 900_000)
    second = zone(tmp_path, "intel-rapl:1", "package-1", 0)
    same = zone(tmp_path, "intel-rapl-mmio:0", "package-0", 900_000)
    inner = zone(tmp_path, "intel-rapl:0:0", "core", 0)
    whole = zone(tmp_path, "intel-rapl:2", "psys", 0)
    (tmp_path / "intel-rapl").mkdir()
    probe = RaplProbe(root=tmp_path)
    assert probe.available
    assert probe.reason == ""
    assert probe.read() == {"package_energy_joules": 0.0}
    first.write_text("100000\n")  # Round once: 100,001 to the end, 100,000 from there.
    second.write_text("300000\n")
    for other in (same, inner, whole):
        other.write_text("777\n")
    assert probe.read() == {"package_energy_joules": pytest.approx(0.500001)}
    second.unlink()
    assert probe.read() == {}


def test_a_machine_without_counters_says_so(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "nowhere"):
        probe = RaplProbe(root=root)
        assert not probe.available
        assert probe.read() == {}
        assert str(root) in probe.reason


def test_a_file_without_a_number_says_so(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", "package-0", 1).write_text("?\n")
    probe = RaplProbe(root=tmp_path)
    assert probe.read() == {}
    assert "can't be read" in probe.reason


HIDDEN = """
import os, pathlib, sys
from smallenough.resources.rapl import RaplProbe
if os.geteuid() == 0:
    os.setegid(65534); os.seteuid(65534)
probe = RaplProbe(root=pathlib.Path(sys.argv[1]))
sys.stdout.write(f"{probe.available} {probe.read()} {probe.reason}")
"""


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs a system with file permissions of POSIX")
def test_counters_that_only_root_may_read_are_left_out_with_the_mend() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        root.chmod(0o755)
        zone(root, "intel-rapl:0", "package-0", 1).chmod(0o000 if os.geteuid() else 0o400)
        ran = subprocess.run([sys.executable, "-c", HIDDEN, folder], capture_output=True, text=True, check=True)
    assert ran.stdout.startswith("False {} ")
    assert "energy_uj" in ran.stdout
    assert "chmod a+r" in ran.stdout
