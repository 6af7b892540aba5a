"""How often each kind of interval holds the truth, in simulated studies of 100 tasks and more.

A study is a column, and all columns share their resamples; that changes no study's own interval. Wilson's interval is
not simulated: its coverage is a sum over all counts. For each kind the mean over shares from 5% to 95% and over the
numbers of tasks has to be within 93 and 97%; for score intervals so has the mean at each share.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.stats import betabinom, binom

from smallenough.analysis.by_task import TASK
from smallenough.analysis.courses import Course, LeftOut
from smallenough.analysis.equal_budgets import AtBudget, at_equal_budget
from smallenough.analysis.statistics import (
    Floats,
    Indices,
    Interval,
    clustered_proportion,
    mean_intervals,
    paired_difference,
    pass_at_k,
    pass_hat_k,
    pass_rates,
    success_difference,
    wilson,
)

SHARES = (0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95)
TASKS = (100, 150, 250)
RESAMPLES = 1000
LEAST, MOST = 0.93, 0.97


def held(intervals: Iterable[Interval | None], truth: float) -> float:
    """The share of intervals that hold the truth; one that is not there holds nothing."""
    return float(np.mean([found is not None and found.low <= truth <= found.high for found in intervals]))


def one_trial_each(share: float, tasks: int, studies: int, other: float | None = None) -> tuple[Floats, Floats]:
    """Successes of two sides, alike on half of the tasks: one row a task, one column a study.

    Args:
        share: of the arm.
        tasks: how many.
        studies: how many.
        other: the baseline's share; None: the same.
    """
    generator = np.random.default_rng([int(1000 * share), tasks])
    common, *own = generator.random((3, tasks, studies))
    alike = generator.random((2, tasks, studies)) < 0.5
    shares = (share, share if other is None else other)
    arm, baseline = (np.where(alike[side], common, own[side]) < shares[side] for side in (0, 1))
    return arm.astype(np.float64), baseline.astype(np.float64)


def repeated_trials(share: float, tasks: int, studies: int) -> tuple[Floats, Floats, Indices]:
    """The same of tasks with one to five repeats and chances of their own, mostly the same for both sides."""
    generator = np.random.default_rng([int(1000 * share), tasks, 7])
    clusters = np.repeat(np.arange(tasks), generator.integers(1, 6, tasks))
    chance, other = generator.beta(2 * share, 2 * (1 - share), (2, tasks, studies))
    other = np.where(generator.random((tasks, studies)) < 0.7, chance, other)
    shape = len(clusters), studies
    arm, baseline = (generator.random(shape) < each[clusters] for each in (chance, other))
    return arm.astype(np.float64), baseline.astype(np.float64), clusters


@cache
def of_counts(better: int, worse: int, tasks: int) -> Interval | None:
    """The score interval of a study, of which only the counts matter where each task has one pair."""
    arm = np.repeat([1, 0, 0], [better, worse, tasks - better - worse])
    baseline = np.repeat([0, 1, 0], [better, worse, tasks - better - worse])
    found = success_difference(arm, baseline)
    return found.interval if found else None


def test_wilson() -> None:
    means = {}
    for tasks in range(100, 251, 15):
        intervals = [wilson(count, tasks) for count in range(tasks + 1)]
        for share in SHARES:
            likely = binom.pmf(np.arange(tasks + 1), tasks, share)
            means[share, tasks] = float(np.sum(likely * [held([interval], share) for interval in intervals]))
    _check(means, each=True)


@pytest.mark.slow
def test_wilson_with_repeats() -> None:
    means = {
        (share, tasks): held((_of_trials(column, clusters) for column in arm.T), share)
        for share in SHARES
        for tasks in TASKS
        for arm, _, clusters in [repeated_trials(share, tasks, 300)]
    }
    _check(means, each=True)


def test_difference_of_successes_by_score() -> None:
    means = {}
    for share in SHARES:
        for tasks in TASKS:
            arm, baseline = one_trial_each(share, tasks, 1000)
            counts = zip((arm > baseline).sum(axis=0).tolist(), (arm < baseline).sum(axis=0).tolist(), strict=True)
            means[share, tasks] = held((of_counts(better, worse, tasks) for better, worse in counts), 0.0)
    _check(means, each=True)


@pytest.mark.parametrize("shift", [-0.2, -0.1, 0.1])
def test_difference_of_successes_that_is_not_0_by_score(shift: float) -> None:
    means = {}
    for share in (each for each in SHARES if 0.05 <= each - shift <= 0.95):
        for tasks in TASKS:
            arm, baseline = one_trial_each(share, tasks, 1000, share - shift)
            counts = zip((arm > baseline).sum(axis=0).tolist(), (arm < baseline).sum(axis=0).tolist(), strict=True)
            means[share, tasks] = held((of_counts(better, worse, tasks) for better, worse in counts), shift)
    _check(means, each=True)


@pytest.mark.slow
def test_differences_at_equal_budgets() -> None:
    """An arm of two attempts beside one of three, stopped at what two take: success there, and the mean on the way."""
    at_budget, on_the_way = {}, {}
    for share in (0.1, 0.35, 0.65, 0.9):
        for tasks in TASKS[:2]:
            generator = np.random.default_rng([int(1000 * share), tasks, 3])
            found = [_stopped(share, tasks, generator) for _ in range(150)]
            first, second = (share, 1 - (1 - share) ** 2), (share / 2, 1 - (1 - share / 2) ** 2)
            at_budget[share, tasks] = held((one.success.difference.interval for one in found), first[1] - second[1])
            means = (one.over_range for one in found)
            truth = (first[0] - second[0]) / 2
            on_the_way[share, tasks] = held((one.interval for one in means if one), truth)
    _check(at_budget, each=False)
    _check(on_the_way, each=False)


def _stopped(share: float, tasks: int, generator: np.random.Generator) -> AtBudget:
    """One study: each attempt takes 1, and solves its task with the share, or with half of it for the other arm."""
    names = pd.MultiIndex.from_tuples([("s", f"t{place:03}") for place in range(tasks)], names=TASK)
    sides = []
    for attempts, chance in ((2, share), (3, share / 2)):
        solved = np.maximum.accumulate(generator.random((tasks, attempts)) < chance, axis=1).astype(np.float64)
        change = np.diff(solved, axis=1, prepend=0.0).ravel()
        spent = np.tile(np.arange(1.0, attempts + 1), tasks)
        trial = np.repeat(np.arange(tasks, dtype=np.int64), attempts)
        sides.append(Course("arm", names, trial, spent, change, LeftOut()))
    found = at_equal_budget(*sides, resamples=RESAMPLES)
    assert found is not None
    assert found.budget == 2
    return found


@pytest.mark.slow
def test_difference_of_successes_by_score_with_repeats() -> None:
    means = {}
    for share in SHARES:
        for tasks in TASKS:
            arm, baseline, clusters = repeated_trials(share, tasks, 250)
            studies = (success_difference(one, other, clusters) for one, other in zip(arm.T, baseline.T, strict=True))
            means[share, tasks] = held((study.interval for study in studies if study), 0.0)
    _check(means, each=True)


def test_paired_bootstrap() -> None:
    means = {}
    for share in SHARES:
        for tasks in TASKS:
            arm, baseline = one_trial_each(share, tasks, 300)
            means[share, tasks] = held(mean_intervals(arm - baseline, resamples=RESAMPLES), 0.0)
    _check(means, each=False)


@pytest.mark.slow
def test_paired_bootstrap_with_repeats() -> None:
    means = {}
    for share in SHARES:
        for tasks in TASKS:
            arm, baseline, clusters = repeated_trials(share, tasks, 300)
            means[share, tasks] = held(mean_intervals(arm - baseline, clusters, resamples=RESAMPLES), 0.0)
    _check(means, each=False)


@pytest.mark.slow
def test_paired_bootstrap_of_amounts() -> None:
    """Seconds of two sides, skewed as they are, of which the arm takes fewer."""
    generator = np.random.default_rng(11)
    means = {}
    for tasks in TASKS:
        task = generator.lognormal(0, 0.5, (tasks, 1000))
        arm, baseline = (scale * task * generator.lognormal(0, 0.4, (tasks, 1000)) for scale in (1, 3))
        truth = -2 * np.exp(0.5**2 / 2) * np.exp(0.4**2 / 2)
        means[1.0, tasks] = held(mean_intervals(arm - baseline, resamples=RESAMPLES), float(truth))
    _check(means, each=False)


@pytest.mark.slow
@pytest.mark.parametrize(("answers", "k"), [(1, 1), (5, 1), (10, 5)])
def test_pass_at_k(answers: int, k: int) -> None:
    """The shares are those of right answers of which pass@k itself comes to 5 to 95%."""
    of_count = np.array([pass_at_k(answers, right, k) for right in range(answers + 1)])
    means = {}
    for share in (each for each in SHARES if k == 1 or each <= 0.8):
        likely = betabinom.pmf(np.arange(answers + 1), answers, share, 1 - share)
        for tasks in TASKS:
            generator = np.random.default_rng([int(1000 * share), tasks, answers])
            right = generator.binomial(answers, generator.beta(share, 1 - share, (tasks, 300)))
            intervals = mean_intervals(of_count[right], resamples=RESAMPLES)
            means[share, tasks] = held(intervals, float(np.sum(likely * of_count)))
    _check(means, each=False)


def test_the_columns_are_what_each_study_has_by_itself() -> None:
    arm, baseline, clusters = repeated_trials(0.35, 100, 3)
    for study, column in enumerate(mean_intervals(arm - baseline, clusters, resamples=RESAMPLES)):
        found = paired_difference(arm[:, study], baseline[:, study], clusters, resamples=RESAMPLES)
        assert found is not None
        assert found.interval is not None
        assert column is not None
        assert (column.low, column.high) == pytest.approx((found.interval.low, found.interval.high), abs=1e-12)
    right = np.random.default_rng(0).integers(0, 6, 100)
    (passed,), _ = pass_rates([5] * 100, right.tolist(), [2], resamples=RESAMPLES)
    values = np.array([[rate(5, int(count), 2) for rate in (pass_at_k, pass_hat_k)] for count in right])
    assert passed.interval == mean_intervals(values, resamples=RESAMPLES)[0]


def _of_trials(values: Floats, clusters: Indices) -> Interval | None:
    found = clustered_proportion(values, clusters)
    return found.interval if found else None


def _check(means: dict[tuple[float, int], float], *, each: bool) -> None:
    """The mean of all studies is near 95%; with `each`, that of each share as well."""
    assert LEAST <= np.mean(list(means.values())) <= MOST
    if each:
        for share in {share for share, _ in means}:
            assert LEAST <= np.mean([found for (of, _), found in means.items() if of == share]) <= MOST, share
