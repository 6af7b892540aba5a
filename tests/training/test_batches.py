"""Which rows a step sees, how they lie in a pass, and how the learning rate goes."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallenough.training.batches import Pack, Tokenized, pack, passes, rate, step_rows, steps_of

tokens = st.integers(0, 9)
rows = st.builds(
    Tokenized,
    st.lists(tokens, min_size=1, max_size=6).map(tuple),
    st.lists(tokens, min_size=1, max_size=4).map(tuple),
)
begun = st.builds(
    lambda head, tails: [Tokenized((*head, *tail.prompt), tail.answer) for tail in tails],
    st.lists(tokens, max_size=8),
    st.lists(rows, min_size=1, max_size=6),
)


def unpacked(found: Pack) -> list[tuple[tuple[int, ...], dict[int, int]]]:
    """Each row as it is computed: the tokens that it sees, and what is predicted at which of them."""
    targets, at, told = dict(zip(found.places, found.targets, strict=True)), found.shared, []
    for length in found.lengths:
        seen = (*found.tokens[: found.shared], *found.tokens[at : at + length])
        own = {found.shared + place - at: targets[place] for place in range(at, at + length) if place in targets}
        assert found.positions[at : at + length] == tuple(range(found.shared, found.shared + length))
        told.append((seen, own))
        at += length
    assert at == len(found.tokens) == len(found.positions)
    return told


@given(begun, st.booleans())
def test_a_pack_holds_every_row_whole_and_predicts_its_answer_alone(given_rows: list[Tokenized], share: bool) -> None:
    found = pack(given_rows, share=share)
    wanted = [
        (
            (*row.prompt, *row.answer[:-1]),
            {len(row.prompt) - 1 + at: token for at, token in enumerate(row.answer)},
        )
        for row in sorted(given_rows, key=len)
    ]
    assert unpacked(found) == wanted
    assert found.read == sum(map(len, given_rows))
    if not share:
        assert found.shared == 0


def test_what_rows_begin_with_is_computed_once() -> None:
    head = tuple(range(100))
    found = pack([Tokenized((*head, 200 + number), (300, 301)) for number in range(8)])
    assert found.shared == 100
    assert len(found.tokens) == 100 + 8 * 2
    assert found.read == 8 * 103


@given(begun, st.integers(1, 4))
def test_passes_hold_each_row_once_and_few_at_a_time(given_rows: list[Tokenized], size: int) -> None:
    found = list(passes(given_rows, size))
    assert all(len(one.lengths) <= size for one in found)
    seen = Counter(row for one in found for row, _ in unpacked(one))
    assert seen == Counter((*row.prompt, *row.answer[:-1]) for row in given_rows)


@given(st.integers(1, 40), st.integers(1, 12), st.integers(0, 5))
def test_an_epoch_sees_each_row_once_in_an_order_of_its_own(count: int, size: int, seed: int) -> None:
    steps = steps_of(count, size, 2, None)
    seen = [row for step in range(steps) for row in step_rows(count, size, seed, step)]
    assert sorted(seen[:count]) == sorted(seen[count:]) == list(range(count))


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    first = [step_rows(100, 100, seed, step) for seed, step in ((0, 0), (0, 1), (1, 0), (0, 0))]
    assert first[0] == first[3]
    assert first[0] != first[1] != first[2] != first[0]


def test_steps_may_be_told_instead_of_epochs() -> None:
    assert [steps_of(10, 4, 3, None), steps_of(10, 4, 3, 7)] == [9, 7]


@pytest.mark.parametrize(
    ("schedule", "shares"),
    [
        ("constant", [0.5, 1, 1, 1, 1, 1, 1, 1, 1, 1]),
        ("linear", [0.5, 1, 1, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]),
        ("cosine", [0.5, 1, 1, 0.962, 0.854, 0.691, 0.5, 0.309, 0.146, 0.038]),
    ],
)
def test_the_learning_rate_rises_and_falls(schedule: str, shares: list[float]) -> None:
    found = [rate(step, 10, 0.2, schedule) for step in range(10)]
    assert found == pytest.approx(shares, abs=1e-3)


def test_a_training_that_only_warms_up_has_a_rate() -> None:
    assert rate(0, 1, 0.9, "linear") == 1.0
    assert [rate(step, 2, 0.0, "linear") for step in range(2)] == [1.0, 0.5]
