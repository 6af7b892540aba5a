"""A tiny model and a suite for it: a few words that each have one answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from smallenough.prompts import Prompts
from smallenough.records import Suite, Task
from smallenough.training.data import Row, rows
from smallenough.training.messages import Ended, Report
from smallenough.training.process import TrainingProcess
from smallenough.training.settings import TrainingSettings

ANSWERS = {
    "cat": "meow",
    "dog": "woof",
    "cow": "moo",
    "sheep": "baa",
    "duck": "quack",
    "horse": "neigh",
    "hen": "cluck",
}


LABELS = tuple(ANSWERS.values())


def make(folder: Path, *kinds: str) -> Path:
    """Writes tiny models of these architectures into a folder; returns it."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.models.tiny_models", str(folder), *kinds]
    subprocess.run(command, cwd=root, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
    return folder


def suite(copies: int = 1) -> Suite:
    """What the animals say."""
    tasks = (
        Task(f"{name}-{copy}", f"The {name} says{'!' * copy}", kind="label", labels=LABELS, reference=said)
        for copy in range(1, copies + 1)
        for name, said in ANSWERS.items()
    )
    return Suite("animals", tuple(tasks))


def animals(copies: int = 1) -> tuple[Row, ...]:
    """The suite's rows."""
    return rows(suite(copies), Prompts.load("small"))


def write_suite(path: Path, copies: int = 1) -> Path:
    """The suite as a file of the own form."""
    lines = [
        json.dumps({"task_id": task.id, "problem": task.prompt, "answer": task.reference, "labels": LABELS})
        for task in suite(copies).tasks
    ]
    path.write_text("\n".join(lines), "utf-8")
    return path


def trained(
    base: Path,
    output: Path,
    settings: TrainingSettings,
    *,
    validation: tuple[Row, ...] = (),
    watch: Callable[[TrainingProcess, Report], None] = lambda _process, _report: None,
    learned: tuple[Row, ...] | None = None,
) -> list[Report]:
    """Trains in a process of its own; all that it reported."""
    output.mkdir(exist_ok=True)
    with TrainingProcess() as process:
        reports: list[Report] = [*process.prepare(base, learned or animals(), validation, settings)]
        process.begin(output, "tiny")
        while not isinstance(reports[-1], Ended):
            reports.append(process.next())
            watch(process, reports[-1])
    return reports
