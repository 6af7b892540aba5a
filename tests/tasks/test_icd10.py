"""ICD-10-CM as suites, of the real tables: no leak between the parts, by looking at every pair."""

from __future__ import annotations

import importlib.util
import sys
from collections import Counter
from collections.abc import Mapping

import numpy as np
import pytest
from numpy.typing import NDArray

from smallenough.contracts.task_source import TaskSourceContract
from smallenough.errors import InputError, MissingPackage, UnknownName
from smallenough.hierarchy import chapter_of
from smallenough.labels import clashes, name_label
from smallenough.protocols import TaskSource
from smallenough.records import Suite
from smallenough.tasks import icd10
from smallenough.tasks.icd10 import CHAPTERS, FEWEST, Icd10Source, Level, build, read_tables
from smallenough.tasks.splits import Part, Sizes, trigrams, words

pytestmark = [
    pytest.mark.xdist_group("icd10"),  # the tables are read once
    pytest.mark.skipif(importlib.util.find_spec("simple_icd_10_cm") is None, reason="needs simple-icd-10-cm"),
]

SIZES = Sizes(3000, 200, 315)


@pytest.fixture(scope="module")
def chapters() -> Mapping[Part, Suite]:
    return build("chapter", SIZES)


@pytest.fixture(scope="module")
def categories() -> Mapping[Part, Suite]:
    return build("category", Sizes(600, 60, 100), 1, even=True)


def phrases(suite: Suite) -> list[str]:
    return [task.prompt.partition("\n")[2] for task in suite.tasks]


def most_alike(some: list[str], others: list[str]) -> float:
    """The largest similarity of any of some with any of others, by words or trigrams: all pairs, as matrices."""
    largest = 0.0
    for feature in (words, trigrams):
        known = {
            name: place for place, name in enumerate(sorted({one for text in some + others for one in feature(text)}))
        }

        def matrix(texts: list[str], known: dict[str, int] = known, feature: object = feature) -> NDArray[np.float32]:
            found = np.zeros((len(texts), len(known)), np.float32)
            for row, text in enumerate(texts):
                found[row, [known[one] for one in feature(text)]] = 1  # type: ignore[operator]
            return found

        left, right = matrix(some), matrix(others)
        shared = left @ right.T
        either = left.sum(axis=1)[:, None] + right.sum(axis=1)[None, :] - shared
        largest = max(largest, float((shared / either).max()))
    return largest


class TestContract(TaskSourceContract):
    @pytest.fixture
    def source(self) -> TaskSource:
        return Icd10Source(sizes=Sizes(200, 40, 60))


@pytest.mark.parametrize("made", ["chapters", "categories"])
def test_no_phrase_of_a_part_is_near_any_of_another(made: str, request: pytest.FixtureRequest) -> None:
    parts: Mapping[Part, Suite] = request.getfixturevalue(made)
    train, validation, test = (phrases(parts[part]) for part in ("train", "validation", "test"))
    assert most_alike(test, train) < 0.6
    assert most_alike(validation, train) < 0.6
    assert most_alike(test, validation) < 0.6
    assert most_alike(train[:50], train[:50]) == 1, "it finds what is the same"


def test_chapters_are_asked_for_by_words_with_their_titles(chapters: Mapping[Part, Suite]) -> None:
    assert {part: len(suite.tasks) for part, suite in chapters.items()} == {
        "train": 3000,
        "validation": 200,
        "test": 315,
    }
    test = chapters["test"]
    assert (test.name, test.source) == ("icd10-chapter-test", "package:simple-icd-10-cm 1.5.0")
    for task in test.tasks:
        assert task.reference == CHAPTERS[(chapter_of(task.id[:3]) or 0) - 1] == task.category
        assert task.prompt.startswith("Which label fits this diagnosis?\n")
    task = test.tasks[0]
    assert len(task.labels) == 21, "chapter 22 has too few phrases"
    assert (
        dict(zip(task.labels, task.meanings, strict=True))["circulatory"]
        == "Diseases of the circulatory system (I00-I99)"
    )
    assert not list(clashes(task.labels))
    for label, meaning in zip(task.labels, task.meanings, strict=True):
        assert name_label(label, task.problem).label == name_label(meaning, task.problem).label == label


