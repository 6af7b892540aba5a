"""`smallenough sessions`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smallenough.cli.common import counted, json_option, open_store, print_json, remind, store_options, told_store

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from smallenough.journal import SessionSummary

_age = click.option(
    "--older-than", metavar="AGE", help="Those that began longer ago: 12h, 30d, 8w, 1y. Without SESSIONS: all of them."
)
_yes = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


def _choosing(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds what says which sessions are meant, and that they are."""
    for option in (store_options, json_option, _yes, _age, click.argument("names", metavar="[SESSIONS]...", nargs=-1)):
        command = option(command)
    return command


@click.group("sessions", short_help="List sessions, the newest first; put old ones away.", invoke_without_command=True)
@click.option("--limit", "-n", type=click.IntRange(1), default=20, show_default=True, help="How many.")
@click.option("--experiment", metavar="NAME", help="Only those of this MLflow experiment.")
@json_option
@store_options
@click.pass_context
def command(
    context: click.Context,
    limit: int,
    experiment: str | None,
    *,
    as_json: bool,
    store: Path | None,
    tracking_uri: str | None,
) -> int:
    """List the sessions of this store, the newest first, with what became of them.

    \b
    running      a process works on it now
    completed    every trial ended
    interrupted  by Ctrl-C or a kill: `smallenough resume SESSION` goes on
    failed       by a server, the sandbox or the disk: mend it, then resume
    … failed     of its trials so many ended in a failure of the server or the sandbox: a resume does them again
    damaged      its journal can't be read; what to do is said below the list
    """
    if context.invoked_subcommand:
        return 0
    from smallenough import journal
    from smallenough.config import in_force, load_config
    from smallenough.sessions.places import store_of

    force = in_force(load_config(), {"store": store, "tracking_uri": tracking_uri or None}, os.environ)
    found = told_store(store_of(force))
    known = [one for one in journal.sessions(found.journals) if experiment in (None, one.experiment)][:limit]
    damaged = journal.damaged(found.journals)
    if as_json:
        _print_json(known, damaged)
        return 0
    for name, reason in damaged.items():
        click.echo(f"session {name} is damaged: {reason}", err=True)
    if not known:
        click.echo("there are no sessions yet; start one with: smallenough run --model NAME")
        return 0
    _print_table(known)
    remind(found, force["tracking.keep_sessions"].value)
    return 0


def _print_json(known: Sequence[SessionSummary], damaged: Mapping[str, str]) -> None:
    from smallenough.tracking.behind import left

    print_json(
        [{**{name: getattr(one, name) for name in one.__slots__}, "left_bytes": left(one.folder)} for one in known]
        + [{"session": name, "status": "damaged", "reason": reason} for name, reason in damaged.items()]
    )


def _print_table(known: Sequence[SessionSummary]) -> None:
    from rich.console import Console
    from rich.table import Table

    from smallenough.tracking.behind import left
    from smallenough.wording import duration

    table = Table(box=None, pad_edge=False, header_style="bold")
    again = ("scored from",) if any(one.scored_from for one in known) else ()
    for name in ("session", "status", "trials", "suite", "experiment", "arms", "took", "not in MLflow", *again):
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
            *(one.scored_from or "" for _ in again),
        )
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@command.command("archive")
@_choosing
def archive(
    names: tuple[str, ...],
    *,
    older_than: str | None,
    yes: bool,
    as_json: bool,
    store: Path | None,
    tracking_uri: str | None,
) -> int:
    """Pack the journals of SESSIONS into one file each, below archive/ in the store. What MLflow holds stays there.

    \b
      smallenough sessions archive 20260101-120000
      smallenough sessions archive --older-than 30d
    """
    from smallenough.sessions import upkeep

    found = open_store(store, tracking_uri)
    chosen = upkeep.choose(found, names, None if older_than is None else upkeep.age(older_than))
    _confirm(chosen, "archive the journals of", "", yes=yes)
    told = []
    for one in chosen:
        told.append({"session": one.session, "file": upkeep.archive(found, one)})
        if not as_json:
            click.echo(f"{one.session}: {told[-1]['file']}")
    if as_json:
        print_json(told)
    return 0


@command.command("restore")
@click.argument("name", metavar="[SESSION]", required=False)
@json_option
@store_options
def restore(name: str | None, *, as_json: bool, store: Path | None, tracking_uri: str | None) -> int:
    """Put an archived SESSION back; without one, list those in the archive."""
    from smallenough.sessions import upkeep

    found = open_store(store, tracking_uri)
    if name is None:
        known = upkeep.archived(found)
        print_json(known) if as_json else click.echo("\n".join(known) or "the archive is empty")
        return 0
    folder = upkeep.restore(found, name)
    print_json({"session": name, "folder": folder}) if as_json else click.echo(f"{name}: {folder}")
    return 0


@command.command("rm")
@_choosing
def remove(
    names: tuple[str, ...],
    *,
    older_than: str | None,
    yes: bool,
    as_json: bool,
    store: Path | None,
    tracking_uri: str | None,
) -> int:
    """Remove SESSIONS: their journals for good, and their runs from MLflow, which keeps those until `mlflow gc`.

    \b
      smallenough sessions rm 20260101-120000
      smallenough sessions rm --older-than 1y
    """
    from rich.console import Console
    from rich.progress import Progress

    from smallenough.sessions import upkeep

    found = open_store(store, tracking_uri)
    chosen = upkeep.choose(found, names, None if older_than is None else upkeep.age(older_than))
    _confirm(chosen, "remove", ", and their runs in MLflow", yes=yes)
    told = []
    with Progress(console=Console(stderr=True), disable=as_json or not sys.stderr.isatty()) as progress:
        for one in chosen:
            shown = partial(_shown, progress, progress.add_task(one.session, total=None))
            told.append({"session": one.session, "runs": (runs := upkeep.remove(found, one, shown))})
            if not as_json:
                click.echo(f"{one.session}: removed, with {counted(runs, 'run')} in MLflow")
    if as_json:
        print_json(told)
    return 0


def _shown(progress: Progress, bar: TaskID, done: int, of: int) -> None:
    progress.update(bar, completed=done, total=of)


def _confirm(chosen: list[SessionSummary], what: str, more: str, *, yes: bool) -> None:
    """Asks, unless that was answered already."""
    from smallenough.errors import InputError
    from smallenough.sessions import upkeep
    from smallenough.tracking.behind import left
    from smallenough.wording import size

    if not chosen:
        raise InputError("there are no sessions of that age")
    for one in chosen:
        behind = left(one.folder)
        lacking = f"; {behind} bytes of it are not in MLflow" if behind else ""
        click.echo(
            f"{one.session}: {one.status}, {one.done} of {counted(one.trials, 'trial')}, {one.experiment},"
            f" {size(upkeep.size(one.folder))}{lacking}",
            err=True,
        )
    if yes:
        return
    text = f"{what} {'this session' if len(chosen) == 1 else f'these {len(chosen)} sessions'}{more}"
    if not sys.stdin.isatty():
        raise InputError(f"{text}? There is no terminal to ask; say --yes")
    click.confirm(f"{text}?", abort=True, err=True)
