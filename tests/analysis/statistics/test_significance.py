from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from smallenough.analysis.statistics import mcnemar
from smallenough.errors import InputError


class TestMcNemar:
    @given(st.integers(0, 400), st.integers(0, 400))
    def test_agrees_with_statsmodels(self, better: int, worse: int) -> None:
        expected = statsmodels_mcnemar([[7, better], [worse, 11]], exact=True).pvalue
        assert mcnemar(better, worse) == pytest.approx(expected, abs=1e-9)

    def test_agreement_on_every_pair_is_no_evidence(self) -> None:
        assert mcnemar(0, 0) == 1.0

    def test_negative_counts_are_refused(self) -> None:
        with pytest.raises(InputError, match="negative"):
            mcnemar(-1, 3)
