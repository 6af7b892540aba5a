"""One run of the driver in a sandbox: the job that goes in, and what can be believed of what comes out."""

from __future__ import annotations

import itertools
import json
import marshal
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Literal, TypeAlias

from smallenough.errors import SandboxError
from smallenough.evaluation.judge import Fault
from smallenough.evaluation.plain import Malformed, decode, text
from smallenough.protocols import Sandbox
from smallenough.records import Execution, Json, Limits, Program


@dataclass(frozen=True, slots=True)
class Query:
    """What the driver shall do for one test."""

    index: int
    sources: tuple[str, ...]
    kind: Literal["values", "run"] = "values"
    setup: str = ""


@dataclass(frozen=True, slots=True)
class Solution:
    """Code under test, and what its tests need."""

    code: str
    queries: tuple[Query, ...]
    imports: tuple[str, ...] = ()
    """Import statements of the set-up, which may also run before the code."""
    setup: str = ""
    entry_point: str | None = None
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back of one test."""

    values: tuple[Any, ...]
    """The expressions' values in order, a `Fault` for each that has none."""
    seconds: float
    output: str
    cut: bool
    """Whether there was more output than is kept."""


_DRIVER_NAME = "<driver>"
_MARSHAL = 4
"""Version of the format, which every Python since 3.4 reads."""

_HEAD = 16
"""Hexadecimal digits before each part of the input, which say how long it is."""

_BOOT = f"""
import marshal, posix, sys
def receive():
    def read(size):
        parts = []
        while size and (part := posix.read(0, min(size, 65536))):
            parts.append(part)
            size -= len(part)
        return b"".join(parts)
    return marshal.loads(read(int(read({_HEAD}), 16)))
version, compiled, source = receive()
same = version == sys.version
exec(marshal.loads(compiled) if same else compile(source, {_DRIVER_NAME!r}, "exec", dont_inherit=True))
"""
"""The program for the sandbox. To compile the driver takes half as long as to start the interpreter, so it is sent
compiled; an interpreter of another version compiles it by itself. Of its input it never reads ahead."""

Key: TypeAlias = tuple[int, int]
"""Which test: the solution's place in the job, and the test's index."""


@dataclass(slots=True)
class Run:
    """What came out of one process."""

    execution: Execution
    loads: dict[int, Fault | None] = field(default_factory=dict)
    """By solution: None, or why it could not be executed."""
    replies: dict[Key, Reply] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    """The last solutions of the jobs that came to their own end; else the process died under the test it was at."""


def run_jobs(jobs: Sequence[Sequence[Solution]], sandbox: Sandbox, limits: Limits) -> Run:
    """Runs solutions and what is asked of them in one sandbox; in what comes back they are counted through.

    Args:
        jobs: the solutions of one job share a process; those of the next are not known to it.
        sandbox: where they run.
        limits: what all of it may use.

    Raises:
        SandboxError: the sandbox failed, or the driver did not even start in it.
    """
    mark, numbers = secrets.token_hex(16), itertools.count()
    parts: list[Json] = [_driver()]
    for job in jobs:
        programs = [(next(numbers), _program(solution)) for solution in job]
        parts.append({**_bounds(limits), "mark": mark, "last": job is jobs[-1], "programs": programs})
    execution = sandbox.run(Program(_BOOT, pack(parts)), limits)
    run, began = Run(execution), False
    for line in execution.stdout.split(b"\n"):
        fields = _fields(line, mark)
        if fields:
            began = began or fields[0] == "begin"
            _take(run, fields)
    if not began:
        said = execution.stderr.decode("utf-8", "replace").strip()[-300:] or f"exit code {execution.exit_code}"
        stopped = f", stopped by its limit on {execution.stopped}" if execution.stopped else ""
        raise SandboxError(f"the test driver did not start in the sandbox {sandbox.name!r}{stopped}: {said}")
    return run


