"""`smallenough config`."""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from smallenough.cli.common import counted, json_option, print_json, told_store, write_new
from smallenough.cli.run_options import run_options
from smallenough.cli.tables import print_table

if TYPE_CHECKING:
    from smallenough.config import Value
    from smallenough.sessions.shown import ShownArm


@click.group("config", short_help="Show what is in force and where it came from, check, convert, print the schema.")
def command() -> None:
    """Show what is in force, check an experiment file, convert an earlier one, or print the schema for an editor."""


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
    from smallenough.sessions.check import check_wanted
    from smallenough.sessions.shown import arms_in_force, settings_in_force
    from smallenough.sessions.unused import overruled, unused, unused_variables
    from smallenough.sessions.wanted import understood

    read = understood(said, os.environ)
    wishes, meant = read.meant()
    check_wanted(wishes, meant, read.faults)
    read.faults.report()
    settings, arms = settings_in_force(read), arms_in_force(wishes)
    left = [*unused(read.config), *unused_variables(os.environ), *overruled(read.config, read.flags, os.environ)]
    if as_json:
        told = [{"key": key, "value": one.value, "origin": one.origin} for key, one in settings.items()]
        print_json({"settings": told, "arms": arms, "unused": left})
        return 0
    print_table(("setting", "value", "from"), list(_setting_rows(settings)), dim=_is_default)
    click.echo(
        "\n" + textwrap.fill(f"not set: {', '.join(key for key, one in settings.items() if _unset(one))}", 110) + "\n"
    )
    if arms:
        print_table((counted(len(arms), "arm"), "value", "from"), list(_arm_rows(arms)), dim=_is_default)
    else:
        click.echo("no arms: no model is named")
    for line in left:
        click.echo(f"note: {line}", err=True)
    return 0


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), required=False)
def check(file: Path | None) -> int:
    """Look through an experiment file (by default config/experiment_config.yaml), and tell all that is wrong with it.

    Or through a study's file. Asks no model and no server: whether those are there, `smallenough run --dry-run` tells.
    """
    from smallenough.config import DEFAULT_FILE
    from smallenough.errors import InputError
    from smallenough.sessions.check import check_wanted
    from smallenough.sessions.shown import arms_in_force
    from smallenough.sessions.study.form import is_study, study_of
    from smallenough.sessions.unused import unused, unused_variables
    from smallenough.sessions.wanted import understood

    if file is not None and is_study(file):
        form = study_of(file, {})
        large, small = counted(len(form.llm_models), "large model"), counted(len(form.slm_models), "small one")
        click.echo(f"{file}: in order; a study of {large} and {small}; start it with: smallenough study {file}")
        return 0
    if file is None and not DEFAULT_FILE.is_file():
        raise InputError(f"{DEFAULT_FILE} is not there; name a file, or run: smallenough init")
    read = understood({"config": file}, os.environ)
    want = read.wanted(told_store(read.store()), search=read.config.form.search is not None)
    check_wanted(want.wishes, want.settings, read.faults)
    read.faults.report()
    assert want.suite is not None
    for line in (*unused(read.config), *unused_variables(os.environ)):
        click.echo(f"note: {line}", err=True)
    arms, tasks = arms_in_force(want.wishes), want.suite.tasks
    click.echo(f"{file or DEFAULT_FILE}: in order; {counted(len(arms), 'arm')} on {counted(len(tasks), 'task')}")
    return 0


@command.command("schema")
@click.argument("which", type=click.Choice(["experiment", "models"]), default="experiment")
def schema(which: str) -> int:
    """Print the JSON schema of an experiment file, or of config/models.yaml, for editors that complete and check.

    \b
      smallenough config schema > config/experiment_config.schema.json
      smallenough config schema models > config/models.schema.json
    """
    from smallenough.sessions.schema import schemas

    print_json(schemas()[which])
    return 0


