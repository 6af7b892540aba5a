"""What is in force, with the values that nobody said too, and where each came from. No model is asked.

What a model's own server decides (how large a model is that nobody described) is not known here, and said so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from smallenough import plugins
from smallenough.config import DEFAULT, Config, Value, from_here, leaves
from smallenough.metrics.efficiency import EfficiencyWeights
from smallenough.models.catalogue import defaults_of, own
from smallenough.models.local import server_url
from smallenough.options import strategy_options
from smallenough.records import Json
from smallenough.sessions.flags import Flags, option
from smallenough.sessions.named import split_model
from smallenough.sessions.places import store_of
from smallenough.sessions.settings import Wish
from smallenough.sessions.unused import UNUSED
from smallenough.sessions.wanted import Understood
from smallenough.tracking.masking import masked, shown_uri


@dataclass(frozen=True)
class ShownArm:
    """An arm, with every value of it."""

    model: Value
    strategy: Value
    baseline: bool
    sampling: Mapping[str, Value]
    """With `size_class`, by which prompts are chosen. A value that is None is the model's own, or not known here."""
    options: Mapping[str, Value]


def settings_in_force(read: Understood) -> dict[str, Value]:
    """Every setting by its key; None is for what is not set.

    Raises:
        InputError: the tracking URI or an address is not as it should be.
    """
    force = {key: one for key, one in read.force.items() if not key.startswith(tuple(UNUSED))}
    if read.flags.task is not None:
        force = {key: one for key, one in force.items() if not key.startswith("suite.")}
    force = {**_chosen(read.flags), **force}
    given = force.pop("weights")
    for name, weight in asdict(EfficiencyWeights.of(given.value)).items():
        force[f"weights.{name}"] = Value(weight, _origin(name, given, read.config))
    for key, fill in _fillers(read.force).items():
        if force[key].value in (None, "", ()):
            force[key] = Value(fill(), force[key].origin)
    uri, urls = force["tracking.uri"], force["urls"]
    force["tracking.uri"] = Value(shown_uri(uri.value), uri.origin)
    force["urls"] = Value(tuple(map(masked, urls.value)), urls.origin)
    return {**force, **_search(read.config)}


_CHOOSING = ("task", "task_type", "quick_test", "jsonl_file")


def _chosen(flags: Flags) -> dict[str, Value]:
    """What flags say of the tasks that no file says."""
    said = {name: getattr(flags, name) for name in _CHOOSING}
    return {f"suite.{name}": Value(one, option(name)) for name, one in said.items() if one not in (None, (), False)}


def _origin(name: str, given: Value, config: Config) -> str:
    """Where a weight was said."""
    return (config.origin(("weights", name)) or given.origin) if name in given.value else DEFAULT


def _fillers(force: Mapping[str, Value]) -> dict[str, Callable[[], Any]]:
    """What holds where nothing is said."""
    return {
        "concurrency": lambda: max(1, len(force["urls"].value)),
        "urls": lambda: (server_url(),),
        "scorers": lambda: tuple(plugins.names("scorers")),
        "tracking.uri": lambda: store_of(force).uri,
        "tracking.store": lambda: str(from_here(store_of(force).folder)),
    }


def _search(config: Config) -> dict[str, Value]:
    """What a search varies, and how."""
    if config.form.search is None:
        return {}
    found = {}
    for place, value in leaves(config.form.search, ("search",)):
        if place[-1] != "space":
            found[".".join(place)] = Value(value, config.origin(place) or DEFAULT)
    for name, space in config.form.search.space.items():
        shown = space if isinstance(space, tuple) else space.model_dump()
        found[f"search.space.{name}"] = Value(shown, config.origin(("search", "space", name)))
    return found


def arms_in_force(wishes: Iterable[Wish]) -> list[ShownArm]:
    """Every arm that the wishes come to, each once.

    Raises:
        InputError: an option or the user's file of models is not as it should be.
    """
    found: dict[str, ShownArm] = {}
    for wish in wishes:
        for number in range(len(wish.strategies)):
            arm = _arm(wish, number)
            identity = _identity(arm, wish.strategies[number][1])
            before = found.setdefault(identity, arm)
            found[identity] = replace(before, baseline=before.baseline or arm.baseline)
    return list(found.values())


def _arm(wish: Wish, number: int) -> ShownArm:
    name, options = wish.strategies[number]
    said = wish.origins.strategies[number]
    sampling = {}
    for key, default in defaults_of(wish.model, split_model(wish.model)[1]).items():
        own = wish.size_class if key == "size_class" else getattr(wish.sampling, key)
        sampling[key] = Value(own, wish.origins.sampling.get(key, "")) if own not in (None, ()) else default
    return ShownArm(
        Value(wish.model, wish.origins.model),
        Value(name, said[""]),
        wish.baseline and not number,
        sampling,
        {key: Value(value, said.get(key, DEFAULT)) for key, value in asdict(strategy_options(name, options)).items()},
    )


def _identity(arm: ShownArm, given: Mapping[str, Json]) -> str:
    """What a plan tells arms apart by: the options that were given, since it calls an arm by these."""
    entry = own(arm.model.value)
    called = entry.name if entry else split_model(arm.model.value)
    sampling = sorted((key, str(one.value)) for key, one in arm.sampling.items())
    return repr((called, arm.strategy.value, sampling, sorted(map(str, given.items()))))
