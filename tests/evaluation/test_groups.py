"""Groups of tests share a sandbox, and each comes out as if it had been alone."""

from __future__ import annotations

import pytest

from smallenough.evaluation import evaluate, evaluate_groups
from smallenough.evaluation.process import pack, unpack
from smallenough.protocols import Sandbox
from smallenough.records import Evaluation, Execution, Limits, Problem, Program, Test

SHORT = Limits(cpu_seconds=1.0, wall_seconds=3.0, memory_bytes=256 * 2**20)
PROBLEM = Problem("t", "", "f", "function", ())
PUBLIC = [Test("assert f(1) == 2"), Test("assert f(2) == 3")]
HIDDEN = [Test("assert f(3) == 4"), Test("assert f(0) == 1"), Test("assert f(-1) == 0")]


def told(evaluation: Evaluation) -> tuple[object, ...]:
    """All of an evaluation but its times and what it took."""
    results = tuple((one.code, one.passed, one.error, one.message, one.actual) for one in evaluation.results)
    return evaluation.passed, evaluation.syntax_valid, evaluation.sandbox, results


CODES = {
    "right": "def f(n):\n    return n + 1",
    "wrong": "def f(n):\n    return n",
    "not defined": "def g(n):\n    return n",
    "no load": "raise KeyError('x')",
    "no syntax": "def f(n):\n    return (",
    "bad indentation inside": "def f(n):\n    return eval('1 +')",
    "none": None,
    "hangs in public": "def f(n):\n    while n == 2: pass\n    return n + 1",
    "hangs in hidden": "def f(n):\n    while n == 3: pass\n    return n + 1",
    "hangs always": "def f(n):\n    while True: pass",
    "hangs at load": "while True: pass",
    "exits in public": "import os\ndef f(n):\n    if n == 1: os._exit(0)\n    return n + 1",
    "exits in hidden": "import os\ndef f(n):\n    if n == 3: os._exit(0)\n    return n + 1",
    "exits at load": "import os\nos._exit(3)",
    "state": "seen = []\ndef f(n):\n    seen.append(n)\n    return n + len(seen)",
}


@pytest.mark.parametrize("name", CODES)
def test_together_and_apart_agree(sandbox: Sandbox, name: str) -> None:
    code = CODES[name]
    together = evaluate_groups(code, PROBLEM, "", [PUBLIC, HIDDEN], sandbox, SHORT)
    apart = [evaluate(code, PROBLEM, "", tests, sandbox, SHORT) for tests in (PUBLIC, HIDDEN)]
    assert list(map(told, together)) == list(map(told, apart))
    assert sum(one.runs for one in together) <= sum(one.runs for one in apart)


def test_two_groups_need_one_sandbox(sandbox: Sandbox) -> None:
    public, hidden = evaluate_groups(CODES["right"], PROBLEM, "", [PUBLIC, HIDDEN], sandbox)
    assert (public.runs, hidden.runs) == (1, 0)
    assert public.cpu_seconds
    assert hidden.cpu_seconds == 0


def test_a_group_without_tests_says_nothing(sandbox: Sandbox) -> None:
    public, hidden = evaluate_groups(CODES["right"], PROBLEM, "", [[], HIDDEN], sandbox)
    assert public.passed is None
    assert hidden.passed is True
    assert hidden.runs == 1


def test_what_cannot_be_split_is_still_alone(sandbox: Sandbox) -> None:
    exposed = Test("x = f(1)\nassert x == 2")
    public, hidden = evaluate_groups(CODES["right"], PROBLEM, "", [[*PUBLIC, exposed], HIDDEN], sandbox)
    assert [one.exposed for one in public.results] == [False, False, True]
    assert (public.runs, hidden.runs) == (2, 0)
    assert hidden.passed


class OtherVersion:
    """A sandbox whose interpreter is not the one that compiled the driver."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox, self.name = sandbox, sandbox.name

    def describe(self) -> dict[str, str]:
        return {}

    def run(self, program: Program, limits: Limits) -> Execution:
        (_, _, source), *jobs = unpack(program.stdin)
        return self.sandbox.run(Program(program.source, pack([("3.0", b"unreadable", source), *jobs])), limits)


def test_an_interpreter_of_another_version_compiles_the_driver_itself(sandbox: Sandbox) -> None:
    done = evaluate(CODES["right"], PROBLEM, "", PUBLIC, OtherVersion(sandbox))
    assert done.passed
