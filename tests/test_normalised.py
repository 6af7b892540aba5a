"""Two programs have the same normal form only if they do the same; how they are written does not matter."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallenough.records import Task
from smallenough.syntax import normalised
from smallenough.tasks.basics import BasicsSource

PLAIN = "def f(a, b):\n    total = a + b\n    return total"


@pytest.mark.parametrize(
    "other",
    [
        "def f(x, y):\n    result = x + y\n    return result",
        'def f(a, b):\n    """Adds."""\n    total = a + b  # the sum\n    return total',
        "def f(a: int, b: int = None) -> int:\n    total = a + b\n    return total".replace(" = None", ""),
        "def f(a, b):\n\n    total = (a + b)\n\n    return total\n",
    ],
)
def test_what_says_nothing_of_what_it_does_is_left_out(other: str) -> None:
    assert normalised(other) == normalised(PLAIN)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (PLAIN, "def f(a, b):\n    total = b + a\n    return total"),
        (PLAIN, "def g(a, b):\n    total = a + b\n    return total"),
        (PLAIN, "def f(a, b):\n    total = a + b\n    return a"),
        ("def f(a):\n    return len(a)", "def f(a):\n    return sum(a)"),
        ("def f(a):\n    return a.x", "def f(a):\n    return a.y"),
        ("def f(a):\n    return 'a'", "def f(a):\n    return 'b'"),
        (
            "def g(a, b):\n    return a - b\ndef f(x):\n    return g(a=x, b=1)",
            "def g(b, a):\n    return b - a\ndef f(x):\n    return g(a=x, b=1)",
        ),
        ("class C:\n    x = 1\n    y = 2\nC.x", "class C:\n    y = 1\n    x = 2\nC.x"),
    ],
)
def test_what_may_do_something_else_is_another(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@pytest.mark.parametrize("task", [task for task in BasicsSource().load().tasks if task.reference], ids=lambda t: t.id)
def test_layout_does_not_matter(task: Task) -> None:
    reference = task.reference or ""
    assert normalised(ast.unparse(ast.parse(reference))) == normalised(reference)


@settings(deadline=None)
@given(st.text())
def test_any_text_has_a_normal_form(text: str) -> None:
    assert isinstance(normalised(text), str)


def test_text_that_does_not_parse_stands_for_itself() -> None:
    assert normalised("def f(") == "def f("
    assert normalised("(" * 5000 + ")" * 5000)
    assert normalised("x = " + "-" * 900 + "1")
