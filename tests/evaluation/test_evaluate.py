from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import pytest

from smallenough.errors import SandboxError
from smallenough.evaluation import evaluate
from smallenough.protocols import Sandbox
from smallenough.records import Evaluation, Execution, Limits, Problem, Program, Test, TestResult

SHORT = Limits(cpu_seconds=1.0, wall_seconds=3.0, memory_bytes=256 * 2**20)


class Bench:
    """Evaluates on assertions, with little to write."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox

    def __call__(
        self,
        code: str | None,
        *assertions: str | Test,
        setup: str = "",
        entry: str | None = "f",
        alias: str | None = None,
        kind: Literal["function", "class"] = "function",
        limits: Limits | None = None,
    ) -> Evaluation:
        tests = [Test(one) if isinstance(one, str) else one for one in assertions]
        return evaluate(code, Problem("t", "", entry, kind, (), alias=alias), setup, tests, self.sandbox, limits)


@pytest.fixture
def bench(sandbox: Sandbox) -> Bench:
    return Bench(sandbox)


def errors(results: Sequence[TestResult]) -> list[str | None]:
    return [result.error for result in results]


def test_a_right_solution_passes(bench: Bench) -> None:
    done = bench("def f(n):\n    return n + 1", "assert f(1) == 2", "assert f(-1) == 0")
    assert done.passed is True
    assert done.syntax_valid is True
    assert done.runs == 1
    assert done.sandbox == "subprocess"
    assert done.cpu_seconds is not None
    assert 0 < done.cpu_seconds < 5
    for result in done.results:
        assert not result.exposed
        assert result.seconds is not None
        assert 0 <= result.seconds < 0.1
        assert (result.error, result.message, result.expected, result.actual) == (None, "", None, None)


def test_a_wrong_value_is_told_as_expected_and_actual(bench: Bench) -> None:
    done = bench("def f(n):\n    return [n, 'x']", "assert f(1) == [1, 'y']", "assert f(1) == [1, 'x']")
    first, second = done.results
    assert first == TestResult(
        "assert f(1) == [1, 'y']",
        False,
        "AssertionError",
        "expected [1, 'y'], got [1, 'x']",
        "[1, 'y']",
        "[1, 'x']",
        "",
        first.seconds,
    )
    assert second.passed
    assert done.ratio == 0.5


def test_an_exception_is_told_with_its_line(bench: Bench) -> None:
    done = bench("def f(n):\n    x = n\n    return 1 / x  # here", "assert f(0) == 1")
    result = done.results[0]
    assert result.error == "ZeroDivisionError"
    assert result.message == "division by zero (line 3: return 1 / x  # here)"
    assert result.expected == "1"
    assert result.actual is None


def test_what_a_test_prints_belongs_to_it(bench: Bench) -> None:
    code = "import sys\nprint('load')\ndef f(n):\n    print('n is', n)\n    sys.stderr.write('no')\n    return n"
    done = bench(code, "assert f(1) == 1", "assert f(2) == 3")
    assert [result.output for result in done.results] == ["n is 1\n", "n is 2\n"]


def test_endless_output_is_cut(bench: Bench) -> None:
    code = "def f(n):\n    for i in range(200_000):\n        print('spam and eggs')\n    return n"
    done = bench(code, "assert f(1) == 1")
    assert done.passed
    assert len(done.results[0].output) == 2000


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("def f(n):\n    return (n", 2),
        ("def f(n):\nreturn n", 2),
        ("return 1", 1),
        ("def f(n):\n    nonlocal n\n    return n", None),
        ("def f():\n    return '\x00'", None),
        ("def f():\n    return '\ud800'\n\ud800", None),
        ("x = " + "(" * 500 + ")" * 500, None),
    ],
)
def test_a_syntax_error_is_one_for_every_test(bench: Bench, code: str, line: int | None) -> None:
    done = bench(code, "assert f(1) == 1", "assert f(2) == 2")
    assert done.syntax_valid is False
    assert errors(done.results) == ["SyntaxError"] * 2
    if line:
        assert f"line {line}:" in done.results[0].message


class Forbidden:
    """A sandbox that must not be used."""

    name = "forbidden"

    def describe(self) -> dict[str, str]:
        return {}

    def run(self, program: Program, limits: Limits) -> Execution:
        raise AssertionError("no process was to be started")


def test_nothing_runs_where_there_is_nothing_to_run() -> None:
    bench = Bench(Forbidden())
    assert errors(bench("def f(:", "assert f(1) == 1").results) == ["SyntaxError"]
    none = bench(None, "assert f(1) == 1", "assert f(2) == 1")
    assert errors(none.results) == ["NoCode"] * 2
    assert none.syntax_valid is None
    untested = bench("def f(n):\n    return n")
    assert (untested.passed, untested.syntax_valid, untested.runs) == (None, True, 0)


def test_a_fault_of_the_sandbox_is_no_result() -> None:
    class Broken:
        name = "broken"

        def describe(self) -> dict[str, str]:
            return {}

        def run(self, program: Program, limits: Limits) -> Execution:
            return Execution(127, b"", b"python: not found", 0.1, sandbox="broken")

    with pytest.raises(SandboxError, match=r"'broken'.*python: not found"):
        Bench(Broken())("def f(n):\n    return n", "assert f(1) == 1")


def test_the_entry_point_must_be_defined(bench: Bench) -> None:
    done = bench("def g(n):\n    return n", "assert f(1) == 1")
    assert errors(done.results) == ["NameError"]
    assert done.results[0].message == "the code does not define f"
    assert done.syntax_valid is True


@pytest.mark.parametrize("name", ["square", "func"])
def test_tests_may_call_the_entry_point_by_its_alias(bench: Bench, name: str) -> None:
    done = bench(
        f"def {name}(n):\n    return n * n",
        "assert func(3) == 9",
        "assert square(3) == 9",
        entry="square",
        alias="func",
    )
    assert done.passed


CLASS = """
from __future__ import annotations
from dataclasses import dataclass, field


