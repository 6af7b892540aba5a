"""`smallenough flush`."""

from __future__ import annotations

from pathlib import Path

import click

from smallenough.cli.common import json_option, open_store, print_json, store_option
from smallenough.errors import InfrastructureError, SmallenoughError


@click.command("flush", short_help="Write to MLflow what a session could not write while it ran.")
@click.argument("sessions", nargs=-1)
@click.option(
    "--tracking-uri", help="MLflow tracking URI to write to.  [default: the store that each session was run for]"
)
@json_option
@store_option
def command(sessions: tuple[str, ...], *, as_json: bool, store: Path | None, tracking_uri: str | None) -> int:
    """Write to MLflow what SESSIONS could not write while they ran; none: every session that is behind.

    Each goes into the store that it was run for, whatever MLFLOW_TRACKING_URI says; --tracking-uri names another one.
    Where one can't be written, the others are. It can be repeated and interrupted at will: nothing is written twice.

    \b
      smallenough flush
      smallenough flush last --tracking-uri http://127.0.0.1:5000
    """
    from smallenough import journal
    from smallenough.tracking.behind import left, own_store
    from smallenough.tracking.masking import shown_uri
    from smallenough.tracking.writer import write

    found = open_store(store, tracking_uri)
    elsewhere = bool(tracking_uri)
    folders = [journal.find(found.journals, name) for name in sessions]
    if not sessions:
        target = found if elsewhere else None
        ended = [one.folder for one in journal.sessions(found.journals) if one.status != "running"]
        folders = [folder for folder in ended if left(folder, target)]
    told, faults = [], []
    for folder in folders:
        one = {"session": folder.name, "store": "", "error": ""}
        try:
            into = found if elsewhere else own_store(folder, found)
            one["store"] = shown_uri(into.uri)
            if not as_json:
                click.echo(f"{folder.name}: {left(folder, into)} bytes of the journal go to {one['store']}", err=True)
            write(folder, into, follow=False)
        except SmallenoughError as error:
            one["error"] = str(error)
            faults.append(f"{folder.name}: {error}")
        told.append(one)
    if as_json:
        print_json(told)
    elif len(faults) < len(folders) or not folders:
        click.echo(f"{len(folders) - len(faults)} sessions written" if folders else "nothing was left to write")
    if faults:
        raise InfrastructureError("\n".join([f"{len(faults)} of {len(folders)} sessions are not written:", *faults]))
    return 0
