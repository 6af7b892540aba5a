"""Label tasks in the own form: one JSON object a line, whose answer is one of a set of labels, or a short text.

    {"task_id": "t1", "problem": "Which chapter? Heart failure", "answer": "circulatory",
     "labels": {"circulatory": "Diseases of the circulatory system", "skin": "Diseases of the skin"}}

`labels` is a list, or an object that says what each label means; without it any text may be answered. `category`,
`complexity`, `hierarchy` (`path`: labels such as `animal/dog` lie within one another; `icd10`: codes do) and
`example` may be given.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import get_args

from smallenough.labels import clashes, plain
from smallenough.records import Hierarchy, Task
from smallenough.tasks.reading import Record

HIERARCHIES = tuple(name for name in get_args(Hierarchy) if name)


def is_labelled(record: Record) -> bool:
    """Whether an object is a label task: it has `answer` or `labels`, and no tests."""
    return bool({"answer", "labels"} & record.value.keys()) and "tests" not in record.value


def label_task(record: Record) -> Task:
    """The task that an object is; what is wrong with it is noted."""
    labels, meanings = _labels(record)
    return Task(
        id=record.identity("task_id"),
        prompt=record.get("problem", str, "", required=True),
        kind="label",
        reference=_answer(record, labels),
        category=record.get("category", str, "general"),
        level=record.get("complexity", int, None, null=True),
        labels=labels,
        meanings=meanings,
        hierarchy=_hierarchy(record),
    )


def check_sets(records: Sequence[Record], tasks: Sequence[Task]) -> None:
    """Notes label tasks without labels where others of the suite have some, and a question with two answers."""
    found = [(record, task) for record, task in zip(records, tasks, strict=True) if task.kind == "label"]
    wanted = any("labels" in record.value for record, _ in found)
    first: dict[str, tuple[Record, Task]] = {}
    for record, task in found:
        if wanted and "labels" not in record.value:
            record.fault("the key 'labels' is missing, and other lines have it; give every line its labels")
        before, other = first.setdefault(plain(task.prompt), (record, task))
        if task.prompt and other.reference != task.reference:
            record.fault(
                f"the problem is that of {before.place}, whose answer is {other.reference!r}, and here it is "
                f"{task.reference!r}; leave one out"
            )


def _labels(record: Record) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The labels and what they mean."""
    given = record.value.get("labels")
    if "labels" not in record.value:
        return (), ()
    if not isinstance(given, (list, dict)) or not all(isinstance(one, str) for one in given):
        record.fault("'labels' must be a list of strings, or an object of what each means")
        return (), ()
    labels = tuple(given)
    if not labels:
        record.fault("'labels' is empty; name the labels, or leave the key out where any text may be answered")
    for first, second in clashes(labels):
        if not plain(second):
            record.fault(f"the label {second!r} is empty, or has no letter or digit; give it a name")
        else:
            record.fault(f"the labels {first!r} and {second!r} can't be told apart in an answer; rename one")
    meanings = tuple(given.values()) if isinstance(given, dict) else ()
    if not all(isinstance(one, str) for one in meanings):
        record.fault("'labels' must say in a string what each label means")
        return labels, ()
    return labels, meanings if any(meanings) else ()


def _answer(record: Record, labels: tuple[str, ...]) -> str | None:
    answer: str | None = record.get("answer", str, None, required=True)
    if answer is None:
        return None
    if not plain(answer):
        record.fault("'answer' is empty; every label task needs its right answer")
    elif labels and answer not in labels:
        near = difflib.get_close_matches(answer, labels, n=1, cutoff=0.6)
        some = ", ".join(labels[:10]) + (f" and {len(labels) - 10} more" if len(labels) > 10 else "")
        meant = f"is {near[0]!r} meant?" if near else f"they are {some}"
        record.fault(f"the answer {answer!r} is none of the labels; {meant}")
    return answer


def _hierarchy(record: Record) -> Hierarchy:
    value = record.get("hierarchy", str, "")
    if value not in get_args(Hierarchy):
        record.fault(f"'hierarchy' must be {' or '.join(HIERARCHIES)}, or be left out, and is {value!r}")
        return ""
    return "path" if value == "path" else "icd10" if value == "icd10" else ""
