from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from smallenough.sandboxes import _cgroup

VERSION_1 = """\
30 29 0:26 / {point}/cpu rw,relatime - cgroup cgroup rw,cpu
31 29 0:27 / {point}/memory rw,relatime shared:5 - cgroup cgroup rw,memory
22 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw
"""
VERSION_2 = "35 24 0:30 / {point} rw,nosuid,nodev,noexec,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate\n"


def test_version_1_is_found_below_the_own_group(tmp_path: Path) -> None:
    own = tmp_path / "memory" / "service" / "one"
    own.mkdir(parents=True)
    found = list(_cgroup.candidates(VERSION_1.format(point=tmp_path), "4:memory:/service/one\n1:cpu:/\n0::/\n"))
    assert found == [_cgroup.Parent(own, 1)]


def test_version_1_in_a_container_that_shows_its_own_group_as_the_root(tmp_path: Path) -> None:
    (tmp_path / "memory").mkdir()
    mounts = VERSION_1.format(point=tmp_path).replace("0:27 /", "0:27 /docker/abc")
    assert list(_cgroup.candidates(mounts, "4:memory:/docker/abc\n")) == [_cgroup.Parent(tmp_path / "memory", 1)]


def test_version_2_is_found_above_where_memory_is_handed_down_nearest_first(tmp_path: Path) -> None:
    own = tmp_path / "user.slice" / "app.slice" / "terminal.scope"
    own.mkdir(parents=True)
    for folder, controllers in (
        (tmp_path, "cpu memory"),
        (own.parents[1], "memory pids"),
        (own.parent, "pids"),
        (own, ""),
    ):
        (folder / "cgroup.subtree_control").write_text(f"{controllers}\n")
    found = list(_cgroup.candidates(VERSION_2.format(point=tmp_path), "0::/user.slice/app.slice/terminal.scope\n"))
    assert found == [_cgroup.Parent(tmp_path / "user.slice", 2), _cgroup.Parent(tmp_path, 2)]


def test_without_control_groups_there_is_none() -> None:
    assert list(_cgroup.candidates("22 1 254:1 / / rw,relatime - ext4 /dev/vda1 rw\n", "")) == []


def parent_or_skip() -> _cgroup.Parent:
    parent = _cgroup.find()
    if parent is None:
        pytest.skip("no control group can be made here")
    return parent


def test_a_process_in_a_group_gets_no_more_memory_than_it_may() -> None:
    with parent_or_skip().group(64 * 2**20) as group:
        with subprocess.Popen(
            [sys.executable, "-c", "input(); held = bytearray(b'x') * 200_000_000"], stdin=subprocess.PIPE
        ) as process:
            group.enter(process.pid)
            process.communicate(b"\n")
        assert process.returncode == -9
        assert group.kills >= 1
        peak = group.peak_bytes
        assert peak is None or 2**20 < peak <= 64 * 2**20
    assert not group.path.exists()


def test_a_process_that_has_ended_already_is_no_fault() -> None:
    with parent_or_skip().group(2**26) as group:
        with subprocess.Popen(["/bin/true"]) as process:
            process.wait()
        group.enter(process.pid)


def test_groups_of_processes_that_are_gone_are_swept_away_when_they_are_old(monkeypatch: pytest.MonkeyPatch) -> None:
    parent = parent_or_skip()
    with subprocess.Popen(["/bin/true"]) as process:
        process.wait()
    left = parent.path / f"smallenough-{process.pid}-0"
    left.mkdir()
    try:
        parent.sweep()
        assert left.exists()
        monkeypatch.setattr(_cgroup, "_OLD_SECONDS", -1.0)
        with parent.group(2**26) as mine:
            parent.sweep()
            assert mine.path.exists()
        assert not left.exists()
    finally:
        if left.exists():
            left.rmdir()
