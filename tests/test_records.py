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
