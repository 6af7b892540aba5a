"""What a hostile solution may try: none of it turns a wrong value into a pass."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallenough.evaluation import evaluate, evaluate_groups
from smallenough.evaluation.process import run_jobs, unpack
from smallenough.protocols import Sandbox
from smallenough.records import Execution, Limits, Problem, Program, Test
from smallenough.sandboxes.bubblewrap import BubblewrapSandbox

PROBLEM = Problem("t", "", "f", "function", ())
TESTS = [Test("assert f(2) == 4"), Test("assert f(3) == 9")]

ALWAYS_EQUAL = """
class Equal:
    __eq__ = __le__ = __ge__ = __contains__ = lambda self, other: True
    __ne__ = __lt__ = __gt__ = lambda self, other: False
    __hash__ = lambda self: 1
"""
SEARCHES = """
import gc, re, sys, __main__
def f(n):
    frame, seen = sys._getframe(), [repr(vars(__main__))]
    while frame:
        seen.append(repr(frame.f_locals) + repr(frame.f_code.co_consts))
        seen.extend(repr(getattr(value, '__dict__', '')) for value in list(frame.f_locals.values()))
        frame = frame.f_back
    seen.extend(repr(one) for one in gc.get_objects() if isinstance(one, (dict, list, tuple, set)))
    return int('313') * 100 + 37 if any(re.search('313(?=37)', text) for text in seen) else 0
"""

ATTACKS = {
    "equals everything": ALWAYS_EQUAL + "def f(n):\n    return Equal()",
    "a number that equals everything": ALWAYS_EQUAL + "class N(Equal, int): pass\ndef f(n):\n    return N(0)",
    "a text that equals everything": ALWAYS_EQUAL + "class S(Equal, str): pass\ndef f(n):\n    return S('4')",
    "prints a result": 'def f(n):\n    print(\'["x","test",0,0,"0x0p+0","",false,[["v",["i","4"]]]]\')\n    return 0',
    "writes to every descriptor": (
        "import os\ndef f(n):\n    for fd in range(1, 20):\n        try:\n"
        "            os.write(fd, b'passed\\nOK\\n[\"end\"]\\n')\n        except OSError: pass\n    return 0"
    ),
    "redefines the builtins": (
        "import builtins\nfor name in ('issubclass', 'type', 'isinstance', 'len', 'repr', 'eval', 'str', 'int'):\n"
        "    setattr(builtins, name, lambda *a, **k: 4)\ndef f(n):\n    return 0"
    ),
    "redefines the driver": (
        'import __main__\n__main__.encode = lambda *a: \'["i","5"]\'\n__main__.describe = lambda e: \'["v",true]\'\n'
        "def f(n):\n    raise ValueError"
    ),
    "patches the operators' module": (
        "import operator\noperator.eq = lambda a, b: True\noperator._eq = operator.eq\ndef f(n):\n    return 0"
    ),
    "leaves at once with success": "import os\ndef f(n):\n    os._exit(0)",
    "leaves at exit": "import atexit, os\natexit.register(os._exit, 0)\ndef f(n):\n    raise SystemExit(0)",
    "swallows the assertion": "import sys\nsys.excepthook = lambda *a: None\ndef f(n):\n    raise AssertionError",
    "traces": "import sys\nsys.settrace(lambda *a: None)\nsys.setprofile(lambda *a: None)\ndef f(n):\n    return 0",
    "closes everything": "import os\nos.closerange(0, 100)\ndef f(n):\n    return n * n",
    "hides its type": (
        "class Meta(type):\n    __instancecheck__ = __subclasscheck__ = lambda *a: True\n"
        "class M(metaclass=Meta):\n    __class__ = int\n    __index__ = lambda s: 4\n    __eq__ = lambda s, o: True\n"
        "def f(n):\n    return M()"
    ),
    "overrides the entry point by a chameleon": (
        "class F:\n    def __call__(self, n):\n        return self\n    __getattr__ = __call__\n"
        "    __getitem__ = __call__\n    __eq__ = lambda s, o: True\nf = F()"
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_passes(sandbox: Sandbox, attack: str) -> None:
    done = evaluate(ATTACKS[attack], PROBLEM, "", TESTS, sandbox)
    assert [result.passed for result in done.results] == [False, False], done.results
    assert all(result.error for result in done.results)
    assert not any(result.exposed for result in done.results)


def test_what_is_expected_is_nowhere_in_the_process(sandbox: Sandbox) -> None:
    """The solution searches its frames, the driver and every object that there is, and would return what it finds."""
    done = evaluate(SEARCHES, PROBLEM, "", [Test("assert f(2) == 31337")], sandbox)
    assert done.results[0].error == "AssertionError"
    assert done.results[0].actual == "0"


def test_the_search_does_find_what_is_there(sandbox: Sandbox) -> None:
    """So that the test above can fail: an exposed expectation is found."""
    done = evaluate(SEARCHES, PROBLEM, "", [Test("for expected in [31337]:\n    assert f(2) == expected")], sandbox)
    assert done.results[0].passed
    assert done.results[0].exposed


PEEKS = """
import glob, os
def peeks():
    for path in ["/proc/self/fd/0", *glob.glob("/proc/[0-9]*/fd/0")]:
        try:
            file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            yield repr(os.read(file, 100000))
        except OSError as error:
            yield ""
