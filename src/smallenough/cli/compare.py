"""`smallenough compare`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smallenough.cli.common import json_option, open_store, store_options
from smallenough.cli.terms import terms_of, terms_options

if TYPE_CHECKING:
    from smallenough.analysis.findings import Findings


@click.command("compare", short_help="Compare the arms of sessions.")
@click.argument("sessions", nargs=-1)
@click.option("--experiment", metavar="NAME", help="Every session of this MLflow experiment.")
@terms_options
@click.option("--details", is_flag=True, help="Every column.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print a Markdown table.")
@click.option("--no-log", is_flag=True, help="Do not keep the comparison as a run in MLflow.")
@json_option
@store_options
def command(
    sessions: tuple[str, ...],
    experiment: str | None,
    *,
    details: bool,
    as_csv: bool,
    as_markdown: bool,
    no_log: bool,
    as_json: bool,
    store: Path | None,
    tracking_uri: str | None,
    **terms: Any,
) -> int:
    """Compare the arms of SESSIONS (ids, beginnings of ids, or `last`; none: the newest session), read from MLflow.

    Solved tasks with Wilson intervals, differences to the baseline paired by task with score intervals, what each
    arm took, and the verdict: the cheapest arm that is not worse than the baseline by more than a margin. It is kept in
    MLflow, as a run of kind `comparison`.

    \b
      smallenough compare
      smallenough compare 20260101-120000 --baseline "mistral single"
      smallenough compare --margin 0.1 --cheap energy
      smallenough compare --experiment smallenough --csv > comparison.csv
    """
    from smallenough.analysis import table
    from smallenough.errors import InputError
    from smallenough.sessions.compare import compare_sessions

    if sum((as_json, as_csv, as_markdown)) > 1:
        raise InputError("--json, --csv and --markdown are one or the other; say one of them")
    found = compare_sessions(open_store(store, tracking_uri), sessions, experiment, terms_of(**terms), log=not no_log)
    if as_json:
        click.echo(found.to_json())
    elif as_csv:
        click.echo(table.csv(found.comparison), nl=False)
    elif as_markdown:
        click.echo(found.to_markdown(detailed=details))
    else:
        show_comparison(found, detailed=details)
    return 0


def show_comparison(found: Findings, *, detailed: bool = False, all_by: str = "--details") -> None:
    """Draws the table, and what a reader of it should know.

    Args:
        found: what was compared.
        detailed: whether to show every column.
        all_by: what a person gives to see every column.
    """
    from rich.console import Console
    from rich.table import Table

    from smallenough.analysis import breakeven

    console = Console()
    wide = max(console.width, 80) if console.is_terminal else 120
    drawn = found.table(detailed=detailed, width=wide)
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for place, header in enumerate(drawn.headers):
        shown.add_column(header, justify="right" if place else "left", no_wrap=True)
    for row in drawn.rows:
        shown.add_row(*row)
    Console(width=max(drawn.width, console.width)).print(shown, markup=False, highlight=False)
    if detailed:
        _show_labels(found)
    _show_verdict(found)
    for line in breakeven.sentences(found.repayments(), found.verdict.currency):
        click.echo(click.wrap_text(line, min(shutil.get_terminal_size((120, 24)).columns, 120)))
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    if drawn.left_out:
        click.echo(f"left out for width: {', '.join(drawn.left_out)}; {all_by} shows all", err=True)


def _show_labels(found: Findings) -> None:
    """Tables of right and wrong labels, where answers are labels."""
    from smallenough.analysis.report import labels
    from smallenough.cli.tables import print_table

    for part in labels.tables(found.labels):
        click.echo()
        print_table(part.headers, part.rows, right=part.headers[1:])


def _show_verdict(found: Findings) -> None:
    """The verdict below the table, arms called as there; where nothing can be compared, its headline alone."""
    from smallenough.analysis.table import shared_provider
    from smallenough.analysis.verdict_words import sentences

    provider = shared_provider(found.comparison.rows)
    headline, *behind = (one.replace(f"'{provider}", "'") for one in sentences(found.verdict))
    width = min(shutil.get_terminal_size((120, 24)).columns, 120)
    click.echo()
    click.echo(click.style(click.wrap_text(headline, width), bold=True))
    if found.verdict.kind != "not comparable":
        click.echo(click.wrap_text(" ".join(behind), width))
