"""What identifies a suite."""

from __future__ import annotations

from smallenough.records import Suite, Task, Test, replace

SUITE = Suite("s", (Task("a", "Add.", "f", public_tests=(Test("assert f(1) == 2"),)),))


def test_a_suite_s_digest_is_that_of_earlier_sessions() -> None:
    assert SUITE.digest == "8eb3470af2fdb70c"


def test_examples_are_part_of_what_identifies_a_suite() -> None:
    shown, other = Task("b", "Subtract.", "g"), Task("c", "Multiply.", "h")
    variants = [(), (shown,), (other,), (shown, other), (other, shown)]
    assert len({replace(SUITE, examples=examples).digest for examples in variants}) == len(variants)
    assert replace(SUITE, examples=(shown,)).digest != replace(SUITE, tasks=(*SUITE.tasks, shown)).digest


def test_what_tasks_did_not_always_have_is_no_part_of_a_code_suite_s_digest() -> None:
    assert not {"labels", "meanings", "hierarchy"} & SUITE.tasks[0].content.keys()


def test_labels_their_meanings_and_their_hierarchy_identify_a_suite() -> None:
    plain = Task("a", "Which?", kind="label", labels=("x", "y"), reference="x")
    variants = [plain, replace(plain, labels=("x",)), replace(plain, meanings=("an x", "a y"))]
    variants += [replace(plain, hierarchy="path"), replace(plain, reference="y"), replace(plain, labels=())]
    assert len({replace(SUITE, tasks=(task,)).digest for task in variants}) == len(variants)


def test_only_code_of_a_name_and_labels_can_be_checked() -> None:
    tasks = [Task("a", "Add.", "f"), Task("a", "Which?", kind="label"), Task("a", "Say hello.")]
    assert [task.checked for task in tasks] == [task.problem.checked for task in tasks] == [True, True, False]
    assert [task.problem.tested for task in tasks] == [False, True, False]
