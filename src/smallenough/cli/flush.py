"""`smallenough flush`."""

from __future__ import annotations

from pathlib import Path

import click

from smallenough.cli.common import json_option, open_store, print_json, store_options


@click.command("flush", short_help="Write to MLflow what a session could not write while it ran.")
@click.argument("sessions", nargs=-1)
@json_option
@store_options
def command(sessions: tuple[str, ...], as_json: bool, store: Path | None, tracking_uri: str | None) -> int:
    """Write to MLflow what SESSIONS could not write while they ran; none: every session that is behind.

    It can be repeated and interrupted at will: nothing is written twice.
    """
    from smallenough import journal
    from smallenough.tracking.writer import left, write

    found = open_store(store, tracking_uri)
    folders = [journal.find(found.journals, name) for name in sessions]
    if not sessions:
        folders = [
            one.folder for one in journal.sessions(found.journals) if one.status != "running" and left(one.folder)
        ]
    for folder in folders:
        if not as_json:
            click.echo(f"{folder.name}: {left(folder)} bytes of the journal to write", err=True)
        write(folder, found, follow=False)
    if as_json:
        print_json([folder.name for folder in folders])
    else:
        click.echo(f"{len(folders)} sessions written" if folders else "nothing was left to write")
    return 0