def test_every_label_is_in_every_part_and_natural_parts_are_as_frequent_as_the_tables(
    chapters: Mapping[Part, Suite],
) -> None:
    labels = set(chapters["test"].tasks[0].labels)
    for suite in chapters.values():
        counts = Counter(task.reference for task in suite.tasks)
        assert set(counts) == labels
        assert counts["injury"] > 3 * counts["ear"]


def test_even_parts_have_as_many_of_each_label_as_they_can(categories: Mapping[Part, Suite]) -> None:
    for part, each in (("train", 12), ("validation", 1), ("test", 2)):
        counts = Counter(task.reference for task in categories["train" if part == "train" else part].tasks)  # type: ignore[index]
        assert len(counts) == 50
        assert sum(count >= each for count in counts.values()) > 40, "but for those that have no more"
    task = categories["test"].tasks[0]
    assert task.hierarchy == "icd10"
    assert task.reference == task.id[:3]


def test_examples_are_of_the_training_part_and_of_different_labels(chapters: Mapping[Part, Suite]) -> None:
    trained = {task.id for task in chapters["train"].tasks}
    for part in ("validation", "test"):
        examples = chapters["validation" if part == "validation" else "test"].examples
        assert {task.id for task in examples} <= trained
        assert len({task.reference for task in examples}) == len(examples) == 21
    assert chapters["train"].examples == ()


def test_the_same_choices_make_the_same_suites_and_another_seed_others(chapters: Mapping[Part, Suite]) -> None:
    again = build("chapter", SIZES)
    assert {part: suite.digest for part, suite in again.items()} == {part: one.digest for part, one in chapters.items()}
    other = build("chapter", SIZES, seed=1)
    assert other["test"].digest != chapters["test"].digest


def test_a_full_code_is_asked_for_too() -> None:
    test = build("code", Sizes(60, 10, 20), classes=10)["test"]
    for task in test.tasks:
        assert task.id.rpartition("-")[0] == task.reference
        assert len(task.labels) == 10


def test_every_category_of_the_tables_lies_in_the_chapter_that_they_say() -> None:
    import simple_icd_10_cm as icd

    for number in range(1, 23):
        found = {code for code in icd.get_descendants(str(number)) if len(code) == 3 and icd.is_category(code)}
        assert found
        assert {chapter_of(code) for code in found} == {number}
    assert len(CHAPTERS) == len(set(CHAPTERS)) == 22
    assert len({word[:2] for word in CHAPTERS}) > 15


def test_phrases_are_the_tables_inclusion_terms() -> None:
    found = {phrase.text: phrase.code for phrase in read_tables().phrases}
    assert found["Apparent treatment resistant hypertension"] == "I1A.0"
    assert not [text for text in found if "classifiable to C" in text]


@pytest.mark.parametrize(
    ("level", "sizes", "classes", "said"),
    [
        (
            "chapter",
            SIZES,
            22,
            f"22 classes are asked for, and 21 have {FEWEST['chapter']} phrases of their own or more",
        ),
        ("chapter", Sizes(3000, 200, 9000), None, "test: 9000 texts are asked for"),
        ("chapter", Sizes(30000, 200, 315), None, "train: 30000 texts are asked for"),
    ],
)
def test_more_than_there_is_is_refused(level: Level, sizes: Sizes, classes: int | None, said: str) -> None:
    with pytest.raises(InputError, match=said):
        build(level, sizes, classes=classes)


def test_unknown_levels_and_parts_are_named() -> None:
    with pytest.raises(UnknownName, match="chapter"):
        build("chapers", SIZES)  # type: ignore[arg-type]
    with pytest.raises(UnknownName, match="train"):
        Icd10Source(part="trian").load()  # type: ignore[arg-type]


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "simple_icd_10_cm", None)
    monkeypatch.setattr(icd10, "read_tables", icd10.read_tables.__wrapped__)
    with pytest.raises(MissingPackage, match=r"pip install 'smallenough\[icd10\]'"):
        icd10.read_tables()
