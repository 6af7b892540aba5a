"""The accounting of process trees against a small model of the kernel's own."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallenough.resources.tree import ROUNDING, ProcessReading, TreeCpu


@dataclass
class Process:
    parent: int
    own: float = 0.0
    reaped: float = 0.0
    zombie: bool = False


class Kernel:
    """Processes that fork, burn, exit and are waited for; process 1 is the root and never ends."""

    def __init__(self) -> None:
        self.processes = {1: Process(0, own=7.0, reaped=3.0)}
        self.burned = 0.0
        self._next = 2

    def do(self, what: str, choice: int) -> None:
        living = [pid for pid, process in self.processes.items() if not process.zombie]
        if what == "fork":
            self.processes[self._next] = Process(living[choice % len(living)])
            self._next += 1
        elif what == "burn":
            seconds = (choice % 64) / 64
            self.processes[living[choice % len(living)]].own += seconds
            self.burned += seconds
        else:
            self._end(choice, wait=what == "wait")

    def wait_for_all(self) -> None:
        while len(self.processes) > 1:
            self._end(0, wait=True)

    def _end(self, choice: int, wait: bool) -> None:
        parents = {process.parent for process in self.processes.values()}
        leaves = [pid for pid in self.processes if pid != 1 and pid not in parents]
        if not leaves:
            return
        pid = leaves[choice % len(leaves)]
        self.processes[pid].zombie = True
        if wait:
            ended = self.processes.pop(pid)
            self.processes[ended.parent].reaped += ended.own + ended.reaped

    def reading(self, pid: int) -> ProcessReading | None:
        process = self.processes.get(pid)
        if process is None:
            return None
        return ProcessReading(pid, process.parent, float(pid), process.own, process.reaped, 0)


actions = st.lists(st.tuples(st.sampled_from(["fork", "burn", "burn", "exit", "wait"]), st.integers(0, 10_000)))


@given(st.lists(st.lists(actions, max_size=6), max_size=12))
def test_nothing_is_lost_or_counted_twice_whenever_children_end(rounds: list[list[list[tuple[str, int]]]]) -> None:
    kernel = Kernel()
    tree = TreeCpu(since=1.5)
    root = kernel.reading(1)
    assert root is not None
    assert tree.advance([root]) == 0.0
    last = 0.0
    for between in rounds:
        # A reading is no instant: things happen between the readings of two processes of the same round.
        readings = []
        pending = list(between)
        for pid in list(kernel.processes):
            reading = kernel.reading(pid)
            if reading:
                readings.append(reading)
            for what, choice in pending.pop(0) if pending else []:
                kernel.do(what, choice)
        assert tree.advance(readings) >= last
        last = tree.seconds
    kernel.wait_for_all()
    for _ in range(2):
        root = kernel.reading(1)
        assert root is not None
        tree.advance([root])
    assert tree.seconds == pytest.approx(kernel.burned, abs=1e-9)


def read(*rows: tuple[int, int, float, float]) -> list[ProcessReading]:
    return [ProcessReading(pid, parent, float(pid), own, reaped, 0) for pid, parent, own, reaped in rows]


def test_a_child_that_nobody_waits_for_keeps_what_was_seen_of_it() -> None:
    tree = TreeCpu(since=1.5)
    tree.advance(read((1, 0, 0, 0)))
    tree.advance(read((1, 0, 0, 0), (2, 1, 4, 0)))
    tree.advance(read((1, 0, 0, 0)))
    assert tree.advance(read((1, 0, 0, 0))) == 4
    # Its debt is written off: it doesn't swallow the next child's time, rounding apart.
    assert tree.advance(read((1, 0, 0, 3))) == pytest.approx(7, abs=ROUNDING)


def test_a_number_that_is_given_to_a_new_process_is_a_new_process() -> None:
    tree = TreeCpu(since=0.5)
    tree.advance([ProcessReading(2, 1, 1.0, 50.0, 0.0, 0)])
    assert tree.advance([ProcessReading(2, 1, 9.0, 3.0, 0.0, 0)]) == 3.0


def test_what_a_process_used_before_counting_began_is_not_counted() -> None:
    tree = TreeCpu(since=10.0)
    tree.advance([])
    assert tree.advance([ProcessReading(5, 1, 2.0, 100.0, 40.0, 0)]) == 0.0
    assert tree.advance([ProcessReading(5, 1, 2.0, 101.0, 42.0, 0)]) == 3.0
