from __future__ import annotations

import enum
import json
import math
import sys
from collections import Counter, OrderedDict, defaultdict, namedtuple
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smallenough.evaluation import driver
from smallenough.evaluation.plain import Malformed, Opaque, decode, shown, text

atoms = st.one_of(
    st.none(),
    st.booleans(),
    st.just(...),
    st.integers(),
    st.integers(min_value=-(10**40), max_value=10**40),
    st.floats(allow_nan=False),
    st.complex_numbers(allow_nan=False),
    st.text(st.characters()),  # half surrogates included
    st.binary(),
    st.decimals(allow_nan=False, min_value=-(10**30), max_value=10**30),
    st.fractions(),
)
hashables = st.recursive(
    atoms,
    lambda inner: st.one_of(st.lists(inner, max_size=3).map(tuple), st.frozensets(inner, max_size=3)),
    max_leaves=4,
)
values = st.recursive(
    hashables,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.sets(hashables, max_size=3),
        st.dictionaries(hashables, inner, max_size=3),
    ),
    max_leaves=6,
)


def through(value: Any, room: int = 10**6) -> Any:
    return decode(json.loads(driver.encode(value, [room])))


def same(left: Any, right: Any) -> bool:
    """Equal, and of the same types all the way down."""
    if type(left) is not type(right):
        return False
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return all(map(same, left, right)) and all(map(same, left.values(), right.values()))
    return bool(left == right)


@given(values)
@example("\ud83d\ude00")
@example(-0.0)
@example(10**5000)
@example({1: "a", 2: [{}]})
def test_plain_data_comes_back_as_it_was(value: Any) -> None:
    assert same(through(value), value)


@given(st.floats())
def test_floats_are_exact(value: float) -> None:
    back = through(value)
    assert back.hex() == value.hex() or (math.isnan(value) and math.isnan(back))


Point = namedtuple("Point", ["x", "y"])


class Grade(enum.IntEnum):
    GOOD = 1


class Liar(list[int]):
    def __eq__(self, other: object) -> bool:
        return True

    def __iter__(self) -> Any:
        return iter([7])

    def __len__(self) -> int:
        return 1

    __hash__ = None


class LyingStr(str):
    def encode(self, *_: object) -> bytes:
        return b"lie"

    def __str__(self) -> str:
        return "lie"


class LyingInt(int):
    def __format__(self, spec: str) -> str:
        return "7"

    def __index__(self) -> int:
        return 7


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (Counter("aab"), {"a": 2, "b": 1}),
        (OrderedDict([("b", 1)]), {"b": 1}),
        (defaultdict(int, a=1), {"a": 1}),
        (Point(1, 2), (1, 2)),
        (Grade.GOOD, 1),
        (bytearray(b"ab"), b"ab"),
        ({1: 2}.keys(), {1}),
        ({1: 2}.items(), {(1, 2)}),
        (Liar([1, 2]), [1, 2]),
        (LyingStr("truth"), "truth"),
        (LyingInt(5), 5),
    ],
)
def test_subclasses_come_back_as_their_base_whatever_they_override(value: Any, plain: Any) -> None:
    assert same(through(value), plain)


class Anything:
    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash(5)


def test_anything_else_is_opaque_and_equals_nothing() -> None:
    back = through([Anything(), object, iter([])])
    assert [one.type_name for one in back] == ["Anything", "type", "list_iterator"]
    assert repr(back[0]) == "<object of type Anything>"
    assert back[0] != Anything.__hash__
    assert back[0] != through(Anything())
    assert back[0] not in (1, "x", None, [])


def test_of_an_opaque_object_the_truth_is_known() -> None:
    assert bool(through(range(3))) is True
    assert bool(through(range(0))) is False


def _nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def _cycle() -> list[Any]:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize(
    "value",
    [_nested(1000), _cycle(), [0] * 10**6, "x" * 10**6, 1 << 10**7, dict.fromkeys(range(10**5))],
    ids=["nest", "cycle", "list", "text", "number", "dict"],
)
def test_what_is_too_deep_or_too_large_is_refused(value: Any) -> None:
    with pytest.raises(driver.TooLarge, match="the value is"):
        driver.encode(value, [10_000])


def test_exact_numbers_of_the_library_are_known_only_where_they_were_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    assert through([Decimal("1.50"), Fraction(1, 3)]) == [Decimal("1.5"), Fraction(1, 3)]
    monkeypatch.delitem(sys.modules, "decimal")
    assert isinstance(through(Decimal(1)), Opaque)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=6), st.floats()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.builds(lambda tag, rest: [tag, *rest], st.sampled_from("eifcsbDoQltSFdx"), st.lists(inner, max_size=3)),
        st.dictionaries(st.text(max_size=2), inner, max_size=2),
    ),
)


@given(json_values)
@example(["d", 1])
@example(["i", "zz"])
@example(["Q", ["i", "1"], ["i", "0"]])
@example(["S", ["l"]])
@example(["f", "1e999999"])
@example(["D", "31653939393939393939393939"])
def test_what_the_driver_cannot_have_written_is_refused_and_nothing_else_happens(data: Any) -> None:
    try:
        decode(data)
    except Malformed:
        return
    assert data is None or isinstance(data, (bool, list))


def test_a_number_that_would_take_all_memory_is_not_made() -> None:
    assert isinstance(decode(["D", b"1e999999".hex()]), Opaque)


def test_keys_that_all_collide_are_refused() -> None:
    step = sys.hash_info.modulus
    keys = [["i", f"{step * number:x}"] for number in range(1, 3000)]
    with pytest.raises(Malformed):
        decode(["S", *keys])


def test_a_deep_nest_is_refused() -> None:
    data: list[Any] = ["l"]
    for _ in range(200):
        data = ["l", data]
    with pytest.raises(Malformed):
        decode(data)


@given(values)
def test_what_is_shown_is_short(value: Any) -> None:
    assert len(shown(value, 60)) <= 60
    if len(repr(value)) <= 60:
        assert shown(value, 60) == repr(value)


def test_a_number_that_cannot_be_printed_is_shown_by_its_type() -> None:
    assert shown(10**5000) == "<int that is too large to print>"


def test_text_is_hexadecimal() -> None:
    assert text("c3a9") == "é"
    with pytest.raises(Malformed):
        text("zz")
