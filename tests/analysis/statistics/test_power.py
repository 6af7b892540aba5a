from __future__ import annotations

from functools import cache
from math import ceil

import numpy as np
import pytest
from scipy.stats import norm

from smallenough.analysis.statistics import (
    clustered_proportion,
    design_effect,
    difference_power,
    mcnemar,
    pairs_for_difference,
    pairs_for_noninferiority,
    tasks_needed,
)
from smallenough.analysis.statistics.score import noninferiority_p
from smallenough.errors import InputError

STUDIES = 20_000
NEAR = 0.015
"""Four standard errors of a share of that many studies, and a little."""

mcnemar_p = cache(mcnemar)
below_margin_p = cache(noninferiority_p)


def counts(pairs: int, difference: float, discordance: float) -> list[list[int]]:
    """Pairs that only the arm solves, and that only the baseline does, in simulated studies."""
    shares = [(discordance + difference) / 2, (discordance - difference) / 2, 1 - discordance]
    drawn = np.random.default_rng(pairs).multinomial(pairs, shares, size=STUDIES)
    return [[int(better), int(worse)] for better, worse, _ in drawn]


class TestPairsForDifference:
    @pytest.mark.parametrize(
        ("difference", "discordance", "power", "alpha"),
        [(0.05, 0.15, 0.8, 0.05), (0.1, 0.3, 0.9, 0.05), (0.2, 0.2, 0.8, 0.01), (-0.08, 0.4, 0.5, 0.1)],
    )
    def test_that_many_have_the_power_in_simulation(
        self, difference: float, discordance: float, power: float, alpha: float
    ) -> None:
        pairs = pairs_for_difference(difference, discordance, power=power, alpha=alpha)
        found = np.mean([mcnemar_p(*each) <= alpha for each in counts(pairs, difference, discordance)])
        assert found == pytest.approx(difference_power(pairs, difference, discordance, alpha=alpha), abs=NEAR)
        assert power <= difference_power(pairs, difference, discordance, alpha=alpha) < power + 0.05
        assert difference_power(pairs - 1, difference, discordance, alpha=alpha) < power

    @pytest.mark.parametrize(("difference", "discordance"), [(0.05, 0.15), (0.02, 0.1), (0.1, 0.3)])
    def test_is_a_little_above_connors(self, difference: float, discordance: float) -> None:
        """Connor's number is for the test without the caution of whole pairs, which is nearly two over d more."""
        z = norm.ppf(0.975) * discordance**0.5 + norm.ppf(0.8) * (discordance - difference**2) ** 0.5
        connor = ceil((z / difference) ** 2)
        assert connor < pairs_for_difference(difference, discordance) <= connor + 2 / difference

    def test_no_difference_is_never_found(self) -> None:
        assert difference_power(1000, 0.0, 0.3) <= 0.05
        assert difference_power(5, 0.3, 0.3) == 0.0
        with pytest.raises(InputError, match="difference of 0"):
            pairs_for_difference(0.0, 0.1)

    def test_bad_input_is_refused(self) -> None:
        with pytest.raises(InputError, match="discordance"):
            pairs_for_difference(0.2, 0.1)
        with pytest.raises(InputError, match="power must be between"):
            pairs_for_difference(0.1, 0.2, power=80)
        with pytest.raises(InputError, match="alpha must be between"):
            pairs_for_difference(0.1, 0.2, alpha=0)
        with pytest.raises(InputError, match="negative"):
            difference_power(-1, 0.1, 0.2)


class TestPairsForNoninferiority:
    @pytest.mark.parametrize(
        ("difference", "discordance", "margin"),
        [
            (0.0, 0.1, 0.05),
            (0.0, 0.3, 0.05),
            (-0.02, 0.1, 0.1),
            (0.05, 0.2, 0.05),
            (0.0, 0.25, 0.2),
        ],
    )
    @pytest.mark.parametrize("power", [0.8, 0.9])
    def test_that_many_have_nearly_the_power_in_simulation(
        self, difference: float, discordance: float, margin: float, power: float
    ) -> None:
        """The number is a normal approximation: its power is within 4 points of what is asked for."""
        pairs = pairs_for_noninferiority(difference, discordance, margin, power=power)
        assert pairs is not None
        found = np.mean(
            [below_margin_p(*each, pairs, margin) < 0.05 for each in counts(pairs, difference, discordance)]
        )
        assert found == pytest.approx(power, abs=0.04)

    def test_an_arm_that_is_never_better_has_the_power_at_least(self) -> None:
        """The exact test decides there; its power rises in steps, and falls a little between them."""
        pairs = pairs_for_noninferiority(-0.02, 0.02, 0.05)
        assert pairs is not None
        for fewer, enough in ((0, True), (1, False)):
            studies = counts(pairs - fewer, -0.02, 0.02)
            found = np.mean([below_margin_p(*each, pairs - fewer, 0.05) < 0.05 for each in studies])
            assert (found >= 0.8) == enough

    def test_pairs_that_all_agree_need_as_many_as_the_exact_test(self) -> None:
        assert pairs_for_noninferiority(0.0, 0.0, 0.05) == 59

    @pytest.mark.parametrize("difference", [-0.05, -0.1])
    def test_an_arm_that_is_worse_by_the_margin_never_passes(self, difference: float) -> None:
        assert pairs_for_noninferiority(difference, 0.2, 0.05) is None

    def test_bad_input_is_refused(self) -> None:
        with pytest.raises(InputError, match="margin must be between"):
            pairs_for_noninferiority(0.0, 0.1, 5)
        with pytest.raises(InputError, match="discordance"):
            pairs_for_noninferiority(0.3, 0.1, 0.05)


class TestRepeats:
    def test_tasks_and_repeats_are_traded(self) -> None:
        assert design_effect(1, 0.7) == 1.0
        assert design_effect(5, 0.0) == 1.0
        assert design_effect(5, 1.0) == 5.0
        assert tasks_needed(300, 1, 0.5) == 300
        assert tasks_needed(300, 3, 0.5) == 200
        assert tasks_needed(300, 3, 1.0) == 300

    def test_is_the_variance_of_simulated_means(self) -> None:
        """Chances Beta(1, 1) make repeats correlate by 1/3: 4 repeats have twice the variance of new tasks."""
        generator = np.random.default_rng(4)
        right = generator.binomial(4, generator.random((STUDIES, 50))).sum(axis=1) / 200
        assert right.var() / (0.25 / 200) == pytest.approx(design_effect(4, 1 / 3), rel=0.05)

    def test_as_many_tasks_as_told_are_worth_the_pairs(self) -> None:
        """The interval is as wide as that of so many independent trials, give or take the estimate of the effect."""
        tasks = tasks_needed(500, 4, 1 / 3)
        generator = np.random.default_rng(9)
        clusters = np.repeat(np.arange(tasks), 4)
        studies = [
            clustered_proportion(generator.random(4 * tasks) < chance[clusters], clusters)
            for chance in generator.random((200, tasks))
        ]
        worth = [study.effective_n for study in studies if study and study.effective_n]
        assert np.mean(worth) == pytest.approx(500, rel=0.03)

    def test_bad_input_is_refused(self) -> None:
        with pytest.raises(InputError, match="repeats"):
            design_effect(0, 0.5)
        with pytest.raises(InputError, match="correlation"):
            design_effect(2, 1.5)
