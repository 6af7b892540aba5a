"""The reference solutions of a session's tasks: each must pass its tests before the first model is asked.

What has passed is remembered beside the store, so that the next session on the same tasks begins at once. It is run
again when the task, the sandbox, the limits, the interpreter or this machine's processor is another.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from smallenough.errors import InputError
from smallenough.evaluation import run_reference_times
from smallenough.protocols import Sandbox
from smallenough.records import Limits, Suite, Task, digest

_SLOW_SHARE = 0.5
"""Of the CPU time that a solution may take, from which on a person is told that a task is a slow one."""


def reference_seconds(
    suite: Suite, sandbox: Sandbox, limits: Limits, memory: Path, say: Callable[[str], None] = lambda _: None
) -> dict[str, float]:
    """Seconds that each task's reference takes in the tests that decide.

    Args:
        suite: the tasks; those without a reference are left out of the reply.
        sandbox: where references run that are not remembered.
        limits: what a solution may use.
        memory: the file that remembers; it need not exist. Where it can't be written, nothing is remembered.
        say: gets what a person should know.

    Raises:
        InputError: one fails its own tests; all that fail are named.
        SandboxError: the sandbox failed.
    """
    known = _recall(memory)
    names = {task.id: _name(task, sandbox, limits) for task in suite.tasks if task.reference is not None}
    fresh = _run([task for task in suite.tasks if names.get(task.id, "") not in known], suite, sandbox, limits)
    if fresh:
        known |= {names[task]: seconds for task, seconds in fresh.items()}
        _remember(memory, known)
    found = {task: known[name] for task, name in names.items() if name in known}
    allowed = limits.cpu_seconds / 2
    for task, seconds in found.items():
        if seconds > allowed * _SLOW_SHARE:
            say(f"task {task!r} is slow: its reference takes {seconds:.1f} s, and a solution may take {allowed:g} s")
    return found


def _run(tasks: Sequence[Task], suite: Suite, sandbox: Sandbox, limits: Limits) -> dict[str, float]:
    """Runs references: seconds by task, of those that have tests."""
    found = run_reference_times(tasks, sandbox, limits)
    broken = [
        f"task {name!r}: its reference fails {failure.code!r}: {failure.error} {failure.message}".rstrip()
        for name, timed in found.items()
        if (failure := timed.evaluation.first_failure)
    ]
    if broken:
        shown = "\n".join(broken[:10]) + (f"\n… and {len(broken) - 10} more" if len(broken) > 10 else "")
        raise InputError(f"{shown}\nmend the task or its reference in {suite.source}, or leave it out")
    return {name: timed.seconds for name, timed in found.items() if timed.seconds is not None}


def _name(task: Task, sandbox: Sandbox, limits: Limits) -> str:
    """Identifies everything that a reference's time depends on."""
    here = [sys.version, platform.machine(), platform.node(), os.cpu_count()]
    return digest([task.content, sandbox.name, asdict(limits), here])


def _recall(memory: Path) -> dict[str, float]:
    try:
        found = json.loads(memory.read_bytes())
        return {str(name): float(seconds) for name, seconds in found.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}


def _remember(memory: Path, known: dict[str, float]) -> None:
    fresh = memory.with_name(f"{memory.name}.{os.getpid()}")
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps(known), encoding="utf-8")
        fresh.replace(memory)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink()
