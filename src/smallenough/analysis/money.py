"""Prices: what time and energy of a machine cost, and what hosted models charge. Money from amounts, in one place."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

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
    """The day of which they are; empty: not known."""
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
        """The prices that a session's parameters tell; None: they tell none."""
        per_kwh, per_hour = (float(told[name]) if name in told else None for name in ("per_kwh", "per_machine_hour"))
        hosted = {name: TokenPrice(**one) for name, one in json.loads(told.get("tokens", "{}")).items()}
        if per_kwh is None and per_hour is None and not hosted:
            return None
        return cls(per_kwh, per_hour, told.get("currency", ""), told.get("as_of", ""), hosted)

    @property
    def charges_machine(self) -> bool:
        """Whether time or energy of the machine has a price."""
        return self.per_kwh is not None or self.per_machine_hour is not None

    @property
    def told(self) -> str:
        """The prices in words."""
        machine = ((self.per_kwh, "a kilowatt-hour"), (self.per_machine_hour, "an hour of the machine"))
        said = [f"{self._amount(price)} {what}" for price, what in machine if price is not None]
        said += [
            f"{self._amount(one.input)} in and {self._amount(one.output)} out for a million tokens of {name}"
            for name, one in self.tokens.items()
        ]
        return " and ".join(said) + (f", as of {self.as_of}" if self.as_of else "")

    def cost(self, wall_seconds: float | None, energy_joules: float | None) -> float | None:
        """Money for so much time and energy of the machine; None where a part that is charged was not measured."""
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
