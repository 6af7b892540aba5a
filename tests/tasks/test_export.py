from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from smallenough.contracts.task_source import TaskSourceContract
from smallenough.errors import InputError
from smallenough.protocols import TaskSource
from smallenough.records import Suite, Task, Test
from smallenough.tasks.basics import BasicsSource
from smallenough.tasks.export import rename, to_object, write_jsonl
from smallenough.tasks.humaneval import HumanEvalSource
from smallenough.tasks.jsonl import JsonlSource
from smallenough.tasks.mbpp import MbppSource
from tests.thorough import examples

FORM = ["task_id", "name", "problem", "canonical_solution", "tests", "category", "complexity", "object"]


class TestContract(TaskSourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> TaskSource:
        write_jsonl(BasicsSource().load(), tmp_path / "basics.jsonl")
        return JsonlSource(tmp_path / "basics.jsonl")


def returned(suite: Suite, folder: Path) -> Suite:
    path = folder / "out.jsonl"
    write_jsonl(suite, path)
    return JsonlSource(path).load()


@pytest.mark.parametrize("source", [BasicsSource(), HumanEvalSource()], ids=["basics", "humaneval"])
def test_real_suites_come_back_the_same(tmp_path: Path, source: TaskSource) -> None:
    suite = source.load()
    again = returned(suite, tmp_path)
    assert (again.tasks, again.examples) == (suite.tasks, suite.examples)
    assert again.digest == suite.digest
    assert again.description == "protocol split: public and hidden tests are as the file has them"


@pytest.mark.parametrize("protocol", ["split", "standard"])
def test_mbpp_comes_back_the_same(tmp_path: Path, mbpp_path: Path, protocol: str) -> None:
    suite = MbppSource(mbpp_path, protocol=protocol).load()
    assert returned(suite, tmp_path).digest == suite.digest


TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
NAME = st.sampled_from(["f", "func", "größe", "_x1", "Thing"])
CODE = st.sampled_from(["", "assert f(1) == 2", "print('a\tb')", "x = 1\ny = 'f'", 'assert f("""a\nb""") == "é\\n"'])
TESTS = st.lists(st.builds(Test, CODE, CODE, st.none() | TEXT), max_size=3).map(tuple)
TASKS = st.builds(
    Task,
    id=TEXT.filter(bool),
    prompt=TEXT,
    entry_point=st.none() | NAME,
    kind=st.sampled_from(["function", "class"]),
    public_tests=TESTS,
    hidden_tests=TESTS,
    setup=CODE,
    alias=st.none() | st.sampled_from(["func", "cls"]),
    reference=st.none() | TEXT,
    category=TEXT,
    level=st.none() | st.integers(0, 9),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(150))
@given(tasks=st.lists(TASKS, min_size=1, max_size=4, unique_by=lambda task: task.id), cut=st.integers(1, 4))
def test_any_suite_comes_back_the_same(tmp_path: Path, tasks: list[Task], cut: int) -> None:
    examples = tuple(task for task in tasks[cut:] if task.entry_point and task.reference)
    suite = Suite("any", tuple(tasks[:cut]), examples=examples)
    again = returned(suite, tmp_path)
    assert (again.tasks, again.examples) == (suite.tasks, suite.examples)
    assert again.digest == suite.digest
    assert again.protocol == "split"


def test_the_protocol_comes_back(tmp_path: Path) -> None:
    tests = (Test("assert f() == 1"), Test("assert f() != 2"))
    task = Task("a", "do", "f", public_tests=tests, hidden_tests=tests)
    assert returned(Suite("s", (task,), protocol="standard"), tmp_path).protocol == "standard"
    write_jsonl(Suite("s", (task,)), tmp_path / "split.jsonl")
    standard = JsonlSource(tmp_path / "split.jsonl", protocol="standard").load()
    assert (standard.protocol, standard.tasks[0].public_tests) == ("standard", tests)


def test_lines_of_two_protocols_are_told(tmp_path: Path) -> None:
    path = tmp_path / "mixed.jsonl"
    lines = [to_object(Task(name, "do"), name) for name in ("split", "standard")]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(InputError, match="'protocol' must be one of split, standard, and the same on every line"):
        JsonlSource(path).load()


def test_the_eight_keys_come_first() -> None:
    assert list(to_object(BasicsSource().load().tasks[0]))[:8] == FORM


@pytest.mark.parametrize("task", BasicsSource().load().tasks, ids=lambda task: task.id)
def test_other_programs_can_use_the_form(task: Task) -> None:
    """Read as the form says: run the solution, bind its name to `func` or `cls`, run `ctx`, then the assertion."""
    one = to_object(task)
    tests = json.loads(one["tests"])
    assert len(tests) == len(task.public_tests + task.hidden_tests)
    for test in tests:
        space: dict[str, Any] = {}
        exec(one["canonical_solution"], space)
        space["cls" if one["object"] == "class" else "func"] = space[one["name"]]
        exec(test["ctx"], space)
        exec(test["assertion"], space)
        names = compile(test["assertion"] + "\n" + test["ctx"], "test", "exec").co_names
        assert one["name"] not in names


def test_a_test_of_what_is_printed_can_fail_in_the_form() -> None:
    task = Task("a", "do", "f", hidden_tests=(Test("f()\nf()", output="1 \n\n1\n"),))
    (test,) = json.loads(to_object(task)["tests"])
    for printed, right in (("1\n", True), ("1", False), ("2\n", False)):
        space: dict[str, Any] = {"func": lambda printed=printed: sys.stdout.write(f"{printed}\n")}
        with contextlib.redirect_stdout(io.StringIO()):
            exec(test["ctx"], space)
        assert (space["printed"] == ["1", "", "1"]) is right
        try:
            exec(test["assertion"], space)
            assert right
        except AssertionError:
            assert not right


def test_only_names_are_renamed() -> None:
    code = "é = f(1); assert f(f) == x.f('f', f=2)  # f\nf = f\\\n(2)"
    assert rename(code, "f", "func") == "é = func(1); assert func(func) == x.f('f', f=2)  # f\nfunc = func\\\n(2)"
    assert rename("f(", "f", "func") == "f("


def test_a_file_that_can_not_be_written_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    suite = Suite("s", (Task("a", "do"),))
    with pytest.raises(InputError, match="can't be written"):
        write_jsonl(suite, tmp_path / "none" / "out.jsonl")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="can't be written"):
        write_jsonl(suite, tmp_path / "folder")
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder"]


def test_writing_again_replaces_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonl"
    write_jsonl(BasicsSource().load(), path)
    write_jsonl(Suite("s", (Task("a", "é"),)), path)
    assert len(path.read_text(encoding="utf-8").splitlines()) == 1
    assert "é" in path.read_text(encoding="utf-8")