def pack(parts: Sequence[Json]) -> bytes:
    """The driver's input."""
    packed = [marshal.dumps(part, _MARSHAL) for part in parts]
    return b"".join(b"%0*x" % (_HEAD, len(part)) + part for part in packed)


def unpack(data: bytes) -> list[Json]:
    """What `pack` packed."""
    parts: list[Json] = []
    while data:
        size = int(data[:_HEAD], 16)
        parts.append(marshal.loads(data[_HEAD : _HEAD + size]))
        data = data[_HEAD + size :]
    return parts


def _bounds(limits: Limits) -> dict[str, Json]:
    """What a driver may use of what its sandbox may use, so that each test can count on the half."""
    return {
        "cpu": limits.cpu_seconds / 2,
        "wall": limits.wall_seconds / 2,
        "bytes": limits.output_bytes // 4,
        "room": limits.output_bytes // 4,
        "output": limits.output_bytes // 16,
    }


def _program(solution: Solution) -> dict[str, Json]:
    return {
        "code": solution.code,
        "imports": list(solution.imports),
        "setup": solution.setup,
        "entry": solution.entry_point,
        "alias": solution.alias,
        "tests": [(query.index, query.setup, query.kind, list(query.sources)) for query in solution.queries],
    }


def death(execution: Execution, limits: Limits) -> Fault:
    """Why a process ended that had not come to its own end."""
    match execution.stopped:
        case "wall" | "cpu":
            return Fault("Timeout", "it took too long")
        case "memory":
            return Fault("MemoryError", "it took more memory than it may")
        case "output":
            return Fault("OutputLimit", "it wrote more output than it may")
        case "processes":
            return Fault("ProcessLimit", "it started more processes or threads than it may")
    if execution.exit_code is None:
        # The kernel enforces the limit by ticks, and on a busy machine ends a process well before its own account of
        # the time is full; beyond half of it, at which every test is stopped, that is what a signal means.
        if (execution.cpu_seconds or 0.0) > limits.cpu_seconds / 2:
            return Fault("Timeout", "it took too long")
        return Fault("Crash", "the interpreter was ended by a signal")
    return Fault("Crash", f"the solution ended the interpreter, with exit code {execution.exit_code}")


@cache
def _driver() -> tuple[str, bytes, str]:
    """This interpreter's version, the driver compiled by it, and the driver's source."""
    source = resources.files(__package__).joinpath("driver.py").read_text(encoding="utf-8")
    return sys.version, marshal.dumps(compile(source, _DRIVER_NAME, "exec", dont_inherit=True)), source


def _fields(line: bytes, mark: str) -> list[Json] | None:
    """A line's fields without the mark, where the driver can have written it."""
    if not line.startswith(b'["' + mark.encode() + b'"'):
        return None
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return fields[1:] if len(fields) > 1 and isinstance(fields[1], str) else None


def _take(run: Run, fields: list[Json]) -> None:
    """Adds one line to what came out. What is malformed, or was said before, is ignored."""
    try:
        match fields:
            case ["end", int(number)]:
                run.ended.add(number)
            case ["loaded", int(number), outcome]:
                run.loads.setdefault(number, None if outcome is None else _fault(outcome))
            case ["test", int(number), int(index), str(seconds), output, bool(cut), list(outcomes)]:
                reply = Reply(
                    tuple(decode(outcome[1]) if outcome[0] == "v" else _fault(outcome) for outcome in outcomes),
                    float.fromhex(seconds),
                    bytes.fromhex(output).decode("utf-8", "replace"),
                    cut,
                )
                run.replies.setdefault((number, index), reply)
    except (Malformed, TypeError, ValueError, LookupError, OverflowError):
        return


def _fault(outcome: Json) -> Fault:
    kind, error, message, line = outcome
    if kind != "x" or not (line is None or isinstance(line, int)):
        raise Malformed
    return Fault(text(error), text(message), line)
