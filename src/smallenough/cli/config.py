"""`smallenough config`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smallenough.cli.common import counted, json_option, print_json, told_store
from smallenough.cli.run_options import run_options
from smallenough.cli.tables import print_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from smallenough.config import Value
    from smallenough.sessions.prepare import Wish


@click.group("config", short_help="Show what is in force and where it came from, check a file, print its schema.")
def command() -> None:
    """Show what is in force, check an experiment file, or print the schema of one for an editor."""


@command.command("show")
@run_options
@json_option
def show(*, as_json: bool, **said: Any) -> int:
    """Print every setting, and where its value came from: a flag, the environment, file and line, or the default.

    Takes what `smallenough run` takes, and asks no model.

    \b
      smallenough config show
      smallenough config show --config experiments/temperatures.yaml --repeats 3
    """
    from smallenough.sessions.wanted import understood
    from smallenough.sessions.wishes import make_wishes

    read = understood(said, os.environ)
    wishes = list(make_wishes(read.flags, read.config, read.faults))
    read.faults.report()
    force = read.force
    if as_json:
        print_json({"settings": _values(force), "arms": [values for wish in wishes for values in _arms(wish)]})
        return 0
    print_table(
        ("setting", "value", "from"), [(one["key"], _short(one["value"]), one["origin"]) for one in _values(force)]
    )
    rows = [
        (values["model"], values["strategy"], _short(values["options"]), _short(values["sampling"]), values["origin"])
        for wish in wishes
        for values in _arms(wish)
    ]
    click.echo(f"\n{counted(len(rows), 'arm')}")
    if rows:
        print_table(("model", "strategy", "options", "sampling", "from"), rows)
    return 0


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
def check(file: Path | None) -> int:
    """Look through an experiment file (by default config/experiment_config.yaml), and tell all that is wrong with it.

    Asks no model and no server: whether those are there, `smallenough run --dry-run` tells.
    """
    from smallenough.config import DEFAULT_FILE
    from smallenough.errors import InputError
    from smallenough.models.catalogue import entries
    from smallenough.sessions.places import store_of
    from smallenough.sessions.prepare import check_wanted
    from smallenough.sessions.wanted import understood

    if file is None and not DEFAULT_FILE.is_file():
        raise InputError(f"{DEFAULT_FILE} is not there; name a file, or run: smallenough init")
    read = understood({"config": file}, os.environ)
    if read.faults.catch(entries) is None:
        read.faults.report()  # which models are meant, can't be told
    want = read.wanted(told_store(store_of(read.force)))
    check_wanted(want.wishes, want.settings, read.faults)
    read.faults.report()
    assert want.suite is not None
    arms = sum(len(wish.strategies) for wish in want.wishes)
    click.echo(f"{file or DEFAULT_FILE}: in order; {counted(arms, 'arm')} on {counted(len(want.suite.tasks), 'task')}")
    return 0


@command.command("schema")
@click.argument("which", type=click.Choice(["experiment", "models"]), default="experiment")
def schema(which: str) -> int:
    """Print the JSON schema of an experiment file, or of config/models.yaml, for editors that complete and check.

    \b
      smallenough config schema > config/experiment_config.schema.json
      smallenough config schema models > config/models.schema.json
    """
    from smallenough.config import ExperimentFile
    from smallenough.models.catalogue import catalogue_schema

    print_json(ExperimentFile.model_json_schema() if which == "experiment" else catalogue_schema())
    return 0


def _values(force: Mapping[str, Value]) -> list[dict[str, Any]]:
    from smallenough.tracking.masking import shown_uri

    def shown(key: str, value: Any) -> Any:
        return shown_uri(value) if key == "tracking.uri" and value else value

    return [{"key": key, "value": shown(key, one.value), "origin": one.origin} for key, one in force.items()]


def _arms(wish: Wish) -> list[dict[str, Any]]:
    from dataclasses import asdict

    sampling = {name: value for name, value in asdict(wish.sampling).items() if value not in (None, ())}
    shared = {"model": wish.model, "sampling": sampling, "baseline": wish.baseline, "origin": wish.origin or "flags"}
    return [{**shared, "strategy": strategy, "options": dict(options)} for strategy, options in wish.strategies]


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={_short(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_short, value))
    return "" if value is None else str(value)
