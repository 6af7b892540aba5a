"""Label tasks in the own form: read, refused with file, line and mend, and written again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smallenough.contracts.task_source import TaskSourceContract
from smallenough.errors import InputError
from smallenough.protocols import TaskSource
from smallenough.records import Suite
from smallenough.tasks.detect import open_source
from smallenough.tasks.export import write_jsonl
from smallenough.tasks.jsonl import JsonlSource

MEANT = {"skin": "Diseases of the skin", "eye": "Diseases of the eye", "ear": ""}
ROW: dict[str, Any] = {"task_id": "t1", "problem": "Which? Eczema", "answer": "skin", "labels": ["skin", "eye"]}
OTHER: dict[str, Any] = {**ROW, "task_id": "t2", "problem": "Which? Cataract", "answer": "eye"}


def written(folder: Path, *rows: dict[str, Any]) -> Path:
    path = folder / "labels.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def told(folder: Path, *rows: dict[str, Any]) -> str:
    with pytest.raises(InputError) as caught:
        JsonlSource(written(folder, *rows)).load()
    return str(caught.value)


class TestContract(TaskSourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> TaskSource:
        return JsonlSource(written(tmp_path, ROW, OTHER))


def test_an_object_with_an_answer_becomes_a_label_task(tmp_path: Path) -> None:
    rows = (
        {**ROW, "labels": MEANT, "category": "organs", "complexity": 2, "hierarchy": "path", "more": 1},
        {**ROW, "task_id": "t2", "labels": MEANT, "example": True},
    )
    suite = open_source(written(tmp_path, *rows)).load()
    (task,), (example,) = suite.tasks, suite.examples
    assert (task.id, task.kind, task.prompt, task.reference) == ("t1", "label", "Which? Eczema", "skin")
    assert (task.labels, task.meanings) == (("skin", "eye", "ear"), ("Diseases of the skin", "Diseases of the eye", ""))
    assert (task.category, task.level, task.hierarchy) == ("organs", 2, "path")
    assert (task.entry_point, task.public_tests, task.hidden_tests) == (None, (), ())
    assert (example.id, example.reference) == ("t2", "skin")
    assert task.checked
    assert suite.description == "answers are labels or short texts, which need no tests"


def test_a_strategy_sees_the_labels_and_never_the_answer(tmp_path: Path) -> None:
    (task,) = JsonlSource(written(tmp_path, {**ROW, "labels": MEANT, "problem": "Which?"})).load().tasks
    assert (task.problem.labels, task.problem.meanings) == (task.labels, task.meanings)
    assert not hasattr(task.problem, "reference")


def test_without_labels_any_text_may_be_answered(tmp_path: Path) -> None:
    (task,) = JsonlSource(written(tmp_path, {"task_id": "t", "problem": "Who called?", "answer": "Anna"})).load().tasks
    assert (task.labels, task.reference) == ((), "Anna")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"answer": "Skin"}, "labels.jsonl:2: the answer 'Skin' is none of the labels; is 'skin' meant?"),
        ({"answer": "x"}, "labels.jsonl:2: the answer 'x' is none of the labels; they are skin, eye"),
        ({"answer": None}, "labels.jsonl:2: 'answer' must be a string, and is null"),
        ({"answer": " "}, "labels.jsonl:2: 'answer' is empty; every label task needs its right answer"),
        ({"labels": []}, "labels.jsonl:2: 'labels' is empty; name the labels, or leave the key out"),
        ({"labels": "skin"}, "labels.jsonl:2: 'labels' must be a list of strings"),
        ({"labels": ["skin", 2]}, "labels.jsonl:2: 'labels' must be a list of strings"),
        ({"labels": {"skin": 1}}, "labels.jsonl:2: 'labels' must say in a string what each label means"),
        ({"labels": ["skin", "SKIN."]}, "labels.jsonl:2: the labels 'skin' and 'SKIN.' can't be told apart"),
        ({"labels": ["skin", "?"]}, "labels.jsonl:2: the label '?' is empty, or has no letter or digit"),
        ({"hierarchy": "tree"}, "labels.jsonl:2: 'hierarchy' must be path or icd10, or be left out, and is 'tree'"),
        ({"task_id": "t1"}, "labels.jsonl:2: the id 't1'"),
        ({"problem": "which? eczema."}, "labels.jsonl:2: the problem is that of"),
        ({"problem": None}, "labels.jsonl:2: 'problem' must be a string, and is null"),
    ],
)
def test_what_is_wrong_is_told_with_line_and_mend(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    assert said in told(tmp_path, ROW, {**OTHER, **change})


@pytest.mark.parametrize("key", ["answer", "labels", "problem"])
def test_a_row_that_lacks_what_others_have_is_told(tmp_path: Path, key: str) -> None:
    row = {name: value for name, value in OTHER.items() if name != key}
    said = told(tmp_path, ROW, row)
    assert "labels.jsonl:2: the key " in said
    assert repr(key) in said
    assert "is missing" in said


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    said = told(tmp_path, {**ROW, "answer": "x"}, {**ROW, "answer": "y"})
    assert "labels.jsonl:1: the answer 'x'" in said
    assert "labels.jsonl:2: the answer 'y'" in said


def test_what_is_written_reads_back_the_same(tmp_path: Path) -> None:
    first = JsonlSource(
        written(
            tmp_path,
            {**ROW, "labels": MEANT, "hierarchy": "path", "complexity": 3},
            OTHER,
            {**ROW, "task_id": "t3", "example": True},
        )
    ).load()
    again = tmp_path / "again.jsonl"
    write_jsonl(first, again)
    read: Suite = JsonlSource(again).load()
    assert (read.tasks, read.examples, read.digest) == (first.tasks, first.examples, first.digest)
