from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import PermutationMethod
from scipy.stats import wilcoxon as scipy_wilcoxon
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar
from statsmodels.stats.multitest import multipletests

from smallenough.analysis.statistics import cluster_means, holm, mcnemar, wilcoxon
from smallenough.errors import InputError

NAN = float("nan")


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


class TestWilcoxon:
    @given(st.lists(st.floats(-5, 5), min_size=1, max_size=80, unique_by=abs))
    def test_agrees_with_scipy_without_the_zeros(self, differences: list[float]) -> None:
        different = [value for value in differences if value]
        expected = float(scipy_wilcoxon(different).pvalue) if different else 1.0
        assert wilcoxon(differences) == pytest.approx(expected, abs=1e-9)

    @given(st.lists(st.integers(-3, 3).filter(bool), min_size=2, max_size=7))
    def test_agrees_with_scipys_enumeration_of_signs(self, differences: list[int]) -> None:
        expected = float(scipy_wilcoxon(differences, method=PermutationMethod()).pvalue)
        assert wilcoxon(differences) == pytest.approx(expected, abs=1e-9)

    def test_agrees_with_scipys_approximation_where_tasks_are_many(self) -> None:
        differences = np.random.default_rng(3).integers(-4, 6, 90).astype(float)
        expected = float(scipy_wilcoxon(differences[differences != 0]).pvalue)
        assert wilcoxon(differences) == pytest.approx(expected, abs=1e-9)
        assert wilcoxon(differences[:45]) == pytest.approx(scipy_wilcoxon(differences[:45]).pvalue, abs=0.02)

    def test_by_hand(self) -> None:
        """Ranks 1 to 4 all favour one side: one of 16 signs does, or its opposite."""
        assert wilcoxon([1.0, 2.0, 3.0, 4.0]) == pytest.approx(2 / 16)

    def test_repeats_of_a_task_are_one_mean(self) -> None:
        once = [0.4, -1.0, 2.0, 3.5, 0.7]
        repeated = [value + shift for value in once for shift in (-0.1, 0.1)]
        assert wilcoxon(repeated, np.repeat(np.arange(5), 2)) == pytest.approx(wilcoxon(once))

    def test_nothing_measured_is_not_tested_and_no_difference_is_no_evidence(self) -> None:
        assert wilcoxon([]) is None
        assert wilcoxon([NAN, NAN]) is None
        assert wilcoxon([0.0, 0.0, NAN]) == 1.0
        assert wilcoxon([0.0, 3.0]) == 1.0

    def test_an_infinite_difference_is_refused(self) -> None:
        with pytest.raises(InputError, match="infinite"):
            wilcoxon([float("inf")])


class TestHolm:
    def test_by_hand(self) -> None:
        """The smallest is taken 3 times, the next twice, the largest once; none falls below the one before."""
        assert holm([0.04, None, 0.01, 0.03]) == pytest.approx([0.06, None, 0.03, 0.06])

    @given(st.lists(st.none() | st.floats(0, 1), max_size=12))
    def test_keeps_the_order_and_never_falls_below_the_raw_value(self, raw: list[float | None]) -> None:
        adjusted = holm(raw)
        assert [value is None for value in adjusted] == [value is None for value in raw]
        pairs = sorted((p, q) for p, q in zip(raw, adjusted, strict=True) if p is not None and q is not None)
        assert all(p <= q + 1e-15 and q <= 1 for p, q in pairs)
        assert all(one[1] <= other[1] for one, other in itertools.pairwise(pairs))

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
    def test_agrees_with_statsmodels(self, raw: list[float]) -> None:
        assert holm(raw) == pytest.approx(multipletests(raw, method="holm")[1].tolist(), abs=1e-9)

    def test_nothing_tested(self) -> None:
        assert holm([]) == []
        assert holm([None, None]) == [None, None]

    @pytest.mark.parametrize("wrong", [NAN, -0.1, 1.5])
    def test_what_is_no_p_value_is_refused(self, wrong: float) -> None:
        with pytest.raises(InputError, match="within 0 to 1"):
            holm([0.5, wrong])


def test_means_of_tasks_leave_out_what_was_not_measured() -> None:
    assert cluster_means([1.0, NAN, 3.0, NAN, 5.0], [2, 2, 1, 7, 2]).tolist() == [3.0, 3.0]
