from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallenough.models.reasoning import reasoning_tokens, separate


@pytest.mark.parametrize(
    ("output", "text", "reasoning"),
    [
        ("plain answer\n", "plain answer\n", ""),
        ("<think>why</think>because", "because", "why"),
        ("\n <think>\nwhy\n</think>\n\nbecause\n", "because\n", "why"),
        ("the template opened it\n</think>\n\nanswer", "answer", "the template opened it"),
        ("<think>never closed, def f(): pass", "", "never closed, def f(): pass"),
        ("<think></think>answer", "answer", ""),
        ("<think>a</think>one\n<think>b</think>two", "one\ntwo", "a\n\nb"),
        ("<think>a <think> b</think>answer", "answer", "a <think> b"),
        ("first</think><think>second</think>\n<think>third</think>x", "x", "first\n\nsecond\n\nthird"),
        ("first\n</think>x\n<think>second</think>y", "x\ny", "first\n\nsecond"),
        ("print('<think>')", "print('<think>')", ""),
        ("<think>open</think>print('</think>')", "print('</think>')", "open"),
    ],
)
def test_the_answer_is_what_is_outside_the_tags(output: str, text: str, reasoning: str) -> None:
    assert separate([output])[:2] == (text, reasoning)
    assert separate(list(output))[:2] == (text, reasoning)


def test_pieces_of_the_reasoning_are_counted_with_its_tags() -> None:
    assert separate(["<th", "ink>", "a", " b", "</think>", "\n", "", "answer"]).reasoning_pieces == 5
    assert separate(["a", "", " b</thi", "nk>an", "swer"]).reasoning_pieces == 3
    assert separate(["<think>", "a", "b"]).reasoning_pieces == 3
    assert separate(["a", "b"]).reasoning_pieces == 0


@given(st.integers(1, 500), st.integers(0, 500), st.integers(-10, 2000))
def test_reasoning_s_tokens_are_its_pieces_where_each_is_a_token(pieces: int, thinking: int, more: int) -> None:
    thinking = min(thinking, pieces)
    tokens = max(0, pieces + more)
    counted = reasoning_tokens(tokens, thinking, pieces)
    assert counted is not None
    assert 0 <= counted <= tokens
    if thinking == pieces:
        assert counted == tokens
    elif more in (0, 1):
        assert counted == thinking


def test_tokens_that_nobody_counted_are_not_known() -> None:
    assert reasoning_tokens(None, 3, 7) is None
    assert reasoning_tokens(None, 0, 7) == reasoning_tokens(0, 0, 0) == 0


OUTPUTS = st.lists(
    st.sampled_from(["<think>", "</think>", "<", "think>", "\n", " ", "a", "def f():", "</", "é"]), max_size=14
).map("".join)


@given(OUTPUTS, st.lists(st.integers(0, 80), max_size=8))
def test_where_the_cuts_are_changes_nothing(output: str, cuts: list[int]) -> None:
    places = [0, *sorted(min(cut, len(output)) for cut in cuts), len(output)]
    pieces = [output[start:end] for start, end in pairwise(places)]
    whole, cut = separate([output]), separate(pieces)
    assert cut[:2] == whole[:2]
    assert (cut.reasoning_pieces > 0) == (whole.reasoning_pieces > 0)
    assert cut.reasoning_pieces <= sum(1 for piece in pieces if piece)


WHOLE_TAGS = st.lists(st.sampled_from(["<think>", "</think>", "\n", " ", "a", "def f():", "é"]), max_size=14).map(
    "".join
)


@given(WHOLE_TAGS)
def test_nothing_but_tags_and_white_space_is_lost(output: str) -> None:
    def letters(text: str) -> list[str]:
        return sorted(text.replace("</think>", "").replace("<think>", "").replace("\n", "").replace(" ", ""))

    separated = separate([output])
    assert letters(f"{separated.text} {separated.reasoning}") == letters(output)


@given(WHOLE_TAGS)
def test_an_answer_never_opens_a_line_with_reasoning(output: str) -> None:
    assert not any(line.lstrip(" ").startswith("<think>") for line in separate([output]).text.split("\n"))
