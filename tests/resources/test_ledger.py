"""Attempts' shares of counters, without a clock or a thread."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallenough.resources.ledger import Gauge, Ledger, Share, usage

events = st.lists(
    st.tuples(
        st.sampled_from(["begin", "end", "advance", "advance", "advance"]),
        st.integers(0, 5),
        st.floats(0, 10, allow_nan=False),
        st.booleans(),
        st.lists(st.integers(0, 20), min_size=6, max_size=6),
    ),
    max_size=60,
)


@given(events)
def test_shares_and_what_is_outside_sum_to_the_whole(
    steps: list[tuple[str, int, float, bool, list[int]]],
) -> None:
    ledger = Ledger()
    counter = 100.0
    pieces = dict.fromkeys(range(6), 0)
    ended: list[Share] = []
    for what, key, growth, readable, streamed in steps:
        if what == "begin" and key not in ledger.in_flight:
            pieces[key] = 0
            ledger.begin(key)
        elif what == "end" and key in ledger.in_flight:
            ended.append(ledger.end(key))
        elif what == "advance":
            counter += growth
            pieces = {at: count + more for (at, count), more in zip(pieces.items(), streamed, strict=True)}
            ledger.advance({"cpu_seconds": counter} if readable or growth < 5 else {}, pieces)
    ledger.advance({"cpu_seconds": counter}, pieces)
    ended += [ledger.end(key) for key in list(ledger.in_flight)]
    told = sum(share.amount("cpu_seconds") or 0.0 for share in ended)
    whole = ledger.whole.amounts["cpu_seconds"]
    assert told + ledger.outside.get("cpu_seconds", 0.0) == pytest.approx(whole, abs=1e-6)
    assert all(share.amounts.get("cpu_seconds", 0.0) >= 0 for share in ended)


def test_overlapping_attempts_share_by_the_pieces_of_each_interval() -> None:
    ledger = Ledger()
    ledger.advance({"cpu_seconds": 0.0}, {})
    ledger.begin(1)
    ledger.advance({"cpu_seconds": 2.0}, {1: 5})
    ledger.begin(2)
    ledger.advance({"cpu_seconds": 10.0}, {1: 6, 2: 3})
    ledger.advance({"cpu_seconds": 12.0}, {1: 6, 2: 3})
    first = ledger.end(1)
    ledger.advance({"cpu_seconds": 13.0}, {2: 4})
    second = ledger.end(2)
    ledger.advance({"cpu_seconds": 20.0}, {})
    assert first.amount("cpu_seconds") == 2 + 8 / 4 + 1
    assert second.amount("cpu_seconds") == 8 * 3 / 4 + 1 + 1
    assert ledger.outside["cpu_seconds"] == 7
    assert usage(first, 1.0).cpu_provenance == usage(second, 1.0).cpu_provenance == "apportioned"


def test_an_attempt_that_is_alone_has_all_of_its_window_and_is_measured() -> None:
    ledger = Ledger()
    ledger.advance({"cpu_seconds": 1.0, "energy_joules": 50.0}, {})
    ledger.begin(1)
    ledger.gauge({"rss_bytes": 10.0, "gpu_0_percent": 20.0, "gpu_1_percent": 90.0, "gpu_memory_bytes": 5.0})
    ledger.advance({"cpu_seconds": 4.0, "energy_joules": 80.0}, {})
    ledger.gauge({"rss_bytes": 30.0, "gpu_0_percent": 40.0, "gpu_1_percent": 70.0, "gpu_memory_bytes": 4.0})
    told = usage(ledger.end(1), 2.0, watts_per_core=1000.0)
    assert (told.cpu_seconds, told.cpu_percent, told.cpu_provenance) == (3.0, 150.0, "measured")
    assert (told.energy_joules, told.energy_provenance) == (30.0, "measured")
    assert (told.peak_memory_bytes, told.mean_memory_bytes, told.memory_provenance) == (30, 20, "measured")
    assert (told.gpu_percent, told.gpu_peak_memory_bytes, told.gpu_provenance) == (80.0, 5, "measured")


def test_a_counter_that_was_lost_for_a_while_is_none_and_its_growth_nobodys() -> None:
    ledger = Ledger()
    ledger.advance({"cpu_seconds": 0.0}, {})
    ledger.begin(1)
    ledger.advance({"cpu_seconds": 1.0}, {})
    ledger.advance({}, {})
    ledger.advance({"cpu_seconds": 5.0}, {})
    share = ledger.end(1)
    assert share.amount("cpu_seconds") is None
    assert usage(share, 1.0).cpu_provenance == "none"
    assert ledger.outside["cpu_seconds"] == ledger.whole.amount("cpu_seconds") == 5.0


def test_what_is_not_exactly_an_attempts_own_is_apportioned() -> None:
    ledger = Ledger()
    ledger.advance({"cpu_seconds": 0.0}, {})
    ledger.begin(1, exact=False)
    ledger.advance({"cpu_seconds": 1.0}, {})
    assert usage(ledger.end(1), 1.0).cpu_provenance == "apportioned"


def test_memory_is_the_proportional_set_size_where_that_was_told() -> None:
    share = Share()
    share.gauge({"rss_bytes": 100.0})
    assert usage(share, 1.0).peak_memory_bytes == 100
    share.gauge({"pss_bytes": 60.0, "rss_bytes": 120.0})
    assert usage(share, 1.0).peak_memory_bytes == 60


def test_an_estimate_of_energy_is_given_only_when_asked_for_and_labelled() -> None:
    share = Share(amounts={"cpu_seconds": 4.0})
    assert usage(share, 1.0).energy_joules is None
    assert usage(share, 1.0).energy_provenance == "none"
    estimated = usage(share, 1.0, watts_per_core=5.0)
    assert (estimated.energy_joules, estimated.energy_provenance) == (20.0, "estimated")


def test_nothing_read_is_nothing_told() -> None:
    told = usage(Share(), 3.0)
    assert told.seconds == 3.0
    assert {told.cpu_seconds, told.cpu_percent, told.peak_memory_bytes, told.gpu_percent, told.energy_joules} == {None}
    assert {told.cpu_provenance, told.memory_provenance, told.gpu_provenance, told.energy_provenance} == {"none"}


@given(st.lists(st.floats(-1e9, 1e9), min_size=1))
def test_a_gauge_keeps_peak_and_mean(values: list[float]) -> None:
    gauge = Gauge()
    for value in values:
        gauge.add(value)
    assert gauge.peak == max(values)
    assert gauge.mean == pytest.approx(sum(values) / len(values), abs=1e-3)
    assert Gauge().mean is None


def test_what_is_read_seldom_holds_for_the_attempts_that_begin_until_it_is_read_again() -> None:
    ledger = Ledger()
    ledger.gauge({"rss_bytes": 120.0, "pss_bytes": 100.0})
    ledger.begin(1)
    ledger.gauge({"rss_bytes": 130.0})
    assert usage(ledger.end(1), 1.0).peak_memory_bytes == 100, "by the same measure as those that it was read in"
    ledger.begin(2)
    ledger.gauge({"rss_bytes": 140.0, "pss_bytes": 110.0})
    assert usage(ledger.end(2), 1.0).peak_memory_bytes == 110
    ledger.gauge({})
    ledger.begin(3)
    assert usage(ledger.end(3), 1.0).peak_memory_bytes is None, "its process is gone"
