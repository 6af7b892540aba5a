"""Options and output that several commands share."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from smallenough.tracking.store import Store

_Command = TypeVar("_Command", bound=Callable[..., Any])


store_option = click.option(
    "--store",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of the local store and of all journals.  [default: SMALLENOUGH_STORE, else mlruns]",
)
"""`--store`."""


def store_options(command: _Command) -> _Command:
    """Adds `--store` and `--tracking-uri`."""
    command = store_option(command)
    return click.option(
        "--tracking-uri",
        help="MLflow tracking URI.  [default: MLFLOW_TRACKING_URI, else SQLite in the local store]",
    )(command)


def json_option(command: _Command) -> _Command:
    """Adds `--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")(command)


def open_store(store: Path | None, tracking_uri: str | None) -> Store:
    """The store in force; tells how it was chosen where that needs telling."""
    from smallenough.sessions.places import store_in_force

    return told_store(store_in_force(store, tracking_uri or None))


def told_store(found: Store) -> Store:
    """The same store; tells how it was chosen where that needs telling."""
    if found.notice:
        click.echo(f"note: {found.notice}", err=True)
    return found


def remind(store: Store, keep: str | None) -> None:
    """Tells of sessions that are older than they shall be kept. Nothing is done to them."""
    from smallenough.sessions.upkeep import reminder

    if text := reminder(store, keep):
        click.echo(text, err=True)


def counted(number: int, what: str) -> str:
    """`1 trial`, `2 trials`."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def print_json(value: Any) -> None:
    """Prints a value, or a frozen record, as JSON."""

    def plain(item: Any) -> Any:
        if is_dataclass(item) and not isinstance(item, type):
            return asdict(item)
        return str(item)

    click.echo(json.dumps(value, default=plain, ensure_ascii=False, indent=2))


def write_new(path: Path, text: str) -> None:
    """Writes a file that is not there yet.

    Raises:
        InputError: it is there, or can't be written.
    """
    from smallenough.errors import InputError

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise InputError(f"{path} is there already; name another file, or remove it") from error
    except OSError as error:
        raise InputError(f"{path}: can't be written: {error.strerror or error}") from error
