"""`smallenough plan`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from smallenough.cli.common import json_option, open_store, print_json, store_options
from smallenough.cli.tables import print_table

if TYPE_CHECKING:
    from smallenough.sessions.plan import Known, Sized


@click.command("plan", short_help="Tell how many tasks and repeats an answer needs, and what they take.")
@click.option(
    "--difference", type=float, metavar="SHARE", help="Find a difference of the solved rates: 0.05, 5 points."
)
@click.option(
    "--margin",
    type=float,
    metavar="SHARE",
    help="Show that an arm is not worse by more than this, if it solves as much in truth: the verdict's question.",
)
@click.option("--power", type=float, default=0.8, show_default=True, help="How often the answer shall be found.")
@click.option(
    "--alpha",
    type=float,
    default=0.05,
    show_default=True,
    help="How often, over all arms, it may be found where it is not the truth.",
)
@click.option(
    "--arms",
    type=click.IntRange(2),
    help="Arms to compare, the baseline included: each more makes the tests stricter.  [default: as many as the"
    " session has that this is learned from, else 2]",
)
@click.option(
    "--repeats", default="1,2,3", show_default=True, metavar="N,N", help="How often each arm shall try each task."
)
@click.option(
    "--discordance",
    type=float,
    metavar="SHARE",
    help="Share of tasks at which two arms disagree.  [default: measured in earlier sessions, else assumed]",
)
@click.option("--suite", metavar="NAME", help="Say whether this suite has enough tasks, and for which difference.")
@click.option(
    "--session",
    "sessions",
    multiple=True,
    metavar="ID",
    help="Learn from this session (an id, the beginning of one, or `last`). Repeatable."
    "  [default: the newest that tell]",
)
@click.option("--experiment", metavar="NAME", help="Learn from every session of this MLflow experiment.")
@json_option
@store_options
def command(
    *,
    difference: float | None,
    margin: float | None,
    power: float,
    alpha: float,
    arms: int | None,
    repeats: str,
    discordance: float | None,
    suite: str | None,
    sessions: tuple[str, ...],
    experiment: str | None,
    as_json: bool,
    store: Path | None,
    tracking_uri: str | None,
) -> int:
    """Tell, before running, how many tasks and repeats an answer needs, and what they take.

    How many depends on how often two arms disagree about a task. Earlier sessions tell that, and what a trial takes: a
    small first one (`smallenough run … --quick-test`) is worth it. Repeats of a task tell less than new tasks do; the
    table trades the one against the other. No model is asked.

    \b
    How many tasks show a difference of 5 points, four times out of five?
      smallenough plan --difference 0.05
    And more surely, with three arms beside the baseline?
      smallenough plan --difference 0.05 --power 0.9 --arms 4
    How many show that a small model is not worse by more than 10 points?
      smallenough plan --margin 0.1
    What are the tasks of a suite enough for?
      smallenough plan --difference 0.1 --suite basics
    """
    from smallenough.sessions.earlier import basis, read
    from smallenough.sessions.plan import Question, sized
    from smallenough.sessions.suites import open_suite

    numbers = _numbers(repeats)
    question = Question(difference, margin, power, alpha, arms or 2)
    found = open_store(store, tracking_uri)
    meant = open_suite(suite, found) if suite else None
    tables = read(found, sessions, experiment, meant.name if meant else None)
    rests = basis(tables, named=bool(sessions or experiment), discordance=discordance)
    if arms is None and len(rests.rates) > 2:
        question = Question(difference, margin, power, alpha, len(rests.rates))
    plan = sized(question, rests, numbers, (meant.name, len(meant.tasks)) if meant else None)
    if as_json:
        print_json(
            {"answer": answer(plan), **asdict(plan), "notes": [*rests_on(plan), *(tables.notes if tables else ())]}
        )
        return 0
    _show(plan)
    for note in tables.notes if tables else ():
        click.echo(f"note: {note}", err=True)
    return 0


def _numbers(text: str) -> tuple[int, ...]:
    from smallenough.errors import InputError

    try:
        found = tuple(dict.fromkeys(int(part) for part in text.split(",") if part.strip()))
    except ValueError:
        found = ()
    if not found or min(found) < 1:
        raise InputError(f"--repeats takes whole numbers from 1 on with commas between them, as 1,2,3; not {text!r}")
    return found


def _show(plan: Sized) -> None:
    wide = min(shutil.get_terminal_size((100, 24)).columns, 100)
    click.echo(click.wrap_text(" ".join(answer(plan)), wide))
    click.echo()
    columns = [column for column in _columns(plan) if any(cell is not None for cell in column[1])]
    heads = [head for head, _ in columns]
    print_table(heads, zip(*([cell or "–" for cell in cells] for _, cells in columns), strict=True), right=heads)
    click.echo()
    for line in rests_on(plan):
        click.echo(click.wrap_text(line, wide))


def answer(plan: Sized) -> tuple[str, ...]:
    """The answer in a sentence, and in another one what the suite is enough for."""
    question, row = plan.question, plan.rows[0]
    tasks = "1 task" if row.tasks == 1 else f"{row.tasks:,} tasks"
    each = f"{tasks}, tried {_times(row.repeats)} by each of {question.arms} arms"
    size, often = _points(question.size), f"with a power of {_percent(question.power)}"
    if question.difference is not None:
        told = f"{each}, find a difference of {size} {often}."
    else:
        told = f"{each}, show that an arm is not worse by more than {size}, if it solves as much, {often}."
    return (told, *_of_suite(plan))


def _of_suite(plan: Sized) -> Iterator[str]:
    if plan.suite_tasks is None:
        return
    row = plan.rows[0]
    what = "difference" if plan.question.difference is not None else "margin"
    has = f"{plan.suite} has {plan.suite_tasks:,}"
    if plan.suite_tasks >= row.tasks:
        yield f"{has}: enough, and so for a {what} of {_points(row.smallest or plan.question.size)}."
    elif row.smallest is None:
        yield f"{has}: too few for any {what}."
    else:
        yield f"{has}: too few; they are enough for a {what} of about {_points(row.smallest)}."


def _columns(plan: Sized) -> Iterator[tuple[str, list[str | None]]]:
    """The columns of the table: a cell is None where nothing is known."""
    from smallenough import wording

    def told(write: object, values: list[float | None]) -> list[str | None]:
        assert callable(write)
        return [None if value is None else write(value) for value in values]

    rows = plan.rows
    currency = plan.basis.prices.currency if plan.basis.prices else ""
    yield "Repeats", [f"{row.repeats}" for row in rows]
    yield "Tasks", [f"{row.tasks:,}" for row in rows]
    yield "Trials", [f"{row.trials:,}" for row in rows]
    yield "Inferences", told(lambda value: f"{round(value):,}", [row.inferences for row in rows])
    yield "Time", told(wording.duration, [row.seconds for row in rows])
    yield "Energy", told(wording.energy, [row.joules for row in rows])
    yield "Money", told(lambda value: wording.money(value, currency), [row.money for row in rows])
    if plan.suite:
        yield f"All {plan.suite_tasks:,} of {plan.suite}", told(_points, [row.smallest for row in rows])


def rests_on(plan: Sized) -> Iterator[str]:
    """What the numbers rest on, a sentence or two a line."""
    question, basis = plan.question, plan.basis
    disagree = f"Two arms disagree at {_percent(basis.discordance.value)} of tasks{_interval(basis.discordance)}"
    yield f"{disagree}: {basis.discordance.source}.{_range(plan)}"
    if question.difference is not None and question.difference > basis.discordance.value:
        yield f"Arms that differ by {_points(question.size)} disagree at that many at least, which is taken here."
    if any(one.repeats > 1 for one in plan.rows):
        yield f"Repeats of a task are alike by {basis.correlation.value:.2f} of 1: {basis.correlation.source}."
    if question.arms > 2:
        yield (
            f"With {question.arms} arms each is tested at {100 * question.level:.3g}%: Holm's correction of"
            f" {100 * question.alpha:g}% at its worst."
        )
    if basis.rates:
        yield f"What a trial takes is that of {basis.rates_source}."
    else:
        yield "No earlier session tells what a trial takes."


def _interval(known: Known) -> str:
    from smallenough.wording import percent

    one = known.interval
    return f" [{percent(one.low)}–{percent(one.high)}]" if one else ""


def _range(plan: Sized) -> str:
    if plan.tasks_range is None or plan.tasks_range[0] == plan.tasks_range[1]:
        return ""
    low, high = plan.tasks_range
    return f" Within that interval it is {low:,} to {high:,} tasks."


def _times(repeats: int) -> str:
    return {1: "once", 2: "twice"}.get(repeats, f"{repeats} times")


def _percent(share: float) -> str:
    from smallenough.wording import share as told

    return told(share)


def _points(share: float) -> str:
    return f"{100 * share:.3g} point{'' if share == 0.01 else 's'}"
