"""`tasks build` as a person calls it: suites in the store, with versions, that other commands take."""

from __future__ import annotations

import csv
import importlib.util
import json
from pathlib import Path

import pytest

from smallenough.records import digest
from smallenough.tracking.store import Store
from smallenough.tracking.suites import load_suite
from tests.cli.calling import call

pytestmark = pytest.mark.xdist_group("icd10")  # the tables are read once
needs_tables = pytest.mark.skipif(importlib.util.find_spec("simple_icd_10_cm") is None, reason="needs simple-icd-10-cm")
SMALL = ("--train", 60, "--validation", 25, "--test", 30)


@needs_tables
def test_icd10_is_built_in_three_parts_once(fresh_store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = ("--store", fresh_store)
    done = call(capsys, "tasks", "build", "icd10", *SMALL, "--balance", *here)
    assert done.code == 0, done.err
    for part, count in (("train", 60), ("validation", 25), ("test", 30)):
        assert f"suite icd10-chapter-{part}, version 1: {count} tasks" in done.out
    assert "no phrase is near one of another part" in done.out
    again = call(capsys, "tasks", "build", "icd10", *SMALL, "--balance", "--json", *here)
    assert {part: one["version"] for part, one in json.loads(again.out).items()} == {
        "train": 1, "validation": 1, "test": 1,
    }  # fmt: skip
    other = call(capsys, "tasks", "build", "icd10", *SMALL, "--balance", "--seed", 1, "--json", *here)
    assert json.loads(other.out)["test"]["version"] == 2
    listed = call(capsys, "tasks", "list", *here).out
    assert "icd10-chapter-test" in listed
    assert "smallenough tasks build icd10" in listed
    suite = load_suite(Store.local(fresh_store), "icd10-chapter-test", 1)
    assert len(suite.examples) == 21
    assert suite.tasks[0].labels[0] == "infections"


@needs_tables
def test_other_levels_and_names(fresh_store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("--level", "category", "--classes", 12, "--suite", "mine", *SMALL)
    done = call(capsys, "tasks", "build", "icd10", *given, "--store", fresh_store)
    assert done.code == 0, done.err
    assert "suite mine-test, version 1: 30 tasks" in done.out
    assert len(load_suite(Store.local(fresh_store), "mine-test").tasks[0].labels) == 12


@needs_tables
@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--test", 5000), "test: 5000 texts are asked for, and"),
        (("--classes", 40), "chapter: 40 classes are asked for, and 21 have 20 phrases of their own or more"),
        (("--suite", "a/b"), "suite name 'a/b-train': use letters"),
        (("--level", "chapers"), "'chapers' is not one of"),
    ],
)
def test_what_cannot_be_built_is_told_and_nothing_is_written(
    fresh_store: Path, capsys: pytest.CaptureFixture[str], given: tuple[object, ...], said: str
) -> None:
    done = call(capsys, "tasks", "build", "icd10", *SMALL, *given, "--store", fresh_store)
    assert done.code == 2
    assert said in " ".join(done.err.split())
    assert "-train" not in call(capsys, "tasks", "list", "--store", fresh_store).out


def test_medsynth_is_built_from_a_file(fresh_store: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path, codes = tmp_path / "medsynth.csv", ("E11.9", "I10", "J45.909", "L20.9")
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Note", " Dialogue", "ICD10", "ICD10_desc"])
        for number in range(80):
            own = digest([number]) * 2
            rows.writerow([f"Note {own}", "" if number % 20 == 0 else f"Talk {own}", codes[number % 4], "x"])
    sizes = ("--train", 40, "--validation", 6, "--test", 10)
    done = call(capsys, "tasks", "build", "medsynth", "--file", path, *sizes, "--store", fresh_store)
    assert done.code == 0, done.err
    assert "suite medsynth-dialogue-chapter-test, version 1: 10 tasks" in done.out
    assert "4 rows whose dialogue is empty are left out" in done.out
