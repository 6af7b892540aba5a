"""`smallenough compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from smallenough.cli.common import json_option, open_store, store_options

if TYPE_CHECKING:
    from smallenough.sessions.compare import Compared


@click.command("compare", short_help="Compare the arms of sessions.")
@click.argument("sessions", nargs=-1)
@click.option("--experiment", metavar="NAME", help="Every session of this MLflow experiment.")
@click.option("--baseline", metavar="ARM", help="The arm that the others are compared with.  [default: the session's]")
@click.option("--details", is_flag=True, help="Every column.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV.")
@click.option("--markdown", "as_markdown", is_flag=True, help="Print a Markdown table.")
@click.option("--price-per-kwh", type=click.FloatRange(0), help="Price of a kilowatt-hour, to tell costs in money.")
@click.option(
    "--price-per-hour", type=click.FloatRange(0), help="Price of an hour of this machine, to tell costs in money."
)
@click.option("--currency", default="", help="What to call that money (`EUR`).")
@click.option("--no-log", is_flag=True, help="Do not keep the comparison as a run in MLflow.")
@json_option
@store_options
def command(
    sessions: tuple[str, ...],
    experiment: str | None,
    baseline: str | None,
    *,
    details: bool,
    as_csv: bool,
    as_markdown: bool,
    price_per_kwh: float | None,
    price_per_hour: float | None,
    currency: str,
    no_log: bool,
    as_json: bool,
    store: Path | None,
    tracking_uri: str | None,
) -> int:
    """Compare the arms of SESSIONS (ids, beginnings of ids, or `last`; none: the newest session), read from MLflow.

    Solved tasks with Wilson intervals, differences to the baseline paired by task with bootstrap intervals, and what
    each arm took. The comparison itself is kept in MLflow, as a run of kind `comparison`.

    \b
      smallenough compare
      smallenough compare 20260101-120000 --baseline "mistral single"
      smallenough compare --experiment smallenough --csv > comparison.csv
    """
    from smallenough.analysis import table
    from smallenough.analysis.evidence import Prices
    from smallenough.errors import InputError
    from smallenough.sessions.compare import compare_sessions

    if sum((as_json, as_csv, as_markdown)) > 1:
        raise InputError("--json, --csv and --markdown are one or the other; say one of them")
    prices = None
    if price_per_kwh is not None or price_per_hour is not None:
        prices = Prices(price_per_kwh, price_per_hour, currency)
    found = compare_sessions(
        open_store(store, tracking_uri), sessions, experiment, baseline=baseline, prices=prices, log=not no_log
    )
    if as_json:
        click.echo(found.comparison.to_json())
    elif as_csv:
        click.echo(table.csv(found.comparison), nl=False)
    elif as_markdown:
        click.echo(table.markdown(found.comparison, detailed=details), nl=False)
    else:
        show_comparison(found, detailed=details)
    return 0


def show_comparison(found: Compared, *, detailed: bool = False, all_by: str = "--details") -> None:
    """Draws the table, and what a reader of it should know.

    Args:
        found: what was compared.
        detailed: whether to show every column.
        all_by: what a person gives to see every column.
    """
    from rich.console import Console
    from rich.table import Table

    from smallenough.analysis.table import table

    console = Console()
    drawn = table(found.comparison, detailed=detailed, width=max(console.width, 80) if console.is_terminal else 120)
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for place, header in enumerate(drawn.headers):
        shown.add_column(header, justify="right" if place else "left", no_wrap=True)
    for row in drawn.rows:
        shown.add_row(*row)
    Console(width=max(drawn.width, console.width)).print(shown, markup=False, highlight=False)
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    if drawn.left_out:
        click.echo(f"left out for width: {', '.join(drawn.left_out)}; {all_by} shows all", err=True)
