from __future__ import annotations

import ast
from collections import Counter

import pytest

from smallenough.contracts.task_source import TaskSourceContract
from smallenough.evaluation.evaluate import plan
from smallenough.evaluation.references import run_reference_times
from smallenough.protocols import TaskSource
from smallenough.records import Suite, Task, Test
from smallenough.sandboxes.subprocess import SubprocessSandbox
from smallenough.tasks.basics import BasicsSource

SUITE = BasicsSource().load()
NAMED = ["prime", "fibonacci", "factorial", "palindrome", "reverse_string", "gcd", "anagram", "fizzbuzz", "sort_list"]
HARD = ["edit_distance", "lru_cache", "topological_sort", "roman_numerals", "merge_intervals", "spiral", "calculator"]


class TestContract(TaskSourceContract):
    @pytest.fixture
    def source(self) -> TaskSource:
        return BasicsSource()


def test_there_are_enough_of_each_level_and_category() -> None:
    levels = Counter(task.level for task in SUITE.tasks)
    categories = Counter(task.category for task in SUITE.tasks)
    assert len(SUITE.tasks) == 104
    assert levels == {1: 40, 2: 37, 3: 27}
    assert len(categories) == 13
    assert min(categories.values()) >= 5


def test_the_tasks_that_people_name_are_there() -> None:
    assert {task.id for task in SUITE.tasks} >= {*NAMED, "binary_search", *HARD}


def test_every_reference_passes_every_test() -> None:
    tasks = SUITE.tasks + SUITE.examples
    runs = run_reference_times(tasks, SubprocessSandbox())
    failed = {
        task_id: [(result.code, result.error, result.message) for result in run.evaluation.results if not result.passed]
        for task_id, run in runs.items()
        if not run.evaluation.passed
    }
    assert not failed
    assert len(runs) == len(tasks)
    assert max(run.seconds or 0.0 for run in runs.values()) < 2


@pytest.mark.parametrize("task", SUITE.tasks + SUITE.examples, ids=lambda task: task.id)
def test_a_task_is_whole(task: Task) -> None:
    entry = task.entry_point
    assert entry
    assert f"`{entry}" in task.prompt
    assert 2 <= len(task.public_tests) <= 3
    assert len(task.hidden_tests) >= 4
    assert not set(task.public_tests) & set(task.hidden_tests)
    assert {test.code for test in task.public_tests} != {test.code for test in task.hidden_tests}
    defined = {
        node.name: node
        for node in ast.parse(task.reference or "").body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    assert isinstance(defined[entry], ast.ClassDef) == (task.kind == "class")


@pytest.mark.parametrize("task", SUITE.tasks + SUITE.examples, ids=lambda task: task.id)
def test_no_expectation_enters_the_sandbox(task: Task) -> None:
    assert [
        test.code for test in task.public_tests + task.hidden_tests if plan(test, task.problem, task.setup).exposed
    ] == []


@pytest.mark.parametrize("task", [task for task in SUITE.tasks if task.kind == "function"], ids=lambda task: task.id)
def test_the_prompt_shows_the_call(task: Task) -> None:
    """Name and number of parameters stand in the prompt as the reference has them."""
    reference = next(
        node
        for node in ast.parse(task.reference or "").body
        if isinstance(node, ast.FunctionDef) and node.name == task.entry_point
    )
    required = len(reference.args.args) - len(reference.args.defaults)
    names = ", ".join(argument.arg for argument in reference.args.args[:required])
    assert f"`{task.entry_point}({names})`" in task.prompt


@pytest.mark.parametrize("task", SUITE.tasks, ids=lambda task: task.id)
def test_no_constant_is_an_answer(task: Task) -> None:
    """Hidden tests that all expect the same would let a function pass that ignores what it is given."""
    assert len({expectation(test) for test in task.hidden_tests}) > 1


def expectation(test: Test) -> str:
    if test.output is not None:
        return test.output
    statement = ast.parse(test.code).body[0]
    assert isinstance(statement, ast.Assert)
    assert isinstance(statement.test, ast.Compare)
    return ast.unparse(statement.test.comparators[0])


def test_loading_does_not_depend_on_libyaml(monkeypatch: pytest.MonkeyPatch) -> None:
    import yaml

    from smallenough.tasks import basics

    monkeypatch.setattr(basics, "_LOADER", yaml.SafeLoader)
    assert BasicsSource().load() == SUITE


def test_the_examples_are_no_tasks_of_the_suite() -> None:
    assert len(SUITE.examples) == 5
    told = {task.id: task.entry_point for task in SUITE.tasks}
    for example in SUITE.examples:
        assert example.id not in told
        assert example.entry_point not in told.values()
        assert f"`{example.entry_point}" not in " ".join(task.prompt for task in SUITE.tasks)


def test_the_digest_is_of_the_tasks_and_examples() -> None:
    assert Suite("other", SUITE.tasks, examples=SUITE.examples).digest == SUITE.digest
