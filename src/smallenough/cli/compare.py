"""`smallenough compare`."""

from __future__ import annotations

from pathlib import Path

import click

from smallenough.cli.common import json_option, open_store, print_json, store_options


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
    from smallenough.analysis.comparison import Prices
    from smallenough.sessions.compare import compare_sessions

    prices = None
    if price_per_kwh is not None or price_per_hour is not None:
        prices = Prices(price_per_kwh, price_per_hour, currency)
    found = compare_sessions(
        open_store(store, tracking_uri), sessions, experiment, baseline=baseline, prices=prices, log=not no_log
    )
    if as_json:
        print_json(found.data)
        return 0
    click.echo(found.csv if as_csv else found.markdown if as_markdown else found.details if details else found.table)
    for note in found.notes:
        click.echo(f"note: {note}", err=True)
    return 0
