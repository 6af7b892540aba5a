"""A comparison as a run of its own, linked to the sessions that it compares."""

from __future__ import annotations

from collections.abc import Mapping

from smallenough.tracking import store as stores
from smallenough.tracking.reader import Tables, search
from smallenough.tracking.runs import TAG
from smallenough.tracking.sinks import mapped, user
from smallenough.tracking.store import Store


def log(store: Store, tables: Tables, baseline: str, artifacts: Mapping[str, str]) -> str:
    """Logs a comparison; one of the same sessions with the same baseline is brought up to date, not logged again.

    Its tag `smallenough.session` is the session's id; of several sessions their ids with commas between them.

    Args:
        store: where the sessions are tracked.
        tables: what was compared.
        baseline: the arm that the others were compared with.
        artifacts: text by file name.

    Returns:
        The id of the run.

    Raises:
        TrackingError: the store can't be written.
    """
    client = stores.connect(store)
    sessions = ",".join(sorted(tables.sessions))
    record = f"comparison:{sessions}:{baseline}"
    experiment = tables.experiments[0]
    with mapped(store.uri):
        existing = search(client, [experiment], "comparison", record=record)
        if existing:
            run_id: str = existing[0].info.run_id
        else:
            tags = {
                f"{TAG}kind": "comparison",
                f"{TAG}record": record,
                f"{TAG}session": sessions,
                "mlflow.user": user(),
                "mlflow.source.name": "smallenough",
            }
            run = client.create_run(experiment, tags=tags, run_name=f"comparison {sessions}"[:250])
            run_id = run.info.run_id
            client.log_param(run_id, "sessions", sessions)
            client.log_param(run_id, "baseline", baseline)
        client.log_metric(run_id, "arms", len(tables.arms))
        client.log_metric(run_id, "trials", len(tables.trials))
        for name, text in artifacts.items():
            client.log_text(run_id, text, name)
        client.set_terminated(run_id)
    return run_id
