"""A suite as an evaluation dataset: what its tags say, and a record for each task and each example.

A record's inputs are what a solver may see, its expectations decide. A suite is read back only if its digest is still
that of its tag: records that someone has edited are an error, not other results.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from smallenough.errors import TrackingError
from smallenough.records import Json, Suite, Task, Test
from smallenough.tracking.masking import shown_uri
from smallenough.tracking.runs import TAG
from smallenough.tracking.store import Store

if TYPE_CHECKING:
    from mlflow.entities import EvaluationDataset

_DECIDING = ("hidden_tests", "setup", "reference", "hierarchy")
"""Fields of a task that stand in a record's expectations; the others are its inputs."""
_EXAMPLE = f"{TAG}example"
"""The tag of a record that is an example for few-shot prompts, not a task."""
_LONGEST_TAG = 5000


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


def tags_of(suite: Suite) -> dict[str, str]:
    """What a dataset's tags say of the suite."""
    categories = json.dumps(list(dict.fromkeys(task.category for task in suite.tasks)))
    told = {
        "suite": suite.name,
        "version": str(suite.version or ""),
        "digest": suite.digest,
        "protocol": suite.protocol,
        "source": suite.source,
        "description": suite.description,
        "tasks": str(len(suite.tasks)),
        "categories": categories if len(categories) <= _LONGEST_TAG else "",
        "levels": json.dumps(sorted({task.level for task in suite.tasks if task.level is not None})),
    }
    return {f"{TAG}{name}": value[:_LONGEST_TAG] for name, value in told.items() if value}


def records_of(suite: Suite) -> list[dict[str, Json]]:
    """The tasks and the examples, each as a record."""
    tasks = [_record(position, task) for position, task in enumerate(suite.tasks)]
    return tasks + [_record(position, task, example=True) for position, task in enumerate(suite.examples)]


def info_of(dataset: EvaluationDataset) -> SuiteInfo:
    """What a dataset's tags say.

    Raises:
        TrackingError: someone has broken them.
    """
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
    for name in ("labels", "meanings"):
        values[name] = tuple(values.get(name, ()))
    return Task(id=values.pop("task_id"), **values)


def restored(info: SuiteInfo, records: Sequence[Any], tags: Mapping[str, str], store: Store) -> Suite:
    """The suite that a dataset's records make.

    Raises:
        TrackingError: it is not the one that was saved.
    """
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
