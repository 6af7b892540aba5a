"""What all that speaks to MLflow shares: its faults as ours, every page of a search, and the one way to put a run."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from smallenough.errors import TrackingError
from smallenough.tracking.masking import masked, shown_uri
from smallenough.tracking.runs import TAG, RunRecord, metric_rows, milliseconds, tags_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.store.entities import PagedList

Found = TypeVar("Found")

_PAGE = 1000
_MEND = "start it, or unset MLFLOW_TRACKING_URI to track to the local store"


# ------------------------------------------------------------------------------------------------------- faults


@contextmanager
def mapped(uri: str) -> Iterator[None]:
    """Maps what MLflow, a database and the network can raise to `TrackingError`, in words without passwords."""
    import requests
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    try:
        yield
    except (MlflowException, SQLAlchemyError, requests.RequestException, sqlite3.Error, OSError) as error:
        raise TrackingError(told(error, uri)) from error


def told(error: BaseException, uri: str) -> str:
    """What went wrong at a store, in one line that names it; where no server answers, with the mend."""
    import requests
    from sqlalchemy.exc import DBAPIError

    causes = list(_causes(error))
    if any(isinstance(one, (requests.ConnectionError, requests.Timeout)) for one in causes):
        last = causes[-1]
        said = (last.strerror if isinstance(last, OSError) else None) or str(last)
        return f"{shown_uri(uri)} does not answer ({masked(said, uri)}); {_MEND}"
    # What the database itself said, without the statement and the address of a manual that SQLAlchemy adds.
    said = next((str(one.orig) for one in causes if isinstance(one, DBAPIError)), str(error))
    return f"{shown_uri(uri)}: {masked(said, uri)}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from, and so on: the libraries between wrap it."""
    found: BaseException | None = error
    while found is not None:
        yield found
        found = found.__cause__ or found.__context__


# ----------------------------------------------------------------------------------------------------- searching


def every(search: Callable[[str | None], PagedList[Found]]) -> Iterator[Found]:
    """What a search finds on all its pages.

    Args:
        search: gives the page of a token; None: the first.
    """
    page = search(None)
    yield from page
    while page.token:
        page = search(page.token)
        yield from page


def find_runs(client: MlflowClient, experiments: list[str], **tags: str) -> list[Run]:
    """Runs by tags of ours, such as `kind="arm"`, the newest first."""
    if not experiments:
        return []
    query = " and ".join(f"tags.`{TAG}{name}` = {_quoted(value)}" for name, value in tags.items())
    order = ["attributes.start_time DESC"]
    return list(
        every(lambda token: client.search_runs(experiments, query, max_results=_PAGE, order_by=order, page_token=token))
    )


def _quoted(value: str) -> str:
    """A value in a query: MLflow takes either quote, and has no way to escape one."""
    return f'"{value}"' if "'" in value else f"'{value}'"


# ------------------------------------------------------------------------------------------------------- putting


def put_run(client: MlflowClient, experiment: str, run: RunRecord, parent: str | None, run_id: str | None) -> str:
    """Puts a run into a store as its record says.

    Args:
        client: of the store.
        experiment: the id of the experiment that it belongs to.
        run: what shall stand there.
        parent: the id of the run that it is nested in.
        run_id: the run that is to be brought up to date; None: it is made.

    Returns:
        The run's id.
    """
    from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag

    tags = tags_of(run, parent)
    if run_id is None:
        created = client.create_run(experiment, milliseconds(run.start), tags, run_name=run.name[:250])
        run_id = str(created.info.run_id)
    metrics = [Metric(name, value, stamp, step) for name, value, stamp, step in metric_rows(run)]
    params = [Param(name, value) for name, value in run.params.items()]
    # MLflow takes 1,000 things in a batch, 100 of them parameters: most runs go in one.
    client.log_batch(run_id, metrics[:800], params[:100], [RunTag(name, value) for name, value in tags.items()])
    for start in range(100, len(params), 100):
        client.log_batch(run_id, params=params[start : start + 100])
    for start in range(800, len(metrics), 1000):
        client.log_batch(run_id, metrics[start : start + 1000])
    if run.dataset:
        client.log_inputs(run_id, [DatasetInput(Dataset(**run.dataset), [])])
    with tempfile.TemporaryDirectory() as folder:
        for name, content in run.artifacts.items():
            Path(folder, name).write_bytes(content)
            client.log_artifact(run_id, str(Path(folder, name)))
    if run.status == "RUNNING":
        client.update_run(run_id, "RUNNING")
    else:
        client.set_terminated(run_id, run.status, None if run.end is None else milliseconds(run.end))
    return run_id
