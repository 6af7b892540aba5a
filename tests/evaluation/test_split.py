"""The splitter and the judge: a split assertion holds exactly when the whole one does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smallenough.evaluation.judge import Fault, Judgement, judge
from smallenough.evaluation.split import Split, split, split_check
from smallenough.records import Test

ROOTS = frozenset({"f", "func"})


def judged(assertion: str, space: Mapping[str, Any], setup: str = "", of_class: bool = False) -> Judgement:
    """What becomes of an assertion when its inside is evaluated here."""
    done = split(assertion, ROOTS, setup, of_class)
    assert done is not None, assertion
    values = []
    for source in done.sources:
        try:
            values.append(eval(source, dict(space)))
        except Exception as error:  # noqa: BLE001 - whatever it raises is the result
            values.append(Fault(type(error).__name__, str(error)))
    return judge(done.condition, values, done.sources)


def sources(assertion: str, setup: str = "", of_class: bool = False) -> list[str] | None:
    done = split(assertion, ROOTS, setup, of_class)
    return None if done is None else list(done.sources)


@pytest.mark.parametrize(
    ("assertion", "inside"),
    [
        ("assert f(1, [2]) == 3", ["f(1, [2])"]),
        ("assert 3 == f(1)", ["f(1)"]),
        ("assert func(2)[0] == 1", ["func(2)[0]"]),
        ("assert f(f(2)) == 1", ["f(f(2))"]),
        ("assert f(1).x == 1", ["f(1).x"]),
        ("assert f(1).add(2).items()[0:2] == [1]", ["f(1).add(2).items()[0:2]"]),
        ("assert sorted(f([2, 1])) == [1, 2]", ["sorted(f([2, 1]))"]),
        ("assert set(map(tuple, f(1))) == {(1, 2)}", ["set(map(tuple, f(1)))"]),
        ("assert ''.join(f(1)) == 'ab'", ["''.join(f(1))"]),
        ("assert [list(v) for v in f(1)] == [[1]]", ["[list(v) for v in f(1)]"]),
        ("assert abs(f(1.33) - 0.33) < 1e-6", ["f(1.33)"]),
        ("assert round(f(2), 2) == 0.67", ["f(2)"]),
        ("import math\nassert 1", None),
        ("assert math.isclose(f(2), 0.5, rel_tol=1e-9)", ["f(2)"]),
        ("assert f(1) is None", ["f(1)"]),
        ("assert f(1) is True and not f(2)", ["f(1)", "f(2)"]),
        ("assert f(1)", ["f(1)"]),
        ("assert not f(1)", ["f(1)"]),
        ("assert f(1) in (1, 2)", ["f(1)"]),
        ("assert 1 < f(1) <= 3", ["f(1)"]),
        ("assert f(1) == f(2)", ["f(1)", "f(2)"]),
        ("assert [f(1), f(2)] == [1, 2]", ["f(1)", "f(2)"]),
        ("assert f(1) == 2, 'a message'", ["f(1)"]),
        ("assert f(1) == 2; assert f(2) == 3", ["f(1)", "f(2)"]),
        ("assert f(lambda x: x + 1, range(3)) == [1]", ["f(lambda x: x + 1, range(3))"]),
        ("assert f(*[1, 2], **{'k': 1}) == 1", ["f(*[1, 2], **{'k': 1})"]),
        ("assert (f([1])) == set([1])", ["f([1])"]),
        ("assert True", []),
        # The expectation can't stay outside, or can't be judged there.
        ("assert isinstance(f(1), int)", None),
        ("assert f(1) == expected", None),
        ("assert check(f(1), 2)", None),
        ("assert all(v == 1 for v in f(1))", None),
        ("assert f(1).__eq__(2)", None),
        ("assert f(1) is 5", None),
        ("assert f(1) == '%d' % 1 == 1 or (lambda: 1)()", None),
        ("assert f(1) == [v for v in range(3)]", None),
        ("assert sys.getsizeof(1) == f(1)", None),
        ("for i in range(3):\n    assert f(i) == i", None),
        ("try:\n    f(1)\nexcept ValueError:\n    pass", None),
        ("f(1) == 2", None),
        ("assert f(1", None),
        ("", None),
        ("assert f(1) == " + "(" * 300 + ")" * 300, None),
    ],
)
def test_what_goes_inside(assertion: str, inside: list[str] | None) -> None:
    assert sources(assertion) == inside


@pytest.mark.parametrize(
    ("setup", "assertion", "inside"),
    [
        ("data = [1, 2]", "assert f(data) == 3", ["f(data)"]),
        ("expected = [1, 2]", "assert f(1) == expected", None),
        ("result = f(1)", "assert result == 3", ["result"]),
        ("result = f(1)\nfirst, rest = result", "assert first == 3", ["first"]),
        ("import math", "assert f(1) == math.pi", ["f(1)"]),
        ("from math import isclose", "assert isclose(f(1), 1)", ["f(1)"]),
        ("math = None", "assert f(1) == math.pi", None),
        ("def sorted(x):\n    return x", "assert sorted(f(1)) == [1]", None),
        ("def abs(x):\n    return x", "assert abs(f(1)) == 1", None),
        ("this is no code", "assert f(1) == 1", None),
    ],
)
def test_names_of_the_set_up_are_input_or_the_solutions_or_an_expectation(
    setup: str, assertion: str, inside: list[str] | None
) -> None:
    assert sources(assertion, setup) == inside


@pytest.mark.parametrize(
    ("assertion", "inside"),
    [
        ("assert func(1).x == 1", ["func(1).x"]),
        ("assert len(func(1)) == 1", ["len(func(1))"]),
        ("assert str(func(1)) == 'a'", ["str(func(1))"]),
        ("assert abs(func(1)) == 1", ["abs(func(1))"]),
        ("assert (func(1) + func(2)).x == 3", ["(func(1) + func(2)).x"]),
        ("assert (-func(1)).x == 3", ["(-func(1)).x"]),
        ("assert func(1)", ["func(1)"]),
        ("assert func(1) is not None", ["func(1)"]),
        ("assert func.MAX == 3", ["func.MAX"]),
        ("assert func(1) == func(1)", None),
        ("assert func(1) != 3", None),
        ("assert func(1) < func(2)", None),
        ("assert 1 in func([1])", None),
    ],
)
def test_objects_of_a_class_under_test_are_compared_by_themselves(assertion: str, inside: list[str] | None) -> None:
    assert sources(assertion, of_class=True) == inside


def test_an_object_that_the_set_up_makes_is_one_too() -> None:
    setup = "a = func(1)\nb = func(2)\nx = a.x"
    assert sources("assert a == b", setup, of_class=True) is None
    assert sources("assert a.x == 1 and x == 1", setup, of_class=True) == ["a.x", "x"]


literals = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-5, 5), st.sampled_from([0.5, -1.0, 1e300]), st.text("ab", max_size=2)
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.integers(0, 3), inner, max_size=2),
    ),
    max_leaves=6,
)
expressions = st.recursive(
    st.one_of(
        literals.map(lambda value: f"f({value!r})"),
        literals.map(repr),
        st.integers(-3, 3).map(lambda value: f"f({value})"),
        st.integers(-3, 3).map(repr),
        st.just("f(f([1]))[0]"),
        st.just("sorted(f([2, 1]))"),
        st.just("set(f([2, 1]))"),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "//", "/", "%", "**", "&", "|", "<<"]), inner).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
        ),
        st.tuples(inner, st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "not in"]), inner).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
        ),
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
        ),
        st.tuples(inner, inner, inner).map(lambda parts: f"({parts[0]} if {parts[1]} else {parts[2]})"),
        inner.map(lambda part: f"(not {part})"),
        inner.map(lambda part: f"(-{part})"),
        inner.map(lambda part: f"({part} is None)"),
        inner.map(lambda part: f"[{part}][0]"),
        inner.map(lambda part: f"{{1: {part}}}"),
        st.tuples(st.sampled_from(["abs", "len", "sum", "max", "str", "bool", "list", "round"]), inner).map(
            lambda parts: f"{parts[0]}({parts[1]})"
        ),
    ),
    max_leaves=8,
)


def outcome_of(condition: str, space: Mapping[str, Any]) -> str | None:
    """None: it holds; else the class of what Python raises."""
    try:
        exec(f"assert {condition}", dict(space))
    except Exception as error:  # noqa: BLE001 - whatever it raises is the outcome
        return type(error).__name__
    return None


def _same(value: Any) -> Any:
    return value


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@given(expressions)
@example("f(1) == 1")
@example("(f(0) is None) or f('a')[0] == 'a'")
@example("1 < f(2) < 3 == f(3)")
def test_the_split_assertion_holds_exactly_when_the_whole_one_does(condition: str) -> None:
    done = split(f"assert {condition}", ROOTS)
    if done is None:
        return
    judgement = judged(f"assert {condition}", {"f": _same})
    outcome = outcome_of(condition, {"f": _same})
    assert (judgement.fault is None) == (outcome is None) or (
        judgement.fault and "too large" in judgement.fault.message
    )
    if judgement.fault and "too large" not in judgement.fault.message:
        assert judgement.fault.error == outcome


@given(literals, literals)
def test_a_literal_equals_itself_and_only_its_equals(given_: Any, expected: Any) -> None:
    judgement = judged(f"assert f({given_!r}) == {expected!r}", {"f": _same})
    assert (judgement.fault is None) is (given_ == expected)
    if judgement.fault:
        assert judgement.expected == repr(expected)
        assert judgement.actual == repr(given_)
        assert judgement.fault.message == f"expected {expected!r}, got {given_!r}"


def test_a_failure_is_told_by_what_was_seen() -> None:
    judgement = judged("assert abs(f(1.5) - 0.5) < 1e-6", {"f": _same})
    assert judgement.fault == Fault("AssertionError", "the assertion does not hold: f(1.5) is 1.5")
    assert judgement.actual == "1.5"
    assert judged("assert f(0)", {"f": _same}).expected == "a true value"


def test_of_several_conditions_the_one_that_fails_is_told() -> None:
    judgement = judged("assert f(1) == 1 and f(2) == 3", {"f": _same})
    assert judgement == Judgement(Fault("AssertionError", "expected 3, got 2"), "3", "2")


def test_a_value_that_is_not_needed_may_be_missing() -> None:
    def f(value: int) -> int:
        return 1 // value

    assert judged("assert f(1) == 1 or f(0) == 1", {"f": f}).fault is None
    judgement = judged("assert f(0) == 1 or f(1) == 1", {"f": f})
    assert judgement.fault
    assert judgement.fault.error == "ZeroDivisionError"
    assert judgement.expected is None
    assert judged("assert f(0) == 1", {"f": f}).expected == "1"


@pytest.mark.parametrize(
    "condition",
    [
        "f(2) ** (10 ** 9) == 1",
        "f(10) ** 10 ** 8 == 1",
        "f('a') * 10 ** 9 == 1",
        "10 ** 9 * f([1]) == 1",
        "f(1) << 10 ** 9 == 1",
        "'%0999999999d' % f(1) == ''",
        "list(range(f(10 ** 9))) == []",
    ],
)
def test_bombs_do_not_go_off_outside(condition: str) -> None:
    judgement = judged(f"assert {condition}", {"f": _same})
    assert judgement.fault
    assert judgement.fault.error == "ValueError"
    assert "to be judged" in judgement.fault.message


CHECK = '''
import math
METADATA = {"author": "x"}


def check(candidate):
    """Some cases."""
    # A comment.
    assert candidate([1, 2]) == 3, "with a message"
    assert math.fabs(candidate([0.5]) - 0.5) < 1e-6
    print
    assert True, "always"
'''


def test_a_check_is_taken_apart_into_tests() -> None:
    assert split_check(CHECK, "add") == [
        Test("assert add([1, 2]) == 3", "import math"),
        Test("assert math.fabs(add([0.5]) - 0.5) < 1e-06", "import math"),
        Test("assert True", "import math"),
    ]


@pytest.mark.parametrize(
    "body",
    [
        "    for i in range(3):\n        assert candidate(i) == i",
        "    x = 3\n    assert candidate(x) == x",
        "    assert candidate(1) == other(1)",
        "    assert isinstance(candidate(1), int)",
        "    pass",
        "    assert candidate(",
    ],
)
def test_a_check_with_anything_else_stays_whole(body: str) -> None:
    assert split_check(f"def check(candidate):\n{body}\n", "add") is None


def test_a_module_with_other_things_in_it_stays_whole() -> None:
    assert split_check("x = 1\ndef check(candidate):\n    assert candidate(1) == 1", "add") is None
    assert split_check("assert add(1) == 1", "add") is None


def test_splitting_is_remembered() -> None:
    first = split("assert f(1) == 1", ROOTS)
    assert isinstance(first, Split)
    assert split("assert f(1) == 1", ROOTS) is first
