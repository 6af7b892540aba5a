"""The options by which a comparison is made: shared by every command that makes one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, TypeVar

import click

if TYPE_CHECKING:
    from smallenough.analysis.findings import Terms
    from smallenough.analysis.money import TokenPrice

_Command = TypeVar("_Command", bound=Callable[..., object])

_OPTIONS = (
    click.option(
        "--baseline", metavar="ARM", help="The arm that the others are compared with.  [default: the session's]"
    ),
    click.option(
        "--margin",
        type=click.FloatRange(0, 1, min_open=True, max_open=True),
        help="By how much of the solved rate an arm may be worse than the baseline and still be good enough."
        "  [default: 0.05, and 0.2 for fewer than 200 tasks]",
    ),
    click.option(
        "--cheap",
        metavar="COSTS",
        help="What cheap means: `memory`, `seconds`, `cpu`, `energy`, `money` or `operations`, several one after the"
        " other (`energy,seconds`), or with weights (`memory=2,seconds=1`).  [default: memory,seconds]",
    ),
    click.option("--common", is_flag=True, help="Only tasks and repeats that every arm tried."),
    click.option("--price-per-kwh", type=click.FloatRange(0), help="Price of a kilowatt-hour, to tell costs in money."),
    click.option(
        "--price-per-hour", type=click.FloatRange(0), help="Price of an hour of this machine, to tell costs in money."
    ),
    click.option(
        "--price",
        "hosted",
        multiple=True,
        metavar="MODEL=IN/OUT",
        help="What a hosted model charges for a million tokens of a prompt and of an answer (`gpt-4o=2.5/10`), before"
        " what its session was told. Repeatable.",
    ),
    click.option("--currency", default="", help="What to call that money (`EUR`); of every price that is given here."),
    click.option(
        "--price-date",
        type=click.DateTime(["%Y-%m-%d"]),
        metavar="YYYY-MM-DD",
        help="The day of which the prices are that are given here; it is told beside them.",
    ),
)


def terms_options(command: _Command) -> _Command:
    """Adds the options; their values go into `terms_of`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def terms_of(
    *,
    baseline: str | None,
    margin: float | None,
    cheap: str | None,
    common: bool,
    price_per_kwh: float | None,
    price_per_hour: float | None,
    hosted: Sequence[str],
    currency: str,
    price_date: datetime | None,
) -> Terms:
    """What the options ask for.

    Raises:
        InputError: costs or prices are not what they should be.
    """
    from smallenough.analysis.criterion import Criterion
    from smallenough.analysis.findings import Terms
    from smallenough.analysis.money import Prices
    from smallenough.errors import InputError

    charged = price_per_kwh is not None or price_per_hour is not None or bool(hosted)
    if not charged and (currency or price_date):
        raise InputError(
            "--currency and --price-date are of prices: give --price-per-kwh, --price-per-hour or --price too"
        )
    as_of = price_date.date().isoformat() if price_date else ""
    tokens = {model: replace(price, as_of=as_of) for model, price in map(_token_price, hosted)}
    return Terms(
        baseline=baseline,
        prices=Prices(price_per_kwh, price_per_hour, currency, as_of, tokens) if charged else None,
        margin=margin,
        criterion=Criterion.parse(cheap) if cheap is not None else None,
        common=common,
    )


def _token_price(text: str) -> tuple[str, TokenPrice]:
    """The model and its price, of `MODEL=IN/OUT`."""
    from smallenough.analysis.money import TokenPrice
    from smallenough.errors import InputError

    model, sign, price = text.rpartition("=")
    of_prompt, slash, of_answer = price.partition("/")
    try:
        if not (sign and model and slash):
            raise ValueError(text)
        return model, TokenPrice(float(of_prompt), float(of_answer))
    except ValueError as error:
        said = "say it as MODEL=IN/OUT, for a million tokens of a prompt and of an answer: gpt-4o=2.5/10"
        raise InputError(f"--price {text!r} is no price of a model; {said}") from error
