"""Tells by a file's first object in which form it is written, so that a user need not say it."""

from __future__ import annotations

from pathlib import Path

from smallenough.errors import InputError
from smallenough.protocols import TaskSource
from smallenough.tasks.humaneval import HumanEvalSource
from smallenough.tasks.jsonl import JsonlSource, suite_name
from smallenough.tasks.mbpp import MbppSource
from smallenough.tasks.reading import Faults, read_records

FORMS = {
    "labels": ("problem", "answer", "labels"),
    "jsonl": ("name", "problem", "canonical_solution", "tests", "category", "complexity", "object"),
    "mbpp": ("text", "code", "test_setup_code", "test_list", "challenge_test_list"),
    "humaneval": ("prompt", "entry_point", "canonical_solution", "test"),
}
"""The keys of each form, task_id apart, which all have."""


def open_source(path: str | Path, name: str | None = None, protocol: str = "split") -> TaskSource:
    """The source that reads `path`: a file in the own, the MBPP or the HumanEval form, or a folder in the own form.

    The own form has two kinds of objects, of code and of label tasks.

    Args:
        path: the file (gzipped or not), or the folder.
        name: the suite's name; None: the file's or the folder's.
        protocol: how tests are set apart where the form shows all of them (see `splitting`).

    Raises:
        InputError: there is no such file, nothing in it can be read, or it is in none of the forms.
        UnknownName: there is no such protocol.
    """
    path = Path(path)
    name = name or suite_name(path)
    form = "jsonl" if _is_folder(path) else _form(path)
    if form == "mbpp":
        return MbppSource(path, name=name, protocol=protocol)
    if form == "humaneval":
        return HumanEvalSource(path, name=name)
    return JsonlSource(path, name=name, protocol=protocol)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: can't be read: {error}") from error


def _form(path: Path) -> str:
    """The form that shares the most keys with the file's first object."""
    faults = Faults(path)
    records = list(read_records(path, faults))
    if not records:
        faults.check()
    first = records[0]
    shared = {form: len(first.value.keys() & set(keys)) for form, keys in FORMS.items()}
    form = max(shared, key=lambda candidate: shared[candidate])
    if not shared[form]:
        faults.fail(
            first.place,
            f"in none of the forms that can be read; its keys are {', '.join(list(first.value)[:8]) or 'none'}, and "
            + "; ".join(f"{known} has task_id, {', '.join(keys)}" for known, keys in FORMS.items()),
        )
    return form
