"""All tasks beside all arms: which were solved, which were not, and at which the arms disagree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from smallenough.analysis.frames import FAILED, Frames
from smallenough.tracking.answers import TrialName

MOST_TRIALS = 2_000
"""Trials whose answers a report holds unless another number of tasks is asked for."""

State: TypeAlias = Literal["solved", "partly", "unsolved", "unscored", "failed", "none"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One arm at one task, all repeats together."""

    state: State
    """`partly`: in some repeats; `failed`: infrastructure failed in every repeat that is not solved or unsolved, and
    there is no other; `none`: not tried."""
    solved: int
    scored: int
    failed: int

    @property
    def told(self) -> str:
        """The cell in words."""
        words = {"none": "not tried", "unscored": "answered; no tests decide", "partly": "partly solved"}
        text = words.get(self.state, self.state)
        if self.scored > 1:
            text = f"solved in {self.solved} of {self.scored} repeats"
        failed = "infrastructure failed"
        if self.state == "failed":
            return failed
        return f"{text}, {failed} in {self.failed}" if self.failed else text


@dataclass(frozen=True, slots=True)
class Row:
    """One task."""

    suite: str
    task: str
    category: str
    level: int | None
    cells: Mapping[str, Cell]
    """By the arm's label, every arm."""
    differs: bool
    """Whether some arm solves it more often than another."""

    @property
    def failed(self) -> bool:
        """Whether infrastructure failed at it, for some arm."""
        return any(cell.failed for cell in self.cells.values())


@dataclass(frozen=True)
class Grid:
    """The tasks, those that most arms solve first."""

    rows: tuple[Row, ...]
    shown: frozenset[tuple[str, str]]
    """Suite and task of those whose answers a report holds."""

    @property
    def failed(self) -> int:
        """Tasks at which infrastructure failed."""
        return sum(row.failed for row in self.rows)

    @property
    def left_out(self) -> int:
        """Tasks whose answers a report does not hold."""
        return len(self.rows) - len(self.shown)

    def to_frame(self) -> pd.DataFrame:
        """One row a task and arm: `suite`, `task`, `category`, `arm`, `state` are `string`, the counts `Int64`."""
        rows = [
            (row.suite, row.task, row.category, arm, cell.state, cell.solved, cell.scored, cell.failed)
            for row in self.rows
            for arm, cell in row.cells.items()
        ]
        types = {
            **dict.fromkeys(("suite", "task", "category", "arm", "state"), "string"),
            **dict.fromkeys(("solved", "scored", "failed"), "Int64"),
        }
        return pd.DataFrame(rows, columns=list(types)).astype(types)


def grid(frames: Frames, tasks: int | None = None) -> Grid:
    """All tasks, and those whose answers a report shall hold: those at which arms disagree come first.

    Args:
        frames: what was compared.
        tasks: of how many tasks the answers are wanted; None: as many as have `MOST_TRIALS` trials.
    """
    groups = frames.trials.groupby(["suite", "task"], observed=True, sort=False)
    rows = sorted((_row(str(suite), str(task), own, frames.labels) for (suite, task), own in groups), key=_order)
    sizes = {(str(suite), str(task)): len(own) for (suite, task), own in groups}
    return Grid(tuple(rows), _chosen(rows, sizes, tasks))


def trials_of(frames: Frames, found: Grid) -> list[TrialName]:
    """The trials whose answers the report holds."""
    columns = (frames.trials[name] for name in ("session", "arm", "suite", "task", "repeat"))
    return [
        TrialName(str(session), str(arm), str(task), int(repeat))
        for session, arm, suite, task, repeat in zip(*columns, strict=True)
        if (str(suite), str(task)) in found.shown
    ]


def _chosen(rows: Sequence[Row], sizes: Mapping[tuple[str, str], int], tasks: int | None) -> frozenset[tuple[str, str]]:
    ordered = [(row.suite, row.task) for row in sorted(rows, key=lambda row: not row.differs)]
    if tasks is not None:
        return frozenset(ordered[:tasks])
    upto = np.cumsum([sizes[name] for name in ordered])
    return frozenset(name for name, total in zip(ordered, upto, strict=True) if total <= MOST_TRIALS)


def _row(suite: str, task: str, own: pd.DataFrame, labels: Sequence[str]) -> Row:
    outcomes = own.groupby("label", observed=True)["outcome"].agg(list).to_dict()
    cells = {label: _cell(Counter(outcomes.get(label, ()))) for label in labels}
    shares = {cell.solved / cell.scored for cell in cells.values() if cell.scored}
    category = own["category"].dropna() if "category" in own else pd.Series(dtype="string")
    level = own["level"].dropna() if "level" in own else pd.Series(dtype="Int64")
    return Row(
        suite=suite,
        task=task,
        category=str(category.iloc[0]) if len(category) else "",
        level=int(level.iloc[0]) if len(level) else None,
        cells=cells,
        differs=len(shares) > 1,
    )


def _cell(outcomes: Counter[str]) -> Cell:
    solved, unsolved = outcomes["solved"], outcomes["unsolved"]
    failed = sum(outcomes[name] for name in FAILED)
    if solved + unsolved:
        state: State = "partly" if solved and unsolved else "solved" if solved else "unsolved"
    elif outcomes["unscored"]:
        state = "unscored"
    else:
        state = "failed" if failed else "none"
    return Cell(state, solved, solved + unsolved, failed)


def _order(row: Row) -> tuple[float, tuple[float, ...], str, str]:
    """Most solved first; tasks that the same arms solve stand together."""
    shares = tuple(-cell.solved / cell.scored if cell.scored else 0.0 for cell in row.cells.values())
    return sum(shares), shares, row.category, row.task
