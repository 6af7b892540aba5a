"""Allowed answers as tokens. No torch is needed here."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallenough.models.engine.choices import Held, Tokens, trees

ANSWERS = st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=6).map(tuple), min_size=1, max_size=12)


@given(ANSWERS, st.integers(1, 10))
def test_trees_spell_every_answer_once(answers: list[Tokens], most: int) -> None:
    found = list(trees(answers, most))
    assert sorted(number for tree in found for number in tree.paths) == list(range(len(answers)))
    for tree in found:
        assert len(tree.tokens) <= most or len({answers[number] for number in tree.paths}) == 1
        assert all(parent < place for place, parent in enumerate(tree.parents))
        beginnings = {answers[number][: end + 1] for number in tree.paths for end in range(len(answers[number]))}
        assert len(tree.tokens) == len(beginnings), "what several begin with is there once"
        for number, path in tree.paths.items():
            assert tuple(tree.tokens[place] for place in path) == answers[number]
            assert [tree.parents[place] for place in path] == [-1, *path[:-1]]


def test_one_tree_holds_them_all_where_it_may() -> None:
    (tree,) = trees([(1, 2), (1,), (1, 3), (4,)], 64)
    assert (tree.tokens, tree.parents) == ([1, 2, 3, 4], [-1, 0, 0, -1])


@given(ANSWERS, st.data())
def test_whatever_is_allowed_comes_to_an_answer(answers: list[Tokens], data: st.DataObject) -> None:
    end, held, written = 9, Held(answers), list[int]()
    while True:
        may_end = held.may_end
        assert may_end == (tuple(written) in answers)
        token = data.draw(st.sampled_from([*sorted(held.next), *([end] if may_end else [])]))
        number = held.take(token)
        written += [] if token == end else [token]
        if number is not None:
            break
    wanted = answers[number]
    assert wanted[: len(written)] == tuple(written)
    if token == end:
        assert wanted == tuple(written)
    others = {answer for answer in answers if answer[: len(written)] == tuple(written)}
    assert token == end or others == {wanted}, "it is told as soon as it is clear, and not before"


@pytest.mark.parametrize(("picked", "number"), [([1, 9], 0), ([1, 0], 1), ([2], 2)])
def test_a_number_that_begins_another_has_to_end(picked: list[int], number: int) -> None:
    held = Held([(1,), (1, 0), (2, 5)])
    *before, last = picked
    assert [held.take(token) for token in before] == [None] * len(before)
    assert held.take(last) == number
