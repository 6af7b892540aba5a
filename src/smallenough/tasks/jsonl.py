"""Tasks in the project's own form: one object a line, in a file or in a folder of `CATEGORY.jsonl`.

The form for code has eight keys: task_id, name, problem, canonical_solution, tests, category, complexity, object.
`tests` is a JSON list in a string, and calls what is asked for by the conventional name `func` or `cls`. Extra keys are
welcome; a few have a meaning, so that a suite comes back from its export as it was (see `export`). With
`"example": true`, an object is no task but an example for few-shot prompts. A label task is written as `labelled` says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from smallenough.errors import InputError
from smallenough.records import Json, Suite, Task, Test
from smallenough.syntax import parse
from smallenough.tasks.labelled import check_sets, is_labelled, label_task
from smallenough.tasks.reading import Faults, Record, note_duplicates, read_records
from smallenough.tasks.splitting import PROTOCOLS, SuiteProtocol, check_protocol, divide

ALIASES = {"function": "func", "class": "cls"}
"""The conventional name by which problems and tests call a function or a class."""


class JsonlSource:
    """A file or a folder in the own form.

    Args:
        path: the file (gzipped or not), or the folder.
        name: the suite's name; None: the file's or the folder's.
        protocol: how tests are set apart where the file does not say which are public (see `splitting`).
    """

    def __init__(self, path: str | Path, name: str | None = None, protocol: str = "split") -> None:
        self.path = Path(path)
        self.name = name or suite_name(self.path)
        self.protocol = check_protocol(protocol)

    def load(self) -> Suite:
        """The suite.

        Raises:
            InputError: what is there is not as it should be; names each file, line and mend.
        """
        faults = Faults(self.path)
        records = [record for path in _files(self.path) for record in read_records(path, faults)]
        stated = {record.value["protocol"] for record in records if _is_text(record.value.get("protocol"))}
        protocol = self._protocol(stated, faults)
        tasks = [label_task(record) if is_labelled(record) else _task(record, protocol) for record in records]
        check_sets(records, tasks)
        places = ((task.id, record.place) for task, record in zip(tasks, records, strict=True))
        note_duplicates(places, faults)
        faults.check()
        told = [record.value.get("example") is True for record in records]
        return Suite(
            name=self.name,
            tasks=tuple(task for task, example in zip(tasks, told, strict=True) if not example),
            examples=tuple(task for task, example in zip(tasks, told, strict=True) if example),
            source=self.path.name,
            protocol=protocol,
            description=_told([record for record in records if not is_labelled(record)], protocol),
        )

    def _protocol(self, stated: set[str], faults: Faults) -> SuiteProtocol:
        """The protocol that the file states (an export of ours does), or the one that was asked for."""
        if len(stated) > 1 or not stated <= set(PROTOCOLS):
            faults.add(str(self.path), f"'protocol' must be one of {', '.join(PROTOCOLS)}, and the same on every line")
        elif stated and self.protocol == "split":
            return check_protocol(next(iter(stated)))
        return self.protocol


def suite_name(path: Path) -> str:
    """A suite's name by its file's or folder's: without `.jsonl` and `.gz`."""
    return path.name.removesuffix(".gz").removesuffix(".jsonl") or "suite"


def _told(records: Sequence[Record], protocol: SuiteProtocol) -> str:
    """How the tests were set apart, for the suite's description."""
    if not records:
        return "answers are labels or short texts, which need no tests"
    apart = ["public_tests" in record.value or "hidden_tests" in record.value for record in records]
    if protocol == "standard" or not any(apart):
        return f"protocol {protocol}: {PROTOCOLS[protocol]}"
    own = f"protocol {protocol}: public and hidden tests are as the file has them"
    return own if all(apart) else f"{own}; where it has not, {PROTOCOLS[protocol]}"


def _files(path: Path) -> list[Path]:
    try:
        if not path.is_dir():
            return [path]
        found = sorted(entry for entry in path.iterdir() if entry.name.endswith((".jsonl", ".jsonl.gz")))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: can't be read: {error}") from error
    if not found:
        raise InputError(f"{path}: the folder has no CATEGORY.jsonl; name a folder that has, or a file")
    return found


def _is_text(value: Json) -> bool:
    return isinstance(value, str)


def _task(record: Record, protocol: SuiteProtocol) -> Task:
    kind = _kind(record)
    name = record.get("name", str, None, required=True, null=True)
    if name is not None and not name.isidentifier():
        record.fault(f"'name' must be the name of a function or a class, and is {name!r}")
    everything = tuple(_tests(record, "tests", required=True))
    if "public_tests" in record.value or "hidden_tests" in record.value:
        public, hidden = tuple(_tests(record, "public_tests")), tuple(_tests(record, "hidden_tests"))
        if protocol == "standard" and public != hidden:
            public = hidden = tuple(dict.fromkeys(public + hidden))
    else:
        public, hidden = divide(everything, protocol)
    if record.value.get("example") is True and not (name and record.value.get("canonical_solution")):
        record.fault("an example needs 'name' and 'canonical_solution': they are what is shown")
    setup: str = record.get("setup", str, "")
    _parses(record, "'setup'", setup)
    return Task(
        id=record.identity("task_id"),
        prompt=record.get("problem", str, "", required=True),
        entry_point=name,
        kind=kind,
        public_tests=public,
        hidden_tests=hidden,
        setup=setup,
        alias=record.get("alias", str, None, null=True) if "alias" in record.value else ALIASES[kind],
        reference=record.get("canonical_solution", str, None, required=True, null=True),
        category=record.get("category", str, "general", required=True),
        level=record.get("complexity", int, None, required=True, null=True),
    )


def _kind(record: Record) -> Literal["function", "class"]:
    value = record.get("object", str, "function", required=True)
    if value not in ALIASES:
        record.fault(f"'object' must be function or class, and is {value!r}")
    return "class" if value == "class" else "function"


def _tests(record: Record, key: str, required: bool = False) -> Iterator[Test]:
    """The tests under `key`: a list, or a list in a string; each an object with `assertion` and, if need be, `ctx`."""
    if required and key not in record.value:
        record.get(key, list, required=True)
    for index, item in enumerate(_listed(record, key)):
        place = f"{key}[{index}]"
        if not isinstance(item, dict) or not _is_text(item.get("assertion")):
            record.fault(f'{place} must be an object such as {{"ctx": "", "assertion": "assert func(1) == 2"}}')
            continue
        context, output = item.get("ctx") or "", item.get("output")
        if not _is_text(context) or not (output is None or _is_text(output)):
            record.fault(f"{place}: 'ctx' must be a string, 'output' a string or null")
            continue
        if _parses(record, f"{place}.assertion", item["assertion"]) and _parses(record, f"{place}.ctx", context):
            yield Test(item["assertion"], context, output)


def _listed(record: Record, key: str) -> Sequence[Json]:
    value = record.value.get(key, [])
    if _is_text(value):
        try:
            value = json.loads(value)
        except json.JSONDecodeError as error:
            record.fault(f"{key!r} is a string that holds no JSON: {error.msg} at its character {error.pos + 1}")
            return []
        except (RecursionError, ValueError) as error:
            record.fault(f"{key!r} is a string that holds JSON that can't be read: {error}")
            return []
    if not isinstance(value, list):
        record.fault(f"{key!r} must be a list, or a JSON list in a string")
        return []
    return value


def _parses(record: Record, place: str, code: str) -> bool:
    try:
        parse(code)
    except SyntaxError as error:
        record.fault(f"{place} is not Python ({error.msg}): {code[:60]!r}")
        return False
    return True
