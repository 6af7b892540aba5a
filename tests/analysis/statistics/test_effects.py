from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_effectsize

from smallenough.analysis.statistics import OddsRatio, cohens_dz, cohens_h, matched_odds_ratio, rank_biserial
from smallenough.errors import InputError

SHARES = st.floats(0, 1)


class TestOddsRatio:
    def test_of_discordant_pairs(self) -> None:
        assert matched_odds_ratio(12, 4) == OddsRatio(3.0, corrected=False)

    def test_an_empty_side_is_corrected_and_told(self) -> None:
        assert matched_odds_ratio(4, 0) == OddsRatio(9.0, corrected=True)
        assert matched_odds_ratio(0, 4) == OddsRatio(0.5 / 4.5, corrected=True)

    def test_full_agreement_has_none(self) -> None:
        assert matched_odds_ratio(0, 0) is None

    def test_negative_counts_are_refused(self) -> None:
        with pytest.raises(InputError, match="negative"):
            matched_odds_ratio(1, -1)


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
