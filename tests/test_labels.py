"""What an answer to a label task names, and what becomes of it."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallenough.labels import INVALID, WRONG, clashes, judgement, name_label, plain, validity
from smallenough.records import Problem, Task

CHAPTERS = Problem(
    "t",
    "Which chapter?",
    None,
    "label",
    (),
    labels=("circulatory", "skin", "9"),
    meanings=("Diseases of the circulatory system", "Diseases of the skin", "Something numbered"),
)
CODES = Problem("t", "Which code?", None, "label", (), labels=("I10", "E11", "E11.9", "E11.65"))
OPEN = Problem("t", "Whose phone?", None, "label", ())

names = st.text(st.characters(whitelist_categories=["Ll", "Nd"]), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("circulatory", "circulatory"),
        ("  Circulatory.\n", "circulatory"),
        ('"skin"', "skin"),
        ("**SKIN**", "skin"),
        ("`skin`!", "skin"),
        ("ｓｋｉｎ", "skin"),
        ("Answer: circulatory", "circulatory"),
        ("The answer is skin.", "skin"),
        ("**Label:** skin", "skin"),
        ('{"label": "Skin"}', "skin"),
        ('{"chapter": 9}', "9"),
        ('{"which": "skin"}', "skin"),
        ('```json\n{"reason": "not circulatory", "answer": "skin"}\n```', "skin"),
        ("Diseases of the skin", "skin"),
        ("circulatory: Diseases of the circulatory system", "circulatory"),
        ("- skin (Diseases of the skin)", "skin"),
        ("1. skin", "skin"),
        ("9. Something numbered", "9"),
        ("chapter 9", "9"),
        ("skin\n\nIt is not circulatory, because of the rash.", "skin"),
        ("It could be circulatory.\nAnswer: skin", "skin"),
        ("I think that this belongs to the skin.", "skin"),
        ("The circulatory system, that is: circulatory.", "circulatory"),
        ("Answer: skin\nAnswer: circulatory", "circulatory"),
    ],
)
def test_a_label_is_found_however_it_is_said(answer: str, label: str) -> None:
    assert name_label(answer, CHAPTERS).label == label


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("", "the answer is empty"),
        (" \n`` ", "the answer is empty"),
        ("respiratory", "'respiratory' is none of the labels"),
        ("skin or circulatory", "names 'skin' and 'circulatory', and one is asked for"),
        ("skin\ncirculatory", "names 'skin' and 'circulatory'"),
        ('{"label": "skin or circulatory"}', "names 'skin' and 'circulatory'"),
        ("Answer: skin, circulatory", "names 'skin' and 'circulatory'"),
        ("skinny circulatoryness 19 9.5", "is none of the labels"),
        ('{"label": {"skin": 1}}\n{', "is none of the labels"),
    ],
)
def test_an_answer_that_names_no_label_or_several_is_invalid_and_the_message_lists_them(answer: str, said: str) -> None:
    if "{" in answer and "none" in said:
        answer = answer.replace("skin", "leather")
    named = name_label(answer, CHAPTERS)
    assert named.label is None
    assert said in named.fault
    assert named.fault.endswith("the labels are circulatory, skin, 9")
    (result,) = validity(named).results
    assert (result.passed, result.error, result.message) == (False, INVALID, named.fault)


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("E11.9", "E11.9"),
        ("e119", "E11.9"),
        ("E11.65 - Type 2 diabetes with hyperglycemia", "E11.65"),
        ("The code is E11.65, I believe", "E11.65"),
        ("E11.8", None),
        ("I10.9", None),
        ("I10 and E11", None),
    ],
)
def test_codes_are_whole_words_and_may_lack_their_point(answer: str, label: str | None) -> None:
    assert name_label(answer, CODES).label == label


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("Anna Miller.", "Anna Miller"),
        ("Answer: 'Anna  Miller'\nShe said so.", "Anna Miller"),
        ('{"answer": "Anna Miller"}', "Anna Miller"),
        ("\n\nAnna Miller\nis the one", "Anna Miller"),
        ("", None),
    ],
)
def test_where_any_text_is_allowed_the_answer_is_the_text(answer: str, text: str | None) -> None:
    named = name_label(answer, OPEN)
    assert named.label == text
    assert validity(named).passed is (text is not None)


@given(st.lists(names, min_size=1, max_size=6, unique=True), st.data())
def test_every_label_names_itself_alone_in_json_and_after_answer(labels: list[str], data: st.DataObject) -> None:
    known = tuple(dict.fromkeys(label for label in labels if not any(clashes((*labels,)))))
    if not known:
        return
    label = data.draw(st.sampled_from(known))
    problem = Problem("t", "?", None, "label", (), labels=known)
    for said in (label, label.upper(), f"Answer: {label}", f'{{"label": "{label}"}}', f"{label}.", f"- {label}"):
        assert name_label(said, problem).label in {label, None} | (set(known) if plain(said) != plain(label) else set())
    assert name_label(label, problem).label == label
    assert name_label(f'{{"label": "{label}"}}', problem).label == label


@given(st.text(max_size=300), st.sampled_from([CHAPTERS, CODES, OPEN]))
def test_any_text_names_one_of_the_labels_or_says_why_not(answer: str, problem: Problem) -> None:
    named = name_label(answer, problem)
    assert (named.label is None) == bool(named.fault)
    if problem.labels:
        assert named.label is None or named.label in problem.labels
    assert name_label(answer, problem) == named


@pytest.mark.parametrize("piece", ["answer: ", "{", '{"a":', "skin ", "- ", "1. ", "(", "“", "label is label is "])
def test_a_hostile_answer_takes_no_time(piece: str) -> None:
    begun = time.perf_counter()
    name_label(piece * 50_000, CHAPTERS)
    assert time.perf_counter() - begun < 1


def test_what_decides_is_whether_it_is_the_reference() -> None:
    task = Task("t", "Which?", kind="label", labels=("a", "b"), reference="a")
    assert judgement("a", task).passed
    (wrong,) = judgement("b", task).results
    assert (wrong.passed, wrong.error, wrong.expected, wrong.actual) == (False, WRONG, "'a'", "'b'")
    (none,) = judgement(None, task).results
    assert (none.passed, none.error, none.actual) == (False, INVALID, None)
    assert judgement("a", Task("t", "Which?", kind="label", labels=("a",))).passed is None


def test_texts_are_compared_without_case_and_marks_and_codes_without_their_point() -> None:
    assert judgement("Anna  Miller", Task("t", "Who?", kind="label", reference="anna miller.")).passed
    assert judgement("E119", Task("t", "Which?", kind="label", reference="E11.9", hierarchy="icd10")).passed
    assert not judgement("E119", Task("t", "Which?", kind="label", reference="E11.9")).passed


def test_labels_that_no_answer_can_tell_apart_are_told() -> None:
    assert list(clashes(("a", "b", "A.", "!"))) == [("a", "A."), ("!", "!")]
    assert not list(clashes(("a", "b", "a b")))
