"""What can be said on the command line about a session, and what of it would have no effect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from smallenough.sessions.named import split_model
from smallenough.sessions.settings import Wish


@dataclass(frozen=True, slots=True, kw_only=True)
class Flags:
    """What was said on the command line. None, or nothing: it was not said."""

    config: Path | None = None
    large_model: tuple[str, ...] = ()
    small_model: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    strategy: tuple[str, ...] = ()
    max_depth: int | None = None
    suite: str | None = None
    task: str | None = None
    task_type: tuple[str, ...] = ()
    all: bool = False
    limit: int | None = None
    categories: tuple[str, ...] = ()
    quick_test: bool = False
    temperature: float | None = None
    max_tokens: int | None = None
    experiment: str | None = None
    repeats: int | None = None
    seed: int | None = None
    cache: bool | None = None
    concurrency: int | None = None
    sandbox: str | None = None
    timeout: float | None = None
    urls: tuple[str, ...] = ()
    import_data: bool = False
    jsonl_file: Path | None = None
    no_clear: bool = False
    store: Path | None = None
    tracking_uri: str | None = None


_APART = {
    "task": ("suite", "task_type", "categories", "limit", "all", "quick_test", "import_data"),
    "all": ("limit", "quick_test", "task_type"),
}
"""Flags that leave no meaning to others."""


def contradictions(flags: Flags, wishes: Sequence[Wish]) -> Iterator[str]:
    """What was said and would have no effect, each with what to leave out or add."""
    for name, others in _APART.items():
        for other in others:
            if getattr(flags, name) not in (None, False) and getattr(flags, other) not in (None, False, ()):
                yield f"{option(name)} leaves nothing for {option(other)} to say; leave one of them out"
    if not flags.import_data:
        for name in ("jsonl_file", "no_clear"):
            if getattr(flags, name):
                yield f"{option(name)} belongs to --import-data; add that, or leave it out"
    if wishes:
        yield from _for_no_arm(flags, wishes)


def _for_no_arm(flags: Flags, wishes: Sequence[Wish]) -> Iterator[str]:
    if flags.strategy and flags.large_model and not (flags.model or flags.small_model):
        yield "--strategy is for --model and --small-model; a --large-model is used as it is, with the strategy single"
    if flags.max_depth is not None:
        if any("max_depth=" in text for text in flags.strategy if text.startswith("branching:")):
            yield "--max-depth and max_depth in --strategy say the same thing twice; leave one of them out"
        if not any(strategy == "branching" for wish in wishes for strategy, _ in wish.strategies):
            yield "--max-depth is for the strategy branching, and no arm has it; add --strategy branching"
    large = split_model(flags.large_model[0]) if flags.large_model else ("", "")
    for provider in {split_model(wish.model)[0] for wish in wishes if _cascades_to(wish, large[1])} - {large[0]}:
        yield (
            f"--large-model {flags.large_model[0]} is of {large[0]}, and a cascade asks both its models of {provider};"
            f" name {provider}'s, as in --strategy cascade:large=NAME"
        )
    if flags.urls and not any(split_model(wish.model)[0] == "ollama" for wish in wishes):
        yield "--url names Ollama servers, and no model is Ollama's; leave it out"


def _cascades_to(wish: Wish, large: str) -> bool:
    return any(strategy == "cascade" and options.get("large") == large for strategy, options in wish.strategies)


def option(name: str) -> str:
    """A flag as it is written, by its parameter."""
    return f"--{name.replace('_', '-')}"
