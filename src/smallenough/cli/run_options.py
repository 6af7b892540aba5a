"""The options of `smallenough run`, which `smallenough config show` takes too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from smallenough.cli.common import store_options

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--large-model",
        multiple=True,
        metavar="NAME",
        help="A model to use as it is (strategy `single`); the first is the baseline.",
    ),
    click.option(
        "--small-model", multiple=True, metavar="NAME", help="A model to run as it is and with adaptive branching."
    ),
    click.option(
        "--model",
        multiple=True,
        metavar="NAME",
        help="A model to run with each --strategy. A bare name is Ollama's; `PROVIDER:NAME` is another's.  "
        "[default: OLLAMA_MODEL]",
    ),
    click.option(
        "--strategy",
        multiple=True,
        metavar="SPEC",
        help="`single`, `best_of_n`, `branching` or `cascade`, or with options: `branching:feedback=off,width=1`. "
        "Repeatable: each gives an arm.  "
        "[default: single; for small models single and branching]",
    ),
    click.option("--max-depth", type=click.IntRange(0), help="Levels of branching after the first attempt."),
    click.option(
        "--suite",
        metavar="NAME",
        help="Tasks: `basics` (built in), `humaneval`, `mbpp`, an imported suite, or a file.  [default: basics]",
    ),
    click.option(
        "--task",
        metavar="TEXT",
        help="One free task in your own words, without tests: the answers are shown side by side.",
    ),
    click.option(
        "--task-type", multiple=True, metavar="ID", help="One task of the suite (prime, fibonacci, …). Repeatable."
    ),
    click.option(
        "--all", is_flag=True, help="Every task of the suite (the default, unless tasks are named or limited)."
    ),
    click.option("--limit", type=click.IntRange(1), help="So many tasks at most, spread evenly over the categories."),
    click.option(
        "--categories", multiple=True, metavar="NAME", help="Only these categories. Repeatable, or separated by commas."
    ),
    click.option("--quick-test", is_flag=True, help="One task a category."),
    click.option("--repeats", type=click.IntRange(1), help="How often each arm tries each task.  [default: 1]"),
    click.option(
        "--temperature",
        type=click.FloatRange(0, 2),
        help="Sampling temperature.  [default: the model's, by the catalogue]",
    ),
    click.option(
        "--max-tokens",
        type=click.IntRange(1),
        help="Longest answer in tokens.  [default: the model's, by the catalogue]",
    ),
    click.option(
        "--url",
        "urls",
        multiple=True,
        metavar="URL",
        help="An Ollama server; several share the work.  [default: OLLAMA_HOST, else localhost:11434]",
    ),
    click.option(
        "--concurrency",
        type=click.IntRange(1),
        help="Requests in flight at the same time; timings are cleanest with 1, and without a GPU more of them slow a "
        "server down.  [default: one for each server]",
    ),
    click.option(
        "--sandbox",
        metavar="NAME",
        help="Where solutions run: `bubblewrap`, or `subprocess` (limits only, no isolation).  [default: bubblewrap]",
    ),
    click.option(
        "--cache",
        is_flag=True,
        default=None,
        help="Take answers that the same model gave to the same request before, and keep new ones; what comes from the "
        "cache is in no timing.",
    ),
    click.option("--seed", type=int, help="Seed of all sampling.  [default: 0]"),
    click.option(
        "--timeout",
        type=click.FloatRange(0, min_open=True),
        help="Seconds that one inference may take.  [default: 300]",
    ),
    click.option(
        "--experiment", metavar="NAME", help="MLflow experiment.  [default: MLFLOW_EXPERIMENT_NAME, else smallenough]"
    ),
    click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        help="An experiment file (see experiments/); flags given here go before it.",
    ),
    click.option(
        "--import-data",
        is_flag=True,
        help="Import --jsonl-file as the suite named by --suite; run it too if models are named.",
    ),
    click.option(
        "--jsonl-file", type=click.Path(path_type=Path), metavar="FILE", help="The file or folder for --import-data."
    ),
    click.option(
        "--no-clear",
        is_flag=True,
        help="With --import-data: keep the suite's tasks, and add or replace those in the file.",
    ),
)
"""In the order in which `--help` shows them."""


def run_options(command: _Command) -> _Command:
    """Adds what says which experiment is meant."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return store_options(command)
