"""Removing a session's runs from a tracking store. MLflow keeps what is removed until `mlflow gc`."""

from __future__ import annotations

from collections.abc import Callable

from smallenough.tracking import store as stores
from smallenough.tracking.access import find_runs, mapped
from smallenough.tracking.store import Store


def remove_runs(store: Store, session: str, on_run: Callable[[int, int], None] | None = None) -> int:
    """Removes every run of a session, its own last, so that what is broken off can be found and gone on with.

    Args:
        store: where it is tracked.
        session: its id.
        on_run: told how many are removed, and of how many.

    Returns:
        How many.

    Raises:
        TrackingError: the store can't be read or written.
    """
    if store.database is not None and not store.database.exists():
        return 0
    client = stores.connect(store)
    with mapped(store.uri):
        experiments = [one.experiment_id for one in client.search_experiments()]
        runs = find_runs(client, experiments, session=session)
        for number, run in enumerate(sorted(runs, key=lambda run: run.data.tags.get("smallenough.kind") == "session")):
            client.delete_run(run.info.run_id)
            if on_run is not None:
                on_run(number + 1, len(runs))
    return len(runs)
