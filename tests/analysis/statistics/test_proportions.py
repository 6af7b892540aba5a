from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from smallenough.analysis.statistics import (
    clustered_proportion,
    intraclass_correlation,
    kish_design_effect,
    proportion,
    wilson,
)
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


class TestClusteredProportion:
    @given(st.lists(st.booleans(), min_size=1, max_size=50), st.floats(0.5, 0.99))
    def test_is_wilsons_where_each_task_has_one_trial(self, values: list[bool], confidence: float) -> None:
        expected = proportion(sum(values), len(values), confidence)
        assert clustered_proportion(values, None, confidence) == expected
        assert clustered_proportion(values, range(len(values)), confidence) == expected

    def test_repeats_that_are_all_alike_count_once(self) -> None:
        once = np.random.default_rng(0).random(40) < 0.4
        often = clustered_proportion(np.repeat(once, 10), np.repeat(np.arange(40), 10))
        expected = wilson(int(once.sum()), 40)
        assert often is not None
        assert expected is not None
        assert often.n == 400
        assert often.effective_n == pytest.approx(40)
        assert (often.interval.low, often.interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)

    def test_repeats_that_are_no_more_alike_than_others_count_nearly_in_full(self) -> None:
        values = np.random.default_rng(5).random(3000) < 0.3
        found = clustered_proportion(values, np.repeat(np.arange(1000), 3))
        assert found is not None
        assert found.effective_n is not None
        assert 2700 < found.effective_n <= 3000

    def test_all_successes_of_a_few_tasks_are_as_sure_as_so_many_tasks(self) -> None:
        found = clustered_proportion([1] * 30, np.repeat(np.arange(10), 3))
        expected = wilson(10, 10)
        assert found is not None
        assert expected is not None
        assert (found.interval.low, found.interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)

    @given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=1, max_size=40))
    def test_holds_the_estimate_within_0_and_1(self, trials: list[tuple[bool, int]]) -> None:
        found = clustered_proportion([solved for solved, _ in trials], [task for _, task in trials])
        assert found is not None
        assert 0 <= found.interval.low <= found.rate + 1e-12
        assert found.rate - 1e-12 <= found.interval.high <= 1

    def test_what_was_not_measured_is_left_out(self) -> None:
        assert clustered_proportion([1, float("nan"), 0, 1], [4, 4, 9, 2]) == proportion(2, 3)
        assert clustered_proportion([], []) is None
        assert clustered_proportion([float("nan")], [1]) is None

    def test_bad_input_is_refused(self) -> None:
        with pytest.raises(InputError, match="0 and 1"):
            clustered_proportion([0.5, 1.0], [1, 1])
        with pytest.raises(InputError, match="its cluster"):
            clustered_proportion([1, 0], [1])
        with pytest.raises(InputError, match="between 0 and 1"):
            clustered_proportion([1, 0], [1, 1], 95)


class TestDesignEffect:
    def test_by_hand(self) -> None:
        """Three tasks of two: mean 1/2; totals off the mean 1, -1, 0; variance between 3/2 * 2 / 36, simple 1.5/30."""
        assert kish_design_effect([1, 1, 0, 0, 1, 0], [0, 0, 1, 1, 2, 2]) == pytest.approx((3 / 36) / (1.5 / 30))

    def test_is_what_the_correlation_of_repeats_makes_it(self) -> None:
        generator = np.random.default_rng(2)
        clusters = np.repeat(np.arange(4000), 4)
        values = generator.normal(size=4000)[clusters] * 0.3**0.5 + generator.normal(size=16_000) * 0.7**0.5
        assert intraclass_correlation(values, clusters) == pytest.approx(0.3, abs=0.02)
        assert kish_design_effect(values, clusters) == pytest.approx(1 + 3 * 0.3, abs=0.06)

    def test_is_within_that_of_independent_and_of_equal_repeats(self) -> None:
        assert kish_design_effect([0, 1, 0, 1], [0, 0, 1, 1]) == 1.0
        assert kish_design_effect([0, 0, 1, 1], [0, 0, 1, 1]) == 2.0
        assert kish_design_effect([1, 1, 1, 1], [0, 0, 1, 1]) == 2.0
        assert kish_design_effect([1, 0, 1], [7, 7, 7]) == 3.0
        with pytest.raises(InputError, match="at least one"):
            kish_design_effect([])

    def test_a_correlation_needs_repeats_tasks_and_spread(self) -> None:
        assert intraclass_correlation([1, 0, 1], np.array([0, 1, 2])) is None
        assert intraclass_correlation([1, 0, 1], np.array([4, 4, 4])) is None
        assert intraclass_correlation([1, 1, 1], np.array([4, 4, 5])) is None
        assert intraclass_correlation([0, 0, 1, 1], np.array([0, 0, 1, 1])) == 1.0
        assert intraclass_correlation([0, 1, 0, 1], np.array([0, 0, 1, 1])) == 0.0
