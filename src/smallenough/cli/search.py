"""`smallenough search`."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import closing
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import click

from smallenough.cli.beginning import ask_first, dry_run_option, expected, save, told, yes_option
from smallenough.cli.common import counted, json_option, print_json, remind, told_store
from smallenough.cli.progress import SessionProgress
from smallenough.cli.run_options import run_options
from smallenough.cli.tables import print_table

if TYPE_CHECKING:
    from smallenough.records import Suite
    from smallenough.sessions.search import Candidate, Outlook, Search
    from smallenough.sessions.wanted import Understood
    from smallenough.tracking.store import Store

_SHOWN = 10


@click.command("search", short_help="Search for a model's best options within a limit on cost, then compare them.")
@run_options
@click.option("--no-compare", is_flag=True, help="Do not compare what was found with the options as they were.")
@dry_run_option
@yes_option
@json_option
def command(*, no_compare: bool, dry_run: bool, yes: bool, as_json: bool, **said: Any) -> int:
    """Search for the options with which one model solves most, within a limit on what a trial costs.

    An experiment file says what may vary. Candidates are drawn by Optuna, and tried on tasks that are held out for it;
    what was found is then compared with the options as they were, on the others. Broken off, the same command goes on.

    \b
      search:
        space:
          temperature: {low: 0.0, high: 1.0}
          branching.width: [1, 2, 3]
        candidates: 20
        validation: 0.3          # the share of the tasks that candidates are tried on
        cost: latency_seconds    # or cpu_seconds, tokens_total, energy_joules: the mean of a trial
        most: 20
    \b
      smallenough search --config experiments/search_branching.yaml
    """
    from smallenough.sessions.unused import unused
    from smallenough.sessions.wanted import understood

    read = understood(said, os.environ)
    store = told_store(read.store())
    search, imported = read_search(read, store)
    if no_compare:
        search = replace(search, compared=None)
    for line in unused(read.config):
        _say(f"note: {line}")
    outlook = search.outlook()
    if dry_run:
        _show_dry_run(search, outlook, as_json=as_json)
        return 0
    if not yes:
        ask_first(outlook.estimate)
    if imported:
        saved = save(imported, store)
        _say(told(saved))
        search = search.of_version(saved.version)
    code = _carry_out(search, as_json=as_json)
    if not as_json:
        remind(store, read.force["tracking.keep_sessions"].value)
    return code


def read_search(read: Understood, store: Store) -> tuple[Search, Suite | None]:
    """The search that was asked for, and the suite that shall be imported before it.

    Raises:
        InputError: something that was said is wrong; all faults at once.
    """
    from smallenough.errors import InputError
    from smallenough.sessions.check import check_wanted
    from smallenough.sessions.flags import option
    from smallenough.sessions.search import Search, searched

    faults, part = read.faults, read.config.form.search
    want = read.wanted(store, search=True)
    check_wanted(want.wishes, want.settings, faults)
    wish = faults.catch(lambda: searched(want.wishes, part), read.config.origin(("search",)))
    for name in ("temperature", "max_tokens"):
        if part and getattr(read.flags, name) is not None and name in part.space:
            said = f"{option(name)} and search.space.{name} say the same thing; leave one of them out"
            faults.note(InputError(said))
    faults.report()
    if wish is None or part is None or want.validation is None or want.suite is None:
        raise InputError("a search needs tasks of a suite, some to try candidates on and others to compare on")
    return Search(wish, part, want.validation, want.settings, store, want.suite), want.imported


def _show_dry_run(search: Search, outlook: Outlook, *, as_json: bool) -> None:
    found, part = outlook.estimate, search.part
    if as_json:
        print_json({"plan": outlook.plan, "candidates": part.candidates, "tried": outlook.tried, "estimate": found})
        return
    (arm,) = outlook.plan.arms
    click.echo(f"suite {search.suite.name}: {counted(len(search.suite.tasks), 'task')} to try candidates on")
    click.echo(f"  {arm.name}, where {', '.join(part.space)} may vary")
    before = f", {outlook.tried} of them tried already" if outlook.tried else ""
    compared = search.compared
    then = f"; then 2 arms on {counted(len(compared.tasks), 'other task')}" if compared else ""
    click.echo(f"{counted(part.candidates, 'candidate')}{before}{then}: {counted(found.trials, 'trial')}")
    click.echo(expected(found) or "no earlier session to estimate the time from")
    click.echo("everything is in order; nothing was asked")


def _carry_out(search: Search, *, as_json: bool) -> int:
    from smallenough.sessions.search import best

    part = search.part
    found: list[Candidate] = []
    tasks = counted(len(search.suite.tasks), "task")
    _say(f"{counted(part.candidates, 'candidate')} on {tasks}, held out for the search")
    for one in search.run(lambda plan: SessionProgress(plan, quiet=as_json), _say):
        found.append(one)
        if not as_json:
            _say(f"{one.number} of {part.candidates}: {_words(one, part.cost)}; the best so far: {_best(found)}")
    first = best(found)
    shown: dict[str, Any] = {"best": first, "candidates": found, "arm": _arm(search, first)}
    if not as_json:
        _show(found, first, part.cost, shown["arm"])
    if search.compared:
        return _compare(search, first, search.compared, shown, as_json=as_json)
    if as_json:
        print_json(shown)
    return 0


def _compare(search: Search, first: Candidate, suite: Suite, shown: dict[str, Any], *, as_json: bool) -> int:
    """Compares what was found with the options as they were, on tasks that the search did not see."""
    from smallenough.cli.ending import show_end, wait_for_writer
    from smallenough.sessions import experiment
    from smallenough.sessions.compare import compare_sessions
    from smallenough.sessions.prepare import prepare

    wishes = [replace(search.wish, baseline=True), search.candidate(first.values)]
    prepared = prepare(suite, wishes, search.settings)
    with closing(prepared), SessionProgress(prepared.plan, quiet=as_json) as progress:
        progress.say(f"compared on the other {counted(len(suite.tasks), 'task')}, which the search did not see")
        result = experiment.run(prepared, search.store, progress.observe, progress.say)
    if not as_json:
        return show_end(result, search.store, as_json=False, answers=False)
    wait_for_writer(result, quiet=True)
    found = compare_sessions(search.store, [result.session]) if result.status == "completed" else None
    told = json.loads(found.comparison.to_json()) if found else None
    print_json({**shown, "session": result.session, "status": result.status, "comparison": told})
    return 0 if found else 130 if result.status == "interrupted" else 3


def _show(found: list[Candidate], first: Candidate, cost: str, arm: str) -> None:
    ranked = sorted(found, key=lambda one: (not one.within, -one.solved, one.cost or 0.0))[:_SHOWN]
    rows = [
        (str(one.number), _said(one.values), f"{one.solved:.0%}", _amount(one.cost), "" if one.within else "over")
        for one in ranked
    ]
    print_table(("candidate", "options", "solved", cost, "limit"), rows, right=("candidate", "solved", cost))
    click.echo(f"\nthe best is candidate {first.number}; in an experiment file:\n\narms:\n  - {arm}\n")
    click.echo("Keep `search:` in that file: without it a run also has the tasks by which this arm was chosen.\n")


def _arm(search: Search, first: Candidate) -> str:
    """The arm that was found, as an experiment file says it."""
    from smallenough.sessions.naming import options_text

    wish = search.candidate(first.values)
    ((strategy, options),) = wish.strategies
    told = options_text(options)
    sampling = {name: value for name, value in asdict(wish.sampling).items() if value not in (None, ())}
    more = {"size_class": wish.size_class} if wish.size_class else {}
    return json.dumps({"model": wish.model, "strategy": strategy + (f":{told}" if told else ""), **sampling, **more})


def _words(one: Candidate, cost: str) -> str:
    limit = "" if one.within else ", over the limit"
    return f"{_said(one.values)}: {one.solved:.0%} solved, {_amount(one.cost)} {cost} a trial{limit}"


def _best(found: list[Candidate]) -> str:
    from smallenough.sessions.search import best

    return _said(best(found).values) if any(one.within for one in found) else "none keeps the limit"


def _said(values: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name}={_amount(value) if isinstance(value, float) else value}" for name, value in values.items()
    )


def _amount(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _say(text: str) -> None:
    click.echo(text, err=True)
