"""Suites in the tracking store, as MLflow's own evaluation datasets, so that its UI shows them.

Each version of an imported suite is a dataset of its own, called `NAME vN` (see `suite_records` for what stands in it);
what a session uses of another one, such as the built-in `basics`, is a dataset `NAME DIGEST`. A dataset becomes one or
the other by the tag that is written last, so that a kill in between leaves none half-written. Versions are given out
under a lock in the local folder; two machines that import under one name at the same moment can give out the same
number.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from smallenough.errors import InputError, TrackingError, UnknownName
from smallenough.records import Suite, replace
from smallenough.tracking import internals
from smallenough.tracking.access import every, mapped
from smallenough.tracking.health import reach
from smallenough.tracking.runs import TAG
from smallenough.tracking.store import Store, connect, experiment_id
from smallenough.tracking.suite_records import SuiteInfo, info_of, records_of, restored, tags_of

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import EvaluationDataset

_NAME = re.compile(r"\w[\w .+-]{0,99}(?<! )")
_ABANDONED_SECONDS = 3600
"""An unfinished dataset of that age is what a killed import has left."""


def check_name(name: str) -> str:
    """`name`, if a suite can be called so.

    Raises:
        InputError: it would be taken for a path or a version, or can't be searched for.
    """
    if not _NAME.fullmatch(name) or name.endswith((".jsonl", ".gz")):
        raise InputError(
            f"suite name {name!r}: use letters, digits, spaces and . _ + - (up to 100, no .jsonl at the end)"
        )
    return name


def list_suites(store: Store) -> list[SuiteInfo]:
    """Every version of every suite, by name, the newest version first. A store that does not exist has none.

    Raises:
        TrackingError: the store can't be reached or read.
    """
    if store.database is not None and not store.database.exists():
        return []
    reach(store)
    client = connect(store)
    with mapped(store.uri):
        found = [info_of(dataset) for dataset in _search(client, "suite")]
    return sorted(found, key=lambda info: (info.name, -info.version, -info.created))


def newest(store: Store, name: str) -> SuiteInfo | None:
    """The newest version of a suite; None: there is none.

    Raises:
        TrackingError: the store can't be reached or read.
    """
    return next((info for info in list_suites(store) if info.name == name), None)


def load_suite(store: Store, name: str, version: int | None = None) -> Suite:
    """A suite as it was saved.

    Args:
        store: where it is kept.
        name: what it is called.
        version: which; None: the newest.

    Raises:
        UnknownName: there is no such suite; names the nearest.
        InputError: the suite has no such version.
        TrackingError: the store can't be read, or its records are not those that were saved.
    """
    infos = list_suites(store)
    versions = [info for info in infos if info.name == name]
    if not versions:
        raise UnknownName("suite", name, {info.name for info in infos}, "(imported suites: smallenough tasks list)")
    chosen = next((info for info in versions if version in (None, info.version)), None)
    if chosen is None:
        known = ", ".join(str(info.version) for info in reversed(versions))
        raise InputError(f"suite {name!r} has no version {version}; it has {known}")
    with mapped(store.uri):
        records = internals.read_records(store.uri, chosen.dataset)
        tags = connect(store).get_dataset(chosen.dataset).tags or {}
    return restored(chosen, records, tags, store)


def save_suite(store: Store, suite: Suite, *, merge: bool, experiment: str | None = None) -> Suite:
    """Saves a suite as a new version; where the newest version has the same tasks, that one is the answer.

    Args:
        store: where to keep it; created if it is local and does not exist.
        suite: what to save.
        merge: keep the tasks and examples of the newest version, replace those of the same id, add the others after
            them.
        experiment: the MLflow experiment under which its UI lists the suite; None: `MLFLOW_EXPERIMENT_NAME`, else
            `smallenough`.

    Returns:
        What is in the store now, with its version.

    Raises:
        InputError: the name can't be used, ids occur twice, or the suites to merge differ in their protocol.
        TrackingError: the store can't be reached or written; then it holds no new version.
    """
    check_name(suite.name)
    _check_ids(suite)
    with _alone(store):
        last = newest(store, suite.name)
        client = connect(store)
        if last and merge:
            suite = _merged(load_suite(store, suite.name), suite)
        if last and last.digest == suite.digest:
            return replace(suite, version=last.version)
        suite = replace(suite, version=last.version + 1 if last else 1)
        name = experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME") or "smallenough"
        belongs = experiment_id(client, store, name)
        with mapped(store.uri):
            _remove_abandoned(client, suite.name)
            _write(client, store, suite, belongs, name=f"{suite.name} v{suite.version}", kind="suite")
    return suite


def keep_used(store: Store, suite: Suite, experiment: str) -> None:
    """Keeps the tasks that a session uses as a dataset, called by the suite and its digest, once for every digest.

    The session's runs name it among the datasets that they used. It is no version of a suite: it is not listed, and
    not loaded. What was imported is a dataset already, and is not kept again.

    Args:
        store: where the session is tracked.
        suite: its tasks.
        experiment: the id of the session's experiment.

    Raises:
        TrackingError: the store can't be reached or written, or keeps no datasets.
    """
    if suite.version is not None:
        return
    client = connect(store)
    with _alone(store), mapped(store.uri):
        if not any(_search(client, "used", digest=suite.digest)):
            _remove_abandoned(client, suite.name)
            _write(client, store, suite, experiment, name=f"{suite.name} {suite.digest}", kind="used")


def merged_with_newest(store: Store, suite: Suite) -> Suite:
    """What saving `suite` with `merge` would keep; nothing is written.

    Raises:
        InputError: the suites to merge differ in their protocol.
        TrackingError: the store can't be reached or read.
    """
    return _merged(load_suite(store, suite.name), suite) if newest(store, suite.name) else suite


# ------------------------------------------------------------------------------------------------ in the store


def _search(client: MlflowClient, kind: str, **tags: str) -> Iterator[EvaluationDataset]:
    query = " and ".join(f"tags.{TAG}{name} = '{value}'" for name, value in {"kind": kind, **tags}.items())
    return every(lambda token: client.search_datasets(filter_string=query, max_results=1000, page_token=token))


def _write(client: MlflowClient, store: Store, suite: Suite, experiment: str, *, name: str, kind: str) -> None:
    made = client.create_dataset(name, experiment, {**tags_of(suite), f"{TAG}kind": "unfinished"})
    try:
        if records := records_of(suite):
            internals.add_records(store.uri, made.dataset_id, records)
        client.set_dataset_tags(made.dataset_id, {f"{TAG}kind": kind})
    except BaseException:
        client.delete_dataset(made.dataset_id)
        raise


def _remove_abandoned(client: MlflowClient, name: str) -> None:
    for dataset in _search(client, "unfinished"):
        old = time.time() - dataset.created_time / 1000 > _ABANDONED_SECONDS
        if old and (dataset.tags or {}).get(f"{TAG}suite") == name:
            client.delete_dataset(dataset.dataset_id)


@contextmanager
def _alone(store: Store) -> Iterator[None]:
    """One import at a time, of all that use the local folder."""
    import portalocker

    try:
        store.folder.mkdir(parents=True, exist_ok=True)
        with portalocker.Lock(store.folder / "suites.lock", timeout=60):
            yield
    except portalocker.exceptions.LockException as error:
        raise TrackingError(f"{store.folder}: another import of a suite does not end; try again after it") from error
    except OSError as error:
        raise TrackingError(f"{store.folder}: {error.strerror or error}") from error


# --------------------------------------------------------------------------------------------------- merging


def _check_ids(suite: Suite) -> None:
    seen: set[str] = set()
    for task in suite.tasks + suite.examples:
        if task.id in seen:
            raise InputError(f"suite {suite.name!r}: the id {task.id!r} occurs twice; ids must differ")
        seen.add(task.id)


def _merged(old: Suite, new: Suite) -> Suite:
    if old.protocol != new.protocol:
        raise InputError(
            f"suite {old.name!r} has the protocol {old.protocol}, and what shall be added has {new.protocol}; "
            "import it under another name"
        )
    tasks = {task.id: task for task in (*old.tasks, *new.tasks)}  # a known id keeps its place
    examples = {task.id: task for task in (*old.examples, *new.examples)}
    for task in new.tasks:
        examples.pop(task.id, None)
    for task in new.examples:
        tasks.pop(task.id, None)
    sources = dict.fromkeys([*old.source.split(", "), new.source])
    told = ", ".join(filter(None, sources))
    return replace(old, tasks=tuple(tasks.values()), examples=tuple(examples.values()), source=told)


__all__ = [
    "SuiteInfo",
    "check_name",
    "keep_used",
    "list_suites",
    "load_suite",
    "merged_with_newest",
    "newest",
    "save_suite",
]
