"""What a tracking store holds, as pandas frames: for notebooks.

Every function takes the ids of sessions, beginnings of ids, or `last`; without, every session of the experiment, or,
without one, the newest. The store is the one in force for the command line too: `MLFLOW_TRACKING_URI`, else the SQLite
store in `mlruns`. While it can't be reached, the journals are read, and `notes` of the tables says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from smallenough.analysis import classification
from smallenough.analysis.criterion import Criterion
from smallenough.analysis.findings import Findings, Terms, find
from smallenough.analysis.frames import Frames, prepare
from smallenough.analysis.money import Prices
from smallenough.errors import InputError, UnknownName
from smallenough.records import Suite
from smallenough.tracking import reader
from smallenough.tracking.columns import columns
from smallenough.tracking.sessions_table import read_sessions
from smallenough.tracking.store import Store
from smallenough.tracking.suites import load_suite
from smallenough.tracking.tables import Tables

__all__ = [
    "arms",
    "attempts",
    "classes",
    "columns",
    "compare",
    "confusion",
    "frequencies",
    "labels",
    "read",
    "sessions",
    "trials",
]


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


def labels(*sessions: str, experiment: str | None = None, store: str | Path | None = None) -> pd.DataFrame:
    """One row an arm on tasks whose answers are labels: accuracy, precision, recall, F1, each with its interval.

    See `columns("labels")`. Raises as `read`, and InputError where no answer is a label.
    """
    return classification.to_frame(_classified(read(*sessions, experiment=experiment, store=store)))


def classes(
    *sessions: str,
    training: str | Suite | Mapping[str, int] | None = None,
    experiment: str | None = None,
    store: str | Path | None = None,
) -> pd.DataFrame:
    """One row an arm and label; see `columns("classes")`.

    Args:
        sessions: which; see the module.
        training: the suite that was trained on, its name in the store, or how many rows each label has; None: unknown.
        experiment: name of an MLflow experiment.
        store: as for `compare`.

    Raises:
        InputError: no answer is a label; else as `read`.
    """
    found = _classified(read(*sessions, experiment=experiment, store=store))
    return classification.classes_frame(found, None if training is None else _rows(training, store))


def frequencies(
    *sessions: str,
    training: str | Suite | Mapping[str, int],
    experiment: str | None = None,
    store: str | Path | None = None,
) -> pd.DataFrame:
    """One row an arm and how often labels occur in training: common, rare, unseen; see `columns("frequencies")`.

    Args and errors are those of `classes`.
    """
    frames = _prepared(read(*sessions, experiment=experiment, store=store))
    found = classification.by_frequency(frames.trials, frames.labels, _rows(training, store))
    return classification.frequencies_frame(found)


def confusion(arm: str, *sessions: str, experiment: str | None = None, store: str | Path | None = None) -> pd.DataFrame:
    """The answers of an arm, counted: a row an expected label, a column an answered one, `(none)` last.

    Raises:
        UnknownName: there is no such arm; else as `labels`.
    """
    found = {one.arm: one for one in _classified(read(*sessions, experiment=experiment, store=store))}
    if arm not in found:
        raise UnknownName("arm", arm, tuple(found))
    return found[arm].confusion


def _classified(tables: Tables) -> tuple[classification.Classified, ...]:
    frames = _prepared(tables)
    found = classification.classify(frames.trials, frames.labels)
    if not found:
        raise InputError("no trial of these sessions has a label for an answer; name a session on a suite of labels")
    return found


def _prepared(tables: Tables) -> Frames:
    return prepare(tables.trials, tables.arms)


def _rows(training: str | Suite | Mapping[str, int], store: str | Path | None) -> Mapping[str, int]:
    """How many training rows each label has."""
    if isinstance(training, str):
        training = load_suite(_store(store), training)
    if isinstance(training, Suite):
        return Counter(task.reference for task in training.tasks if task.reference is not None)
    return training


def _store(named: str | Path | None) -> Store:
    """The store that is named by a tracking URI or a folder; None: the one in force."""
    if isinstance(named, str) and ":" in named:
        return Store.resolve(uri=named)
    return Store.resolve() if named is None else Store.local(Path(named).absolute())
