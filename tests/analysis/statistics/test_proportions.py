from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from smallenough.analysis.statistics import proportion, wilson
from smallenough.errors import InputError

COUNTS = st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


class TestWilson:
    @given(COUNTS, st.floats(0.5, 0.999))
    def test_agrees_with_statsmodels(self, counts: tuple[int, int], confidence: float) -> None:
        found = wilson(*counts, confidence)
        assert found is not None
        expected = proportion_confint(*counts, alpha=1 - confidence, method="wilson")
        assert (found.low, found.high) == pytest.approx(expected, abs=1e-9)

    @given(COUNTS)
    def test_contains_the_estimate_and_stays_within_0_and_1(self, counts: tuple[int, int]) -> None:
        found = proportion(*counts)
        assert found is not None
        assert 0 <= found.interval.low <= found.rate <= found.interval.high <= 1

    def test_no_trials_say_nothing(self) -> None:
        assert wilson(0, 0) is None
        assert proportion(0, 0) is None

    def test_none_and_all_are_not_certain(self) -> None:
        none, every = wilson(0, 10), wilson(10, 10)
        assert none is not None
        assert every is not None
        assert [none.low, none.high] == pytest.approx([0.0, 0.2775327998628892], abs=1e-12)
        assert [every.low, every.high] == pytest.approx([0.7224672001371107, 1.0], abs=1e-12)

    @pytest.mark.parametrize(("successes", "n"), [(-1, 5), (6, 5), (1, 0), (0, -1)])
    def test_impossible_counts_are_refused(self, successes: int, n: int) -> None:
        with pytest.raises(InputError, match="within 0 to n"):
            wilson(successes, n)

    @pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, float("nan")])
    def test_a_confidence_that_is_no_share_is_refused(self, confidence: float) -> None:
        with pytest.raises(InputError, match="between 0 and 1"):
            wilson(1, 2, confidence)
