"""Writes a suite in the own form (see `jsonl`), so that other programs can read it, and so that it can come back.

Other programs find the eight keys of the form: all tests under `tests`, which call `func` or `cls`; a test that
compares what is printed becomes an assertion on what its set-up caught. Extra keys (public_tests, hidden_tests,
setup, alias, protocol, example) hold the task as it is, and `JsonlSource` prefers them: the tasks come back the same.
Label tasks are written as `labelled` reads them.
"""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from smallenough.errors import InputError
from smallenough.records import Json, Suite, Task, Test
from smallenough.syntax import parse
from smallenough.tasks.jsonl import ALIASES


def write_jsonl(suite: Suite, path: str | Path) -> None:
    """Writes `suite` to the file `path`, wholly or not at all.

    Raises:
        InputError: the file can't be written.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    lines = "".join(f"{json.dumps(one, ensure_ascii=False)}\n" for one in to_objects(suite))
    try:
        try:
            beside.write_text(lines, encoding="utf-8", newline="\n")
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: can't be written: {error}") from error


def to_objects(suite: Suite) -> Iterator[dict[str, Json]]:
    """Every task of `suite` in the own form, then its examples."""
    for task in suite.tasks:
        yield to_object(task, suite.protocol)
    for task in suite.examples:
        yield {**to_object(task, suite.protocol), "example": True}


def to_object(task: Task, protocol: str = "split") -> dict[str, Json]:
    """`task` as one object of the own form."""
    if task.kind == "label":
        return _labelled(task)
    return {
        "task_id": task.id,
        "name": task.entry_point,
        "problem": task.prompt,
        "canonical_solution": task.reference,
        "tests": json.dumps([_foreign(test, task) for test in dict.fromkeys(task.public_tests + task.hidden_tests)]),
        "category": task.category,
        "complexity": task.level,
        "object": task.kind,
        "public_tests": _own(task.public_tests),
        "hidden_tests": _own(task.hidden_tests),
        "setup": task.setup,
        "alias": task.alias,
        "protocol": protocol,
    }


def _labelled(task: Task) -> dict[str, Json]:
    labels: Json = dict(zip(task.labels, task.meanings, strict=True)) if task.meanings else list(task.labels)
    return {
        "task_id": task.id,
        "problem": task.prompt,
        "answer": task.reference,
        **({"labels": labels} if task.labels else {}),
        "category": task.category,
        "complexity": task.level,
        **({"hierarchy": task.hierarchy} if task.hierarchy else {}),
    }


def _own(tests: Iterable[Test]) -> list[Json]:
    return [{"ctx": test.setup, "assertion": test.code, "output": test.output} for test in tests]


def _foreign(test: Test, task: Task) -> Json:
    """A test for a program that knows only `ctx` and `assertion`."""
    alias = ALIASES["class" if task.kind == "class" else "function"]

    def renamed(code: str) -> str:
        return rename(code, task.entry_point, alias) if task.entry_point and not task.alias else code

    context = [renamed(part) for part in (task.setup, test.setup) if part]
    if test.output is None:
        return {"ctx": "\n".join(context), "assertion": renamed(test.code)}
    shown = renamed(test.code)
    statement = f"exec({shown!r})" if "\n" in shown or not shown.strip() else shown
    context += [
        "import contextlib, io",
        "printed = io.StringIO()",
        f"with contextlib.redirect_stdout(printed):\n    {statement}",
        "printed = [line.rstrip() for line in printed.getvalue().rstrip().split('\\n')]",
    ]
    expected = [line.rstrip() for line in test.output.rstrip().split("\n")]
    return {"ctx": "\n".join(context), "assertion": f"assert printed == {expected!r}"}


def rename(code: str, old: str, new: str) -> str:
    """`code` with the name `old` replaced by `new` wherever it is a name, not in texts or attributes."""
    try:
        tree = parse(code)
    except SyntaxError:
        return code
    lines = [line.encode() for line in code.split("\n")]
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == old]
    for node in sorted(names, key=lambda node: (node.lineno, node.col_offset), reverse=True):
        line, start = lines[node.lineno - 1], node.col_offset
        lines[node.lineno - 1] = line[:start] + new.encode() + line[start + len(old.encode()) :]
    return b"\n".join(lines).decode()
