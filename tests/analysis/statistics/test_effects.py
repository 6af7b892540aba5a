from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from statsmodels.stats.proportion import proportion_effectsize

from smallenough.analysis.statistics import cohens_dz, cohens_h, matched_odds_ratio, mcnemar, rank_biserial
from smallenough.errors import InputError

SHARES = st.floats(0, 1)


class TestOddsRatio:
    def test_of_discordant_pairs(self) -> None:
        found = matched_odds_ratio(12, 4)
        assert found
        assert (found.estimate, found.corrected) == (3.0, False)
        share = binomtest(12, 16).proportion_ci(0.95, method="exact")
        assert found.low == pytest.approx(share.low / (1 - share.low))
        assert found.high == pytest.approx(share.high / (1 - share.high))

    @given(st.integers(0, 60), st.integers(0, 60))
    def test_its_interval_holds_the_ratio_and_leaves_out_one_just_where_the_exact_test_rejects(
        self, better: int, worse: int
    ) -> None:
        found = matched_odds_ratio(better, worse)
        if found is None:
            assert better + worse == 0
            return
        high = math.inf if found.high is None else found.high
        assert found.low <= found.estimate <= high
        assert (found.low > 1 or high < 1) == (mcnemar(better, worse) < 0.05)

    def test_an_empty_side_is_corrected_and_told(self) -> None:
        one, other = matched_odds_ratio(4, 0), matched_odds_ratio(0, 4)
        assert one
        assert other
        assert (one.estimate, one.corrected, one.high) == (9.0, True, None)
        assert (other.estimate, other.corrected, other.low) == (0.5 / 4.5, True, 0.0)
        assert other.high == pytest.approx(1 / one.low)

    def test_full_agreement_has_none(self) -> None:
        assert matched_odds_ratio(0, 0) is None

    def test_negative_counts_are_refused(self) -> None:
        with pytest.raises(InputError, match="negative"):
            matched_odds_ratio(1, -1)
        with pytest.raises(InputError, match="confidence"):
            matched_odds_ratio(1, 1, 2.0)


class TestCohensH:
    @given(SHARES, SHARES)
    def test_agrees_with_statsmodels(self, one: float, other: float) -> None:
        assert cohens_h(one, other) == pytest.approx(float(proportion_effectsize(one, other)), abs=1e-9)

    def test_what_is_no_rate_is_refused(self) -> None:
        with pytest.raises(InputError, match="within 0 to 1"):
            cohens_h(1.2, 0.5)


class TestRankBiserial:
    def test_by_hand(self) -> None:
        """Ranks 1 and 3 for, 2 against: (4 - 2) / 6."""
        assert rank_biserial([1.0, -2.0, 3.0, 0.0]) == pytest.approx(1 / 3)

    @given(st.lists(st.integers(-9, 9), max_size=30))
    def test_flips_with_the_sides_and_stays_within_1(self, differences: list[int]) -> None:
        one, other = rank_biserial(differences), rank_biserial([-value for value in differences])
        if one is None or other is None:
            assert not any(differences)
            assert one is other
        else:
            assert one == pytest.approx(-other)
            assert abs(one) <= 1


class TestCohensDz:
    def test_by_hand(self) -> None:
        assert cohens_dz([1.0, 2.0, 3.0]) == pytest.approx(2.0)
        assert cohens_dz([0.0, 2.0, 2.0, 2.0, 4.0, 2.0], [0, 0, 1, 1, 2, 2]) == pytest.approx(2.0)

    def test_no_spread_has_none(self) -> None:
        assert cohens_dz([0.1, 0.1, 0.1]) is None
        assert cohens_dz([1.0]) is None
        assert cohens_dz([1.0, 2.0], np.array([3, 3])) is None
