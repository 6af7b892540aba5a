"""Arms whose answers are labels: the measures are scikit-learn's, the intervals hold what they should."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, precision_recall_fscore_support

from smallenough.analysis import classification
from smallenough.analysis.classification import by_frequency, classes_frame, classify, frequencies_frame, to_frame
from smallenough.errors import InputError
from smallenough.hierarchy import credit
from smallenough.metrics.names import LABEL_MEASURES
from smallenough.tracking.columns import CLASSES, FREQUENCY_SHARES, LABELS

NONE = "(none)"
names = st.sampled_from(["a", "b", "c", "d"])
answers = st.one_of(st.none(), names, st.just("e"))
"""`e` is a label that no task expects."""


def trials(pairs: Sequence[tuple[str, str | None]], arm: str = "m", *, hierarchical: bool = False) -> pd.DataFrame:
    """A row for each pair of expected and answered."""
    rows: list[dict[str, Any]] = [
        {
            "label": arm,
            "task_number": number,
            "solved": float(expected == answer),
            "expected": expected,
            "answer": answer,
            "exact_match": expected == answer,
            "hierarchical_f1": credit(answer, expected, "icd10").f1 if hierarchical else None,
        }
        for number, (expected, answer) in enumerate(pairs)
    ]
    types = {"expected": "string", "answer": "string", "exact_match": "boolean", "hierarchical_f1": "Float64"}
    return pd.DataFrame(rows).astype(types)


def measured(pairs: Sequence[tuple[str, str | None]]) -> dict[str, float]:
    (found,) = classify(trials(pairs), ["m"], resamples=2)
    return {name: one.value for name, one in found.measures.items() if one is not None}


@settings(max_examples=40)
@given(st.lists(st.tuples(names, answers), min_size=1, max_size=40))
def test_all_measures_are_those_of_scikit_learn(pairs: list[tuple[str, str | None]]) -> None:
    expected, answered = [one for one, _ in pairs], [other or NONE for _, other in pairs]
    labels = sorted(set(expected))
    wanted = {"accuracy": accuracy_score(expected, answered), "invalid_rate": answered.count(NONE) / len(pairs)}
    for average in ("macro", "micro"):
        scores = precision_recall_fscore_support(expected, answered, labels=labels, average=average, zero_division=0)
        wanted |= {f"{average}_{name}": scores[place] for place, name in enumerate(("precision", "recall", "f1"))}
    assert measured(pairs) == pytest.approx(wanted, abs=1e-9)
    (found,) = classify(trials(pairs), ["m"], resamples=2)
    each = precision_recall_fscore_support(expected, answered, labels=labels, average=None, zero_division=0)
    for place, own in enumerate(found.classes):
        assert own.name == labels[place]
        assert (own.precision, own.recall, own.f1) == pytest.approx([float(part[place]) for part in each[:3]], abs=1e-9)
        assert own.support == each[3][place]


@settings(max_examples=40)
@given(st.lists(st.tuples(names, answers), min_size=1, max_size=40))
def test_the_confusion_is_scikit_learn_s(pairs: list[tuple[str, str | None]]) -> None:
    (found,) = classify(trials(pairs), ["m"], resamples=2)
    table = found.confusion
    answered = [other or NONE for _, other in pairs]
    every = list(table.columns)
    assert every[-1] == NONE
    expected = confusion_matrix([one for one, _ in pairs], answered, labels=every)
    assert (table.reindex(index=every, fill_value=0).to_numpy() == expected).all()
    assert table.to_numpy().sum() == len(pairs)


def test_hierarchical_scores_are_sums_of_nodes_and_none_where_labels_are_flat() -> None:
    pairs: list[tuple[str, str | None]] = [("E11.65", "E11.9"), ("E11.65", "E11.65"), ("I10", None), ("I10", "I11")]
    (found,) = classify(trials(pairs, hierarchical=True), ["m"], resamples=2)
    values = {name: one.value for name, one in found.measures.items() if one}
    assert values["hierarchical_precision"] == pytest.approx((2 + 4 + 0 + 1) / (3 + 4 + 0 + 2))
    assert values["hierarchical_recall"] == pytest.approx((2 + 4 + 0 + 1) / (4 + 4 + 2 + 2))
    assert values["hierarchical_f1"] == pytest.approx(2 * 7 / (9 + 12))
    (flat,) = classify(trials(pairs), ["m"], resamples=2)
    assert {name for name, one in flat.measures.items() if one is None} == {
        "hierarchical_precision", "hierarchical_recall", "hierarchical_f1",
    }  # fmt: skip


def test_the_interval_of_accuracy_holds_the_truth_as_often_as_it_says() -> None:
    generator, held = np.random.default_rng(3), 0
    for _ in range(60):
        right = generator.random(120) < 0.7
        pairs = [("ab"[number % 2], "ab"[number % 2 if hit else 1 - number % 2]) for number, hit in enumerate(right)]
        (found,) = classify(trials(pairs), ["m"], resamples=300)
        interval = found.measures["accuracy"].interval  # type: ignore[union-attr]
        assert interval is not None
        held += interval.low <= 0.7 <= interval.high
    assert 51 <= held <= 60


def test_repeats_of_a_task_are_drawn_together() -> None:
    once = trials([("a", "a"), ("a", "b"), ("b", "b"), ("b", "a")] * 10)
    thrice = pd.concat([once.assign(repeat=number) for number in range(3)], ignore_index=True)
    (first,), (second,) = (classify(one, ["m"]) for one in (once, thrice))
    for name, one in first.measures.items():
        other = second.measures[name]
        assert (one is None) == (other is None)
        if one and other and one.interval and other.interval:
            ends = (one.value, one.interval.low, one.interval.high)
            assert (other.value, other.interval.low, other.interval.high) == pytest.approx(ends, abs=0.01), name
    assert (first.trials, second.trials, second.tasks) == (40, 120, 40)


def test_what_was_failed_by_infrastructure_or_is_no_label_has_no_part() -> None:
    found = trials([("a", "a"), ("a", "b"), ("b", None)])
    found["solved"], found["exact_match"] = [1.0, np.nan, 0.0], pd.array([True, None, False], dtype="boolean")
    (one,) = classify(found, ["m"], resamples=2)
    assert one.trials == 2
    assert classify(found.assign(expected=None), ["m"]) == ()
    assert classify(found.drop(columns="answer"), ["m"]) == ()


def test_arms_are_measured_on_the_same_classes_and_missing_ones_left_out() -> None:
    both = pd.concat([trials([("a", "a"), ("b", "b")]), trials([("a", "a"), ("b", "a")], "n")])
    found = classify(both, ["n", "other", "m"], resamples=2)
    assert [one.arm for one in found] == ["n", "m"]
    assert [list(one.confusion.index) for one in found] == [["a", "b"], ["a", "b"]]


def test_an_answer_that_is_right_but_spelled_otherwise_is_its_class() -> None:
    found = trials([("E11.9", "E119"), ("I10", "I10")])
    found["exact_match"] = [True, True]
    (one,) = classify(found, ["m"], resamples=2)
    assert one.measures["macro_f1"].value == 1  # type: ignore[union-attr]


def test_rare_labels_are_told_from_common_ones_by_the_training_rows() -> None:
    pairs: list[tuple[str, str | None]] = [("a", "a"), ("a", "a"), ("b", "a"), ("c", "c"), ("d", None)]
    found = by_frequency(trials(pairs), ["m"], {"a": 100, "b": 7, "c": 30, "x": 5})
    assert [(one.frequency, one.classes, one.tasks, one.fewest, one.most) for one in found] == [
        ("unseen", 1, 1, 0, 0),
        ("rare", 2, 2, 7, 30),
        ("common", 1, 2, 100, 100),
    ]
    assert [one.accuracy.rate for one in found if one.accuracy] == [0, 0.5, 1]
    with pytest.raises(InputError, match="name the suite that was trained on"):
        by_frequency(trials(pairs), ["m"], {"z": 1})


@settings(max_examples=5)
@given(st.lists(st.tuples(names, answers), min_size=1, max_size=20))
def test_the_frames_have_the_columns_that_are_documented(pairs: list[tuple[str, str | None]]) -> None:
    found = classify(trials(pairs), ["m"], resamples=10)
    counts = dict.fromkeys("abcd", 3)
    for frame, known in (
        (to_frame(found), LABELS),
        (classes_frame(found, counts), CLASSES),
        (classes_frame(found), CLASSES),
        (frequencies_frame(by_frequency(trials(pairs), ["m"], counts)), FREQUENCY_SHARES),
        (to_frame(()), LABELS),
        (classes_frame(()), CLASSES),
    ):
        assert list(frame.columns) == [one.name for one in known]
        assert {one.name: str(frame[one.name].dtype) for one in known} == {one.name: one.dtype for one in known}
    assert set(LABEL_MEASURES) <= set(to_frame(found).columns)
    assert classification.FREQUENCIES == ("unseen", "rare", "common")
