"""The built-in suite `basics`: Python tasks in three levels, written for this project.

They lie beside this file in `basics_data/CATEGORY.yaml`, each with public tests, hidden tests and a reference.
Every expectation is a literal in an assertion or a printed text, so that a sandbox never needs to see it. The
files are part of the package: that they are as they should be is for the tests to show, not for the loader. The
examples for few-shot prompts, which are in no category, lie in `basics_examples.yaml`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml

from smallenough.records import Json, Suite, Task, Test

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's loader where PyYAML was built with it: ten times as quick."""


class BasicsSource:
    """The built-in suite."""

    def load(self) -> Suite:
        """Every task of the suite, by category and then in the order of its file."""
        folder = files("smallenough.tasks")
        tasks: list[Task] = []
        for entry in sorted((folder / "basics_data").iterdir(), key=lambda entry: entry.name):
            category, dot, kind = entry.name.partition(".")
            if dot and kind == "yaml":
                tasks += _tasks(entry, category)
        return Suite(
            name="basics",
            tasks=tuple(tasks),
            examples=_tasks(folder / "basics_examples.yaml", "example"),
            source="smallenough",
            description="Python tasks in three levels, from adding two numbers to parsing an expression.",
        )


def _tasks(file: Traversable, category: str) -> tuple[Task, ...]:
    content = yaml.load(file.read_text(encoding="utf-8"), _LOADER)
    return tuple(_task(item, category) for item in content)


def _task(item: Mapping[str, Json], category: str) -> Task:
    return Task(
        id=item["id"],
        prompt=item["prompt"].strip(),
        entry_point=item["entry_point"],
        kind=item.get("kind", "function"),
        public_tests=_tests(item["public"]),
        hidden_tests=_tests(item["hidden"]),
        reference=item["reference"],
        category=category,
        level=item["level"],
    )


def _tests(tests: str | Sequence[Mapping[str, str]]) -> tuple[Test, ...]:
    """A text has one assertion a line; a list has mappings of `code`, a `setup`, and the `output` that it prints."""
    if isinstance(tests, str):
        return tuple(Test(line) for line in tests.splitlines())
    return tuple(Test(test["code"].strip(), test.get("setup", "").strip(), test.get("output")) for test in tests)