@dataclass
class Point:
    x: int
    tags: list[str] = field(default_factory=list)

    def __add__(self, other: Point) -> Point:
        return Point(self.x + other.x)
"""


def test_classes_are_tested_by_what_their_objects_say(bench: Bench) -> None:
    done = bench(
        CLASS,
        "assert cls(1).x == 1",
        "assert cls(1).tags == []",
        "assert (cls(1) + cls(2)).x == 3",
        "assert cls(1) == cls(1)",
        "assert isinstance(cls(1), cls)",
        Test("assert p.x == 5", setup="p = cls(5)"),
        entry="Point",
        alias="cls",
        kind="class",
    )
    assert done.passed
    assert [result.exposed for result in done.results] == [False, False, False, True, True, False]
    assert done.runs == 3


def test_the_set_up_runs_after_the_solution_whose_names_it_may_use(bench: Bench) -> None:
    code = "class Node:\n    def __init__(self, v):\n        self.v = v\ndef f(n):\n    return n.next.v"
    done = bench(code, "assert f(root) == 2", setup="root = Node(1)\nroot.next = Node(2)")
    assert done.passed
    assert done.runs == 1


def test_its_imports_serve_the_solution_from_the_start(bench: Bench) -> None:
    code = "def f(n: List[int]) -> Optional[float]:\n    return math.sqrt(n[0])"
    done = bench(code, "assert f([4]) == 2", setup="import math\nfrom typing import List, Optional")
    assert done.passed


def test_a_set_up_that_fails_fails_its_tests(bench: Bench) -> None:
    assert errors(bench("def f(n):\n    return n", "assert f(1) == 1", setup="root = Node(1)").results) == ["NameError"]
    own = Test("assert f(x) == 1", setup="x = 1 / 0")
    done = bench("def f(n):\n    return n", own, "assert f(1) == 1")
    assert errors(done.results) == ["ZeroDivisionError", None]


def test_each_test_has_its_own_set_up(bench: Bench) -> None:
    tests = [Test(f"assert f(x) == {n}", setup=f"x = {n}") for n in range(3)]
    assert bench("def f(n):\n    return n", *tests).passed


@pytest.mark.parametrize(
    ("printed", "expected", "passes"),
    [
        ("1\\n2\\n", "1\n2", True),
        ("1  \\n2\\n\\n\\n", "1\n2\n", True),
        ("1\\r\\n2", "1\n2", True),
        ("1\\n2", "1\n3", False),
        ("1", "1\n2", False),
        (" 1", "1", False),
        ("", "", True),
        ("é\\ud800", "é\\ud800", True),
    ],
)
def test_output_is_compared_outside(bench: Bench, printed: str, expected: str, passes: bool) -> None:
    done = bench(f"def f():\n    print('{printed}', end='')", Test("f()", output=expected))
    result = done.results[0]
    assert result.passed is passes
    assert not result.exposed
    if not passes:
        assert result.error == "AssertionError"
        assert result.expected is not None
        assert result.actual is not None


def test_output_through_the_buffer_counts_too(bench: Bench) -> None:
    code = "import sys\ndef f():\n    sys.stdout.buffer.write(b'ab')\n    sys.stdout.write('c')"
    assert bench(code, Test("f()", output="abc")).passed


def test_a_statement_that_raises_fails_whatever_it_printed(bench: Bench) -> None:
    done = bench("def f():\n    print('a')\n    raise ValueError('no')", Test("f()", output="a"))
    assert errors(done.results) == ["ValueError"]


def test_what_cannot_be_split_runs_whole_and_is_marked(bench: Bench) -> None:
    check = "def check(candidate):\n    for i in range(3):\n        assert candidate(i) == i + 1\ncheck(f)"
    done = bench("def f(n):\n    return n + 1", check, "assert f(1) == 2", "assert isinstance(f(1), str)")
    assert [(result.passed, result.exposed) for result in done.results] == [(True, True), (True, False), (False, True)]
    assert done.runs == 3
    assert done.results[2].error == "AssertionError"


def test_tests_share_a_process_and_what_is_alone_does_not(bench: Bench) -> None:
    code = "calls = []\ndef f(n):\n    calls.append(n)\n    return len(calls)"
    done = bench(code, "assert f(1) == 1", "for _ in [0]:\n    assert f(1) == 1", "assert f(1) == 2")
    assert done.passed


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("while True: pass", "Timeout"),
        ("import time; time.sleep(60)", "Timeout"),
        ("import os; os._exit(0)", "Crash"),
        ("import os; os._exit(3)", "Crash"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "Crash"),
        ("import sys; sys.exit(0)", "SystemExit"),
        ("exit()", "SystemExit"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("return bytearray(10**10)", "MemoryError"),
        ("return f(n) + 1", "RecursionError"),
        ("return input()", "EOFError"),
        ("raise type('Odd', (Exception,), {'__str__': lambda self: 1 / 0})", "Odd"),
        ("return [0] * 10**7", "TooLarge"),
        ("x = []; x.append(x); return x", "TooLarge"),
        ("return 1 << 10**8", "TooLarge"),
    ],
)
def test_one_bad_test_leaves_the_others_alone(bench: Bench, body: str, error: str) -> None:
    code = f"def f(n):\n    if n == 2:\n        {body}\n    return n"
    done = bench(code, "assert f(1) == 1", "assert f(2) == 2", "assert f(3) == 3", "assert f(4) == 5", limits=SHORT)
    assert errors(done.results) == [None, error, None, "AssertionError"]
    assert done.results[1].message


@pytest.mark.parametrize(
    "body",
    [
        "while True:\n        try:\n            while True: pass\n        except BaseException: pass",
        "try:\n        while True: pass\n    except BaseException: return 2",
        "setitimer(ITIMER_PROF, 0); setitimer(ITIMER_REAL, 0)\n    while True: pass",
    ],
    ids=["for ever", "once", "stops the clocks"],
)
def test_time_is_up_for_those_who_do_not_listen_too(bench: Bench, body: str) -> None:
    done = bench(f"from signal import *\ndef f(n):\n    {body}", "assert f(2) == 2", limits=SHORT)
    assert errors(done.results) == ["Timeout"]


def test_a_solution_that_hangs_on_every_test_is_given_up(bench: Bench) -> None:
    done = bench("def f(n):\n    import os; os._exit(1)", *[f"assert f({n}) == {n}" for n in range(6)])
    assert errors(done.results) == ["Crash"] * 4 + ["NotRun"] * 2
    assert done.runs == 4


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("def f(n):\n    return n\nwhile True: pass", "Timeout"),
        ("import os\nos._exit(0)", "Crash"),
        ("def f(n):\n    return n\nprint(undefined)", "NameError"),
        ("import no_such_module\ndef f(n):\n    return n", "ModuleNotFoundError"),
        ("raise SystemExit", "SystemExit"),
    ],
)
def test_a_solution_that_cannot_be_executed_fails_every_test_at_once(bench: Bench, code: str, error: str) -> None:
    done = bench(code, "assert f(1) == 1", "assert f(2) == 2", limits=SHORT)
    assert errors(done.results) == [error] * 2
    assert done.runs == 1
    assert done.syntax_valid is True


def test_slow_tests_get_processes_of_their_own_rather_than_a_shorter_time(bench: Bench) -> None:
    code = (
        "import time\ndef f(n):\n    end = time.process_time() + 0.35\n"
        "    while time.process_time() < end: pass\n    return n"
    )
    done = bench(code, *[f"assert f({n}) == {n}" for n in range(4)], limits=Limits(cpu_seconds=1.0))
    assert done.passed
    assert done.runs == 2


def test_many_results_that_fill_the_output_go_on_in_a_fresh_process(bench: Bench) -> None:
    limits = Limits(output_bytes=40_000)
    done = bench("def f(n):\n    return 'x' * 4000", *["assert f(1) == 'x' * 4000"] * 8, limits=limits)
    assert done.passed
    assert done.runs > 1
