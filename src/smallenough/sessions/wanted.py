"""What a person wants of a session: flags go before an experiment file, and that before the defaults.

Nothing is looked up here but the suite; whether models, strategies and sandbox exist, `prepare` says.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from smallenough.config import ExperimentFile, load_experiment
from smallenough.errors import InputError
from smallenough.models.catalogue import class_as
from smallenough.options import parse_spec
from smallenough.records import Json, Sampling, Suite
from smallenough.sessions.places import check_writable
from smallenough.sessions.prepare import Faults, Settings, Wish, split_model
from smallenough.sessions.suites import free_task, load_file, open_suite
from smallenough.tasks.jsonl import suite_name
from smallenough.tasks.select import select
from smallenough.tracking.store import Store

_IN_BOTH = ("repeats", "seed", "concurrency", "sandbox", "timeout", "urls", "weights", "fail_on_error")
"""Settings that an experiment file has under the same name."""


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
    concurrency: int | None = None
    sandbox: str | None = None
    timeout: float | None = None
    urls: tuple[str, ...] = ()
    import_data: bool = False
    jsonl_file: Path | None = None
    no_clear: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `prepare` makes a session of."""

    suite: Suite | None
    """The tasks, already selected; None: something is wrong with them."""
    wishes: tuple[Wish, ...]
    settings: Settings
    imported: Suite | None = None
    """The whole suite that shall be saved; None: none shall be, or something is wrong with it."""


def wanted(flags: Flags, store: Store, faults: Faults) -> Wanted:
    """What flags, and the experiment file that they name, come to. Nothing is written.

    Args:
        flags: what was said.
        store: where suites are looked for, and results shall go.
        faults: gets what is wrong with flags, strategies, suite, choice of tasks, or the store's folder.

    Raises:
        InputError: the experiment file is not as it should be, so that all the rest is not known.
    """
    file = load_experiment(flags.config) if flags.config else ExperimentFile()
    settings = _settings(flags, file)
    wishes = tuple(_wishes(flags, file, faults))
    faults.catch(partial(check_writable, store))
    for text in contradictions(flags, wishes):
        faults.note(InputError(text))
    if flags.import_data:
        opened = faults.catch(partial(_to_import, flags, settings.sandbox, store))
    else:
        opened = faults.catch(partial(_opened, flags, file, store))
    suite = _selected(opened, flags, file, faults) if opened else None
    return Wanted(suite, wishes, settings, opened if flags.import_data else None)


def _settings(flags: Flags, file: ExperimentFile) -> Settings:
    said = {"experiment": file.experiment.name, **{name: getattr(file, name) for name in _IN_BOTH}}
    over = {name: value for name in said if (value := getattr(flags, name, None)) not in (None, ())}
    return Settings(**{**said, **over})


def _opened(flags: Flags, file: ExperimentFile, store: Store) -> Suite:
    if flags.task is not None:
        return free_task(flags.task)
    if flags.suite:
        return open_suite(flags.suite, store)
    part = file.suite
    return open_suite(part.source, store, path=part.path, ids=part.ids, protocol=part.protocol)


def _to_import(flags: Flags, sandbox: str, store: Store) -> Suite:
    from smallenough.tracking.suites import merged_with_newest

    if flags.jsonl_file is None:
        raise InputError("--import-data needs --jsonl-file FILE")
    suite = load_file(flags.jsonl_file, flags.suite or suite_name(flags.jsonl_file), sandbox)
    return merged_with_newest(store, suite) if flags.no_clear else suite


def _selected(suite: Suite, flags: Flags, file: ExperimentFile, faults: Faults) -> Suite | None:
    if flags.task is not None:
        return suite
    named = [name for text in flags.categories for name in text.split(",") if name] or file.suite.categories
    before = len(faults.found)
    for name in flags.task_type:
        faults.catch(partial(select, suite, ids=[name]))
    for name in named:
        faults.catch(partial(select, suite, categories=[name]))
    if len(faults.found) > before:
        return None
    limit = None if flags.all else flags.limit or file.suite.limit
    chosen = partial(select, suite, ids=flags.task_type, categories=named, limit=limit, quick=flags.quick_test)
    return faults.catch(chosen)


Specs = tuple[tuple[str, Mapping[str, Json]], ...]


def _wishes(flags: Flags, file: ExperimentFile, faults: Faults) -> Iterator[Wish]:
    sampling = Sampling(temperature=flags.temperature, max_tokens=flags.max_tokens)
    told: dict[str, dict[str, Json]] = {}
    if flags.max_depth is not None:
        told["branching"] = {"max_depth": flags.max_depth}
    if flags.large_model:
        told["cascade"] = {"large": split_model(flags.large_model[0])[1]}

    def specs(*texts: str) -> Specs:
        parsed = [spec for text in texts if (spec := faults.catch(partial(parse_spec, text)))]
        return tuple((name, {**told.get(name, {}), **more}) for name, more in parsed)

    for place, name in enumerate(flags.large_model):
        yield Wish(name, specs("single"), class_as(split_model(name)[1], "large"), sampling, baseline=place == 0)
    for name in flags.small_model:
        yield Wish(
            name, specs(*(flags.strategy or ("single", "branching"))), class_as(split_model(name)[1], "small"), sampling
        )
    for name in flags.model:
        yield Wish(name, specs(*(flags.strategy or file.strategies)), None, sampling)
    if flags.large_model or flags.small_model or flags.model:
        return
    for part in file.models:
        own = sampling.over(Sampling(part.temperature, part.top_p, part.max_tokens, context=part.context))
        strategies = specs(*(flags.strategy or part.strategies or file.strategies))
        yield Wish(part.name, strategies, part.size_class, own, part.baseline)
    named = os.environ.get("OLLAMA_MODEL")
    if named and not file.models:
        yield Wish(named, specs(*(flags.strategy or file.strategies)), None, sampling)


# ------------------------------------------------------------------------------------------------ contradictions

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
                yield f"{_option(name)} leaves nothing for {_option(other)} to say; leave one of them out"
    if not flags.import_data:
        for name in ("jsonl_file", "no_clear"):
            if getattr(flags, name):
                yield f"{_option(name)} belongs to --import-data; add that, or leave it out"
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


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"
