"""Plain tables on a terminal, and elsewhere without being cut to a width."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Collection, Iterable, Sequence

import click

_WIDE = 4096
"""Columns where the output is no terminal: as many as a line may need."""


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    right: Collection[str] = (),
    dim: Callable[[Sequence[str]], bool] = lambda _: False,
) -> None:
    """Prints a table without lines.

    Args:
        columns: the heads.
        rows: the cells.
        right: heads of the columns whose cells stand on the right, as numbers do.
        dim: whether a row shall step back, on a terminal.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left")
    for row in rows:
        table.add_row(*row, style="dim" if dim(row) else None)
    if sys.stdout.isatty():
        Console(markup=False, highlight=False).print(table)
        return
    text = io.StringIO()
    Console(file=text, width=_WIDE, markup=False, highlight=False).print(table)
    for line in text.getvalue().splitlines():
        click.echo(line.rstrip())
