"""`smallenough tasks build`: suites in parts for training, validation and test, that share nothing but labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from smallenough.cli.common import counted, json_option, open_store, print_json, store_options

if TYPE_CHECKING:
    from smallenough.records import Suite
    from smallenough.tasks.splits import Part

_Command = TypeVar("_Command", bound=Callable[..., Any])
_LEVEL = click.Choice(["chapter", "category", "code"])


def _part_options(command: _Command) -> _Command:
    """Adds the options that every build has."""
    for option in (
        click.option("--level", type=_LEVEL, default="chapter", show_default=True, help="What is asked for."),
        click.option("--train", type=click.IntRange(1), default=3000, show_default=True, help="Tasks to train on."),
        click.option("--validation", type=click.IntRange(1), default=200, show_default=True, help="Tasks to stop by."),
        click.option("--test", type=click.IntRange(1), default=315, show_default=True, help="Tasks to compare on."),
        click.option("--seed", type=int, default=0, show_default=True, help="Another seed, other parts."),
        click.option(
            "--balance", is_flag=True, help="As many tasks of every label.  [default: as frequent as they are]"
        ),
        click.option("--suite", metavar="NAME", help="What the suites' names begin with."),
    ):
        command = option(command)
    return store_options(json_option(command))


@click.group("build", short_help="Make suites to train and test on.")
def command() -> None:
    """Make suites to train and test on: NAME-train, NAME-validation and NAME-test, saved with versions.

    Nothing leaks: a text and its near-duplicates are in one part alone. The same choices make the same suites.

    \b
      smallenough tasks build icd10 --level chapter --train 3000 --test 315
      smallenough tasks build medsynth --file medsynth.csv --level category
    """


@command.command("icd10", short_help="Clinicians' phrases and their ICD-10-CM codes.")
@_part_options
@click.option(
    "--classes", type=click.IntRange(2), help="So many labels, the most frequent.  [default: all chapters, 50]"
)
def icd10_command(
    level: Any, train: int, validation: int, test: int, seed: int, *, balance: bool, suite: str | None,
    classes: int | None, as_json: bool, store: Path | None, tracking_uri: str | None,
) -> int:  # fmt: skip
    """Make suites of clinicians' phrases and the chapter, category or code of ICD-10-CM that they belong to.

    The phrases are the inclusion terms of the public tables, which pip install 'smallenough[icd10]' brings.

    \b
      smallenough tasks build icd10
      smallenough tasks build icd10 --level category --classes 100 --balance --suite categories
      smallenough run --model smollm2:135m --suite icd10-chapter-test --max-tokens 16
    """
    from smallenough.sessions.build import build_icd10
    from smallenough.tasks.splits import Sizes

    sizes = Sizes(train, validation, test)
    found = open_store(store, tracking_uri)
    _told(build_icd10(found, level, sizes, seed=seed, even=balance, classes=classes, name=suite), as_json=as_json)
    return 0


@command.command("medsynth", short_help="Dialogues or notes and their ICD-10 codes.")
@_part_options
@click.option("--file", type=click.Path(path_type=Path), help="CSV or JSONL of its columns.  [default: from the hub]")
@click.option(
    "--text", type=click.Choice(["dialogue", "note"]), default="dialogue", show_default=True, help="What is read."
)
def medsynth_command(
    level: Any, train: int, validation: int, test: int, seed: int, *, balance: bool, suite: str | None,
    file: Path | None, text: Any, as_json: bool, store: Path | None, tracking_uri: str | None,
) -> int:  # fmt: skip
    """Make suites of MedSynth's dialogues or notes and the ICD-10 chapter, category or code that they are about.

    A file has the columns Note, Dialogue, ICD10 and ICD10_desc; without one it is fetched from the Hugging Face hub,
    for which pip install 'smallenough[hub]' is needed.

    \b
      smallenough tasks build medsynth --file medsynth.csv
      smallenough tasks build medsynth --text note --level code --train 2000
    """
    from smallenough.sessions.build import build_medsynth
    from smallenough.tasks.splits import Sizes

    sizes = Sizes(train, validation, test)
    found = open_store(store, tracking_uri)
    _told(build_medsynth(found, file, text, level, sizes, seed=seed, even=balance, name=suite), as_json=as_json)
    return 0


def _told(parts: Mapping[Part, Suite], *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                part: {"suite": one.name, "version": one.version, "digest": one.digest, "tasks": len(one.tasks)}
                for part, one in parts.items()
            }
        )
        return
    for suite in parts.values():
        told = f"suite {suite.name}, version {suite.version}: {counted(len(suite.tasks), 'task')}"
        click.echo(f"{told}, digest {suite.digest}")
    click.echo(next(iter(parts.values())).description.partition(". ")[2])
