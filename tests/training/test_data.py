"""From tasks to what is learned."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallenough.errors import InputError
from smallenough.options import strategy_options
from smallenough.prompts import Prompts
from smallenough.records import Ask, Message, Suite, Task
from smallenough.strategies.single import Single
from smallenough.tasks.basics import BasicsSource
from smallenough.training.data import Row, data_digest, rows, split


@pytest.mark.parametrize("size_class", ["small", "large", "base"])
def test_what_is_learned_is_what_single_asks(size_class: str) -> None:
    suite, prompts = BasicsSource().load(), Prompts.load(size_class)  # type: ignore[arg-type]
    single = Single(strategy_options("single", {}), prompts)  # type: ignore[arg-type]
    learned = rows(suite, prompts)
    assert [row.id for row in learned] == [task.id for task in suite.tasks]
    for row, task in zip(learned, suite.tasks, strict=True):
        (asked,) = single.next(task.problem, [], 0)
        assert isinstance(asked, Ask)
        assert row.messages == asked.messages
        assert task.reference is not None
        assert re.sub(r"\n{3,}", "\n\n", task.reference.strip()) in row.answer  # as examples are shown
        assert row.answer.endswith("```")
        assert row.answer.startswith("```python\n") == (size_class != "base")  # a base model's prompt opens the fence


def test_a_label_is_learned_alone() -> None:
    task = Task("a", "It rains.", kind="label", labels=("wet", "dry"), reference="wet")
    (row,) = rows(Suite("weather", (task,)), Prompts.load("small"))
    assert row.answer == "wet"
    assert "dry" in " ".join(message.content for message in row.messages)


def test_a_free_task_is_learned_as_its_reference_says() -> None:
    (row,) = rows(Suite("free", (Task("a", "Say hello.", reference=" hello\n"),)), Prompts.load("small"))
    assert row == Row("a", (Message("user", "Say hello."),), "hello")


def test_tasks_without_a_reference_are_counted_and_named() -> None:
    tasks = tuple(Task(f"t{number}", "?", reference=None if number % 2 else " ") for number in range(14))
    suite = Suite("half", (*tasks, Task("last", "?", reference="x")))
    with pytest.raises(
        InputError, match=r"'half': 14 of 15 tasks have no reference to learn from: t0, t1, t2, t3, t4, …;"
    ):
        rows(suite, Prompts.load("small"))


def test_the_digest_is_of_all_that_is_learned_and_in_which_order() -> None:
    one, two = Row("a", (Message("user", "x"),), "1"), Row("b", (Message("user", "y"),), "2")
    found = {data_digest([one, two]), data_digest([two, one]), data_digest([one], [two]), data_digest([one])}
    assert len(found) == 4
    assert data_digest([one, two]) == data_digest((one, two))


@given(st.lists(st.text(min_size=1), min_size=30, unique=True), st.integers(0, 3))
def test_a_tasks_side_does_not_depend_on_the_others(names: list[str], seed: int) -> None:
    def sides(chosen: list[str]) -> set[str]:
        suite = Suite("s", tuple(Task(name, "?", reference="x") for name in chosen))
        try:
            return {task.id for task in split(suite, 0.3, seed)[1].tasks}
        except InputError:
            return set()

    whole, half = sides(names), sides(names[::2])
    assert not half or half == whole & set(names[::2])


def test_a_split_without_one_side_is_refused() -> None:
    suite = Suite("one", (Task("a", "?", reference="x"),))
    with pytest.raises(InputError, match=r"of 1 tasks, a share of 0\.5 leaves"):
        split(suite, 0.5, 0)
