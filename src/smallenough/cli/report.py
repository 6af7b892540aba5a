"""`smallenough report`."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smallenough.cli.common import open_store, store_options
from smallenough.cli.terms import terms_of, terms_options

if TYPE_CHECKING:
    from smallenough.analysis.report import Report
    from smallenough.tracking.artifacts import Advance

_FORMS = (".html", ".md", ".json")


@click.command("report", short_help="Write a report of sessions: one file for a browser, Markdown or JSON.")
@click.argument("sessions", nargs=-1)
@click.option("--experiment", metavar="NAME", help="Every session of this MLflow experiment.")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File to write: .html, .md or .json.  [default: report-SESSION.html]",
)
@terms_options
@click.option(
    "--tasks",
    type=click.IntRange(0),
    help="Of how many tasks the answers are in the report, those first at which arms differ."
    "  [default: all, up to 2,000 trials]",
)
@click.option("--open", "open_it", is_flag=True, help="Open it in a browser.")
@click.option("--no-log", is_flag=True, help="Do not keep the report with the comparison in MLflow.")
@store_options
def command(
    sessions: tuple[str, ...],
    experiment: str | None,
    output: Path | None,
    *,
    tasks: int | None,
    open_it: bool,
    no_log: bool,
    store: Path | None,
    tracking_uri: str | None,
    **terms: Any,
) -> int:
    """Write a report of SESSIONS (ids, beginnings of ids, or `last`; none: the newest session), read from MLflow.

    One HTML file that needs no network: the verdict, the arms, success against size, cost and budgets, what branching
    gave, resources over time, and every task with its prompt, the answers of all arms and the output of the tests. It
    is kept in MLflow too, with its tables, as artifacts of the comparison's run.

    \b
      smallenough report
      smallenough report 20260101-120000 --output report.md
      smallenough report --experiment smallenough --margin 0.1 --cheap energy --open
    """
    from smallenough.errors import InputError
    from smallenough.sessions.report import log_report, make_report

    if output is not None and output.suffix not in _FORMS:
        raise InputError(f"--output {output}: its name must end in one of {', '.join(_FORMS)}")
    found = open_store(store, tracking_uri)
    with _reading() as advance:
        report = make_report(found, sessions, experiment, terms_of(**terms), tasks=tasks, advance=advance)
    path = output or Path(f"report-{_name(report)}.html")
    _write(path, _text(report, path.suffix))
    click.echo(path)
    if not no_log and log_report(found, report) is None:
        click.echo("note: not kept in MLflow, which could not be read", err=True)
    if open_it:
        webbrowser.open(path.absolute().as_uri())
    return 0


def _text(report: Report, suffix: str) -> str:
    return report.html if suffix == ".html" else report.markdown if suffix == ".md" else report.json


def _name(report: Report) -> str:
    """The session, or the newest of several and how many more."""
    newest, *others = sorted(report.content.findings.tables.sessions, reverse=True)
    return f"{newest}-and-{len(others)}-more" if others else newest


def _write(path: Path, text: str) -> None:
    from smallenough.errors import InputError

    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


@contextmanager
def _reading() -> Iterator[Advance]:
    """Shows on a terminal how many answers are read."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (TextColumn("reading answers"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        bar = progress.add_task("answers", total=None)
        yield lambda done, of: progress.update(bar, completed=done, total=of)
