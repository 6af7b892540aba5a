"""A comparison from the store: read, compared, judged, and kept as a run of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from smallenough.analysis import table
from smallenough.analysis.findings import Findings, Terms, find
from smallenough.tracking import comparison_run, reader
from smallenough.tracking.store import Store


def compare_sessions(
    store: Store,
    sessions: Sequence[str] = (),
    experiment: str | None = None,
    terms: Terms | None = None,
    *,
    log: bool = True,
) -> Findings:
    """Compares the arms of sessions.

    Args:
        store: where they are tracked.
        sessions: which; none: all of the experiment, or the newest.
        experiment: name of an MLflow experiment.
        terms: what is compared with what; None: the defaults.
        log: whether the comparison is kept in MLflow.

    Raises:
        UnknownName: no such session, experiment or arm.
        InputError: there is nothing to compare.
        TrackingError: the store can't be read, and the journals are elsewhere.
    """
    tables = reader.read(store, sessions, experiment)
    found = find(tables, terms)
    if log:
        keep(store, found)
    return found


def keep(store: Store, found: Findings, further: Mapping[str, str] | None = None) -> str | None:
    """Keeps a comparison in the store; one that is there is brought up to date.

    Args:
        store: where the sessions are tracked.
        found: what the comparison came to.
        further: artifacts besides its own, text by file name.

    Returns:
        The id of the run; None: the sessions were read from their journals, so that there is no store to keep it in.

    Raises:
        TrackingError: the store can't be written.
    """
    if not found.tables.experiments:
        return None
    artifacts = {
        "comparison.json": found.to_json(),
        "comparison.csv": table.csv(found.comparison),
        "comparison.md": found.to_markdown(detailed=True),
        **(further or {}),
    }
    return comparison_run.log(store, found.tables, found.comparison.baseline, artifacts, _told(found))


def _told(found: Findings) -> dict[str, str]:
    """The verdict as tags of the comparison's run."""
    verdict = found.verdict
    told = {"verdict": verdict.kind, "margin": f"{verdict.margin:g}", "cheap": verdict.criterion.told}
    return told | ({"chosen": verdict.arm} if verdict.arm else {})
