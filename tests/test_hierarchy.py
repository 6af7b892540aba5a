"""How labels lie within one another, and the credit for being near."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallenough.hierarchy import CHAPTERS, chapter_of, credit, path
from smallenough.records import Hierarchy


@pytest.mark.parametrize(
    ("label", "hierarchy", "nodes"),
    [
        ("E11.65", "icd10", ("chapter 4", "E11", "E11.6", "E11.65")),
        ("e1165", "icd10", ("chapter 4", "E11", "E11.6", "E11.65")),
        ("I10", "icd10", ("chapter 9", "I10")),
        ("C7A.1", "icd10", ("chapter 2", "C7A", "C7A.1")),
        ("circulatory", "icd10", ("circulatory",)),
        ("animal/dog/poodle", "path", ("animal", "animal/dog", "animal/dog/poodle")),
        ("animal/dog", "", ("animal/dog",)),
    ],
)
def test_the_path_goes_from_the_top_to_the_label(label: str, hierarchy: Hierarchy, nodes: tuple[str, ...]) -> None:
    assert path(label, hierarchy) == nodes


def test_precision_recall_and_f1_are_shares_of_nodes() -> None:
    """The answer E11.9 to E11.65 shares chapter 4 and E11: 2 of its 3 nodes, and 2 of the reference's 4."""
    found = credit("E11.9", "E11.65", "icd10")
    assert (found.precision, found.recall, found.f1) == (2 / 3, 2 / 4, 4 / 7)
    assert credit(None, "E11.65", "icd10").precision is None
    assert credit(None, "E11.65", "icd10").f1 == 0


@given(st.sampled_from(["I10", "E11.65", "E11.9", "S72.001A", "Z00", "skin"]), st.data())
def test_right_is_1_another_chapter_is_0_and_nearer_is_never_less(reference: str, data: st.DataObject) -> None:
    assert credit(reference, reference, "icd10").f1 == 1
    answer = data.draw(st.sampled_from(["I10", "E11.65", "E11.9", "S72.001A", "Z00", "skin", "A00"]))
    shared = set(path(answer, "icd10")) & set(path(reference, "icd10"))
    found = credit(answer, reference, "icd10").f1
    assert found is not None
    assert (found > 0) == bool(shared)
    assert (found == 1) == (answer == reference)


def test_the_chapters_do_not_overlap_and_hold_their_ends() -> None:
    for number, (first, last) in enumerate(CHAPTERS, 1):
        assert first <= last
        assert chapter_of(first) == chapter_of(last) == number
    assert chapter_of("F00") is None
