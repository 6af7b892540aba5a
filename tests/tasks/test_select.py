from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallenough.errors import InputError, UnknownName
from smallenough.records import Suite, Task, replace
from smallenough.tasks.select import categories, select

SUITE = Suite(
    "some", tuple(Task(f"{name}{level}", "do", category=name, level=level) for level in (1, 2, 3) for name in "cab")
)


def ids(suite: Suite) -> list[str]:
    return [task.id for task in suite.tasks]


def test_without_a_wish_the_suite_is_itself() -> None:
    assert select(SUITE) is SUITE


def test_categories_are_in_the_order_of_their_tasks() -> None:
    assert categories(SUITE) == ("c", "a", "b")


def test_ids_categories_and_level_all_count() -> None:
    assert ids(select(SUITE, ids=["b2", "c1", "a3"])) == ["c1", "b2", "a3"]
    assert ids(select(SUITE, categories=["b"])) == ["b1", "b2", "b3"]
    assert ids(select(SUITE, level=2)) == ["c2", "a2", "b2"]
    assert ids(select(SUITE, categories=["a", "c"], level=3)) == ["c3", "a3"]


def test_quick_takes_the_first_of_each_category() -> None:
    assert ids(select(SUITE, quick=True)) == ["c1", "a1", "b1"]
    assert ids(select(SUITE, quick=True, level=3, categories=["b", "a"])) == ["a3", "b3"]


def test_the_rest_of_the_suite_stays() -> None:
    kept = select(replace(SUITE, examples=(Task("shown", "do"),)), limit=1)
    assert [task.id for task in kept.examples] == ["shown"]
    assert (kept.name, kept.source, kept.protocol) == (SUITE.name, SUITE.source, SUITE.protocol)
    assert kept.digest != SUITE.digest


def test_what_is_unknown_is_told_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="unknown task 'c11'; did you mean 'c1'"):
        select(SUITE, ids=["c1", "c11"])
    with pytest.raises(UnknownName, match="unknown category 'd'; known: a, b, c"):
        select(SUITE, categories=["a", "d"])


def test_a_choice_that_leaves_nothing_is_told() -> None:
    with pytest.raises(InputError, match="no task of the suite 'some' is left"):
        select(SUITE, ids=["c1"], level=2)
    with pytest.raises(InputError, match="limit must be 1 or more"):
        select(SUITE, limit=0)


@given(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=40), st.integers(1, 50))
def test_a_limit_is_spread_evenly_and_keeps_the_order(names: list[str], limit: int) -> None:
    suite = Suite("some", tuple(Task(str(number), "do", category=name) for number, name in enumerate(names)))
    kept = select(suite, limit=limit)
    assert len(kept.tasks) == min(limit, len(names))
    assert [int(task.id) for task in kept.tasks] == sorted(int(task.id) for task in kept.tasks)
    had, have = Counter(names), Counter(task.category for task in kept.tasks)
    most = max(have.values())
    assert all(have[name] in (most, most - 1) or have[name] == had[name] for name in had)
    larger = select(suite, limit=limit + 1)
    assert {task.id for task in kept.tasks} <= {task.id for task in larger.tasks}
