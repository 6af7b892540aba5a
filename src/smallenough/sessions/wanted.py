"""What a person wants of a session: flags go before the environment, that before an experiment file and the defaults.

Nothing is looked up here but the suite; whether models, strategies and sandbox exist, `prepare` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

from smallenough.config import Config, Value, in_force, load_config
from smallenough.errors import Faults, InputError
from smallenough.models.catalogue import entries
from smallenough.records import Json, Limits, Suite, replace
from smallenough.sessions.check import check_wanted
from smallenough.sessions.flags import Flags, contradictions
from smallenough.sessions.places import check_writable, store_of
from smallenough.sessions.settings import Settings, Wish
from smallenough.sessions.suites import free_task, load_file, open_suite
from smallenough.sessions.wishes import check_parameter, make_wishes, options_by_name
from smallenough.tasks.jsonl import suite_name
from smallenough.tasks.select import held_out, select
from smallenough.tracking.store import Store


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `prepare` makes a session of."""

    suite: Suite | None
    """The tasks, already selected; None: something is wrong with them."""
    wishes: tuple[Wish, ...]
    settings: Settings
    validation: Suite | None = None
    """The tasks that a search tries candidates on, which `suite` has none of; None: no search is wanted."""
    imported: Suite | None = None
    """The whole suite that shall be saved; None: none shall be, or something is wrong with it."""


@dataclass(frozen=True)
class Understood:
    """What was said, by flags, environment and file, before it is looked into."""

    flags: Flags
    config: Config
    force: Mapping[str, Value]
    """The settings in force, by key."""
    faults: Faults
    """What is wrong so far."""

    def meant(self) -> tuple[tuple[Wish, ...], Settings]:
        """The arms and the settings, without a look at the tasks."""
        wishes = tuple(make_wishes(self.flags, self.config, self.faults))
        for text in contradictions(self.flags, wishes):
            self.faults.note(InputError(text))
        return wishes, _settings(self.force)

    def store(self) -> Store:
        """Where results shall go; where what was said of it is wrong, the local store, for looking at the rest."""
        return self.faults.catch(partial(store_of, self.force)) or Store.local(Path("mlruns").absolute())

    def wanted(self, store: Store, *, search: bool = False) -> Wanted:
        """What it comes to; see `wanted`."""
        return wanted(self.flags, self.config, self.force, store, self.faults, search=search)


def understood(said: Mapping[str, Any], environment: Mapping[str, str]) -> Understood:
    """Reads the experiment file, and puts flags and environment over it.

    Args:
        said: flags, by parameter.
        environment: the environment's variables.

    Raises:
        InputError: the file can't be read or is not YAML, or something is wrong with the user's own file of models, by
            which names are understood; with all else that can be seen all the same.
    """
    faults = Faults()
    flags = Flags(**said)
    config = faults.catch(partial(load_config, flags.config, faults))
    models = faults.catch(entries)
    if config is None:
        faults.report()
    assert config is not None
    force = in_force(config, said, environment, faults)
    faults.origins = {key: value.place for key, value in force.items()}
    if models is None:
        check_wanted((), _settings(force), faults)
        faults.report()
    return Understood(flags, config, force, faults)


def wanted(
    flags: Flags, config: Config, force: Mapping[str, Value], store: Store, faults: Faults, *, search: bool = False
) -> Wanted:
    """What flags, environment and experiment file come to. Nothing is written.

    Args:
        flags: what was said.
        config: the experiment file.
        force: the settings in force, by key.
        store: where suites are looked for, and results shall go.
        faults: gets what is wrong with flags, strategies, suite, choice of tasks, or the store's folder.
        search: whether the search that the file describes shall be carried out, which needs tasks of its own.
    """
    settings = _settings(force)
    wishes = tuple(make_wishes(flags, config, faults))
    faults.catch(partial(check_writable, store), force["tracking.store"].place)
    for text in contradictions(flags, wishes):
        faults.note(InputError(text))
    place = _place_of_suite(force, "source", "path", "ids", "protocol")
    if flags.import_data:
        opened = faults.catch(partial(_to_import, flags, settings.sandbox, store))
    else:
        opened = faults.catch(partial(_opened, flags, force, store), place)
    imported = opened if flags.import_data else None
    validation = None
    if flags.task is not None:
        if search:
            faults.note(InputError("--task has no tests to search by; leave it out, or choose tasks by --task-type"))
    elif config.form.search:
        _check_space(config, wishes, faults)
        validation, opened = _parts(opened, flags, config, force, faults, search) if opened else (None, None)
    else:
        opened = opened and _named(opened, flags, force, faults)
        opened = opened and _limited(opened, flags, force, faults)
    return Wanted(opened, wishes, settings, validation, imported)


def _check_space(config: Config, wishes: Sequence[Wish], faults: Faults) -> None:
    assert config.form.search
    strategies = options_by_name(wishes)
    for name, space in config.form.search.space.items():
        for value in space if isinstance(space, tuple) else (space.low, space.high):
            faults.catch(partial(check_parameter, name, value, strategies), config.origin(("search", "space", name)))


