from __future__ import annotations

import pytest

from smallenough.errors import UnknownName
from smallenough.records import Test
from smallenough.tasks.splitting import check_protocol, divide

TESTS = [Test(f"assert f({number}) == {number}") for number in range(6)]


@pytest.mark.parametrize(("count", "shown"), [(0, 0), (1, 0), (2, 1), (3, 1), (4, 2), (6, 2)])
def test_the_first_are_shown_and_the_rest_decide(count: int, shown: int) -> None:
    tests = TESTS[:count]
    assert divide(tests, "split") == (tuple(tests[:shown]), tuple(tests[shown:]))


def test_standard_shows_all_and_all_decide() -> None:
    assert divide(TESTS, "standard") == (tuple(TESTS), tuple(TESTS))


def test_there_are_two_protocols() -> None:
    assert [check_protocol(name) for name in ("split", "standard")] == ["split", "standard"]
    with pytest.raises(UnknownName, match="unknown protocol 'spilt'; did you mean 'split'"):
        check_protocol("spilt")
