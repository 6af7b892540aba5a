"""Numbers as a person reads them."""

from __future__ import annotations

import pytest

from smallenough import wording


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0 s"),
        (0.0004, "0.4 ms"),
        (0.0124, "12 ms"),
        (0.9996, "1.0 s"),
        (1.84, "1.8 s"),
        (9.96, "10 s"),
        (119.4, "119 s"),
        (125.0, "2 min 5 s"),
        (180.0, "3 min"),
        (7199.6, "2 h"),
        (3780.0, "63 min"),
        (7380.0, "2 h 3 min"),
        (-1.8, "−1.8 s"),
    ],
)
def test_durations(value: float | None, text: str) -> None:
    assert wording.duration(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (0.0, "0 B"), (999.0, "999 B"), (1.2e9, "1.2 GB"), (999.7e6, "1.0 GB"), (7.2e8, "720 MB")],
)
def test_sizes(value: float | None, text: str) -> None:
    assert wording.size(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0"),
        (12.0, "12"),
        (12.44, "12.4"),
        (0.012345, "0.0123"),
        (99.96, "100"),
        (1234.5, "1,234"),
        (-3.5, "−3.5"),
        (0.00001234, "1.2e-05"),
        (100.0, "100"),
    ],
)
def test_numbers(value: float | None, text: str) -> None:
    assert wording.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0%"),
        (1.0, "100%"),
        (0.004, "0.4%"),
        (0.996, "99.6%"),
        (0.0001, "<0.1%"),
        (0.99999, ">99.9%"),
        (0.615, "62%"),
        (-0.5, "−50%"),
        (-0.004, "−0.4%"),
        (1.004, "100.4%"),
    ],
)
def test_shares_never_look_like_none_or_all(value: float | None, text: str) -> None:
    assert wording.share(value) == text


def test_energy_and_money() -> None:
    assert [wording.energy(joules) for joules in (12.0, 3400.0, 2.5e6)] == ["12 J", "3.4 kJ", "2.5 MJ"]
    assert wording.money(0.0124, "EUR") == "0.0124 EUR"
    assert wording.money(2.0, "") == "2"
