"""What a person wants of a session: flags go before an experiment file, and that before the defaults.

Nothing is looked up here but the suite; whether models, strategies and sandbox exist, `prepare` says.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from smallenough.config import ExperimentFile, load_experiment
from smallenough.options import parse_spec
from smallenough.records import Json, Sampling, Suite
from smallenough.sessions.prepare import Settings, Wish, split_model
from smallenough.sessions.suites import free_task, open_suite
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

    suite: Suite
    """The tasks, already selected."""
    wishes: tuple[Wish, ...]
    settings: Settings


def wanted(flags: Flags, store: Store) -> Wanted:
    """What flags, and the experiment file that they name, come to.

    Raises:
        InputError: the file, a strategy's options, the suite or the choice of tasks is not as it should be.
        TrackingError: the tracking store, where the suite is looked for, can't be read.
    """
    file = load_experiment(flags.config) if flags.config else ExperimentFile()
    settings = _settings(flags, file)
    wishes = tuple(_wishes(flags, file))
    return Wanted(_suite(flags, file, store), wishes, settings)


def _settings(flags: Flags, file: ExperimentFile) -> Settings:
    said = {"experiment": file.experiment.name, **{name: getattr(file, name) for name in _IN_BOTH}}
    over = {name: value for name in said if (value := getattr(flags, name, None)) not in (None, ())}
    return Settings(**{**said, **over})


def _suite(flags: Flags, file: ExperimentFile, store: Store) -> Suite:
    if flags.task is not None:
        return free_task(flags.task)
    part = file.suite
    if flags.suite:
        suite = open_suite(flags.suite, store)
    else:
        suite = open_suite(part.source, store, path=part.path, ids=part.ids, protocol=part.protocol)
    return select(
        suite,
        ids=flags.task_type,
        categories=[name for text in flags.categories for name in text.split(",") if name] or part.categories,
        limit=None if flags.all else flags.limit or part.limit,
        quick=flags.quick_test,
    )


Specs = tuple[tuple[str, Mapping[str, Json]], ...]


def _wishes(flags: Flags, file: ExperimentFile) -> Iterator[Wish]:
    sampling = Sampling(temperature=flags.temperature, max_tokens=flags.max_tokens)
    told: dict[str, dict[str, Json]] = {}
    if flags.max_depth is not None:
        told["branching"] = {"max_depth": flags.max_depth}
    if flags.large_model:
        told["cascade"] = {"large": split_model(flags.large_model[0])[1]}

    def specs(*texts: str) -> Specs:
        return tuple((name, {**told.get(name, {}), **more}) for name, more in map(parse_spec, texts))

    for place, name in enumerate(flags.large_model):
        yield Wish(name, specs("single"), "large", sampling, baseline=place == 0)
    for name in flags.small_model:
        yield Wish(name, specs(*(flags.strategy or ("single", "branching"))), "small", sampling)
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
