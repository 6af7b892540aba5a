"""What models are shown: by class of model, from files that a user can replace, and never a hidden test."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallenough.errors import InputError
from smallenough.prompts import Prompts, SizeClass, example, signature
from smallenough.records import Ask, Evaluation, Problem, Step, Test, TestResult
from smallenough.tasks.basics import BasicsSource

TASKS = BasicsSource().load().tasks
CLASSES: tuple[SizeClass, ...] = ("large", "small")
FAILED = Step(
    0,
    Ask(()),
    "…",
    "def f(): ...",
    Evaluation((TestResult("assert f(1) == 2", False, "TypeError", "no", "2", "3"),), True),
)


@pytest.mark.parametrize("size_class", CLASSES)
@pytest.mark.parametrize("name", ["system", "solve", "reformulate", "short", "feedback", "rewrite", "hint"])
def test_every_template_renders_every_task_without_its_hidden_tests(size_class: SizeClass, name: str) -> None:
    prompts = Prompts.load(size_class)
    for task in TASKS:
        text = prompts.render(name, task.problem, FAILED, level=3)
        assert "\n\n\n" not in text
        shown = {test.code for test in task.public_tests}
        assert not [test.code for test in task.hidden_tests if test.code not in shown and test.code in text]
        if name not in ("system", "feedback"):
            assert task.entry_point
            assert task.entry_point in text


@pytest.mark.parametrize("size_class", CLASSES)
@given(prompt=st.text(), code=st.text(), message=st.text())
def test_nothing_that_a_task_or_a_program_says_is_taken_for_a_template(
    size_class: SizeClass, prompt: str, code: str, message: str
) -> None:
    problem = Problem("t", "{{ x }} {% if %}" + prompt, "f", "function", (Test("assert f(1) == 2"),))
    failed = TestResult("assert f(1) == 2", False, "TypeError", message, "2", "{{ boom }}")
    step = Step(0, Ask(()), "…", code, Evaluation((failed,), True))
    assert "{{ x }} {% if %}" in Prompts.load(size_class).render("rewrite", problem, step)


def test_the_user_s_own_template_is_used_and_changes_the_digest(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "solve.j2").write_text("Please: {{ prompt }}")
    own, packaged = Prompts.load("small", tmp_path), Prompts.load("small", tmp_path / "none")
    assert own.render("solve", TASKS[0].problem).startswith("Please: ")
    assert own.digest != packaged.digest
    assert Prompts.load("small", tmp_path / "none").digest == packaged.digest


def test_a_broken_template_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / "hint.j2").write_text("fine\n{% if %}")
    with pytest.raises(InputError, match=r"large.hint\.j2, line 2"):
        Prompts.load("large", tmp_path)
    (tmp_path / "large" / "hint.j2").write_text("{{ nothing_like_that }}")
    with pytest.raises(InputError, match=r"large/hint\.j2: 'nothing_like_that' is undefined"):
        Prompts.load("large", tmp_path).render("hint", TASKS[0].problem)


@pytest.mark.parametrize(
    ("prompt", "test", "expected"),
    [
        ("Write `f(first, second)`.", "assert f(1, 2) == 3", "f(first, second)"),
        ("Write f(items, key=None).", "assert f([]) == 3", "f(items, key=None)"),
        ("Write a function f.", "assert f(1, 2) == 3", "f(a, b)"),
        ("Call it as f(3).", "assert f(3) == 3", "f(a)"),
        ("Write f.", "nonsense (", "f(*args)"),
    ],
)
def test_the_signature_is_the_prompt_s_or_the_tests_(prompt: str, test: str, expected: str) -> None:
    assert signature(Problem("t", prompt, "f", "function", (Test(test),))) == expected


@given(st.text(max_size=200))
def test_a_signature_is_found_in_any_prompt_in_no_time(prompt: str) -> None:
    assert signature(Problem("t", "f(" + prompt * 20, "f", "function", ())).startswith("f(")


def test_examples_show_values_and_output() -> None:
    assert example("assert f(2) == [4]") == ">>> f(2)\n[4]"
    assert example("assert f(2)") == ">>> assert f(2)"
    assert example("f(2)", output="a\nb\n") == ">>> f(2)\na\nb"


def test_a_conversation_begins_with_the_system_message_where_there_is_one() -> None:
    assert [message.role for message in Prompts.load("large").first(TASKS[0].problem)] == ["system", "user"]
    assert [message.role for message in Prompts.load("small").first(TASKS[0].problem)] == ["user"]
