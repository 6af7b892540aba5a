"""A comparison from the store: read, compared, formatted, and kept as a run of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smallenough.analysis import table
from smallenough.analysis.comparison import Comparison, Prices, compare
from smallenough.tracking import comparison_run, reader
from smallenough.tracking.reader import Tables
from smallenough.tracking.store import Store


@dataclass(frozen=True)
class Compared:
    """A comparison, and the tables that it was made from."""

    comparison: Comparison
    tables: Tables

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the table should know."""
        return (*self.tables.notes, *self.comparison.notes)

    def _repr_markdown_(self) -> str:
        """How a notebook shows it."""
        return "\n\n".join([table.markdown(self.comparison), *self.notes])


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
        prices: what a machine's time and energy cost; None: as the sessions were told, if they agree.
        log: whether the comparison is kept in MLflow.

    Raises:
        UnknownName: no such session, experiment or arm.
        InputError: there is nothing to compare.
        TrackingError: the store can't be read, and the journals are elsewhere.
    """
    tables = reader.read(store, sessions, experiment)
    found = Compared(compare(tables.trials, tables.arms, baseline, prices or _recorded(tables)), tables)
    if log and tables.experiments:
        artifacts = {
            "comparison.json": found.comparison.to_json(),
            "comparison.csv": table.csv(found.comparison),
            "comparison.md": table.markdown(found.comparison, detailed=True),
        }
        comparison_run.log(store, tables, found.comparison.baseline, artifacts)
    return found


def _recorded(tables: Tables) -> Prices | None:
    """The prices with which all of the sessions were run; None: they were told none, or different ones."""
    told = [tables.prices.get(session, {}) for session in tables.sessions]
    first = told[0]
    if any(other != first for other in told) or not {"per_kwh", "per_machine_hour"} & set(first):
        return None
    per_kwh, per_hour = (float(first[name]) if name in first else None for name in ("per_kwh", "per_machine_hour"))
    return Prices(per_kwh, per_hour, first.get("currency", ""), first.get("as_of", ""))
