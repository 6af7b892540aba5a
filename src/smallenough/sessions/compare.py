"""A comparison from the store: read, compared, formatted, and kept as a run of its own."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from smallenough.analysis import table
from smallenough.analysis.comparison import Comparison, Prices, compare
from smallenough.tracking import comparison_run, reader
from smallenough.tracking.reader import Tables
from smallenough.tracking.store import Store


@dataclass(frozen=True)
class Compared:
    """A comparison and its forms."""

    comparison: Comparison
    tables: Tables

    @property
    def table(self) -> str:
        """The essential table, for a terminal."""
        return table.text(self.comparison)

    @property
    def details(self) -> str:
        """Every column, for a terminal."""
        return table.text(self.comparison, detailed=True)

    @property
    def csv(self) -> str:
        """As CSV."""
        return table.csv(self.comparison)

    @property
    def markdown(self) -> str:
        """As a Markdown table."""
        return table.markdown(self.comparison)

    @property
    def data(self) -> Any:
        """As JSON values."""
        return json.loads(self.comparison.to_json())

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the table should know."""
        return (*self.tables.notes, *self.comparison.notes)


def compare_sessions(
    store: Store,
    sessions: Sequence[str] = (),
    experiment: str | None = None,
    *,
    baseline: str | None = None,
    prices: Prices | None = None,
    log: bool = True,
) -> Compared:
    """Compares the arms of sessions.

    Args:
        store: where they are tracked.
        sessions: which; none: all of the experiment, or the newest.
        experiment: name of an MLflow experiment.
        baseline: the arm to compare with; None: the one that the session names.
        prices: what a machine's time and energy cost.
        log: whether the comparison is kept in MLflow.

    Raises:
        UnknownName: no such session, experiment or arm.
        InputError: there is nothing to compare.
        TrackingError: the store can't be read, and the journals are elsewhere.
    """
    tables = reader.read(store, sessions, experiment)
    found = Compared(compare(tables.trials, tables.arms, baseline, prices), tables)
    if log and tables.experiments:
        artifacts = {
            "comparison.json": found.comparison.to_json(),
            "comparison.csv": found.csv,
            "comparison.md": found.markdown,
        }
        comparison_run.log(store, tables, found.comparison.baseline, artifacts)
    return found
