"""`smallenough resume`."""

from __future__ import annotations

from pathlib import Path

import click

from smallenough.cli.common import json_option, open_store, store_options


@click.command("resume", short_help="Go on with a session that was interrupted.")
@click.argument("session")
@json_option
@store_options
def command(session: str, as_json: bool, store: Path | None, tracking_uri: str | None) -> int:
    """Go on with SESSION, which was interrupted, killed, or ended by failures of a server.

    SESSION is an id, the beginning of one, or `last`. What was done is neither lost nor done again: an answer that
    had arrived is used, one that had not is asked again. Where SESSION is another one scored again, scoring goes on.

    \b
      smallenough sessions
      smallenough resume last
    """
    from smallenough import journal
    from smallenough.cli.ending import show_end
    from smallenough.cli.progress import SessionProgress
    from smallenough.cli.score import go_on_scoring
    from smallenough.sessions import experiment

    found = open_store(store, tracking_uri)
    folder = journal.find(found.journals, session)
    plan, before = experiment.standing(folder)
    if plan.scored_from:
        return go_on_scoring(plan, before, folder, found, as_json=as_json)
    with SessionProgress(plan, before, quiet=as_json) as progress:
        result = experiment.resume(folder, found, progress.observe, progress.say)
    return show_end(result, found, as_json=as_json, answers=False)
