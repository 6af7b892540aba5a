"""Parsing by several threads at once."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from smallenough.metrics.static import StaticScorer
from smallenough.records import Answer, Ask, Step, Task
from smallenough.syntax import parse

NESTED = "\n".join(f"def f{number}(a: 'list[int]'):\n    return {'(' * 20}a{' + 1)' * 20}" for number in range(6))


class Cycle:
    """Garbage whose end runs Python, so that threads can take turns wherever the collector comes."""

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        sum(range(30))


@pytest.fixture
def restless() -> Iterator[None]:
    """Threads take turns as often as the interpreter can."""
    before, thresholds = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(20)
    yield
    sys.setswitchinterval(before)
    gc.set_threshold(*thresholds)


@pytest.mark.usefixtures("restless")
def test_threads_parse_and_lint_beside_one_another() -> None:
    answer = Answer(Step(0, Ask(()), NESTED, NESTED, None))

    def work(number: int) -> object:
        for _ in range(100):
            Cycle()
        if number % 10 == 0:
            return StaticScorer().score(Task("t", ""), answer)
        return len(parse(NESTED).body)

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(work, range(60)))
    assert found[1] == 6
    assert all(one == found[0 if number % 10 == 0 else 1] for number, one in enumerate(found))
