"""What a tracking store holds, as pandas frames: for notebooks.

Every function takes the ids of sessions, beginnings of ids, or `last`; without, every session of the experiment, or,
without one, the newest. The store is the one in force for the command line too: `MLFLOW_TRACKING_URI`, else the SQLite
store in `mlruns`. While it can't be reached, the journals are read, and `notes` of the tables says so.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from smallenough.analysis.criterion import Criterion
from smallenough.analysis.findings import Findings, Terms, find
from smallenough.analysis.money import Prices
from smallenough.tracking import reader
from smallenough.tracking.columns import columns
from smallenough.tracking.sessions_table import read_sessions
from smallenough.tracking.store import Store
from smallenough.tracking.tables import Tables

__all__ = ["arms", "attempts", "columns", "compare", "read", "sessions", "trials"]


def sessions(experiment: str | None = None, store: str | Path | None = None) -> pd.DataFrame:
    """The sessions, one row each, the newest first; see `columns("sessions")`.

    Args:
        experiment: name of an MLflow experiment; None: all.
        store: a tracking URI, or the folder of a local store; None: the one in force.

    Raises:
        UnknownName: no such experiment; names the nearest.
        TrackingError: the store can't be read, and no journal lies here.
    """
    return read_sessions(_store(store), experiment)


def read(*sessions: str, experiment: str | None = None, store: str | Path | None = None) -> Tables:
    """Trials, attempts and arms together, as they were read at one time.

    Raises:
        UnknownName: no such session or experiment; names the nearest.
        InputError: there are no sessions yet.
        TrackingError: the store can't be read, and the journals are elsewhere.
    """
    return reader.read(_store(store), sessions, experiment)


def trials(*sessions: str, experiment: str | None = None, store: str | Path | None = None) -> pd.DataFrame:
    """One row a trial; see `columns("trials")`. Raises as `read`."""
    return read(*sessions, experiment=experiment, store=store).trials


def attempts(*sessions: str, experiment: str | None = None, store: str | Path | None = None) -> pd.DataFrame:
    """One row an attempt; see `columns("attempts")`. Raises as `read`."""
    return read(*sessions, experiment=experiment, store=store).attempts


def arms(*sessions: str, experiment: str | None = None, store: str | Path | None = None) -> pd.DataFrame:
    """One row an arm of a session; see `columns("arms")`. Raises as `read`."""
    return read(*sessions, experiment=experiment, store=store).arms


def compare(
    *sessions: str,
    experiment: str | None = None,
    store: str | Path | None = None,
    baseline: str | None = None,
    margin: float | None = None,
    cheap: str | None = None,
    prices: Prices | None = None,
    common: bool = False,
) -> Findings:
    """Compares the arms of sessions and judges them; nothing is written into the store.

    Args:
        sessions: which; see the module.
        experiment: name of an MLflow experiment.
        store: a tracking URI, or the folder of a local store; None: the one in force.
        baseline: the arm to compare with; None: the one that the sessions name.
        margin: by how much of the solved rate an arm may be worse, 0 to 1; None: 0.05, for small suites 0.2.
        cheap: what cheap means, as `memory,seconds` or `energy=2,seconds=1`; None: peak memory, then time.
        prices: what is charged, before what the sessions were told; None: as they were told.
        common: whether only tasks and repeats that every arm tried are compared.

    Returns:
        The findings: a table in a notebook, `findings.comparison.to_frame()` as a data frame, `findings.verdict`.

    Raises:
        UnknownName: no such session, experiment, arm or cost.
        InputError: there is nothing to compare, or a setting is out of range.
        TrackingError: the store can't be read, and the journals are elsewhere.
    """
    criterion = None if cheap is None else Criterion.parse(cheap)
    tables = read(*sessions, experiment=experiment, store=store)
    return find(tables, Terms(baseline, prices, margin, criterion, common))


def _store(named: str | Path | None) -> Store:
    """The store that is named by a tracking URI or a folder; None: the one in force."""
    if isinstance(named, str) and ":" in named:
        return Store.resolve(uri=named)
    return Store.resolve() if named is None else Store.local(Path(named).absolute())
