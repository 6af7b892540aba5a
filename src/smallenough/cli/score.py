"""`smallenough score`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smallenough.cli.common import counted, json_option, open_store, print_json, store_options

if TYPE_CHECKING:
    from smallenough.events import Plan, TrialFinished
    from smallenough.sessions.again import Scoring
    from smallenough.sessions.experiment import SessionResult
    from smallenough.sessions.score import Rescored
    from smallenough.tracking.store import Store


@click.command("score", short_help="Score saved completions again, without a model.")
@click.argument("session", required=False)
@click.option(
    "--suite",
    metavar="NAME",
    help="The tasks with newer hidden tests: a suite, or a file.  [default: the session's, in its newest version]",
)
@click.option(
    "--scorer", "scorers", multiple=True, metavar="NAME", help="What measures the answers. Repeatable.  [default: all]"
)
@click.option("--common", is_flag=True, help="Leave out tasks that are missing, or that ask something else now.")
@click.option(
    "--concurrency",
    type=click.IntRange(1),
    metavar="N",
    help="Trials that are scored at once.  [default: one a processor]",
)
@click.option("--sandbox", metavar="NAME", help="Where answers run.  [default: as in the session]")
@json_option
@store_options
def command(
    session: str | None,
    *,
    suite: str | None,
    scorers: tuple[str, ...],
    common: bool,
    concurrency: int | None,
    sandbox: str | None,
    as_json: bool,
    store: Path | None,
    tracking_uri: str | None,
) -> int:
    """Score the completions of SESSION (an id, the beginning of one, or `last`; none: the newest) again.

    No model is asked: what models were asked and answered, and what it took, is taken from the journal or, where that
    lies elsewhere, from the tracking store. Newer hidden tests and scorers decide anew; they make a session of its own,
    whose runs in MLflow say `smallenough.scored_from`. The old one stays as it is.

    The public tests, and which answer the strategy chose, stay as they were: another choice would have led to other
    questions. A task whose prompt or public tests have changed can't be scored by the answers to the old question.

    \b
      smallenough score
      smallenough score 20260101-120000 --suite stricter.jsonl
      smallenough compare 20260101-120000 last
    """
    from smallenough.cli.progress import SessionProgress
    from smallenough.machine import usable_cores
    from smallenough.sessions import score
    from smallenough.sessions.saved import opened

    found = open_store(store, tracking_uri)
    with opened(found, session, _say) as saved:
        scoring = score.prepare(saved, found, suite=suite, scorers=scorers, sandbox=sandbox, common=common, say=_say)
        with SessionProgress(scoring.plan, quiet=as_json) as progress:
            trials = counted(scoring.ended, "trial")
            progress.say(f"scoring {trials} of session {saved.session} by suite {_suite(scoring)}; no model is asked")
            done = score.score(scoring, found, concurrency or usable_cores(), progress.observe, progress.say)
    return show_scored(done, found, as_json=as_json)


def go_on_scoring(plan: Plan, before: list[TrialFinished], folder: Path, store: Store, *, as_json: bool) -> int:
    """Goes on with scoring that was broken off, and returns the exit code."""
    from smallenough.cli.progress import SessionProgress
    from smallenough.machine import usable_cores
    from smallenough.sessions import score

    with SessionProgress(plan, before, quiet=as_json) as progress:
        done = score.go_on(folder, store, usable_cores(), progress.observe, progress.say)
    return show_scored(done, store, as_json=as_json)


def show_scored(done: Rescored, store: Store, *, as_json: bool) -> int:
    """Waits for MLflow, shows what scoring came to, and returns the exit code."""
    from smallenough.cli.ending import flush_command, wait_for_writer
    from smallenough.tracking.behind import left

    result, changes = done.result, done.changes
    behind = left(result.folder) if result.broken_off else wait_for_writer(result, quiet=as_json)
    unfinished, code = bool(result.reason), 3 if result.failed else 130 if result.reason else 0
    shown: dict[str, Any] = {
        "session": result.session,
        "scored_from": done.scored_from,
        "status": result.status,
        "failed_trials": result.failed,
        "left_bytes": behind,
        "comparison": None if unfinished else _comparison(result, store, as_json=as_json, log=not behind),
    }
    if as_json:
        print_json({**shown, "arms": [asdict(one) for one in changes]})
        return code
    for one in changes:
        _say(f"{one.arm}: {one.solved} of {counted(one.trials, 'trial')} solved, {one.before} before")
    missing = sum(one.missing for one in changes)
    if missing:
        _say(f"{counted(missing, 'trial')} had not ended, or had failed for infrastructure, and are not scored")
        if not unfinished and not result.failed:
            _say(f"after smallenough resume {done.scored_from}: smallenough resume {result.session}")
    if result.failed:
        _say(f"the sandbox failed on {counted(result.failed, 'trial')}, which are not scored; score them again")
    _say(f"session {result.session}: {result.status}{f': {result.reason}' if result.reason else ''}")
    if unfinished:
        _say(f"go on with it: smallenough resume {result.session}")
    if behind:
        _say(
            f"{behind} bytes of the journal are not in MLflow yet; write them with: "
            f"{flush_command(result.session, store)}"
        )
    return code


def _comparison(result: SessionResult, store: Store, *, as_json: bool, log: bool) -> Any:
    from smallenough.cli.compare import show_comparison
    from smallenough.sessions.compare import compare_sessions

    found = compare_sessions(store, [result.session], log=log)
    if as_json:
        return json.loads(found.to_json())
    show_comparison(found, all_by=f"smallenough compare {result.session} --details")
    return None


def _suite(scoring: Scoring) -> str:
    suite = scoring.suite
    return f"{suite.name}{f' (version {suite.version})' if suite.version else ''}, digest {suite.digest}"


def _say(text: str) -> None:
    click.echo(text, err=True)
