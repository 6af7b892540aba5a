"""`smallenough tasks`: list, show, import and export tasks; building them is in `build`."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from smallenough.cli import build
from smallenough.cli.common import counted, json_option, open_store, print_json, store_options
from smallenough.cli.tables import print_table

if TYPE_CHECKING:
    from smallenough.records import Suite, Task, Test
    from smallenough.sessions.suites import Listed


@click.group("tasks", short_help="List, show, import, build and export tasks.")
def command() -> None:
    """List, show, import, build and export tasks.

    A suite is a named set of tasks: built in (`basics`, `humaneval`, `mbpp`), imported under a name of yours, or a
    file. `NAME@2` is the second version of an imported suite.

    \b
      smallenough tasks list
      smallenough tasks list --suite basics
      smallenough tasks show fibonacci
      smallenough tasks import problems.jsonl --suite mine
      smallenough tasks build icd10 --level chapter
      smallenough tasks export --suite mine --output mine.jsonl
    """


command.add_command(build.command)


@command.command("list", short_help="List suites, or the tasks of one.")
@click.option("--suite", metavar="NAME", help="List this suite's tasks.  [default: list all suites]")
@json_option
@store_options
def list_command(suite: str | None, as_json: bool, store: Path | None, tracking_uri: str | None) -> int:
    """List all suites, built-in and imported, with every version; or the tasks of one.

    \b
      smallenough tasks list
      smallenough tasks list --suite humaneval
      smallenough tasks list --suite mine@2 --json
    """
    from smallenough.sessions.suites import list_all, open_suite

    found = open_store(store, tracking_uri)
    if suite is None:
        _show_suites(list_all(found), as_json=as_json)
    else:
        _show_tasks(open_suite(suite, found), as_json=as_json)
    return 0


@command.command("show", short_help="Show a task.")
@click.argument("task", metavar="ID")
@click.option("--suite", metavar="NAME", default="basics", show_default=True, help="The suite that has it.")
@click.option("--reference", is_flag=True, help="Show the reference solution too.")
@click.option("--hidden", is_flag=True, help="Show the hidden tests too: what decides, and what no model may see.")
@json_option
@store_options
def show_command(
    task: str,
    suite: str,
    *,
    reference: bool,
    hidden: bool,
    as_json: bool,
    store: Path | None,
    tracking_uri: str | None,
) -> int:
    """Show the task ID: what is asked, and the tests that a model may see.

    \b
      smallenough tasks show fibonacci
      smallenough tasks show HumanEval/0 --suite humaneval --reference
      smallenough tasks show prime --hidden --reference
    """
    from smallenough.sessions.suites import open_suite
    from smallenough.tasks.select import select

    found = select(open_suite(suite, open_store(store, tracking_uri)), ids=[task]).tasks[0]
    if as_json:
        print_json(_seen(found, reference=reference, hidden=hidden))
    else:
        _show_task(found, reference=reference, hidden=hidden)
    return 0


@command.command("import", short_help="Import a file or a folder as a suite.")
@click.argument("path", metavar="FILE_OR_FOLDER", type=click.Path(path_type=Path))
@click.option("--suite", metavar="NAME", required=True, help="What the suite shall be called.")
@click.option(
    "--no-clear", is_flag=True, help="Keep the tasks that the suite has, and add or replace those of the file."
)
@click.option("--sandbox", metavar="NAME", default="bubblewrap", show_default=True, help="Where the references run.")
@json_option
@store_options
def import_command(
    path: Path, suite: str, *, no_clear: bool, sandbox: str, as_json: bool, store: Path | None, tracking_uri: str | None
) -> int:
    """Import FILE_OR_FOLDER as a suite, after every reference solution in it has passed its tests in the sandbox.

    It may be a file in the MBPP form, the HumanEval form, or the own form (one JSON object a line with task_id, name,
    problem, canonical_solution, tests, category, complexity, object; for tasks whose answer is a label or a short text
    with task_id, problem, answer, labels), gzipped or not, or a folder of CATEGORY.jsonl.
    Importing again makes a new version; older ones stay.

    \b
      smallenough tasks import mbpp.jsonl --suite my-mbpp
      smallenough tasks import more.jsonl --suite my-mbpp --no-clear
      smallenough run --model smollm2:135m --suite my-mbpp
    """
    from smallenough.sessions.suites import import_file
    from smallenough.tracking.suites import newest

    found = open_store(store, tracking_uri)
    before = newest(found, suite)
    saved = import_file(found, path, suite, merge=no_clear, sandbox=sandbox)
    added = before is None or before.version != saved.version
    if as_json:
        values = {"suite": saved.name, "version": saved.version, "digest": saved.digest, "tasks": len(saved.tasks)}
        print_json({**values, "added": added})
        return 0
    told = f"suite {saved.name}, version {saved.version}: {counted(len(saved.tasks), 'task')}, digest {saved.digest}"
    click.echo(told if added else f"{told}; it had these very tasks, and no version was added")
    return 0


@command.command("export", short_help="Write a suite as JSON lines.")
@click.option("--suite", metavar="NAME", required=True, help="The suite to write.")
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="[default: standard output]")
@store_options
def export_command(suite: str, output: Path | None, store: Path | None, tracking_uri: str | None) -> int:
    """Write a suite in the own form, one JSON object a line; `tasks import` reads it back as it was.

    \b
      smallenough tasks export --suite basics --output basics.jsonl
      smallenough tasks export --suite mine@1 | head -1
    """
    import json

    from smallenough.sessions.suites import open_suite
    from smallenough.tasks.export import to_objects, write_jsonl

    found = open_suite(suite, open_store(store, tracking_uri))
    if output is not None:
        write_jsonl(found, output)
        click.echo(f"{len(found.tasks)} tasks of {found.name} are in {output}", err=True)
        return 0
    for one in to_objects(found):
        click.echo(json.dumps(one, ensure_ascii=False))
    return 0


# ----------------------------------------------------------------------------------------------------- showing


def _show_suites(listed: list[Listed], *, as_json: bool) -> None:
    if as_json:
        print_json(listed)
        return
    rows = []
    for one in listed:
        kinds = "?" if one.categories is None else _short(one.categories)
        where = one.problem or one.source
        version = "built in" if one.version is None else str(one.version)
        count = "-" if one.tasks is None else str(one.tasks)
        rows.append((one.name, version, count, _levels(one.levels), kinds, one.digest or "-", where))
    columns = ("suite", "version", "tasks", "levels", "categories", "digest", "from")
    print_table(columns, rows, right=("version", "tasks"))


def _show_tasks(suite: Suite, *, as_json: bool) -> None:
    if as_json:
        keys = ("id", "category", "level", "kind", "entry_point")
        print_json([{**{key: getattr(task, key) for key in keys}, "first_line": _first(task)} for task in suite.tasks])
        return
    print_table(
        ("task", "category", "level", "asks"),
        [
            (task.id, task.category, "-" if task.level is None else str(task.level), _first(task))
            for task in suite.tasks
        ],
        right=("level",),
    )


def _show_task(task: Task, *, reference: bool, hidden: bool) -> None:
    level = "" if task.level is None else f", level {task.level}"
    click.secho(f"{task.id} ({task.category}{level})", bold=True)
    click.echo(f"\n{task.prompt.strip()}\n")
    if task.kind == "label":
        _show_labels(task, hidden=hidden or reference)
        return
    _show_tests("public tests", task.public_tests)
    if hidden:
        _show_tests("hidden tests", task.hidden_tests)
    else:
        click.echo(f"hidden tests: {len(task.hidden_tests)}; --hidden shows them")
    if reference:
        click.echo(
            f"\nreference:\n{textwrap.indent(task.reference.strip(), '  ')}" if task.reference else "\nreference: none"
        )


def _show_labels(task: Task, *, hidden: bool) -> None:
    click.echo("labels:" if task.labels else "labels: any text may be answered")
    for label, meaning in zip(task.labels, task.meanings or ("",) * len(task.labels), strict=True):
        click.echo(f"  {label}: {meaning}" if meaning else f"  {label}")
    click.echo(f"answer: {task.reference}" if hidden else "the answer is hidden; --reference shows it")


def _show_tests(title: str, tests: tuple[Test, ...]) -> None:
    click.echo(f"{title}:" if tests else f"{title}: none")
    for test in tests:
        code = f"{test.setup.strip()}\n{test.code}" if test.setup.strip() else test.code
        click.echo(textwrap.indent(code, "  "))
        if test.output is not None:
            click.echo(f"  # must print: {test.output!r}")


def _seen(task: Task, *, reference: bool, hidden: bool) -> dict[str, Any]:
    """A task's values, what decides only if it was asked for."""
    values = task.content
    if not hidden:
        values["hidden_tests"] = len(task.hidden_tests)
        del values["setup"]
    if not reference:
        del values["reference"]
    return values


def _first(task: Task) -> str:
    return next((line.strip() for line in task.prompt.splitlines() if line.strip()), "")


def _short(names: tuple[str, ...]) -> str:
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")


def _levels(levels: tuple[int, ...]) -> str:
    if len(levels) < 2:
        return str(levels[0]) if levels else "-"
    whole = levels == tuple(range(levels[0], levels[-1] + 1))
    return f"{levels[0]} to {levels[-1]}" if whole else ", ".join(map(str, levels))