def _settings(force: Mapping[str, Value]) -> Settings:
    def part(name: str) -> dict[str, Any]:
        return {key.partition(".")[2]: value.value for key, value in force.items() if key.startswith(f"{name}.")}

    limits, prices = part("limits"), part("prices")
    return Settings(
        experiment=force["experiment.name"].value,
        **{name: force[name].value for name in _SAME},
        limits=Limits(
            limits["cpu_seconds"],
            limits["wall_seconds"],
            limits["memory_megabytes"] * 2**20,
            limits["processes"],
            limits["output_kilobytes"] * 2**10,
            limits["disk_megabytes"] * 2**20,
        ),
        sample_interval=force["monitoring.sample_interval"].value,
        prices={name: _plain(value) for name, value in prices.items() if value not in (None, "")},
    )


def _plain(value: Any) -> Json:
    return value.isoformat() if isinstance(value, date) else value


_SAME = ("repeats", "seed", "concurrency", "sandbox", "timeout", "urls", "weights", "fail_on_error", "scorers", "cache")
"""Settings that have the same name in the file."""


# ------------------------------------------------------------------------------------------------------- the tasks


def _opened(flags: Flags, force: Mapping[str, Value], store: Store) -> Suite:
    if flags.task is not None:
        return free_task(flags.task)
    more = {name: force[f"suite.{name}"].value for name in ("path", "ids", "protocol")}
    return open_suite(force["suite.source"].value, store, **more)


def _to_import(flags: Flags, sandbox: str, store: Store) -> Suite:
    from smallenough.tracking.suites import merged_with_newest

    if flags.jsonl_file is None:
        raise InputError("--import-data needs --jsonl-file FILE")
    suite = load_file(flags.jsonl_file, flags.suite or suite_name(flags.jsonl_file), sandbox)
    return merged_with_newest(store, suite) if flags.no_clear else suite


def _named(suite: Suite, flags: Flags, force: Mapping[str, Value], faults: Faults) -> Suite | None:
    """The tasks of the wanted ids and categories; all, where none are said."""
    categories = force["suite.categories"]
    named = [name for text in categories.value for name in text.split(",") if name]
    before = len(faults.found)
    for name in flags.task_type:
        faults.catch(partial(select, suite, ids=[name]))
    for name in named:
        faults.catch(partial(select, suite, categories=[name]), categories.place)
    if len(faults.found) > before:
        return None
    chosen = partial(select, suite, ids=flags.task_type, categories=named)
    return faults.catch(chosen, _place_of_suite(force, "categories", "source"))


def _limited(
    suite: Suite, flags: Flags, force: Mapping[str, Value], faults: Faults, share: float = 1.0
) -> Suite | None:
    """No more tasks than are wanted; of a limit on them, a share."""
    limit = force["suite.limit"].value
    limit = limit and max(1, round(share * limit))
    chosen = partial(select, suite, limit=limit, quick=flags.quick_test)
    return faults.catch(chosen, _place_of_suite(force, "limit", "source"))


def _parts(
    suite: Suite, flags: Flags, config: Config, force: Mapping[str, Value], faults: Faults, search: bool
) -> tuple[Suite | None, Suite | None]:
    """The wanted tasks that candidates are tried on (None unless there is a search), and those of all else."""
    part = config.form.search
    assert part is not None
    named = _named(suite, flags, force, faults)
    held = faults.catch(partial(held_out, suite, part.validation), config.origin(("search",)))
    if named is None or held is None:
        return None, None
    known = [task.id for task in held[0].tasks]
    tried, others = (
        replace(suite, tasks=tuple(task for task in named.tasks if (task.id in known) is inside))
        for inside in (True, False)
    )
    if search and not tried.tasks:
        said = f"none of {_ids(named)} is held out, to try candidates on; name such a task too, as {_ids(held[0])}"
    elif search and not others.tasks:
        said = f"{_ids(tried)}: held out to try candidates on, so that none is left to compare on; name others too"
    elif not others.tasks or (flags.task_type and tried.tasks and not search):
        said = f"{_ids(tried)}: held out for the search, and no part of a run; name others"
    else:
        validation = _limited(tried, flags, force, faults, part.validation) if search else None
        return validation, _limited(others, flags, force, faults, 1 - part.validation)
    faults.note(InputError(said), config.origin(("search",)))
    return None, None


def _ids(suite: Suite) -> str:
    """The tasks, or the first few of them."""
    more = ", …" if len(suite.tasks) > _SHOWN else ""
    return ", ".join(task.id for task in suite.tasks[:_SHOWN]) + more


_SHOWN = 5


def _place_of_suite(force: Mapping[str, Value], *names: str) -> str:
    """Where to mend the first of these that was said."""
    return next(filter(None, (force[f"suite.{name}"].place for name in names)), "")
