"""From a name or a path to a suite: built-in, imported, a file, or one free task; and the import itself."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smallenough import plugins
from smallenough.errors import InputError, UnknownName
from smallenough.evaluation import run_reference_times
from smallenough.protocols import TaskSource
from smallenough.records import Suite, Task
from smallenough.sessions.named import make_sandbox
from smallenough.tasks.detect import open_source
from smallenough.tasks.mbpp import VARIABLE, MbppSource
from smallenough.tasks.reading import Faults, read_records
from smallenough.tasks.select import categories, select
from smallenough.tracking.store import Store

_FREE_TASK = "task"


@dataclass(frozen=True, slots=True)
class Listed:
    """What a list of suites says of one."""

    name: str
    version: int | None = None
    """None: built in."""
    digest: str | None = None
    tasks: int | None = None
    levels: tuple[int, ...] = ()
    categories: tuple[str, ...] | None = ()
    """None: too many to be noted."""
    source: str = ""
    problem: str = ""
    """Why a built-in suite can't be had here, and what to do about it."""


def open_suite(
    name_or_path: str,
    store: Store,
    *,
    path: str | Path | None = None,
    ids: str | None = None,
    protocol: str | None = None,
    version: int | None = None,
) -> Suite:
    """The suite that a person means.

    Args:
        name_or_path: a built-in source (`basics`, `humaneval`, `mbpp`), an imported suite (`NAME`, or `NAME@3` for
            its third version), or the path of a file or folder in one of the forms that can be imported.
        store: where imported suites are kept.
        path: the file that a built-in source shall read.
        ids: the tasks to keep: `11-510` or `1,5,20-29` for MBPP, ids with commas between them for others.
        protocol: `split` or `standard`, where the source can do both.
        version: of an imported suite; None: the newest.

    Raises:
        UnknownName: there is no suite of that name, nor a file; names the nearest.
        InputError: the file is not as it should be, or an argument has no meaning for this suite.
        TrackingError: the tracking store, where the suite is looked for, can't be read.
    """
    suite, rest = _opened(name_or_path, store, path, ids, protocol, version)
    if protocol is not None and suite.protocol != protocol:
        raise InputError(
            f"suite {suite.name!r} has the protocol {suite.protocol}, and it can't be given another here; "
            f"leave out the protocol {protocol!r}"
        )
    if rest is None:
        return suite
    return select(suite, ids=[part for text in rest.split(",") if (part := text.strip())])


def free_task(text: str) -> Suite:
    """A suite of one task in a person's own words, without tests: nothing decides whether it is solved.

    Raises:
        InputError: the text is empty.
    """
    if not text.strip():
        raise InputError("the task's text is empty; say what the models shall do")
    return Suite("free", (Task(_FREE_TASK, text),), source="command line", description="One task without tests.")


def import_file(store: Store, path: str | Path, name: str, *, merge: bool, sandbox: str = "bubblewrap") -> Suite:
    """Imports a file or a folder as a suite, after every reference in it was seen to pass its tests.

    Args:
        store: where suites are kept.
        path: a file in the own (code or labels), the MBPP or the HumanEval form, or a folder in the own form.
        name: what the suite shall be called.
        merge: add to the newest version, and replace tasks of the same id; else the file alone is the new version.
        sandbox: the name of the sandbox that runs the references.

    Returns:
        The suite in the store, with its version; where the newest version has the same tasks, that one.

    Raises:
        InputError: the file is not as it should be, a reference fails, or the name is taken; nothing is written.
        SandboxError: the sandbox does not work here.
        TrackingError: the store can't be written.
    """
    from smallenough.tracking.suites import save_suite

    return save_suite(store, load_file(path, name, sandbox), merge=merge)


def load_file(path: str | Path, name: str, sandbox: str = "bubblewrap") -> Suite:
    """What an import would save: the tasks of a file or a folder, after every reference was seen to pass its tests.

    Args:
        path: as `import_file` takes it.
        name: what the suite shall be called.
        sandbox: the name of the sandbox that runs the references.

    Raises:
        InputError: the file is not as it should be, a reference fails, or the name is taken.
        SandboxError: the sandbox does not work here.
    """
    from smallenough.tracking.suites import check_name

    if name in plugins.names("tasks"):
        raise InputError(f"{name!r} is the name of a built-in suite; give another one, as --suite my-{name}")
    suite = open_source(path, check_name(name)).load()
    check_references(suite, Path(path), sandbox)
    return suite


