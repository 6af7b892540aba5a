"""Trials with their attempts, as the tracking reader brings them, with labels: for tests of what attempts tell."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

_NUMBERS = (
    "solved",
    "public_passed_ratio",
    "syntax_valid",
    "latency_seconds",
    "cpu_seconds",
    "energy_joules",
    "money",
    "operations",
    "tokens_in",
    "tokens_out",
)


@dataclass(frozen=True)
class Try:
    """An attempt: whether the hidden tests pass (None: it writes no solution), what the public ones say, its cost."""

    solved: bool | None
    public: float | None = None
    seconds: float | None = 1.0
    said: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """A trial; without `outcome` it ends as its attempt `chosen` does, the last one if that is None."""

    task: str
    tries: Sequence[Try]
    repeat: int = 0
    chosen: int | None = None
    outcome: str | None = None
    said: dict[str, Any] = field(default_factory=dict)


def right(seconds: float | None = 1.0, **said: Any) -> Try:
    return Try(True, 1.0, seconds, said)


def wrong(seconds: float | None = 1.0, public: float = 0.0, **said: Any) -> Try:
    return Try(False, public, seconds, {"error": "AssertionError", **said})


def frames(**arms: Iterable[Trial]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The trials and the attempts of arms, whose strategies are the beginnings of their names."""
    trials, attempts = [], []
    for label, made in arms.items():
        for trial in made:
            who = {"label": label, "model": "small", "provider": "ollama", "strategy": label.rstrip("0123456789")}
            key = {**who, "suite": "basics", "task": trial.task, "repeat": trial.repeat}
            chosen = len(trial.tries) - 1 if trial.chosen is None else trial.chosen
            ended = trial.outcome or ("solved" if trial.tries[chosen].solved else "unsolved")
            solved = {"solved": True, "unsolved": False}.get(ended)
            trials.append({**key, "outcome": ended, "solved": solved, "chosen": chosen, **trial.said})
            attempts += [{**key, "attempt": index, **_attempt(one)} for index, one in enumerate(trial.tries)]
    return _typed(trials, "boolean"), _typed(attempts, "Float64")


def _attempt(one: Try) -> dict[str, Any]:
    return {
        "role": "solve" if one.solved is not None else "subtask",
        "parent": None,
        "note": None,
        "error": None,
        "solved": one.solved,
        "public_passed_ratio": one.public,
        "syntax_valid": None if one.solved is None else 1.0,
        "latency_seconds": one.seconds,
        **one.said,
    }


def _typed(rows: list[dict[str, Any]], solved: str) -> pd.DataFrame:
    frame = pd.DataFrame(rows)
    kinds = {name: "Float64" for name in frame.columns if name in _NUMBERS} | {"solved": solved}
    texts = [name for name in frame.columns if name in ("label", "task", "suite", "note", "error", "role")]
    return frame.astype(kinds | dict.fromkeys(texts, "string") | {"chosen": "Int64"} if "chosen" in frame else kinds)


COST = st.floats(0, 100, allow_nan=False).map(lambda value: round(value, 3))
TRY = st.builds(
    Try,
    st.one_of(st.none(), st.booleans()),
    st.one_of(st.none(), st.sampled_from([0.0, 0.5, 1.0])),
    COST,
)


@st.composite
def trial_lists(draw: st.DrawFn, *, most_tasks: int = 6) -> list[Trial]:
    """Trials of one arm: several tasks with unlike numbers of repeats and of attempts, any outcome."""
    outcomes = st.sampled_from(["solved", "unsolved", "solved", "unsolved", "unscored", "model_failed"])
    return [
        Trial(f"t{task}", draw(st.lists(TRY, min_size=1, max_size=4)), repeat, outcome=draw(outcomes))
        for task in range(draw(st.integers(1, most_tasks)))
        for repeat in range(draw(st.integers(1, 3)))
    ]


def rate(trials: pd.DataFrame) -> float:
    """The solved rate of all trials that are scored."""
    return float(np.mean(trials["solved"].dropna().to_numpy(dtype=float)))