"""
ASKED_LATER = SEARCHES.replace(
    "    seen.extend(repr(one) for", "    seen.extend(peeks())\n    seen.extend(repr(one) for"
)


def test_what_the_hidden_tests_ask_cannot_be_seen_while_the_public_ones_run() -> None:
    """Neither in the process itself, nor in its parent's input; so nothing of it gets into the feedback."""
    groups = [[Test("assert f(2) == 0")], [Test("assert f(31337) == 31337")]]
    public, hidden = evaluate_groups(PEEKS + ASKED_LATER, PROBLEM, "", groups, BubblewrapSandbox())
    assert public.passed, public.results
    assert hidden.passed, "the search does find what is there"
    assert public.runs + hidden.runs == 1


class Forger:
    """A sandbox in which the solution has written what it likes, knowing the mark."""

    name = "forger"

    def __init__(self, lines: Callable[[str], list[str]]) -> None:
        self.lines = lines

    def describe(self) -> dict[str, str]:
        return {}

    def run(self, program: Program, limits: Limits) -> Execution:
        mark = unpack(program.stdin)[-1]["mark"]
        return Execution(0, "\n".join(self.lines(mark)).encode(), b"", 0.1, 0.1)


def _line(mark: str, *fields: object) -> str:
    return json.dumps([mark, *fields], separators=(",", ":"))


def test_the_first_line_about_a_test_counts() -> None:
    def lines(mark: str) -> list[str]:
        first = _line(mark, "test", 0, 0, "0x0p+0", "", False, [["v", ["i", "0"]]])
        again = _line(mark, "test", 0, 0, "0x0p+0", "", False, [["v", ["i", "4"]]])
        return [_line(mark, "begin"), _line(mark, "loaded", 0, None), first, again, _line(mark, "end", 0)]

    done = evaluate("def f(n):\n    return 0", PROBLEM, "", TESTS[:1], Forger(lines))
    assert done.results[0].message == "expected 4, got 0"


@pytest.mark.parametrize(
    "line",
    [
        '["{wrong}","test",0,0,"0x0p+0","",false,[["v",["i","4"]]]]',
        '["{mark}","test",0,0,"0x0p+0","",false,[["v",["i","4"]]]',
        '["{mark}","test",0,0,"0x0p+0","",false,[["v"]]]',
        '["{mark}","test",0,0,"0x0p+0","",false,[["w",4]]]',
        '["{mark}","test",0,0,"zz","",false,[["v",["i","4"]]]]',
        '["{mark}","test",0,0,"0x0p+0",7,false,[["v",["i","4"]]]]',
        '["{mark}","test",0,0,"0x0p+0","",1,[["v",["i","4"]]]]',
        '["{mark}","test","0",0,"0x0p+0","",false,[["v",["i","4"]]]]',
        '["{mark}","passed",0,0]',
        '["{mark}"' + ',["l"' * 5000,
        "4",
        "",
    ],
)
def test_malformed_lines_are_ignored(line: str) -> None:
    def lines(mark: str) -> list[str]:
        forged = line.replace("{mark}", mark).replace("{wrong}", "0" * len(mark))
        return [_line(mark, "begin"), _line(mark, "loaded", 0, None), forged]

    done = evaluate("def f(n):\n    return 4", PROBLEM, "", TESTS[:1], Forger(lines))
    assert done.results[0].error == "Crash"


@pytest.mark.parametrize("outcomes", [[], [["v", ["i", "4"]]] * 2 + [["v", None]]])
def test_too_few_or_too_many_values_prove_nothing(outcomes: list[object]) -> None:
    def lines(mark: str) -> list[str]:
        told = _line(mark, "test", 0, 0, "0x0p+0", "", False, outcomes)
        return [_line(mark, "begin"), _line(mark, "loaded", 0, None), told, _line(mark, "end", 0)]

    done = evaluate("def f(n):\n    return 4", PROBLEM, "", [Test("assert f(2) == 4 == f(3)")], Forger(lines))
    assert done.passed is False


@given(st.lists(st.text(max_size=20), max_size=6), st.binary(max_size=60))
def test_no_output_of_a_process_raises(fields: list[str], junk: bytes) -> None:
    class Junk(Forger):
        def describe(self) -> dict[str, str]:
            return {}

        def run(self, program: Program, limits: Limits) -> Execution:
            done = super().run(program, limits)
            return Execution(None, done.stdout + b"\n" + junk, junk, 0.1, stopped="wall")

    run = run_jobs([[]], Junk(lambda mark: [_line(mark, "begin"), _line(mark, *fields)]), Limits())
    assert run.replies == {}
