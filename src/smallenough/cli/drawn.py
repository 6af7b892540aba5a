"""What every progress on a terminal has: lines above, bars that are drawn over below."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

_Some = TypeVar("_Some", bound="Drawn")

EVERY = 15.0
"""Seconds between two lines where the output is no terminal."""


class Drawn:
    """Bars on standard error, each with `told` beside it; elsewhere than on a terminal there are lines alone.

    Args:
        quiet: show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self.console = Console(file=sys.stderr, quiet=quiet)
        self.bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
            console=self.console,
            disable=quiet or not self.console.is_terminal,
        )

    def __enter__(self: _Some) -> _Some:
        self.bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.bars.stop()

    def say(self, text: str) -> None:
        """Shows a line above the bars."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=not self.console.is_terminal)
