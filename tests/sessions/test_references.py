"""References before a session: run once, remembered, run again when anything that matters has changed."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from smallenough.errors import InputError
from smallenough.protocols import Sandbox
from smallenough.records import Execution, Limits, Program, Suite
from smallenough.sandboxes.subprocess import SubprocessSandbox
from smallenough.sessions.references import reference_seconds
from tests.replayed import suite


class Counting:
    """A sandbox that counts its runs."""

    name = "subprocess"

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox, self.runs = sandbox, 0

    def describe(self) -> dict[str, str]:
        return {}

    def run(self, program: Program, limits: Limits) -> Execution:
        self.runs += 1
        return self.sandbox.run(program, limits)


@pytest.fixture
def counting() -> Counting:
    return Counting(SubprocessSandbox())


def changed(given: Suite, **fields: object) -> Suite:
    first, *others = given.tasks
    return replace(given, tasks=(replace(first, **fields), *others))  # type: ignore[arg-type]


def test_what_has_passed_is_not_run_again(counting: Counting, tmp_path: Path) -> None:
    memory, given = tmp_path / "deep" / "references.json", suite(3)
    first = reference_seconds(given, counting, Limits(), memory)
    assert set(first) == {"double_0", "double_1", "double_2"}
    assert counting.runs == 1
    assert reference_seconds(given, counting, Limits(), memory) == first
    assert counting.runs == 1


def test_another_task_limit_or_a_damaged_memory_is_run_again(counting: Counting, tmp_path: Path) -> None:
    memory, given = tmp_path / "references.json", suite(3)
    reference_seconds(given, counting, Limits(), memory)
    reference_seconds(changed(given, reference="def double_0(n):\n    return n + n"), counting, Limits(), memory)
    reference_seconds(given, counting, Limits(cpu_seconds=9), memory)
    memory.write_text("{")
    found = reference_seconds(given, counting, Limits(), memory)
    assert counting.runs == 4
    assert len(found) == 3


def test_a_failing_reference_is_named_and_not_remembered(counting: Counting, tmp_path: Path) -> None:
    memory, given = tmp_path / "references.json", changed(suite(2), reference="def double_0(n):\n    return 4")
    for _ in range(2):
        with pytest.raises(InputError, match=r"task 'double_0': its reference fails 'assert double_0\(-3\) == -6'"):
            reference_seconds(given, counting, Limits(), memory)
    assert not memory.exists()


def test_a_memory_that_cannot_be_written_costs_only_time(counting: Counting, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    memory = tmp_path / "file" / "references.json"
    assert len(reference_seconds(suite(2), counting, Limits(), memory)) == 2


def test_a_slow_reference_is_told(counting: Counting, tmp_path: Path) -> None:
    spins = "import time\ndef double_0(n):\n    end = time.process_time() + 0.2\n    while time.process_time() < end:\n"
    said: list[str] = []
    given = changed(suite(2), reference=f"{spins}        pass\n    return 2 * n")
    reference_seconds(given, counting, Limits(cpu_seconds=0.5), tmp_path / "references.json", said.append)
    (text,) = said
    assert re.match(r"task 'double_0' is slow: its reference takes \d\.\d+ s, ", text)
    assert text.endswith("and a solution may take 0.25 s")
