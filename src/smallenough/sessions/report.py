"""A report of sessions: read, worked out, and kept with their comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

import smallenough
from smallenough.analysis.findings import Findings, Terms, find
from smallenough.analysis.report import Report, gather, grid, trials_of
from smallenough.errors import TrackingError, UnknownName
from smallenough.sessions.compare import keep
from smallenough.tracking import reader
from smallenough.tracking.answers import read_answers
from smallenough.tracking.artifacts import Advance
from smallenough.tracking.samples import read_samples
from smallenough.tracking.store import Store
from smallenough.tracking.suites import load_suite


def make_report(
    store: Store,
    sessions: Sequence[str] = (),
    experiment: str | None = None,
    terms: Terms | None = None,
    *,
    tasks: int | None = None,
    advance: Advance | None = None,
) -> Report:
    """Makes a report.

    Args:
        store: where the sessions are tracked.
        sessions: which; none: all of the experiment, or the newest.
        experiment: name of an MLflow experiment.
        terms: what is compared with what; None: the defaults.
        tasks: of how many tasks the report holds the answers; None: of all, within a limit.
        advance: is told how many answers are read, of how many.

    Raises:
        UnknownName: no such session, experiment or arm.
        InputError: there is nothing to compare.
        TrackingError: the store can't be read, and the journals are elsewhere.
    """
    tables = reader.read(store, sessions, experiment)
    found = find(tables, terms)
    chosen = grid(found.frames, tasks)
    wanted = trials_of(found.frames, chosen)
    answers = read_answers(store, tables, wanted, advance) if wanted else None
    content = gather(found, chosen, read_samples(store, tables), answers, _learned(store, found))
    now = datetime.now().astimezone()
    return Report(content, f"made {now:%Y-%m-%d %H:%M} by smallenough {smallenough.__version__}")


def _learned(store: Store, found: Findings) -> Mapping[str, int]:
    """How many rows of each label the arms' adapters learned; empty: none did, several suites, or it can't be read."""
    suites = found.frames.arms["training_suite"].dropna().unique()
    if len(suites) != 1 or not found.labels:
        return {}
    try:
        suite = load_suite(store, str(suites[0]))
    except (UnknownName, TrackingError):
        return {}
    return Counter(task.reference for task in suite.tasks if task.reference is not None)


def log_report(store: Store, report: Report) -> str | None:
    """Keeps a report, with its tables, in the run of the comparison; one that is there is brought up to date.

    Returns:
        The id of the run; None: the sessions were read from their journals, so that there is no store to keep it in.

    Raises:
        TrackingError: the store can't be written.
    """
    pages = {"report.html": report.html, "report.md": report.markdown, "report.json": report.json}
    return keep(store, report.content.findings, {**pages, **report.tables()})