def check_references(suite: Suite, path: Path, sandbox: str) -> None:
    """Runs every reference of a suite on its task's tests.

    Raises:
        InputError: some fail; names each task, its place and how it fails.
        SandboxError: the sandbox does not work here.
    """
    tasks = [task for task in suite.tasks + suite.examples if task.kind != "label"]
    if not tasks:
        return
    runs = run_reference_times(tasks, make_sandbox(sandbox))
    faults = Faults(path)
    places: Mapping[str, str] = {}
    for task in tasks:
        run = runs.get(task.id)
        failure = run.evaluation.first_failure if run else None
        if failure is None:
            continue
        places = places or _places(path)
        place = places.get(task.id) or places.get(task.id.rpartition("/")[2]) or str(path)
        said = ": ".join(filter(None, (failure.error, failure.message)))
        faults.add(place, f"the reference of {task.id!r} fails its test `{failure.code}` ({said})")
    faults.check()


def list_all(store: Store) -> list[Listed]:
    """Every suite that `open_suite` knows by name: the built-in ones, then every version of the imported ones.

    Raises:
        TrackingError: the store can't be read.
    """
    from smallenough.tracking.suites import list_suites

    imported = [
        Listed(info.name, info.version, info.digest, info.tasks, info.levels, info.categories, info.source)
        for info in list_suites(store)
    ]
    return [*filter(None, (_listed(name) for name in plugins.names("tasks"))), *imported]


def _listed(name: str) -> Listed | None:
    """A built-in source for the list; None: it reads only files that are named."""
    kind = plugins.load("tasks", name)
    if _needs_path(kind):
        return None
    if told := getattr(kind, "unlisted", ""):
        return Listed(name, problem=told)
    if name == "mbpp" and MbppSource().path is None:
        return Listed(name, problem=f"fetched when it is used; or name a copy of mbpp.jsonl in {VARIABLE}")
    try:
        suite, _ = _built_in(name, None, None, None)
    except InputError as error:
        return Listed(name, problem=str(error))
    levels = sorted({task.level for task in suite.tasks if task.level is not None})
    return Listed(name, None, suite.digest, len(suite.tasks), tuple(levels), categories(suite), suite.source)


def _opened(
    name: str, store: Store, path: str | Path | None, ids: str | None, protocol: str | None, version: int | None
) -> tuple[Suite, str | None]:
    """The suite, and what of `ids` is still to be chosen."""
    built_in = name.rpartition("@")[0] or name
    if built_in in plugins.names("tasks"):
        if version is not None or built_in != name:
            raise InputError(f"the built-in suite {built_in!r} has no versions; ask for it by its name alone")
        return _built_in(name, path, ids, protocol)
    if path is not None:
        raise InputError(f"suite {name!r} is no built-in source, so that {path} is not read; name one of them")
    if _looks_like_path(name):
        return open_source(name, protocol=protocol or "split").load(), ids
    return _imported(name, store, protocol, version), ids


def _built_in(name: str, path: str | Path | None, ids: str | None, protocol: str | None) -> tuple[Suite, str | None]:
    kind: Any = plugins.load("tasks", name)
    accepted = inspect.signature(kind).parameters
    if path is None and _needs_path(kind):
        raise InputError(f"the task source {name!r} needs a file; give its path")
    if path is not None and "path" not in accepted:
        raise InputError(f"the built-in suite {name!r} reads no file; leave out {path}")
    given = {"path": path, "ids": ids, "protocol": protocol}
    source: TaskSource = kind(**{key: value for key, value in given.items() if value is not None and key in accepted})
    return source.load(), None if "ids" in accepted else ids


def _needs_path(kind: Any) -> bool:
    path = inspect.signature(kind).parameters.get("path")
    return path is not None and path.default is inspect.Parameter.empty


def _imported(name: str, store: Store, protocol: str | None, version: int | None) -> Suite:
    from smallenough.tracking.suites import list_suites, load_suite

    bare, at, number = name.rpartition("@")
    if at:
        if not number.isascii() or not number.isdigit():
            raise InputError(f"suite {name!r}: after @ comes a version's number, as {bare}@1")
        if version not in (None, int(number)):
            raise InputError(f"suite {name!r}: version {version} is asked for too; name one of them")
        name, version = bare, int(number)
    stored = {info.name for info in list_suites(store)}
    if name in stored:
        return load_suite(store, name, version)
    if not at and Path(name).exists():
        return open_source(name, protocol=protocol or "split").load()
    known = {*plugins.names("tasks"), *stored}
    raise UnknownName("suite", name, known, "(nor is there a file of that name)")


def _looks_like_path(name: str) -> bool:
    return os.sep in name or name.endswith((".jsonl", ".jsonl.gz", ".gz")) or name in (".", "..")


def _places(path: Path) -> dict[str, str]:
    """Where each task of a file or a folder stands, by its id as it is written there."""
    files = sorted(path.glob("*.jsonl*")) if path.is_dir() else [path]
    return {
        str(record.value.get("task_id")): record.place for file in files for record in read_records(file, Faults(path))
    }
