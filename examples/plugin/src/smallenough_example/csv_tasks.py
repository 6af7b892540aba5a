"""Tasks from a CSV file with the columns id, prompt, entry_point, test and solution."""

from __future__ import annotations

import csv
from pathlib import Path

from smallenough.errors import InputError
from smallenough.records import Suite, Task, Test

_COLUMNS = ("id", "prompt", "entry_point", "test", "solution")


class CsvSource:
    """One task a row; its one test is hidden.

    Args:
        path: the file, in UTF-8.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    def load(self) -> Suite:
        """The suite, called as the file is.

        Raises:
            InputError: the file can't be read, has no rows, or lacks something; names file, line and column.
        """
        try:
            with self.path.open(encoding="utf-8", newline="") as file:
                rows = csv.DictReader(file)
                tasks = tuple(self._task(row, rows.line_num) for row in rows)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise InputError(f"{self.path}: {error}") from error
        if not tasks:
            raise InputError(f"{self.path}: has no rows below its header")
        return Suite(self.path.stem, tasks, source=self.path.name, description="Tasks of a CSV file.")

    def _task(self, row: dict[str, str | None], line: int) -> Task:
        missing = [name for name in _COLUMNS if not row.get(name)]
        if missing:
            raise InputError(f"{self.path}, line {line}: {', '.join(missing)} is empty; fill it in")
        found = {name: str(row[name]) for name in _COLUMNS}
        return Task(
            found["id"],
            found["prompt"],
            found["entry_point"],
            hidden_tests=(Test(found["test"]),),
            reference=found["solution"],
            category="csv",
        )
