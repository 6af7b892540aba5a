"""What is shown when a session ends: how it ended, what is left to write to MLflow, the comparison, what to do next."""

from __future__ import annotations

import json
import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from smallenough import journal
from smallenough.cli.common import print_json
from smallenough.cli.compare import show_comparison
from smallenough.errors import SmallenoughError
from smallenough.events import AttemptFinished
from smallenough.tracking.behind import WriterState, left

if TYPE_CHECKING:
    from smallenough.sessions.experiment import SessionResult
    from smallenough.tracking.store import Store

_CODES = {"completed": 0, "interrupted": 130, "failed": 3}


def show_end(result: SessionResult, store: Store, *, as_json: bool, answers: bool) -> int:
    """Waits for MLflow, shows what came of the session, and returns the exit code.

    A session that was stopped at once is not waited for, and not compared: its writer goes on by itself.
    """
    try:
        behind = left(result.folder) if result.broken_off else wait_for_writer(result, quiet=as_json)
    except KeyboardInterrupt:
        click.echo(f"session {result.session}: {result.status}; a process goes on writing it to MLflow", err=True)
        _show_resume(result)
        raise
    shown: dict[str, Any] = {
        "session": result.session,
        "status": result.status,
        "failed_trials": result.failed,
        "left_bytes": behind,
    }
    if not as_json:
        click.echo(
            f"session {result.session}: {result.status}{f': {result.reason}' if result.status == 'failed' else ''}",
            err=True,
        )
        if behind:
            why = "a process goes on writing them" if result.broken_off else _why_behind(result)
            click.echo(f"{behind} bytes of the journal are not in MLflow yet: {why}", err=True)
            click.echo(
                f"{'if it ends early, ' * result.broken_off}write them with: {flush_command(result.session, store)}",
                err=True,
            )
    try:
        if result.broken_off:
            shown["comparison"] = None
        elif answers:
            shown["answers"] = _answers(result, as_json=as_json)
        else:
            shown["comparison"] = _comparison(result, store, as_json=as_json, log=not behind)
    except SmallenoughError as error:
        if result.status == "completed":
            raise
        click.echo(f"no comparison: {error}", err=True)
    if as_json:
        print_json(shown)
    else:
        if result.failed:
            count = f"{result.failed} trial{'s' if result.failed > 1 else ''}"
            click.echo(f"{count} ended in a failure of the server or the sandbox; a resume does them again", err=True)
        _show_resume(result)
        click.echo("look at every run: smallenough ui", err=True)
    return _CODES["failed" if result.failed and result.status == "completed" else result.status]


def _show_resume(result: SessionResult) -> None:
    if result.status != "completed" or result.failed:
        click.echo(f"go on with it: smallenough resume {result.session}", err=True)


def _why_behind(result: SessionResult) -> str:
    state = WriterState.read(result.folder)
    if state and state.error:
        return state.error
    return f"the writer {'was ended' if state else 'did not come up'}; see {result.folder / 'writer.log'}"


def flush_command(session: str, store: Store) -> str:
    """The command that writes the rest of a session into `store`; a password stands there as `***`."""
    from smallenough.tracking.masking import shown_uri
    from smallenough.tracking.store import Store

    local = store.uri == Store.local(store.folder).uri
    uri = [] if local else ["--tracking-uri", shown_uri(store.uri)]
    found = local or store.database is None
    folder = [] if found and store.folder == Path("mlruns").absolute() else ["--store", str(store.folder)]
    return shlex.join(["smallenough", "flush", session, *uri, *folder])


def wait_for_writer(result: SessionResult, *, quiet: bool) -> int:
    """Waits until MLflow holds the session or can't be reached; returns the bytes of the journal that are left."""
    with Console(stderr=True, quiet=quiet).status("writing to MLflow …") as status:
        while result.writer.poll() is None:
            state = WriterState.read(result.folder)
            if state and state.error:
                break
            status.update(f"writing to MLflow: {left(result.folder)} bytes of the journal are left …")
            time.sleep(0.05)
    return left(result.folder)


def _comparison(result: SessionResult, store: Store, *, as_json: bool, log: bool) -> Any:
    from smallenough.sessions.compare import compare_sessions

    found = compare_sessions(store, [result.session], log=log)
    if as_json:
        return json.loads(found.to_json())
    show_comparison(found, all_by=f"smallenough compare {result.session} --details")
    return None


def _answers(result: SessionResult, *, as_json: bool) -> dict[str, str]:
    """The answers of a free task, side by side."""
    answers: dict[str, str] = {}
    for _, event in journal.read(result.folder):
        if isinstance(event, AttemptFinished) and event.completion is not None:
            answers[event.key.arm] = event.completion.text
    if not as_json:
        from rich.columns import Columns
        from rich.panel import Panel
        from rich.text import Text

        panels = [Panel(Text(text.strip()), title=arm) for arm, text in answers.items()]
        Console().print(Columns(panels, equal=True, expand=True))
    return answers
