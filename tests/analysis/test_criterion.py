from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallenough.analysis.criterion import TIE, Costs, Criterion
from smallenough.errors import InputError, UnknownName

AMOUNTS = st.floats(1e-6, 1e12)


class TestReading:
    def test_one_after_the_other(self) -> None:
        assert Criterion.parse("memory, seconds") == Criterion(("memory", "seconds"))

    def test_a_score(self) -> None:
        assert Criterion.parse("energy=2,seconds=1") == Criterion(
            ("energy", "seconds"), {"energy": 2.0, "seconds": 1.0}
        )

    def test_tokens_are_no_cost(self) -> None:
        with pytest.raises(InputError, match="tokens of different tokenizers"):
            Criterion.parse("tokens")

    def test_the_nearest_cost_is_named(self) -> None:
        with pytest.raises(UnknownName, match="energy"):
            Criterion.parse("enrgy")

    @pytest.mark.parametrize("text", ["", "memory=1,seconds", "memory=0", "memory=nan", "memory=x", "memory,memory"])
    def test_what_can_not_be_read_is_refused(self, text: str) -> None:
        with pytest.raises(InputError):
            Criterion.parse(text)


class TestOrder:
    def test_the_next_cost_decides_between_equals(self) -> None:
        arms: dict[str, Costs] = {
            "a": {"memory": 2.0e9, "seconds": 9.0},
            "b": {"memory": 2.05e9, "seconds": 3.0},
            "c": {"memory": 1.0e9, "seconds": 50.0},
        }
        assert Criterion().order(arms) == ("c", "b", "a")

    def test_beyond_the_tie_the_first_cost_decides(self) -> None:
        arms = {"a": {"memory": 1.0, "seconds": 9.0}, "b": {"memory": 1.0 + 2 * TIE, "seconds": 1.0}}
        assert Criterion().order(arms) == ("a", "b")

    def test_what_was_not_measured_is_left_out(self) -> None:
        arms: dict[str, Costs] = {"a": {"memory": None, "seconds": 1.0}, "b": {"memory": 5.0, "seconds": None}}
        assert Criterion().order(arms) == ("b",)
        assert Criterion.parse("memory=1,seconds=1").order(arms) == ()

    def test_a_later_cost_that_was_not_measured_drops_nobody(self) -> None:
        arms: dict[str, Costs] = {"a": {"memory": 5.0, "seconds": None}, "b": {"memory": 5.0, "seconds": 2.0}}
        assert Criterion().order(arms) == ("b", "a")

    def test_weights_count(self) -> None:
        arms = {"quick": {"seconds": 1.0, "energy": 100.0}, "frugal": {"seconds": 10.0, "energy": 11.0}}
        assert Criterion.parse("seconds=1,energy=1").order(arms)[0] == "quick"
        assert Criterion.parse("seconds=1,energy=2").order(arms)[0] == "frugal"

    @given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.tuples(AMOUNTS, AMOUNTS), max_size=8), AMOUNTS)
    def test_units_do_not_matter_to_a_score(self, amounts: dict[str, tuple[float, float]], unit: float) -> None:
        criterion = Criterion.parse("seconds=1,energy=3")
        arms = {name: {"seconds": seconds, "energy": energy} for name, (seconds, energy) in amounts.items()}
        scaled = {name: {**costs, "energy": costs["energy"] * unit} for name, costs in arms.items()}
        scores = [criterion.score(arms[name]) for name in criterion.order(scaled)]
        assert all(b >= a * (1 - 1e-9) for a, b in itertools.pairwise(scores) if a is not None and b is not None)

    @given(st.dictionaries(st.text("abc", min_size=1, max_size=3), st.tuples(AMOUNTS, AMOUNTS), max_size=8))
    def test_every_measured_arm_is_there_once(self, amounts: dict[str, tuple[float, float]]) -> None:
        arms = {name: {"memory": memory, "seconds": seconds} for name, (memory, seconds) in amounts.items()}
        order = Criterion().order(arms)
        assert sorted(order) == sorted(arms)
        if order:
            assert arms[order[0]]["memory"] <= (1 + TIE) * min(costs["memory"] for costs in arms.values())

    def test_no_order_hangs(self) -> None:
        arms: dict[str, Costs] = {"a": {"energy": -5.0}, "b": {"energy": 0.0}, "c": {"energy": 0.0}}
        assert Criterion(("energy",)).order(arms) == ("a", "b", "c")

    def test_without_a_cost(self) -> None:
        assert Criterion().without(["memory"]) == Criterion(("seconds",))
        assert Criterion().without(["memory", "seconds"]) is None
        assert Criterion.parse("memory=1,energy=2").without(["memory"]) == Criterion(("energy",), {"energy": 2.0})
