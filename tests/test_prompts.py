"""What models are shown: by class of model, from files that a user can replace, and never a hidden test."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallenough import prompts as prompts_module
from smallenough.errors import InputError
from smallenough.extraction import extract_code
from smallenough.prompts import Prompts, example, signature
from smallenough.records import Ask, Evaluation, Problem, SizeClass, Step, Task, Test, TestResult, replace
from smallenough.strategies._subtasks import Part
from smallenough.tasks.basics import BasicsSource

SUITE = BasicsSource().load()
TASKS = SUITE.tasks
TEMPLATES = Path(prompts_module.__file__).parent / "templates"
CLASSES: tuple[SizeClass, ...] = ("large", "small", "base")
FAILED = Step(
    0,
    Ask(()),
    "…",
    "def f(): ...",
    Evaluation((TestResult("assert f(1) == 2", False, "TypeError", "no", "2", "3"),), True),
)


@pytest.mark.parametrize("size_class", CLASSES)
@pytest.mark.parametrize("name", [*(path.stem for path in (TEMPLATES / "small").glob("*.j2"))])
def test_every_template_renders_every_task_without_its_hidden_tests(size_class: SizeClass, name: str) -> None:
    prompts, part = Prompts.load(size_class), Part("half", "n", "the half")
    for task in TASKS:
        text = prompts.render(name, task.problem, FAILED, level=3, part=part, parts="def half(n)")
        assert "\n\n\n" not in text
        shown = {test.code for test in task.public_tests}
        assert not [test.code for test in task.hidden_tests if test.code not in shown and test.code in text]
        if name not in ("system", "feedback", "answer", "part"):
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
    with pytest.raises(InputError, match=r"large/hint\.j2, line 1: 'nothing_like_that' is undefined"):
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


@pytest.mark.parametrize("size_class", CLASSES)
def test_examples_go_before_the_first_question_as_earlier_turns(size_class: SizeClass) -> None:
    plain = Prompts.load(size_class)
    shown = replace(plain, shots=SUITE.examples)
    without, with_shots = plain.first(TASKS[0].problem), shown.first(TASKS[0].problem)
    assert with_shots[: len(without) - 1] == without[:-1], "the system message stays first"
    assert with_shots[-1] == without[-1]
    turns = with_shots[len(without) - 1 : -1]
    assert [message.role for message in turns] == ["user", "assistant"] * len(SUITE.examples)
    for task, question, answer in zip(SUITE.examples, turns[::2], turns[1::2], strict=True):
        assert question.content == plain.render("solve", task.problem)
        assert extract_code(answer.content, task.entry_point) == (task.reference or "").strip()


@pytest.mark.parametrize("name", ["hint", "rewrite", "reformulate", "short"])
def test_only_the_first_question_has_examples(name: str) -> None:
    plain = Prompts.load("small")
    question = replace(plain, shots=SUITE.examples).first(TASKS[0].problem, name, FAILED, level=1)
    assert question == plain.first(TASKS[0].problem, name, FAILED, level=1)


def test_the_digest_tells_examples_and_the_large_model_s_templates() -> None:
    plain, large = Prompts.load("small"), Prompts.load("large")
    variants = [plain, large, replace(plain, shots=SUITE.examples[:1]), replace(plain, shots=SUITE.examples[:2])]
    variants += [replace(plain, others={"big": large}), replace(plain, others={"other": large})]
    variants += [replace(plain, others={"big": replace(large, shots=SUITE.examples)})]
    assert len({variant.digest for variant in variants}) == len(variants)


def test_a_template_that_includes_what_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / "combine.j2").write_text("{% include 'solv' %}")
    with pytest.raises(InputError, match=r"small/combine\.j2, line 1: no template 'solv'; there are system, solve"):
        Prompts.load("small", tmp_path).render("combine", TASKS[0].problem, parts="")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("solve", "fine\n{{ nme }}", "line 2: 'nme' is undefined"),
        ("solve", "{{ level }}", "line 1: 'level' is undefined"),
        ("reformulate", "fine\n\n{{ failure.error }}", "line 3: 'None' has no attribute 'error'"),
        ("feedback", "{{ code.strip() }}", "line 1: 'None' has no attribute 'strip'"),
        ("hint", "{{ 1 / (level - 2) }}", "line 1: ZeroDivisionError: division by zero"),
        ("split", "{{ prompt | upercase }}", "line 1: No filter named 'upercase'"),
        ("part", "{{ part.nme }}", "line 1: 'dict object' has no attribute 'nme'"),
        ("short", "{% include 'short' %}", "line 1: RecursionError"),
        ("rewrite", "{{ tests[99] }}", "line 1: list object has no element 99"),
    ],
)
def test_a_template_that_would_fail_is_named_with_its_line_beforehand(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    (tmp_path / "small").mkdir()
    (tmp_path / "small" / f"{name}.j2").write_text(text)
    with pytest.raises(InputError) as raised:
        Prompts.load("small", tmp_path).check(TASKS[0].problem)
    assert f"small/{name}.j2, {said}" in str(raised.value)


def test_a_fault_of_what_a_template_includes_is_found_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "large").mkdir()
    (tmp_path / "large" / "solve.j2").write_text("\n{{ failure }}{{ nme }}")
    (tmp_path / "large" / "system.j2").write_text("{% include 'solve' %}")
    with pytest.raises(InputError, match=r"large/solve\.j2, line 2: 'nme' is undefined"):
        Prompts.load("large", tmp_path).check(TASKS[0].problem)


@pytest.mark.parametrize("size_class", CLASSES)
def test_the_packages_templates_hold_for_every_task(size_class: SizeClass) -> None:
    prompts = Prompts.load(size_class)
    for task in (*TASKS, Task("free", "Say hello.")):
        prompts.check(task.problem)


LABEL_TASK = Task(
    "t",
    "Which? {{ x }} Eczema",
    kind="label",
    labels=("skin", "eye"),
    meanings=("Diseases of the skin", "Diseases of the eye"),
    reference="skin",
)


@pytest.mark.parametrize("size_class", CLASSES)
def test_label_tasks_have_templates_of_their_own_and_tell_the_labels_once(size_class: SizeClass) -> None:
    prompts = replace(Prompts.load(size_class), shots=(replace(LABEL_TASK, prompt="Which? Cataract", reference="eye"),))
    prompts.check(LABEL_TASK.problem)
    system, _, shown, question = prompts.first(LABEL_TASK.problem)
    assert "- skin: Diseases of the skin\n- eye: Diseases of the eye\n" in system.content
    assert "Which? {{ x }} Eczema" in question.content
    assert "skin" not in question.content
    assert shown.content.startswith("eye")
    failed = TestResult("answer in labels", False, "InvalidAnswer", "'leaf' is none of the labels")
    step = Step(0, Ask(()), "leaf", None, Evaluation((failed,)))
    for name in ("feedback", "rewrite"):
        assert "'leaf' is none of the labels" in prompts.render(name, LABEL_TASK.problem, step)
    assert "skin, eye" in prompts.render("hint", LABEL_TASK.problem, step, level=3)


@pytest.mark.parametrize("size_class", CLASSES)
def test_of_too_many_labels_none_is_told_and_where_any_text_may_be_answered_none_is_asked_for(
    size_class: SizeClass,
) -> None:
    many = replace(LABEL_TASK, labels=tuple(f"l{number}" for number in range(201)), meanings=())
    for task in (many, replace(LABEL_TASK, labels=(), meanings=())):
        prompts = Prompts.load(size_class)
        prompts.check(task.problem)
        said = " ".join(message.content for message in prompts.first(task.problem))
        assert "l200" not in said
        assert "Answer:" in said or "answer" in said.lower()


def test_only_the_templates_in_use_are_digested() -> None:
    everything = Prompts.load("small")
    code, labels = everything.only([TASKS[0].problem]), everything.only([LABEL_TASK.problem])
    assert "solve" in code.sources
    assert not [name for name in code.sources if name.startswith("label/")]
    assert all(name.startswith("label/") for name in labels.sources)
    assert len({everything.digest, code.digest, labels.digest}) == 3
    assert everything.only([TASKS[0].problem, LABEL_TASK.problem]) == everything
