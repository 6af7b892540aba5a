"""`smallenough sessions`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from smallenough.cli.common import json_option, open_store, print_json, store_options


@click.command("sessions", short_help="List sessions, the newest first.")
@click.option("--limit", "-n", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@click.option("--experiment", metavar="NAME", help="Only those of this MLflow experiment.")
@json_option
@store_options
def command(limit: int, experiment: str | None, as_json: bool, store: Path | None, tracking_uri: str | None) -> int:
    """List the sessions of this store, the newest first, with what became of them.

    \b
    running      a process works on it now
    completed    every trial ended
    interrupted  by Ctrl-C or a kill: `smallenough resume SESSION` goes on
    failed       by a server, the sandbox or the disk: mend it, then resume
    … failed     of its trials so many ended in a failure of the server or the sandbox: a resume does them again
    damaged      its journal can't be read; what to do is said below the list
    """
    from rich.console import Console
    from rich.table import Table

    from smallenough import journal
    from smallenough.cli.progress import duration
    from smallenough.tracking.behind import left

    found = open_store(store, tracking_uri)
    known = [one for one in journal.sessions(found.journals) if experiment in (None, one.experiment)][:limit]
    damaged = journal.damaged(found.journals)
    if as_json:
        print_json(
            [{**{name: getattr(one, name) for name in one.__slots__}, "left_bytes": left(one.folder)} for one in known]
            + [{"session": name, "status": "damaged", "reason": reason} for name, reason in damaged.items()]
        )
        return 0
    for name, reason in damaged.items():
        click.echo(f"session {name} is damaged: {reason}", err=True)
    if not known:
        click.echo("there are no sessions yet; start one with: smallenough run --model NAME")
        return 0
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("session", "status", "trials", "suite", "experiment", "arms", "took", "not in MLflow"):
        table.add_column(name, no_wrap=True)
    for one in known:
        behind = left(one.folder)
        table.add_row(
            one.session,
            one.status,
            f"{one.done}/{one.trials}{f', {one.failed} failed' if one.failed else ''}",
            one.suite,
            one.experiment,
            str(len(one.arms)),
            duration((one.ended or time.time()) - one.started),
            f"{behind} bytes" if behind else "",
        )
    Console(width=None if sys.stdout.isatty() else 200).print(table)
    return 0
