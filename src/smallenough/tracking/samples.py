"""The resource samples of arms: what their models' processes took from moment to moment, from either source."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pandas as pd

from smallenough import journal
from smallenough.errors import JournalError, TrackingError
from smallenough.tracking import layout
from smallenough.tracking import store as stores
from smallenough.tracking.access import find_runs, mapped
from smallenough.tracking.artifacts import Advance, fetch
from smallenough.tracking.reader import Tables
from smallenough.tracking.runs import TAG
from smallenough.tracking.store import Store
from smallenough.tracking.translate import Translator


def read_samples(
    store: Store, tables: Tables, advance: Advance | None = None
) -> Mapping[tuple[str, str], pd.DataFrame]:
    """The samples of every arm that ended, by session and arm; arms of which there are none have no entry.

    Args:
        store: as the tables were read from.
        tables: as the reader brought them.
        advance: is told how many arms are read, of how many.

    Raises:
        TrackingError: the store, or the journal in place of it, can't be read.
    """
    found = _from_store(store, tables, advance) if tables.experiments else _from_journals(store, tables)
    frames = {arm: _frame(content) for arm, content in found.items()}
    return {arm: frame for arm, frame in frames.items() if frame is not None and len(frame)}


def _from_store(store: Store, tables: Tables, advance: Advance | None) -> dict[tuple[str, str], bytes | None]:
    client = stores.connect(store)
    with mapped(store.uri):
        runs = [
            run
            for session in tables.sessions
            for run in find_runs(client, list(tables.experiments), kind="resources", session=session)
        ]
    contents = fetch(client, [(run, layout.SAMPLES) for run in runs], advance)
    return {_arm(run.data.tags): content for run, content in zip(runs, contents, strict=True)}


def _from_journals(store: Store, tables: Tables) -> dict[tuple[str, str], bytes | None]:
    found: dict[tuple[str, str], bytes | None] = {}
    for session in tables.sessions:
        folder = store.journals / session
        try:
            translator = Translator(journal.read_suite(folder), folder)
            for _, event in journal.read(folder):
                for run in translator.take(event):
                    if run.kind == "resources":
                        found[_arm(run.tags)] = run.artifacts.get(layout.SAMPLES)
        except JournalError as error:
            raise TrackingError(str(error)) from error
    return found


def _arm(tags: Mapping[str, str]) -> tuple[str, str]:
    return tags[f"{TAG}session"], tags[f"{TAG}arm"]


def _frame(content: bytes | None) -> pd.DataFrame | None:
    """The samples as numbers; None: there are none, or they are damaged."""
    import pyarrow.parquet as pq

    if content is None:
        return None
    try:
        frame: pd.DataFrame = pq.ParquetFile(io.BytesIO(content)).read().to_pandas()
    except (OSError, ValueError):  # what Arrow finds damaged is a ValueError
        return None
    return frame.astype("float64")
