"""Parts of labelled texts: nothing leaks, sizes and balance are as asked, the same every time."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smallenough.errors import InputError
from smallenough.tasks.splits import FEATURES, NEAR, Item, Sizes, groups, shares, similarity, split, trigrams, words

VOCABULARY = ["bite", "larynx", "eczema", "left", "right", "knee", "burn", "hip", "chronic", "acute"]
phrases = st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=5).map(" ".join)
texts = st.lists(phrases | st.text(max_size=12), max_size=25)


def near(first: str, second: str) -> bool:
    return any(similarity(feature(first), feature(second)) >= NEAR for feature in FEATURES)


def linked(given: list[str]) -> list[set[int]]:
    """The groups, by looking at all pairs again and again."""
    found = [{place} for place in range(len(given))]
    for one, other in combinations(range(len(given)), 2):
        if near(given[one], given[other]):
            joined = [group for group in found if group & {one, other}]
            found = [group for group in found if group not in joined] + [set().union(*joined)]
    return found


@settings(max_examples=60)
@given(texts)
def test_groups_are_those_that_all_pairs_give(given: list[str]) -> None:
    numbers = groups(given)
    found = {frozenset(place for place, one in enumerate(numbers) if one == number) for number in numbers}
    assert found == {frozenset(group) for group in linked(given)}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("Glaucoma NOS", "glaucoma", True),
        ("Bite of the left knee", "Bites of left knee, NOS", True),
        ("Ménière's disease", "Meniere's disease", True),
        ("Osteoarthritis", "Osteoarthrosis", False),
        ("Osteoarthritis of the hip joints", "Osteoarthritis, hip joint", True),
        ("Eczema", "Burn of the knee", False),
    ],
)
def test_what_says_nearly_the_same_is_near(first: str, second: str, same: bool) -> None:
    assert near(first, second) is same


def test_words_leave_out_what_is_said_everywhere_unless_it_is_all_there_is() -> None:
    assert words("Fractures of the hip, NOS") == {"fracture", "hip"}
    assert words("Other") == {"other"}
    assert words("??") == frozenset()
    assert trigrams("Ab") == {" ab", "ab "}


def items(count: int) -> list[Item]:
    """Texts of three labels, of which one is rare, each with two near-duplicates."""
    sounds = [f"{a}{b}{c}" for a, b, c in product("bdfgklmnprst", "aeiou", "bdfgklmnprst")]
    found = []
    for number in range(count):
        label = "rare" if number % 10 == 0 else "common" if number % 2 else "middling"
        first, second = sounds[number], sounds[-number - 1]
        found += [Item(f"{number}{end}", f"{first * 3} {second * 3}{end}", label) for end in ("", " nos", " of the")]
    return found


@pytest.mark.parametrize("even", [True, False])
def test_parts_have_their_sizes_and_share_nothing(even: bool) -> None:
    everything = items(120)
    parts = split(everything, Sizes(90, 15, 24), 7, even=even)
    assert {part: len(found) for part, found in parts.items()} == {"train": 90, "validation": 15, "test": 24}
    for one, other in combinations(parts.values(), 2):
        assert not [(a.text, b.text) for a in one for b in other if near(a.text, b.text)]
    for part in ("validation", "test"):
        assert not [(a, b) for a, b in combinations(parts[part], 2) if near(a.text, b.text)], "one of a group"
    for found in parts.values():
        counts = Counter(item.label for item in found)
        assert set(counts) == {"rare", "common", "middling"}
        if not even:
            assert counts["rare"] < counts["middling"] <= counts["common"]
    counts = Counter(item.label for item in parts["train"])
    assert (counts["common"] - counts["rare"] < 30) is even, counts


def test_the_same_seed_gives_the_same_parts_whatever_the_order_and_another_seed_others() -> None:
    everything, sizes = items(60), Sizes(40, 6, 9)
    first = split(everything, sizes, 1, even=True)
    again = split(everything[::-1], sizes, 1, even=True)
    assert {part: {one.id for one in found} for part, found in first.items()} == {
        part: {one.id for one in found} for part, found in again.items()
    }
    assert split(everything, sizes, 2, even=True)["test"] != first["test"]


@pytest.mark.parametrize(
    ("sizes", "said"),
    [(Sizes(1, 1, 500), "test: 500 texts"), (Sizes(1, 500, 1), "validation"), (Sizes(999, 1, 1), "train")],
)
def test_more_than_there_is_is_refused(sizes: Sizes, said: str) -> None:
    with pytest.raises(InputError, match=said):
        split(items(20), sizes, 0, even=False)


counts = st.dictionaries(st.text("abcdef", min_size=1, max_size=2), st.integers(0, 40), min_size=1, max_size=6)


@given(counts, st.integers(0, 120), st.booleans())
def test_shares_sum_up_to_what_is_asked_for_as_far_as_it_is_there(have: dict[str, int], total: int, even: bool) -> None:
    weights = {label: count + 1 for label, count in have.items()}
    found = shares(have, weights, total, even=even)
    assert sum(found.values()) == min(total, sum(have.values()))
    assert all(0 <= found[label] <= have[label] for label in have)
    if total >= len(have):
        assert all(found[label] >= min(1, have[label]) for label in have)
    if even:
        full = [found[label] for label in have if found[label] < have[label]]
        assert max(full, default=0) - min(full, default=0) <= 1
