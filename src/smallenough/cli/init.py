"""`smallenough init`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("init", short_help="Write commented files of settings to start from.")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False), default=".")
def command(folder: Path) -> int:
    """Write config/experiment_config.yaml and config/models.yaml below FOLDER, with every setting and its default.

    Beside them, the schemas by which an editor completes and checks them. Files that are there are kept.
    """
    from smallenough.sessions.start import write_start

    for path, written in write_start(folder).items():
        click.echo(f"{'wrote' if written else 'kept '} {path}")
    click.echo("name models there, then: smallenough config check && smallenough run")
    return 0
