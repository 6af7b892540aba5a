"""What a session's models charge: the prices of config/models.yaml, put beside those of the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from smallenough.errors import InputError
from smallenough.models.catalogue import CatalogueEntry, Price, entries, own_origin
from smallenough.records import Json


@dataclass(frozen=True, slots=True)
class Asked:
    """A model that a session asks."""

    provider: str
    reference: str
    """Its name for its provider."""
    name: str
    """What its attempts call it."""


def charged(prices: Mapping[str, Json], models: Sequence[Asked]) -> dict[str, Json]:
    """The prices of a session: the machine's, and under `tokens` those of the hosted models that it asks.

    Args:
        prices: the machine's, as an experiment file says them.
        models: all that the session asks.

    Raises:
        InputError: one name would have two prices, or a price and none, or prices are in several currencies.
    """
    known = [(model, entry, entry.price) for model in models for entry in _priced(model) if entry.price]
    tokens: dict[str, Json] = {}
    currencies: dict[str, str] = {}
    if prices.keys() & {"per_kwh", "per_machine_hour"} or prices.get("currency"):
        currencies["the experiment file's prices"] = prices.get("currency", "")
    for model, entry, price in known:
        told = _told(price)
        if tokens.setdefault(model.name, told) != told:
            raise InputError(f"{_place(entry)}: {model.name} has another price too; keep one of the two")
        currencies[f"{_place(entry)}: the price of {entry.name}"] = price.currency
    for model in models:
        if model.name in tokens and not _priced(model):
            raise InputError(
                f"{model.name} is a model of several providers, and has a price with one of them alone: costs can't"
                f" tell them apart; run them in sessions of their own, or give {model.provider}'s a price too"
            )
    if len(set(currencies.values())) > 1:
        said = "; ".join(f"{where} in {currency or 'no currency'}" for where, currency in currencies.items())
        raise InputError(f"prices can't be added up in several currencies; give all in one: {said}")
    if not tokens:
        return dict(prices)
    return {**prices, "currency": next(iter(currencies.values())), "tokens": tokens}


def _priced(model: Asked) -> list[CatalogueEntry]:
    """The entries that stand for a model and tell its price."""
    wanted = (model.provider, model.reference)
    return [one for one in entries() if one.price and (one.provider, one.reference or one.name) == wanted]


def _told(price: Price) -> dict[str, Json]:
    day = {"as_of": price.as_of.isoformat()} if price.as_of else {}
    return {"input": price.input, "output": price.output, **day}


def _place(entry: CatalogueEntry) -> str:
    return own_origin(entry, "price") or "the catalogue"
