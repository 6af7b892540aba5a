from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from smallenough.contracts.task_source import TaskSourceContract
from smallenough.errors import InputError, UnknownName
from smallenough.protocols import TaskSource
from smallenough.records import Test
from smallenough.tasks.jsonl import JsonlSource

OBJECT: dict[str, Any] = {
    "task_id": "dataclass_1",
    "name": "SimpleData",
    "problem": "Create a dataclass cls with one field x.",
    "canonical_solution": (
        "from dataclasses import dataclass\n\n@dataclass\nclass SimpleData:\n    x: int\n    y: int = 0\n"
    ),
    "tests": json.dumps(
        [
            {"ctx": "", "assertion": "assert cls(1).x == 1"},
            {"ctx": "value = cls(2)", "assertion": "assert value.x == 2"},
            {"ctx": "", "assertion": "assert cls(1, 2).y == 2"},
        ]
    ),
    "category": "dataclass",
    "complexity": 2,
    "object": "class",
}


def written(folder: Path, *objects: dict[str, Any], name: str = "tasks.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(one) + "\n" for one in objects), encoding="utf-8")
    return path


def told(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        JsonlSource(path).load()
    return str(caught.value)


class TestContract(TaskSourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> TaskSource:
        return JsonlSource(written(tmp_path, OBJECT))


def test_the_given_form_becomes_a_task(tmp_path: Path) -> None:
    suite = JsonlSource(written(tmp_path, {**OBJECT, "anything": [1]}, name="mine.jsonl")).load()
    (task,) = suite.tasks
    assert (suite.name, suite.source, suite.protocol) == ("mine", "mine.jsonl", "split")
    assert (task.id, task.entry_point, task.alias, task.kind) == ("dataclass_1", "SimpleData", "cls", "class")
    assert (task.category, task.level) == ("dataclass", 2)
    assert task.prompt == OBJECT["problem"]
    assert task.reference == OBJECT["canonical_solution"]
    assert task.public_tests == (Test("assert cls(1).x == 1"),)
    assert task.hidden_tests == (Test("assert value.x == 2", "value = cls(2)"), Test("assert cls(1, 2).y == 2"))


def test_tests_may_be_a_list_too(tmp_path: Path) -> None:
    plain = {**OBJECT, "tests": json.loads(OBJECT["tests"])}
    assert JsonlSource(written(tmp_path, plain)).load().tasks == JsonlSource(written(tmp_path, OBJECT)).load().tasks


def test_a_function_is_called_func(tmp_path: Path) -> None:
    (task,) = JsonlSource(written(tmp_path, {**OBJECT, "object": "function"})).load().tasks
    assert (task.alias, task.kind) == ("func", "function")


def test_standard_shows_and_scores_all(tmp_path: Path) -> None:
    suite = JsonlSource(written(tmp_path, OBJECT), protocol="standard").load()
    assert suite.protocol == "standard"
    assert "all tests are shown" in suite.description
    assert len(suite.tasks[0].public_tests) == 3
    assert suite.tasks[0].public_tests == suite.tasks[0].hidden_tests


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    written(tmp_path, {**OBJECT, "task_id": "b", "category": "beta"}, name="beta.jsonl")
    written(tmp_path, {**OBJECT, "task_id": "a", "category": "alpha"}, name="alpha.jsonl")
    (tmp_path / "notes.txt").write_text("not a task")
    suite = JsonlSource(tmp_path, name="both").load()
    assert [(task.id, task.category) for task in suite.tasks] == [("a", "alpha"), ("b", "beta")]
    assert suite.name == "both"


def test_a_gzipped_file_with_a_byte_order_mark_and_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "packed.jsonl.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf\r\n" + json.dumps(OBJECT).encode() + b"\r\n\r\n"))
    suite = JsonlSource(path).load()
    assert (suite.name, len(suite.tasks)) == ("packed", 1)


def test_bad_json_names_line_and_column(tmp_path: Path) -> None:
    path = written(tmp_path, OBJECT)
    with path.open("a") as file:
        file.write('{"task_id": "x", "name" "y"}\n')
    assert told(path) == f"{path}:2:25: not JSON: Expecting ':' delimiter"


def test_every_fault_is_told_at_once(tmp_path: Path) -> None:
    missing = {key: value for key, value in OBJECT.items() if key not in ("category", "complexity")}
    faulty: list[dict[str, Any]] = [
        {**missing, "task_id": "two", "complexities": 3},
        {**OBJECT, "task_id": 3},
        {**OBJECT, "task_id": "four", "tests": "[{]"},
        {**OBJECT, "task_id": "five", "tests": [{"ctx": ""}, {"assertion": "assert (", "ctx": ""}]},
        {**OBJECT, "task_id": "six", "object": "module", "name": "not a name"},
        {**OBJECT, "task_id": "seven", "complexity": True, "canonical_solution": ["x"]},
    ]
    path = written(tmp_path, OBJECT, *faulty)
    with path.open("a") as file:
        file.write("[1]\n" + json.dumps(OBJECT) + "\n")
    message = told(path)
    for line, part in (
        (2, "the key 'category' is missing"),
        (2, "the key 'complexity' is missing; is 'complexities' meant?"),
        (3, "'task_id' must be a string, and is a whole number"),
        (
            4,
            "'tests' is a string that holds no JSON: Expecting property name",
        ),
        (5, "tests[0] must be an object such as"),
        (5, "tests[1].assertion is not Python"),
        (6, "'object' must be function or class, and is 'module'"),
        (6, "'name' must be the name of a function or a class, and is 'not a name'"),
        (7, "'complexity' must be a whole number or null, and is true or false"),
        (7, "'canonical_solution' must be a string or null, and is a list"),
        (8, "a line must be one JSON object, and this is a list"),
        (9, f"the id 'dataclass_1' is already that of {path}:1"),
    ):
        assert f"{path}:{line}: {part}" in message
    assert message.startswith(f"{path}: 12 faults\n")


def test_twenty_faults_are_told_and_the_rest_counted(tmp_path: Path) -> None:
    message = told(written(tmp_path, *[{"task_id": str(number)} for number in range(10)]))
    assert message.startswith(f"{tmp_path}/tasks.jsonl: 70 faults\n")
    assert message.endswith("\n  … and 50 more")
    assert len(message.splitlines()) == 22


@pytest.mark.parametrize(
    ("content", "told_of"),
    [
        (b"", "the file is empty"),
        (b"\n \n", "the file is empty"),
        (b'{"a": 1}\n{"b": "caf\xe9"}\n', ":2:11: not UTF-8 (byte 0xe9)"),
        (b"\x1f\x8b\x08\x00broken", "this gzip file is broken"),
        (b'{"task_id": "\\ud800"}\n', ":1: holds one half of a surrogate pair"),
        (b"[" * 100_000, ":1: JSON that can't be read"),
        (b'{"complexity": ' + b"9" * 5000 + b"}", ":1: JSON that can't be read"),
        (b"null\n", ":1: a line must be one JSON object, and this is null"),
        (b'[\n{"task_id": "a"}\n]\n', ":1:2: not JSON"),
    ],
)
def test_what_is_no_file_of_tasks_is_told(tmp_path: Path, content: bytes, told_of: str) -> None:
    path = tmp_path / "tasks.jsonl"
    path.write_bytes(content)
    message = told(path)
    assert str(path) in message
    assert told_of in message


def test_a_missing_file_and_an_empty_folder_are_told(tmp_path: Path) -> None:
    assert "there is no such file" in told(tmp_path / "none.jsonl")
    assert "has no CATEGORY.jsonl" in told(tmp_path)
    assert "can't be read" in told(tmp_path / "a\0b")


def test_one_id_in_two_files_of_a_folder_is_told_with_both_places(tmp_path: Path) -> None:
    first, second = written(tmp_path, OBJECT, name="a.jsonl"), written(tmp_path, OBJECT, name="b.jsonl")
    assert told(tmp_path) == f"{second}:1: the id 'dataclass_1' is already that of {first}:1; ids must differ"


def test_an_unknown_protocol_is_told_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'standard'"):
        JsonlSource(tmp_path, protocol="standart")


def test_an_object_that_says_so_is_an_example(tmp_path: Path) -> None:
    path = written(tmp_path, OBJECT, {**OBJECT, "task_id": "shown", "example": True})
    suite = JsonlSource(path).load()
    assert ([task.id for task in suite.tasks], [task.id for task in suite.examples]) == (["dataclass_1"], ["shown"])
    other = written(tmp_path, OBJECT, {**OBJECT, "task_id": "b", "example": "f(1)"}, name="other.jsonl")
    assert len(JsonlSource(other).load().tasks) == 2, "a key of that name may mean something else to its writer"


@pytest.mark.parametrize("missing", [{"name": None}, {"canonical_solution": None}, {"canonical_solution": ""}])
def test_an_example_without_what_is_shown_of_it_is_told(tmp_path: Path, missing: dict[str, Any]) -> None:
    said = told(written(tmp_path, {**OBJECT, **missing, "example": True}))
    assert "tasks.jsonl:1: an example needs 'name' and 'canonical_solution'" in said


def test_an_example_with_the_id_of_a_task_is_told(tmp_path: Path) -> None:
    assert "is already that of" in told(written(tmp_path, OBJECT, {**OBJECT, "example": True}))
