"""The process probe on real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from smallenough.contracts.probe import ProbeContract
from smallenough.resources.processes import ProcessProbe, PssPace, tree_pss
from smallenough.resources.readers import LinuxReader, ProcessReader, PsutilReader

linux = pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc")
readers = pytest.mark.parametrize("reader", [pytest.param(LinuxReader, marks=linux), PsutilReader])


@readers
def test_cpu_seconds_are_the_kernels(supervisor: Any, reader: Callable[[], ProcessReader]) -> None:
    probe = ProcessProbe([supervisor.pid], reader=reader())
    begun, before = supervisor.ask("burn 0"), probe.read()["cpu_seconds"]
    for command in ("burn 0.2", "child 0.3", "nested 0.2"):
        kernel = supervisor.ask(command) - begun
        assert probe.read()["cpu_seconds"] - before == pytest.approx(kernel, abs=0.05)
    probe.close()


@linux
def test_children_that_come_and_go_are_neither_lost_nor_counted_twice(supervisor: Any) -> None:
    probe = ProcessProbe([supervisor.pid])
    begun, before = supervisor.ask("burn 0"), probe.read()["cpu_seconds"]
    seen = []
    supervisor.process.stdin.write("shorts 1\n")
    supervisor.process.stdin.flush()
    until = time.monotonic() + 0.9
    while time.monotonic() < until:
        seen.append(probe.read()["cpu_seconds"])
    kernel = float(supervisor.process.stdout.readline()) - begun
    assert seen == sorted(seen)
    assert probe.read()["cpu_seconds"] - before == pytest.approx(kernel, abs=0.05)
    probe.close()


@readers
def test_a_tree_is_found_again_at_every_reading(supervisor: Any, reader: Callable[[], ProcessReader]) -> None:
    probe = ProcessProbe([supervisor.pid], reader=reader())
    assert probe.members == (supervisor.pid,)
    child = int(supervisor.ask("stay"))
    until = time.monotonic() + 5
    while probe.read()["processes"] < 2 and time.monotonic() < until:
        pass
    assert set(probe.members) == {supervisor.pid, child}
    supervisor.ask("leave")
    assert probe.read()["processes"] == 1
    probe.close()


@linux
def test_memory_follows_what_the_tree_holds(supervisor: Any) -> None:
    probe = ProcessProbe([supervisor.pid], pss_share=1.0)
    resident, proportional = probe.read()["rss_bytes"], tree_pss([supervisor.pid])
    assert proportional is not None
    supervisor.ask(f"grow {64 * 2**20}")
    assert probe.read()["rss_bytes"] - resident == pytest.approx(64 * 2**20, rel=0.05)
    assert (tree_pss([supervisor.pid]) or 0) - proportional == pytest.approx(64 * 2**20, rel=0.02)
    assert probe.gauges()["pss_bytes"] == pytest.approx(proportional + 64 * 2**20, rel=0.05)
    probe.close()


@readers
def test_processes_that_have_ended_are_left_out(supervisor: Any, reader: Callable[[], ProcessReader]) -> None:
    probe = ProcessProbe([supervisor.pid], reader=reader())
    assert probe.available
    assert probe.reason == ""
    supervisor.end()
    assert probe.read() == {}
    assert probe.gauges() == {}
    assert "process id" in probe.reason
    never = ProcessProbe([supervisor.pid], reader=reader())
    assert never.read() == {}
    assert not never.available


@linux
def test_a_tree_that_is_added_is_counted_from_then_on(supervisor: Any) -> None:
    probe = ProcessProbe([])
    assert probe.read() == {}
    supervisor.ask("burn 0.2")
    probe.follow([supervisor.pid])
    assert probe.read()["cpu_seconds"] < 0.02
    begun = supervisor.ask("burn 0")
    kernel = supervisor.ask("burn 0.2") - begun
    assert probe.read()["cpu_seconds"] == pytest.approx(kernel, abs=0.03)
    probe.close()


@linux
def test_a_process_that_is_born_later_is_counted_from_its_birth() -> None:
    probe = ProcessProbe([])
    code = "import time\nwhile time.process_time() < 0.3: pass\nprint(time.process_time(), flush=True)\ninput()"
    with subprocess.Popen(
        [sys.executable, "-S", "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        used = float(child.stdout.readline())
        probe.follow([child.pid])
        assert probe.read()["cpu_seconds"] == pytest.approx(used, abs=0.02)
        child.communicate("\n")
    probe.close()


@linux
def test_only_the_given_trees_are_charged(supervisor: Any) -> None:
    probe = ProcessProbe([supervisor.pid])
    end = time.process_time() + 0.3
    while time.process_time() < end:
        pass
    assert probe.read()["cpu_seconds"] < 0.02
    probe.close()


HIDDEN = """
import json, os, sys
from smallenough.resources.processes import ProcessProbe
os.setegid(65534); os.seteuid(65534)
probe = ProcessProbe([int(sys.argv[1])], pss_share=1.0)
print(json.dumps([probe.read(), probe.gauges(), probe.pss_reads]))
"""


@linux
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
def test_what_permissions_hide_is_left_out(supervisor: Any) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", HIDDEN, str(supervisor.pid)], capture_output=True, text=True, check=True
    )
    read, gauges, reads = json.loads(ran.stdout)
    assert read["cpu_seconds"] >= 0
    assert read["rss_bytes"] > 2**20
    assert (gauges, reads) == ({}, 0)


def test_readings_are_paced_by_what_they_cost() -> None:
    pace = PssPace(share=0.005)
    assert pace.due(100.0, 2.0)
    pace.note(100.0, cost=0.01, told=True)
    assert not pace.due(103.9, 2.0)
    assert pace.due(104.0, 2.0)
    assert not pace.due(101.9, 1.0)
    assert pace.due(102.0, 1.0)
    pace.note(102.0, cost=0.0001, told=False)
    assert pace.due(102.1, 2.0)
    assert pace.reads == 1


class TestProcessProbe(ProbeContract):
    @pytest.fixture
    def probe(self) -> ProcessProbe:
        return ProcessProbe([os.getpid()])
