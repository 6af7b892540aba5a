"""`smallenough ui`."""

from __future__ import annotations

from pathlib import Path

import click

from smallenough.cli.common import open_store, store_options


@click.command("ui", short_help="Open MLflow's UI on the right store.")
@click.option("--port", type=click.IntRange(1, 65535), default=5000, show_default=True, help="Port to listen on.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on. MLflow's UI asks for no password: with 0.0.0.0, everyone who reaches this machine"
    " can read and delete.",
)
@click.option("--print", "print_only", is_flag=True, help="Print the command that starts the UI, and start nothing.")
@store_options
def command(port: int, host: str, *, print_only: bool, store: Path | None, tracking_uri: str | None) -> int:
    """Start MLflow's UI on the store that `run` writes to, until Ctrl-C.

    Printed first is the plain command that does the same. Where results go to a tracking server
    (MLFLOW_TRACKING_URI), that server has the UI, and its address is printed.

    \b
      smallenough ui
      smallenough ui --port 5001
      smallenough ui --print
    """
    from smallenough.tracking.masking import shown_uri
    from smallenough.tracking.store import connect
    from smallenough.tracking.ui import check_port, is_server, plain_command, serve

    found = open_store(store, tracking_uri)
    if is_server(found):
        click.echo(f"results are tracked by the server at {shown_uri(found.uri)}: open that address in a browser")
        return 0
    if not print_only:
        check_port(host, port)
    click.echo(plain_command(found, host, port))
    if print_only:
        return 0
    if found.database and not found.database.exists():
        click.echo(f"{found.folder} has no results yet; an empty store is made there", err=True)
        connect(found)
    shown = f"[{host}]" if ":" in host else host
    click.echo(
        f"http://{shown}:{port} shows {found.folder if found.database else shown_uri(found.uri)}; Ctrl-C ends it"
    )
    serve(found, host, port)
    return 0
