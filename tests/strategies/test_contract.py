"""Every strategy that is built in keeps the contract."""

from __future__ import annotations

from importlib.metadata import entry_points

from smallenough.contracts.strategy import StrategyContract
from tests.strategies.any_options import OPTIONS


class TestSingle(StrategyContract):
    name, options = "single", OPTIONS["single"]


class TestBestOfN(StrategyContract):
    name, options = "best_of_n", OPTIONS["best_of_n"]


class TestBranching(StrategyContract):
    name, options = "branching", OPTIONS["branching"]


class TestCascade(StrategyContract):
    name, options = "cascade", OPTIONS["cascade"]


def test_no_strategy_is_left_out() -> None:
    own = {
        entry.name
        for entry in entry_points(group="smallenough.strategies")
        if entry.dist and entry.dist.name == "smallenough"
    }
    assert own == OPTIONS.keys()
    assert own == {kind.name for kind in StrategyContract.__subclasses__()}
