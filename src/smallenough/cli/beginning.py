"""What `run` and `search` do before the first model is asked: they estimate, ask, and import."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from smallenough.cli.common import counted

if TYPE_CHECKING:
    from smallenough.records import Suite
    from smallenough.sessions.estimate import Estimate
    from smallenough.tracking.store import Store

_LONG = 3600.0
"""Seconds after which a person is asked first."""

dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Check everything, count trials and inferences, estimate the time; ask no model."
)
"""`--dry-run`."""

yes_option = click.option("--yes", "-y", is_flag=True, help="Do not ask before more than an hour.")
"""`--yes`."""


def expected(found: Estimate) -> str:
    """What a plan takes by earlier sessions; empty: they don't tell."""
    from smallenough.wording import duration, energy, money

    if found.seconds is None:
        return ""
    told = [duration(found.seconds)]
    told += [energy(found.joules)] if found.joules is not None else []
    told += [money(found.money, found.currency)] if found.money is not None else []
    return f"about {', '.join(told)}, by {found.basis}"


def ask_first(found: Estimate) -> None:
    """Asks before what takes more than an hour.

    Raises:
        InputError: there is no terminal to ask.
    """
    from smallenough.errors import InputError

    if found.seconds is None or found.seconds <= _LONG:
        return
    text = f"this will take {expected(found)}"
    if not sys.stdin.isatty():
        raise InputError(f"{text}; give --yes to start it all the same")
    click.confirm(f"{text}. Start?", abort=True, err=True)


def save(suite: Suite, store: Store) -> Suite:
    """The suite with its version, once it is saved."""
    from smallenough.tracking.suites import save_suite

    return save_suite(store, suite, merge=False)


def told(suite: Suite) -> str:
    """A suite in a line."""
    version = f", version {suite.version}" if suite.version else ""
    return f"suite {suite.name}{version}: {counted(len(suite.tasks), 'task')}, digest {suite.digest}"
