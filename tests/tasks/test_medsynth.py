"""MedSynth from files of its columns, and from a hub that is not there."""

from __future__ import annotations

import csv
import gzip
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from smallenough.contracts.task_source import TaskSourceContract
from smallenough.errors import InputError, UnknownName
from smallenough.protocols import TaskSource
from smallenough.tasks.icd10 import Level
from smallenough.tasks.medsynth import MedSynthSource

COLUMNS = ["Note", " Dialogue", "ICD10", "ICD10_desc "]
ROWS = [
    ["Note one.", 'Doctor: Hello.\nPatient: My "head", it hurts.', " G43.909", "Migraine, unspecified"],
    ["Note two.", "Doctor: Good morning.", "E1165", "Type 2 diabetes mellitus with hyperglycemia"],
    ["Note three.", "  ", "I10", "Essential (primary) hypertension"],
    ["Note four.", "Doctor: And now?", "E11.65", "Type 2 diabetes mellitus with hyperglycemia"],
]


def written(path: Path, rows: Sequence[Sequence[str]] = ROWS, columns: Sequence[str] = COLUMNS) -> Path:
    if ".csv" in path.name:
        opened = gzip.open if path.name.endswith(".gz") else open
        with opened(path, "wt", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows))
    return path


class TestContract(TaskSourceContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> TaskSource:
        return MedSynthSource(written(tmp_path / "m.csv"))


@pytest.mark.parametrize("name", ["m.csv", "m.jsonl", "m.csv.gz"])
def test_stray_spaces_go_and_empty_dialogues_are_counted(tmp_path: Path, name: str) -> None:
    suite = MedSynthSource(written(tmp_path / name), level="code").load()
    assert [(task.id, task.reference, task.category) for task in suite.tasks] == [
        ("G43.909-1", "G43.909", "nervous"),
        ("E11.65-1", "E11.65", "endocrine"),
        ("E11.65-2", "E11.65", "endocrine"),
    ]
    assert 'My "head", it hurts.' in suite.tasks[0].prompt
    assert suite.tasks[0].prompt.endswith("Which code of ICD-10-CM has this?")
    assert suite.tasks[0].labels == ("E11.65", "G43.909")
    assert suite.tasks[0].meanings == ("Type 2 diabetes mellitus with hyperglycemia", "Migraine, unspecified")
    assert "1 rows whose dialogue is empty are left out" in suite.description


def test_notes_can_be_read_instead(tmp_path: Path) -> None:
    suite = MedSynthSource(written(tmp_path / "m.csv"), reads="note").load()
    assert len(suite.tasks) == 4
    assert "left out" not in suite.description


@pytest.mark.parametrize(("level", "answer"), [("chapter", "nervous"), ("category", "G43"), ("code", "G43.909")])
def test_each_level_can_be_asked_for(tmp_path: Path, level: Level, answer: str) -> None:
    task = MedSynthSource(written(tmp_path / "m.csv"), level=level).load().tasks[0]
    assert task.reference == answer
    assert task.hierarchy == ("" if level == "chapter" else "icd10")


def test_a_row_without_a_code_is_told_with_its_line(tmp_path: Path) -> None:
    path = written(tmp_path / "m.jsonl", [*ROWS, ["n", "d", "migraine", ""]])
    with pytest.raises(InputError, match=r"m\.jsonl:5: 'ICD10' must be a code such as E11\.65, and is 'migraine'"):
        MedSynthSource(path).load()


def test_missing_columns_are_named(tmp_path: Path) -> None:
    path = written(tmp_path / "m.csv", [["n", "d"]], ["Note", "Dialog"])
    with pytest.raises(InputError, match="the columns Dialogue, ICD10, ICD10_desc are missing"):
        MedSynthSource(path).load()


def test_a_file_without_any_dialogue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no row has a dialogue and a code"):
        MedSynthSource(written(tmp_path / "m.csv", ROWS[2:3])).load()


def test_without_a_file_or_the_hub_s_package_the_mend_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"smallenough\[hub\]"):
        MedSynthSource().load()


def test_unknown_texts_are_named() -> None:
    with pytest.raises(UnknownName, match="dialogue"):
        MedSynthSource(reads="dialog")  # type: ignore[arg-type]