@command.command("migrate")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--slm-name",
    metavar="NAME",
    help="The small model of earlier results: their keys don't tell it.",
)
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Write it here.  [default: print it]")
def migrate(file: Path, slm_name: str | None, output: Path | None) -> int:
    """Convert a study of the earlier form: its settings (YAML), or its results (JSON). FILE stays as it is.

    Settings had `baseline_llms`, `slm_name` and `slm_load_in_4bit`: names with 7B or 8B become `llm_models`, the rest
    `slm_models`. Results had the keys `Baseline_LLM_NAME`, `Baseline_SLM` and `Finetuned_SLM`.

    \b
      smallenough config migrate old_study.yaml --output study.yaml
      smallenough config migrate old_results.json --slm-name Llama-3.2-3B-Instruct
    """
    from smallenough.sessions.study.migrate import migrate_file

    text, notes = migrate_file(file, slm_name)
    if output is None:
        click.echo(text, nl=False)
    else:
        write_new(output, text)
        click.echo(f"written: {output}", err=True)
    for note in notes:
        click.echo(f"note: {note}", err=True)
    return 0


# ------------------------------------------------------------------------------------------------ as tables

_WIDE = 72
"""Columns of a value, after which it goes on in the next line."""

Row: TypeAlias = tuple[str, str, str]


def _is_default(row: Sequence[str]) -> bool:
    return row[-1] == "default"


def _unset(one: Value) -> bool:
    return one.value in (None, (), "") and one.origin == "default"


def _setting_rows(settings: Mapping[str, Value]) -> Iterator[Row]:
    """A row for each setting; the defaults of one part of the file share one."""
    together: dict[str, dict[str, Any]] = {}
    for key, one in settings.items():
        part, dot, name = key.partition(".")
        if dot and one.origin == "default" and not _unset(one):
            together.setdefault(part, {})[name] = one.value
    for key, one in settings.items():
        part, _, name = key.partition(".")
        if name not in together.get(part, {}):
            if not _unset(one):
                yield key, _wrapped(_short(one.value)), one.origin
        elif len(together[part]) == 1:
            yield key, _wrapped(_short(one.value)), "default"
        elif name == next(iter(together[part])):
            yield part, _wrapped(_short(together[part])), "default"


def _arm_rows(arms: Sequence[ShownArm]) -> Iterator[Row]:
    """The arms; those as one that differ only in values of one place each, as those of a grid do."""
    groups: dict[Hashable, list[ShownArm]] = {}
    for arm in arms:
        origins = tuple((key, one.origin) for key, one in _values(arm).items())
        groups.setdefault((arm.model, arm.strategy, origins), []).append(arm)
    for group in groups.values():
        axes = [{_short(_values(arm)[key].value) for arm in group} for key in _values(group[0])]
        for one in [group] if math.prod(map(len, axes)) == len(group) else [[arm] for arm in group]:
            yield from _group_rows(one)


def _group_rows(group: Sequence[ShownArm]) -> Iterator[Row]:
    first = group[0]
    marks = [counted(len(group), "arm")] * (len(group) > 1)
    if first.baseline:
        marks.append("the first is the baseline" if marks else "baseline")
    yield first.model.value, ", ".join(marks), first.model.origin
    yield "  strategy", first.strategy.value, first.strategy.origin
    silent: dict[tuple[str, str], list[str]] = {}
    for key, one in _values(first).items():
        texts = " or ".join(dict.fromkeys(_short(_values(arm)[key].value) for arm in group))
        texts = "not known yet" if one.value is None else texts
        if one.origin not in ("default", "catalogue"):
            yield f"  {key}", _wrapped(texts), one.origin
        elif not _unset(one):
            part, _, name = key.rpartition(".")
            silent.setdefault((part or "sampling", one.origin), []).append(f"{name}={texts}")
    for (part, origin), told in silent.items():
        yield f"  {part}", _wrapped(", ".join(told)), origin


def _values(arm: ShownArm) -> dict[str, Value]:
    """All that makes an arm; the options of its strategy as a file's `parameters` call them."""
    return {**arm.sampling, **{f"{arm.strategy.value}.{name}": one for name, one in arm.options.items()}}


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _WIDE, break_long_words=False, break_on_hyphens=False)


def _short(value: Any) -> str:
    """A value as one would say it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_short(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ";".join(map(_short, value)) or "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return f"{value:.10g}"
    return "none" if value in (None, "") else str(value)
