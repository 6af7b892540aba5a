"""Suites in the tracking store, as MLflow's own evaluation datasets, so that its UI shows them.

Each version of a suite is a dataset of its own, called `NAME vN`, with tags that say what it is; each task is a
record, whose inputs are what a solver may see and whose expectations decide, and so is each example. A dataset becomes
a suite by the tag that is written last, so that a kill in between leaves none half-written. A suite is read back only
if its digest is still that of its tag: records that someone has edited are an error, not other results. Versions are
given out under a lock in the local folder; two machines that import under one name at the same moment can give out the
same number.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from smallenough.errors import InputError, TrackingError, UnknownName
from smallenough.records import Json, Suite, Task, Test, replace
from smallenough.tracking import internals
from smallenough.tracking.access import every, mapped
from smallenough.tracking.health import reach
from smallenough.tracking.masking import shown_uri
from smallenough.tracking.runs import TAG
from smallenough.tracking.store import Store, connect, experiment_id

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import EvaluationDataset

_NAME = re.compile(r"\w[\w .+-]{0,99}(?<! )")
_DECIDING = ("hidden_tests", "setup", "reference")
"""Fields of a task that stand in a record's expectations; the others are its inputs."""
_EXAMPLE = f"{TAG}example"
"""The tag of a record that is an example for few-shot prompts, not a task."""
_LONGEST_TAG = 5000
_ABANDONED_SECONDS = 3600
"""An unfinished dataset of that age is what a killed import has left."""


@dataclass(frozen=True, slots=True)
class SuiteInfo:
    """What the store says of one version of a suite, without its tasks."""

    name: str
    version: int
    digest: str
    tasks: int
    protocol: str
    source: str
    categories: tuple[str, ...] | None
    """None: too many to be noted."""
    levels: tuple[int, ...]
    created: float
    """Seconds since the epoch."""
    dataset: str
    """MLflow's id of the dataset."""


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
        found = [_info(dataset) for dataset in _search(client, "suite")]
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
    return _restored(chosen, records, tags, store)


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
            _write(client, store, suite, belongs)
    return suite


def merged_with_newest(store: Store, suite: Suite) -> Suite:
    """What saving `suite` with `merge` would keep; nothing is written.

    Raises:
        InputError: the suites to merge differ in their protocol.
        TrackingError: the store can't be reached or read.
    """
    return _merged(load_suite(store, suite.name), suite) if newest(store, suite.name) else suite


# ------------------------------------------------------------------------------------------------ in the store


def _search(client: MlflowClient, kind: str) -> Iterator[EvaluationDataset]:
    query = f"tags.{TAG}kind = '{kind}'"
    return every(lambda token: client.search_datasets(filter_string=query, max_results=1000, page_token=token))


def _write(client: MlflowClient, store: Store, suite: Suite, experiment: str) -> None:
    tags = {f"{TAG}{name}": value[:_LONGEST_TAG] for name, value in _tags(suite).items() if value}
    made = client.create_dataset(f"{suite.name} v{suite.version}", experiment, {**tags, f"{TAG}kind": "unfinished"})
    try:
        records = [_record(position, task) for position, task in enumerate(suite.tasks)]
        records += [_record(position, task, example=True) for position, task in enumerate(suite.examples)]
        if records:
            internals.add_records(store.uri, made.dataset_id, records)
        client.set_dataset_tags(made.dataset_id, {f"{TAG}kind": "suite"})
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


# ----------------------------------------------------------------------------------------- from and to records


def _tags(suite: Suite) -> dict[str, str]:
    categories = json.dumps(list(dict.fromkeys(task.category for task in suite.tasks)))
    return {
        "suite": suite.name,
        "version": str(suite.version),
        "digest": suite.digest,
        "protocol": suite.protocol,
        "source": suite.source,
        "description": suite.description,
        "tasks": str(len(suite.tasks)),
        "categories": categories if len(categories) <= _LONGEST_TAG else "",
        "levels": json.dumps(sorted({task.level for task in suite.tasks if task.level is not None})),
    }


def _info(dataset: EvaluationDataset) -> SuiteInfo:
    tags = {key.removeprefix(TAG): value for key, value in (dataset.tags or {}).items()}
    try:
        return SuiteInfo(
            name=tags["suite"],
            version=int(tags["version"]),
            digest=tags["digest"],
            tasks=int(tags["tasks"]),
            protocol=tags["protocol"],
            source=tags.get("source", ""),
            categories=tuple(json.loads(tags["categories"])) if "categories" in tags else None,
            levels=tuple(json.loads(tags["levels"])),
            created=dataset.created_time / 1000,
            dataset=dataset.dataset_id,
        )
    except (KeyError, ValueError) as error:
        raise TrackingError(
            f"the dataset {dataset.name!r} ({dataset.dataset_id}) is tagged as a suite, and its tags are broken "
            f"({error!r}); delete it, or restore its tags"
        ) from error


def _record(position: int, task: Task, *, example: bool = False) -> dict[str, Json]:
    """A task or an example as a dataset's record. Records come back in no order of ours, hence the position."""
    values = asdict(task)
    expectations = {name: values.pop(name) for name in _DECIDING}
    inputs = {"task_id": values.pop("id"), **values}
    tags = {f"{TAG}position": str(position), **({_EXAMPLE: "true"} if example else {})}
    return {"inputs": inputs, "expectations": expectations, "tags": tags}


def _task(inputs: Mapping[str, Any], expectations: Mapping[str, Any]) -> Task:
    values: dict[str, Any] = {**inputs, **expectations}
    for name in ("public_tests", "hidden_tests"):
        values[name] = tuple(Test(**test) for test in values[name])
    return Task(id=values.pop("task_id"), **values)


def _restored(info: SuiteInfo, records: Sequence[Any], tags: Mapping[str, str], store: Store) -> Suite:
    broken = (
        f"{shown_uri(store.uri)}: version {info.version} of the suite {info.name!r} (dataset {info.dataset}) is not "
        "what was saved; import the suite again, which makes a new version"
    )
    try:
        placed = sorted(records, key=lambda record: int(record.tags[f"{TAG}position"]))
        read = [(_EXAMPLE in record.tags, _task(record.inputs, record.expectations or {})) for record in placed]
        suite = Suite(
            name=info.name,
            tasks=tuple(task for example, task in read if not example),
            examples=tuple(task for example, task in read if example),
            source=info.source,
            protocol="standard" if info.protocol == "standard" else "split",
            version=info.version,
            description=tags.get(f"{TAG}description", ""),
        )
        found = suite.digest
    except (KeyError, ValueError, TypeError) as error:
        raise TrackingError(f"{broken} ({error!r})") from error
    if found != info.digest:
        raise TrackingError(f"{broken} (digest {found}, expected {info.digest})")
    return suite


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


__all__ = ["SuiteInfo", "check_name", "list_suites", "load_suite", "merged_with_newest", "newest", "save_suite"]
