"""MBPP, "mostly basic Python problems", in its original form: text, code, task_id, test_setup_code, test_list.

It comes from a file, or from the Hugging Face hub. What an answer must be called stands only in the assertions, so
it is found by parsing them and the reference. `challenge_test_list`, which few tasks have, is checked and left out,
as it is in published figures. MBPP has no hidden tests of its own: see `splitting`.

Its authors keep tasks 1 to 10 for few-shot prompts (Austin et al. 2021, arXiv:2108.07732): those that are not asked for
as tasks are the suite's examples. Of the whole file, they are not tasks unless `ids` says so.
"""

from __future__ import annotations

import ast
import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from smallenough.errors import InputError
from smallenough.records import Json, Suite, Task, Test
from smallenough.syntax import parse
from smallenough.tasks.reading import Faults, Record, note_duplicates, read_records
from smallenough.tasks.splitting import PROTOCOLS, SuiteProtocol, check_protocol, divide

VARIABLE = "SMALLENOUGH_MBPP"
HUB = "google-research-datasets/mbpp"
EXAMPLES = range(1, 11)
"""The numbers of the tasks for few-shot prompts."""
_WHOLE = range(1, 975)
"""The numbers of the whole of MBPP."""


class MbppSource:
    """MBPP from a file, or from the hub.

    Args:
        path: the file (gzipped or not); None: the one that `SMALLENOUGH_MBPP` names, else the hub.
        ids: the numbers of the tasks to keep, as "11-510" or "1,5,20-29"; None: all, of the whole MBPP 11 to 974.
        name: the suite's name; None: `mbpp`.
        protocol: `split` or `standard` (see `splitting`).

    Raises:
        InputError: `ids` can't be understood.
        UnknownName: there is no such protocol.
    """

    def __init__(
        self, path: str | Path | None = None, ids: str | None = None, name: str | None = None, protocol: str = "split"
    ) -> None:
        named = path or os.environ.get(VARIABLE) or None
        self.path = Path(named) if named else None
        self.ids = None if ids is None else parse_ids(ids)
        self.name = name or "mbpp"
        self.protocol = check_protocol(protocol)

    def load(self) -> Suite:
        """The suite.

        Raises:
            InputError: neither file nor hub can be had, what is there is not as it should be, or ids are missing.
        """
        faults = Faults(self.path or Path(HUB))
        records = list(read_records(self.path, faults)) if self.path else _from_hub(faults)
        numbered = [
            (record.get("task_id", int, None, required=True), _task(record, self.protocol)) for record in records
        ]
        note_duplicates(((task.id, record.place) for (_, task), record in zip(numbered, records, strict=True)), faults)
        faults.check()
        numbered.sort(key=lambda pair: pair[0])
        tasks = dict(numbered)
        kept = self._kept(tasks)
        return Suite(
            name=self.name,
            tasks=tuple(tasks[number] for number in kept),
            examples=tuple(tasks[number] for number in EXAMPLES if number in tasks and number not in kept),
            source=self.path.name if self.path else f"hub:{HUB}",
            protocol=self.protocol,
            description=f"MBPP, protocol {self.protocol}: {PROTOCOLS[self.protocol]}",
        )

    def _kept(self, tasks: Mapping[int, Task]) -> Collection[int]:
        """The numbers of the suite's tasks."""
        if self.ids is None:
            return [number for number in tasks if number not in EXAMPLES] if [*tasks] == [*_WHOLE] else tasks.keys()
        missing = [number for number in self.ids if number not in tasks]
        if missing:
            some = ", ".join(map(str, missing[:5])) + (", …" if len(missing) > 5 else "")
            raise InputError(
                f"{self.path or HUB}: no task has the id {some}; the file has {len(tasks)} tasks, "
                f"{min(tasks)} to {max(tasks)}: give other ids, or the whole file"
            )
        return self.ids


def parse_ids(text: str) -> list[int]:
    """The numbers that "1,5,20-29" stands for, in ascending order.

    Raises:
        InputError: it can't be understood.
    """
    numbers: set[int] = set()
    for part in text.split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        ends = [first, last] if dash else [first, first]
        if not all(end.isascii() and end.isdigit() and len(end) <= 6 for end in ends) or int(ends[0]) > int(ends[1]):
            raise InputError(f"ids {text!r}: {part.strip()!r} is neither a number nor a range such as 11-510")
        numbers.update(range(int(ends[0]), int(ends[1]) + 1))
    return sorted(numbers)


def _from_hub(faults: Faults) -> list[Record]:
    mends = f"name a copy of mbpp.jsonl in {VARIABLE}, or let it be fetched: pip install 'smallenough[hub]'"
    try:
        import datasets
    except ImportError:
        raise InputError(f"there is no MBPP file, and the package datasets is not installed; {mends}") from None
    try:
        parts: Mapping[str, Iterable[Mapping[str, Json]]] = datasets.load_dataset(HUB, "full")
        rows = [row for part in parts.values() for row in part]
    except Exception as error:  # whatever the many layers of the hub's client raise
        raise InputError(
            f"{HUB} can't be had from the Hugging Face hub ({error}); check the network, or {mends}"
        ) from error
    return [Record(row, f"{HUB}, task {row.get('task_id')}", faults) for row in rows]


def _task(record: Record, protocol: SuiteProtocol) -> Task:
    code = _unix(record.get("code", str, "", required=True))
    asserts = [_unix(test) for test in record.texts("test_list", required=True)]
    record.texts("challenge_test_list")
    setup = _unix(record.get("test_setup_code", str, "", required=True)).strip()
    text = record.get("text", str, "", required=True).strip()
    if record.value.get("test_list") == []:
        record.fault("'test_list' is empty, so nothing tells what the answer must be called")
    known = asserts and isinstance(record.value.get("code"), str)
    entry, kind, parameters = _entry_point(record, code, asserts) if known else ("", "function", "")
    public, hidden = divide([Test(test) for test in asserts], protocol)
    prompt = text if protocol == "standard" else f"{text}\nThe {kind} is called as `{entry}({parameters})`."
    return Task(
        id=f"MBPP/{record.value.get('task_id')}",
        prompt=prompt,
        entry_point=entry,
        kind="class" if kind == "class" else "function",
        public_tests=public,
        hidden_tests=hidden,
        setup=setup,
        reference=code,
        category="mbpp",
    )


def _unix(code: str) -> str:
    return code.replace("\r\n", "\n").replace("\r", "\n")


def _entry_point(record: Record, code: str, asserts: Sequence[str]) -> tuple[str, str, str]:
    """Name, kind and parameters of what the assertions call and the reference defines."""
    try:
        defined = {node.name: node for node in parse(code).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    except SyntaxError as error:
        record.fault(f"'code' is not Python: {error.msg} in its line {error.lineno}")
        return "", "function", ""
    called: Counter[str] = Counter()
    for index, test in enumerate(asserts):
        try:
            calls = [node.func for node in ast.walk(parse(test)) if isinstance(node, ast.Call)]
        except SyntaxError as error:
            record.fault(f"test_list[{index}] is not Python ({error.msg}): {test[:60]!r}")
            continue
        names = dict.fromkeys(call.id for call in calls if isinstance(call, ast.Name))  # the outermost call first
        called.update(name for name in names if name in defined)
    if not called:
        record.fault("no assertion in 'test_list' calls what 'code' defines")
        return "", "function", ""
    entry = called.most_common(1)[0][0]
    node = defined[entry]
    if isinstance(node, ast.ClassDef):
        return entry, "class", "..."
    return entry, "function", ast.unparse(node.args)
