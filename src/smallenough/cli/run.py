"""`smallenough run`."""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from smallenough.cli.beginning import ask_first, dry_run_option, expected, save, told, yes_option
from smallenough.cli.common import counted, json_option, print_json, remind, told_store
from smallenough.cli.run_options import run_options

if TYPE_CHECKING:
    from smallenough.sessions.prepare import Prepared
    from smallenough.sessions.wanted import Wanted
    from smallenough.tracking.store import Store


@click.command("run", short_help="Run models on tasks, and compare them.")
@run_options
@dry_run_option
@yes_option
@json_option
def command(
    *,
    dry_run: bool,
    yes: bool,
    as_json: bool,
    **said: Any,
) -> int:
    """Run models on tasks under the same conditions, and compare them.

    \b
    A large model as it is against a small one, as it is and with branching:
      smallenough run --large-model mistral --small-model smollm2:135m
    One task, one minute:
      smallenough run --model smollm2:135m --task-type prime
    What does the feedback add?
      smallenough run --model phi3:mini --strategy branching --strategy branching:feedback=off
    The large model only where the small one fails the public tests:
      smallenough run --large-model mistral --small-model phi3:mini --strategy cascade
    Your own question, answers side by side:
      smallenough run --model mistral --model smollm2 --task "Explain recursion in one sentence."

    Everything is checked before the first model is asked. Ctrl-C once finishes what is in flight, twice stops at
    once; `smallenough resume SESSION` goes on either way.
    """
    from smallenough.sessions.estimate import estimate
    from smallenough.sessions.prepare import prepare
    from smallenough.sessions.unused import overruled, unused
    from smallenough.sessions.wanted import understood

    read = understood(said, os.environ)
    found, flags, faults = told_store(read.store()), read.flags, read.faults
    want = read.wanted(found)
    for line in (*unused(read.config), *overruled(read.config, read.flags, os.environ)):
        click.echo(f"note: {line}", err=True)
    if flags.import_data and not want.wishes:
        faults.report()
        _import_alone(want, found, dry_run=dry_run, as_json=as_json)
        return 0
    prepared = prepare(want.suite, want.wishes, want.settings, faults)
    with contextlib.closing(prepared):
        if dry_run:
            _show_dry_run(prepared, found, as_json=as_json)
            return 0
        if not yes:
            ask_first(estimate(prepared.plan, found.journals))
        if want.imported:
            saved = save(want.imported, found)
            click.echo(told(saved), err=True)
            prepared = replace(prepared, suite=replace(prepared.suite, version=saved.version))
        code = _carry_out(prepared, found, as_json=as_json, answers=flags.task is not None)
        if not as_json:
            remind(found, read.force["tracking.keep_sessions"].value)
        return code


# ------------------------------------------------------------------------------------------------ importing first


def _import_alone(want: Wanted, store: Store, *, dry_run: bool, as_json: bool) -> None:
    assert want.imported is not None
    suite = want.imported if dry_run else save(want.imported, store)
    if as_json:
        values = {"suite": suite.name, "version": suite.version, "digest": suite.digest, "tasks": len(suite.tasks)}
        print_json({**values, "imported": not dry_run})
    else:
        click.echo(f"{told(suite)}; everything is in order, and nothing was imported" if dry_run else told(suite))


# ---------------------------------------------------------------------------------------------- before it begins


def _show_dry_run(prepared: Prepared, store: Store, *, as_json: bool) -> None:
    from smallenough.sessions.estimate import estimate

    found = estimate(prepared.plan, store.journals)
    if as_json:
        print_json({"plan": prepared.plan, "estimate": found})
        return
    plan = prepared.plan
    click.echo(f"suite {plan.suite}: {counted(len(plan.task_ids), 'task')}, digest {plan.suite_digest}")
    for arm in plan.arms:
        click.echo(f"  {arm.name}{' (baseline)' if arm.baseline else ''}")
    if found.least == found.most:
        inferences = counted(found.least, "inference")
    else:
        inferences = f"{found.least} {'or more' if found.most is None else f'to {found.most}'} inferences"
    click.echo(f"{counted(plan.trials, 'trial')}, {inferences}")
    click.echo(expected(found) or "no earlier session to estimate the time from")
    click.echo("everything is in order; nothing was asked")


# ------------------------------------------------------------------------------------------------- carrying out


def _carry_out(prepared: Prepared, store: Store, *, as_json: bool, answers: bool) -> int:
    from smallenough.cli.ending import show_end
    from smallenough.cli.progress import SessionProgress
    from smallenough.sessions import experiment

    plan = prepared.plan
    with SessionProgress(plan, quiet=as_json) as progress:
        arms, tasks = counted(len(plan.arms), "arm"), counted(len(plan.task_ids), "task")
        progress.say(f"{counted(plan.trials, 'trial')}: {arms} on {tasks} of suite {plan.suite}")
        result = experiment.run(prepared, store, progress.observe, progress.say)
    return show_end(result, store, as_json=as_json, answers=answers)
