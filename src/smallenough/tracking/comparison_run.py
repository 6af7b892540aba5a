"""A comparison as a run of its own, linked to the sessions that it compares."""

from __future__ import annotations

import time
from collections.abc import Mapping

from smallenough.tracking import store as stores
from smallenough.tracking.access import find_runs, mapped, put_run
from smallenough.tracking.reader import Tables
from smallenough.tracking.runs import RunRecord, tags, texts
from smallenough.tracking.store import Store


def log(store: Store, tables: Tables, baseline: str, artifacts: Mapping[str, str], verdict: Mapping[str, str]) -> str:
    """Logs a comparison; one of the same sessions with the same baseline is brought up to date, not logged again.

    Its tag `smallenough.session` is the session's id; of several sessions their ids with commas between them.

    Args:
        store: where the sessions are tracked.
        tables: what was compared.
        baseline: the arm that the others were compared with.
        artifacts: text by file name.
        verdict: what it came to, as tags: they change when the comparison is made anew.

    Returns:
        The id of the run.

    Raises:
        TrackingError: the store can't be written.
    """
    client, experiment = stores.connect(store), tables.experiments[0]
    sessions = ",".join(sorted(tables.sessions))
    record, now = f"comparison:{sessions}:{baseline}", time.time()
    run = RunRecord(
        record,
        None,
        "comparison",
        f"comparison {sessions}",
        "FINISHED",
        now,
        now,
        tags("comparison", record, session=sessions, **verdict),
        texts({"sessions": sessions, "baseline": baseline}),
        {"arms": float(len(tables.arms)), "trials": float(len(tables.trials))},
        {name: text.encode() for name, text in artifacts.items()},
    )
    with mapped(store.uri):
        existing = find_runs(client, [experiment], kind="comparison", record=record)
        return put_run(client, experiment, run, None, existing[0].info.run_id if existing else None)
