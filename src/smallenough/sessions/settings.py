"""What a person wishes: models with their strategies, how to run them, and where each of that was said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from smallenough.config import place_of
from smallenough.records import Json, Limits, Sampling, SizeClass

Specs: TypeAlias = tuple[tuple[str, Mapping[str, Json]], ...]
"""Strategies, each with its options."""


@dataclass(frozen=True, slots=True)
class Origins:
    """Where what a wish holds was said: by a flag, an environment variable, or in a file, with the line."""

    model: str = ""
    """Of the model; empty: by a program."""
    sampling: Mapping[str, str] = field(default_factory=dict)
    """Of sampling options, and of `size_class`, by name."""
    strategies: tuple[Mapping[str, str], ...] = ()
    """Of each strategy's options, by name; of the strategy itself, by the empty name."""


@dataclass(frozen=True, slots=True)
class Wish:
    """A model that shall be compared, as a person names it."""

    model: str
    """`NAME` (Ollama's) or `PROVIDER:NAME`."""
    strategies: Specs
    """Each gives an arm."""
    size_class: SizeClass | None = None
    """None: by the catalogue, or by the number of parameters."""
    sampling: Sampling = field(default_factory=Sampling)
    """What shall differ from the model's defaults."""
    baseline: bool = False
    origins: Origins = Origins()
    """Where all of that was said."""

    @property
    def place(self) -> str:
        """Where to mend it; empty: it needs no telling."""
        return place_of(self.origins.model)

    def place_of_strategy(self, number: int) -> str:
        """Where to mend one of its strategies; empty: it needs no telling."""
        said = self.origins.strategies[number : number + 1]
        return place_of(said[0].get("", "")) if said else self.place


@dataclass(frozen=True, slots=True)
class Settings:
    """How a session shall be run; the fields are those of `Plan`, and mean the same."""

    experiment: str = "smallenough"
    repeats: int = 1
    seed: int = 0
    concurrency: int | None = None
    """None: one request a server."""
    sandbox: str = "bubblewrap"
    limits: Limits = field(default_factory=Limits)
    timeout: float = 300.0
    urls: tuple[str, ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    fail_on_error: float | None = None
    sample_interval: float = 0.1
    scorers: tuple[str, ...] | None = None
    prices: Mapping[str, Json] = field(default_factory=dict)
    cache: bool = False
