"""Any options of every strategy that is built in."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from smallenough.options import StrategyOptions
from smallenough.strategies import best_of_n, branching, cascade, single

WORDS: dict[str, Any] = {"shots": st.integers(0, 3), "answers": st.sampled_from(["free", "constrained"])}
BRANCHING: dict[str, Any] = {
    "max_depth": st.integers(0, 4),
    "width": st.integers(1, 3),
    "parallel": st.booleans(),
    "ladder": st.lists(st.floats(0, 2), max_size=4).map(tuple),
    "feedback": st.sampled_from(["chat", "rewrite", "off"]),
    "hints": st.booleans(),
    "reformulate": st.booleans(),
    "shorten": st.booleans(),
    "early_stop": st.booleans(),
}
OPTIONS: dict[str, st.SearchStrategy[StrategyOptions]] = {
    "single": st.builds(single.Options, **WORDS),
    "best_of_n": st.builds(
        best_of_n.Options,
        n=st.integers(1, 6),
        temperature=st.none() | st.floats(0, 2),
        parallel=st.booleans(),
        early_stop=st.booleans(),
        **WORDS,
    ),
    "branching": st.builds(
        branching.Options,
        **BRANCHING,
        subtasks=st.booleans(),
        budget_tokens=st.none() | st.integers(1, 200),
        budget_seconds=st.none() | st.floats(0, 20),
        **WORDS,
    ),
    "cascade": st.builds(
        cascade.Options,
        large=st.just("big"),
        first=st.sampled_from(
            [
                "single",
                "best_of_n:n=3",
                ("best_of_n:n=3", "parallel=off"),
                ("branching:max_depth=2", "width=2", "subtasks=on"),
                ("cascade:large=middle", "untested=off"),
                "cascade:large=big",
            ]
        ),
        untested=st.booleans(),
        **WORDS,
    ),
}
