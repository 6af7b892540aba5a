"""Prices: what time and energy of a machine cost, and what hosted models charge. Money from amounts, in one place."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from smallenough.errors import InputError

_JOULES_PER_KWH = 3.6e6
_TOKENS_PER_PRICE = 1e6


@dataclass(frozen=True, slots=True)
class TokenPrice:
    """What a hosted model charges, for a million tokens."""

    input: float
    """Of a prompt."""
    output: float
    """Of an answer, reasoning included."""
    as_of: str = ""
    """The day of which it is; empty: not known."""

    def cost(self, tokens_in: float | None, tokens_out: float | None) -> float | None:
        """Money for so many tokens; None where they were not counted."""
        if tokens_in is None or tokens_out is None:
            return None
        return (tokens_in * self.input + tokens_out * self.output) / _TOKENS_PER_PRICE


@dataclass(frozen=True, slots=True)
class Prices:
    """What a local machine costs, and what hosted models do. None: that part is not charged."""

    per_kwh: float | None = None
    """Money for a kilowatt-hour of the energy that was measured."""
    per_machine_hour: float | None = None
    """Money for an hour of wall time."""
    currency: str = ""
    """As it shall be shown (`EUR`); of every price."""
    as_of: str = ""
    """The day of which those of the machine are; empty: not known."""
    tokens: Mapping[str, TokenPrice] = field(default_factory=dict)
    """Of hosted models, by name. The machine is not charged for their requests."""

    def __post_init__(self) -> None:
        given = [price for price in (self.per_kwh, self.per_machine_hour) if price is not None]
        if not given and not self.tokens:
            raise InputError("prices: give per_kwh, per_machine_hour or both, or the prices of hosted models")
        given += [price for one in self.tokens.values() for price in (one.input, one.output)]
        if any(not math.isfinite(price) or price < 0 for price in given):
            raise InputError(f"prices must be 0 or more, not {', '.join(map(str, given))}")

    @classmethod
    def recorded(cls, told: Mapping[str, str]) -> Prices | None:
        """The prices that a session's parameters tell; None: they tell none.

        Raises:
            InputError: they can't be read.
        """
        try:
            per_kwh, per_hour = (float(told[one]) if one in told else None for one in ("per_kwh", "per_machine_hour"))
            hosted = {name: TokenPrice(**one) for name, one in json.loads(told.get("tokens", "{}")).items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(f"the prices that a session recorded can't be read: {error}") from error
        if per_kwh is None and per_hour is None and not hosted:
            return None
        return cls(per_kwh, per_hour, told.get("currency", ""), told.get("as_of", ""), hosted)

    @property
    def charges_machine(self) -> bool:
        """Whether time or energy of the machine has a price."""
        return self.per_kwh is not None or self.per_machine_hour is not None

    @property
    def told(self) -> str:
        """The prices in words, each with its day where that is known."""
        machine = ((self.per_kwh, "a kilowatt-hour"), (self.per_machine_hour, "an hour of the machine"))
        said = [f"{self._amount(price)} {what}" for price, what in machine if price is not None]
        parts = [" and ".join(said) + _dated(self.as_of)] if said else []
        parts += [
            f"{self._amount(one.input)} in and {self._amount(one.output)} out for a million tokens of {name}"
            + _dated(one.as_of)
            for name, one in self.tokens.items()
        ]
        return "; ".join(parts)

    def over(self, others: Prices | None) -> Prices:
        """These prices, and those of `others` for what these have none for: the machine, each hosted model.

        Raises:
            InputError: what would stand side by side is in different currencies.
        """
        if others is None:
            return self
        machine = self if self.charges_machine else others
        tokens = {**others.tokens, **self.tokens}
        kept = (not self.charges_machine and others.charges_machine) or bool(others.tokens.keys() - self.tokens.keys())
        if kept and self.currency and others.currency and self.currency != others.currency:
            raise InputError(
                f"prices in {self.currency} and in {others.currency} can't be added up; give all of them in one"
                f" currency: these are {self.told}, and the sessions were told {others.told}"
            )
        currency = self.currency or (others.currency if kept else "")
        return replace(
            self,
            per_kwh=machine.per_kwh,
            per_machine_hour=machine.per_machine_hour,
            as_of=machine.as_of,
            currency=currency,
            tokens=tokens,
        )

    def cost(self, wall_seconds: float | None, energy_joules: float | None) -> float | None:
        """Money for so much time and energy of the machine.

        None: it has no price, or a part that is charged was not measured.
        """
        if not self.charges_machine:
            return None
        parts = ((self.per_kwh, energy_joules, _JOULES_PER_KWH), (self.per_machine_hour, wall_seconds, 3600.0))
        total = 0.0
        for price, amount, unit in parts:
            if price is None:
                continue
            if amount is None:
                return None
            total += price * amount / unit
        return total

    def _amount(self, price: float) -> str:
        return f"{price:g} {self.currency}".rstrip()


def _dated(as_of: str) -> str:
    return f", as of {as_of}" if as_of else ""
