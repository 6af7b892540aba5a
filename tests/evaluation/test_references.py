from __future__ import annotations

from pathlib import Path

import pytest

from smallenough.evaluation import evaluate, run_reference_times
from smallenough.protocols import Sandbox
from smallenough.records import Execution, Limits, Program, Task, Test, replace
from smallenough.sandboxes.bubblewrap import BubblewrapSandbox
from smallenough.tasks.humaneval import HumanEvalSource
from smallenough.tasks.mbpp import MbppSource

QUICK = Limits(cpu_seconds=0.25)


class Counting:
    """A sandbox that counts its runs."""

    name = "counting"

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.runs = 0

    def describe(self) -> dict[str, str]:
        return {}

    def run(self, program: Program, limits: Limits) -> Execution:
        self.runs += 1
        return self.sandbox.run(program, limits)


def task(name: str, reference: str | None, *hidden: str, public: tuple[Test, ...] = ()) -> Task:
    tests = tuple(Test(code) for code in hidden)
    return Task(name, "", "f", public_tests=public, hidden_tests=tests, reference=reference)


RIGHT = "def f(n):\n    return n + 1"
SPINS = """
import time
def f(n):
    end = time.process_time() + 0.4
    while time.process_time() < end:
        pass
    return n
"""


def test_each_reference_is_run_on_all_of_its_tests(sandbox: Sandbox) -> None:
    counting = Counting(sandbox)
    tasks = [
        task(str(number), RIGHT, "assert f(1) == 2", "assert f(2) == 3", public=(Test("assert f(0) == 1"),))
        for number in range(120)
    ]
    runs = run_reference_times(tasks, counting)
    assert list(runs) == [str(number) for number in range(120)]
    for evaluation, seconds in runs.values():
        assert evaluation.passed
        assert len(evaluation.results) == 3
        assert seconds is not None
        hidden = [result.seconds for result in evaluation.results[1:]]
        assert seconds == sum(part for part in hidden if part is not None)
    assert counting.runs == 3


def test_one_that_fails_is_run_by_itself_and_does_not_disturb_the_others(sandbox: Sandbox) -> None:
    tasks = [
        task("right", RIGHT, "assert f(1) == 2"),
        task("wrong", RIGHT, "assert f(1) == 3"),
        task("leaves", "import os\ndef f(n):\n    os._exit(0)", "assert f(1) == 2"),
        task("syntax", "def f(n:", "assert f(1) == 2"),
        task("none", None, "assert f(1) == 2"),
        task("untested", RIGHT),
        task("again", RIGHT, "assert f(1) == 2"),
        task("unloadable", "import no_such_module", "assert f(1) == 2"),
        task("exposed", RIGHT, "for n in range(3):\n    assert f(n) == n + 1"),
    ]
    runs = run_reference_times(tasks, sandbox)
    failures = {name: run.evaluation.first_failure for name, run in runs.items()}
    assert {name: failure.error for name, failure in failures.items() if failure} == {
        "wrong": "AssertionError",
        "leaves": "Crash",
        "syntax": "SyntaxError",
        "unloadable": "ModuleNotFoundError",
    }
    assert set(runs) == {one.id for one in tasks} - {"none"}
    assert runs["wrong"].seconds is None
    assert runs["untested"].evaluation.passed is None
    assert runs["exposed"].evaluation.passed
    assert runs["exposed"].evaluation.results[0].exposed


def test_slow_references_each_get_their_time(sandbox: Sandbox) -> None:
    tasks = [task(str(number), SPINS, "assert f(1) == 1") for number in range(4)]
    runs = run_reference_times(tasks, sandbox, QUICK)
    assert all(run.evaluation.passed for run in runs.values())
    assert all(run.seconds is not None and run.seconds >= 0.4 for run in runs.values())


def test_the_state_of_one_reference_is_not_that_of_the_next(sandbox: Sandbox) -> None:
    leaky = "helper = 1\ndef f(n):\n    return n"
    needy = "def f(n):\n    return helper"
    runs = run_reference_times([task("a", leaky, "assert f(1) == 1"), task("b", needy, "assert f(1) == 1")], sandbox)
    failure = runs["b"].evaluation.first_failure
    assert failure
    assert failure.error == "NameError"


def test_every_humaneval_reference_passes_in_the_real_sandbox() -> None:
    """All 164, of which the checks of 158 are split into assertions that stay outside."""
    suite = HumanEvalSource().load()
    runs = run_reference_times(suite.tasks, BubblewrapSandbox())
    assert len(runs) == 164
    failed = [name for name, run in runs.items() if not run.evaluation.passed]
    assert failed == []
    whole = {
        one.id
        for one in suite.tasks
        for result in runs[one.id].evaluation.results[len(one.public_tests) :]
        if result.exposed
    }
    assert whole == {f"HumanEval/{number}" for number in (32, 38, 44, 50, 53, 151)}


def test_every_mbpp_reference_passes(mbpp_path: Path, sandbox: Sandbox) -> None:
    """All 974. Only the three assertions of task 596, which call `sys.getsizeof`, can't be split."""
    suite = MbppSource(mbpp_path, protocol="standard").load()
    tasks = [replace(one, public_tests=()) for one in suite.tasks + suite.examples]
    runs = run_reference_times(tasks, sandbox)
    assert [name for name, run in runs.items() if not run.evaluation.passed] == []
    assert len(runs) == 974
    exposed = [name for name, run in runs.items() for result in run.evaluation.results if result.exposed]
    assert len(exposed) == 3
    assert len(set(exposed)) == 1
    assert "596" in exposed[0]


@pytest.mark.parametrize("number", [367, 927])
def test_an_mbpp_set_up_that_uses_the_solution_comes_after_it(mbpp_path: Path, sandbox: Sandbox, number: int) -> None:
    one = MbppSource(mbpp_path, ids=str(number)).load().tasks[0]
    assert one.setup
    done = evaluate(one.reference, one.problem, one.setup, one.public_tests + one.hidden_tests, sandbox)
    assert done.passed
    assert done.runs == 1
