"""`smallenough train`."""

from __future__ import annotations

import os
import types
import typing
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_args, get_origin

import click

from smallenough.cli.common import counted, json_option, open_store, print_json, store_options
from smallenough.cli.training_progress import TrainingProgress
from smallenough.training.settings import TrainingFile, TrainingSettings

if TYPE_CHECKING:
    from smallenough.sessions.train import Trained
    from smallenough.sessions.training_jobs import Job, Outlook

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _training_options(command: _Command) -> _Command:
    """Adds a flag for every key of a training file, with the key's own text as its help."""
    fields = TrainingFile.model_fields
    own = [name for name in fields if name not in TrainingSettings.model_fields]
    for name in reversed([*own, *TrainingSettings.model_fields]):
        words, default = " ".join((fields[name].description or "").split()), fields[name].default
        value = default[0] if isinstance(default, tuple) and default else default
        told = "" if value is None or value is False or value == () or "default" in words else f"  [default: {value}]"
        flag = "--model" if name == "models" else f"--{name.replace('_', '-')}"
        command = click.option(flag, name, help=words + told, **_kind(fields[name].annotation))(command)
    return command


def _kind(annotation: Any) -> dict[str, Any]:
    """How click reads a key's values; the form checks them."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(inner[0])
    if origin in (typing.Union, types.UnionType):
        return _kind(next(one for one in inner if one is not type(None)))
    if origin is tuple:
        return {"multiple": True, "metavar": "NAME"}
    if origin is Literal:
        return {"type": click.Choice(inner)}
    if annotation is bool:
        return {"is_flag": True, "default": None}
    return {"type": click.Path(path_type=Path) if annotation is Path else annotation}


@click.command("train", short_help="Fine-tune small models on a suite's references (LoRA).")
@_training_options
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A training file: YAML with these keys, and `models`; flags given here go before it.",
)
@click.option("--dry-run", is_flag=True, help="Check everything, count rows, tokens, steps and memory; train nothing.")
@store_options
@json_option
def command(
    *, config: Path | None, dry_run: bool, store: Path | None, tracking_uri: str | None, as_json: bool, **said: Any
) -> int:
    """Fine-tune small models on the references of a suite, and track it.

    What is learned is what is asked later: the prompts of strategy `single` for the model's class, and the reference as
    the answer. The adapter (LoRA) is a folder as peft saves it; `huggingface:FOLDER` names it as a model.

    \b
      smallenough train --suite basics --steps 20
      smallenough train --model smollm2:135m --suite mine --validation-share 0.1 --patience 3
      smallenough run --model huggingface:mlruns/adapters/smollm2-135m-mine --suite test

    Ctrl-C saves a checkpoint; the same command goes on from the last one, however it ended.
    """
    from smallenough.sessions.train import train
    from smallenough.sessions.training_jobs import jobs, outlook, settings_of

    flags = {name: value for name, value in said.items() if value is not None and value != ()}
    if "experiment" not in flags and (named := os.environ.get("MLFLOW_EXPERIMENT_NAME")):
        flags["experiment"] = named
    form = settings_of(config, flags)
    found = open_store(store, tracking_uri)
    wanted = jobs(form, found)
    if dry_run:
        _show_dry_run([outlook(job) for job in wanted], as_json=as_json)
        return 0
    done: list[Trained] = []
    for job in wanted:
        with TrainingProgress(job.plan.base, quiet=as_json) as progress:
            done.append(train(job, found, form.experiment, progress.observe, progress.say))
        if not as_json:
            _show(job, done[-1])
    if as_json:
        print_json([{"model": one.model, **asdict(one)} for one in done])
    return 0


def _show_dry_run(found: list[Outlook], *, as_json: bool) -> None:
    from smallenough.wording import size

    if as_json:
        print_json(
            [
                {
                    "plan": asdict(one.job.plan),
                    "folder": one.job.folder.path,
                    "device": one.device,
                    **asdict(one.counted),
                }
                for one in found
            ]
        )
        return
    for one in found:
        it = one.counted
        held = f", and {it.validation_rows} to validate on" if it.validation_rows else ""
        click.echo(f"{one.job.plan.base}, on {one.device} in {it.precision}:")
        click.echo(
            f"  {counted(it.rows, 'row')}{held}: {it.tokens:,} tokens, {it.answer_tokens:,} of them answers;"
            f" {it.computed_tokens:,} are computed in an epoch"
        )
        if it.too_long:
            click.echo(f"  {counted(len(it.too_long), 'row')} too long, left out")
        click.echo(f"  {counted(it.steps, 'step')}; the longest row has {it.longest} tokens")
        click.echo(
            f"  {it.trainable:,} weights are learned beside {it.parameters:,}, in {', '.join(it.target_modules)}"
        )
        click.echo(f"  about {size(it.memory_bytes)} of memory, {size(it.disk_bytes)} in {one.job.folder.path}")
    click.echo("everything is in order; nothing was trained")


def _show(job: Job, one: Trained) -> None:
    from smallenough.wording import duration, energy, number, size

    told = [counted(one.steps, "step"), f"loss {number(one.loss)}"]
    told += [f"validation {number(one.validation_loss)} at step {one.kept}"] if one.validation_loss is not None else []
    told += [f"{number(one.tokens_per_second)} tokens a second"] if one.tokens_per_second is not None else []
    if one.usage is not None:
        told += [duration(one.usage.seconds)]
        told += [f"{size(one.usage.peak_memory_bytes)} at most"] if one.usage.peak_memory_bytes is not None else []
        told += [energy(one.usage.energy_joules)] if one.usage.energy_joules is not None else []
    end = "; stopped, as validation got no better" if one.why == "patience" else ""
    click.echo(f"{job.plan.base}: {', '.join(told)}{end}", err=True)
    if one.left:
        click.echo(f"MLflow does not know it yet ({one.left}); the same command writes it later", err=True)
    click.echo(f"ask it: smallenough run --model {one.model}", err=True)
