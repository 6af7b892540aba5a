from __future__ import annotations

import ast
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallenough.contracts.task_source import TaskSourceContract
from smallenough.errors import InputError
from smallenough.evaluation.references import run_reference_times
from smallenough.protocols import TaskSource
from smallenough.records import Test
from smallenough.sandboxes.subprocess import SubprocessSandbox
from smallenough.tasks.mbpp import MbppSource, parse_ids

OBJECT: dict[str, Any] = {
    "text": "Write a function to double a number.",
    "code": "def helper(x):\r\n\treturn x\r\ndef double(number, by=2):\r\n\treturn helper(number) * by",
    "task_id": 7,
    "test_setup_code": "",
    "test_list": ["assert double(1) == 2", "assert (double(helper(2))) == 4", "assert set([double(3)]) == {6}"],
    "challenge_test_list": [],
}


def written(folder: Path, *objects: dict[str, Any]) -> Path:
    path = folder / "mbpp.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in objects), encoding="utf-8")
    return path


class TestContract(TaskSourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> TaskSource:
        return MbppSource(written(tmp_path, OBJECT, {**OBJECT, "task_id": 2}))


class TestContractOnTheRealFile(TaskSourceContract):
    @pytest.fixture
    def source(self, mbpp_path: Path) -> TaskSource:
        return MbppSource(mbpp_path)


def test_the_form_becomes_a_task(tmp_path: Path) -> None:
    suite = MbppSource(written(tmp_path, OBJECT)).load()
    (task,) = suite.tasks
    assert (task.id, task.entry_point, task.kind, task.alias, task.category) == (
        "MBPP/7",
        "double",
        "function",
        None,
        "mbpp",
    )
    assert task.prompt == "Write a function to double a number.\nThe function is called as `double(number, by=2)`."
    assert task.public_tests == (Test("assert double(1) == 2"),)
    assert [test.code for test in task.hidden_tests] == OBJECT["test_list"][1:]
    assert task.reference == OBJECT["code"].replace("\r\n", "\n")
    assert suite.protocol == "split"
    assert "the first test of a task is shown" in suite.description


def test_standard_shows_and_scores_all_and_the_prompt_is_the_published_one(tmp_path: Path) -> None:
    suite = MbppSource(written(tmp_path, OBJECT), protocol="standard").load()
    (task,) = suite.tasks
    assert task.prompt == OBJECT["text"]
    assert [test.code for test in task.public_tests] == OBJECT["test_list"]
    assert task.public_tests == task.hidden_tests
    assert suite.protocol == "standard"


def test_the_set_up_comes_along(tmp_path: Path) -> None:
    one = {**OBJECT, "test_setup_code": "root = double(1)\r\n", "test_list": ["assert double(root) == 4"]}
    (task,) = MbppSource(written(tmp_path, one)).load().tasks
    assert task.setup == "root = double(1)"
    assert (len(task.public_tests), len(task.hidden_tests)) == (0, 1)


def test_ids_are_kept_in_order(tmp_path: Path) -> None:
    path = written(tmp_path, *[{**OBJECT, "task_id": number} for number in (4, 2, 3, 1)])
    assert [task.id for task in MbppSource(path, ids="2-3, 1").load().tasks] == ["MBPP/1", "MBPP/2", "MBPP/3"]


def test_what_is_left_of_the_first_ten_are_the_examples(tmp_path: Path) -> None:
    path = written(tmp_path, *({**OBJECT, "task_id": number} for number in range(1, 13)))
    found = MbppSource(path, ids="2,5,11-12").load()
    assert [task.id for task in found.tasks] == ["MBPP/2", "MBPP/5", "MBPP/11", "MBPP/12"]
    assert [task.id for task in found.examples] == [f"MBPP/{number}" for number in (1, 3, 4, 6, 7, 8, 9, 10)]
    every = MbppSource(path).load()
    assert (len(every.tasks), every.examples) == (12, ()), "of a part of MBPP, or of another file, all are tasks"


def test_of_the_whole_mbpp_the_first_ten_are_examples_and_no_tasks(tmp_path: Path) -> None:
    found = MbppSource(written(tmp_path, *({**OBJECT, "task_id": number} for number in range(1, 975)))).load()
    assert [task.id for task in found.tasks] == [f"MBPP/{number}" for number in range(11, 975)]
    assert [task.id for task in found.examples] == [f"MBPP/{number}" for number in range(1, 11)]


def test_missing_ids_are_told(tmp_path: Path) -> None:
    path = written(tmp_path, OBJECT)
    with pytest.raises(InputError, match=r"no task has the id 8, 9, 10, 11, 12, …; the file has 1 tasks, 7 to 7"):
        MbppSource(path, ids="7-20").load()


@pytest.mark.parametrize("ids", ["", "a", "1-", "-1", "5-2", "1,,2", "1-2-3", "1.5", "²"])
def test_ids_that_make_no_sense_are_told(ids: str) -> None:
    with pytest.raises(InputError, match="neither a number nor a range"):
        MbppSource(ids=ids)


@given(st.sets(st.integers(0, 3000), min_size=1))
def test_ids_one_by_one_are_themselves(numbers: set[int]) -> None:
    assert parse_ids(",".join(map(str, numbers))) == sorted(numbers)


def test_faults_are_told_with_their_lines(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {**OBJECT, "code": "def double(:"},
        {**OBJECT, "task_id": 8, "test_list": ["assert other(1) == 2"]},
        {**OBJECT, "task_id": 9, "test_list": ["assert double(1) ==", "assert double(1) == 2"]},
        {**OBJECT, "task_id": "10", "test_list": [1]},
        {**OBJECT, "task_id": 7},
        {key: value for key, value in OBJECT.items() if key != "text"},
    )
    with pytest.raises(InputError) as caught:
        MbppSource(path).load()
    for line, part in (
        (1, "'code' is not Python"),
        (2, "no assertion in 'test_list' calls what 'code' defines"),
        (3, "test_list[0] is not Python"),
        (4, "'task_id' must be a whole number, and is a string"),
        (4, "'test_list' must be a list of strings"),
        (5, f"the id 'MBPP/7' is already that of {path}:1"),
        (6, "the key 'text' is missing"),
    ):
        assert f"{path}:{line}: {part}" in str(caught.value)


def test_an_empty_list_of_tests_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'test_list' is empty"):
        MbppSource(written(tmp_path, {**OBJECT, "test_list": []})).load()


def test_without_file_and_package_both_mends_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SMALLENOUGH_MBPP", raising=False)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"SMALLENOUGH_MBPP.*pip install 'smallenough\[hub\]'"):
        MbppSource().load()


def test_the_variable_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALLENOUGH_MBPP", str(written(tmp_path, OBJECT)))
    suite = MbppSource().load()
    assert (suite.name, suite.source, len(suite.tasks)) == ("mbpp", "mbpp.jsonl", 1)


def test_the_real_test_split(mbpp_path: Path) -> None:
    suite = MbppSource(mbpp_path, ids="11-510").load()
    assert len(suite.tasks) == 500
    assert (suite.tasks[0].id, suite.tasks[-1].id) == ("MBPP/11", "MBPP/510")
    assert {(len(task.public_tests), len(task.hidden_tests)) for task in suite.tasks} == {(1, 2)}
    assert suite.tasks[0].entry_point == "remove_Occ"


def test_every_real_entry_point_is_called_by_every_assertion(mbpp_path: Path) -> None:
    suite = MbppSource(mbpp_path).load()
    assert (len(suite.tasks), len(suite.examples)) == (964, 10)
    for task in suite.tasks + suite.examples:
        for test in task.public_tests + task.hidden_tests:
            names = {node.id for node in ast.walk(ast.parse(test.code)) if isinstance(node, ast.Name)}
            assert task.entry_point in names, (task.id, test.code)


def test_real_references_pass(mbpp_path: Path) -> None:
    suite = MbppSource(mbpp_path, ids="11-510").load()
    runs = run_reference_times(suite.tasks + suite.examples, SubprocessSandbox())
    assert [task_id for task_id, run in runs.items() if not run.evaluation.passed] == []
