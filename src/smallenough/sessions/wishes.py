"""From models, strategies and grids of parameters, as flags or a file name them, to the arms that are wished for."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from pydantic import ValidationError

from smallenough.config import DEFAULT, ArmPart, Config, ModelPart, Place, SamplingPart, place_of, words
from smallenough.errors import Faults, InputError, UnknownName
from smallenough.models.catalogue import class_as
from smallenough.options import parse_spec, strategy_options
from smallenough.records import Json, Sampling, SizeClass, replace
from smallenough.sessions.flags import Flags, option
from smallenough.sessions.named import split_model
from smallenough.sessions.settings import Origins, Wish

_MOST = 1000
"""Combinations that a grid may come to; the arms of more would take weeks."""


def make_wishes(flags: Flags, config: Config, faults: Faults) -> Iterator[Wish]:
    """What shall be compared: models that flags name go before those of the environment and of the file.

    A file's `parameters` hold for all of them. What a model, or its strategy, says itself goes before these, and a flag
    goes before both.
    """
    named = list(_by_flags(flags, config, faults))
    wishes = named or list(_by_file(flags, config, faults))
    if not wishes:  # what is said for no model yet can be wrong too
        for one in _specs(flags, faults, _chosen(flags, config)):
            faults.catch(partial(strategy_options, one.name, one.options), place_of(one.origins[""]))
    grid = _grid(config, options_by_name(wishes), faults)
    for wish in wishes:
        for number, point in enumerate(grid.points):
            combined = _in_grid(wish, point, grid.origins)
            yield _with_flags(replace(combined, baseline=wish.baseline and not number), flags)
    if not named:
        for arm in _one_by_one(flags, config, faults):
            yield _with_flags(arm, flags)


@dataclass(frozen=True, slots=True)
class _Spec:
    """A strategy with its options, and where each was said."""

    name: str
    options: Mapping[str, Json]
    origins: Mapping[str, str]
    """As in `Origins.strategies`."""


_Texts: TypeAlias = Iterable[tuple[str, str]]
"""Strategies as they are written, each with where that was said."""


def _wish(model: str, specs: Sequence[_Spec], origin: str, part: ModelPart | ArmPart | None = None) -> Wish:
    """What a model comes to; `origin`: where it was said."""
    return Wish(
        model,
        tuple((one.name, one.options) for one in specs),
        sampling=_sampling(part) if part else Sampling(),
        size_class=part.size_class if part else None,
        baseline=part.baseline if part else False,
        origins=Origins(origin, strategies=tuple(one.origins for one in specs)),
    )


def _by_flags(flags: Flags, config: Config, faults: Faults) -> Iterator[Wish]:
    for place, name in enumerate(flags.large_model):
        specs = _specs(flags, faults, [("single", "--large-model")])
        yield replace(_in_role(_wish(name, specs, "--large-model"), "large"), baseline=place == 0)
    for name in flags.small_model:
        texts = _by_flag(flags) or [("single", "--small-model"), ("branching", "--small-model")]
        yield _in_role(_wish(name, _specs(flags, faults, texts), "--small-model"), "small")
    for name in flags.model:
        yield _wish(name, _specs(flags, faults, _chosen(flags, config)), "--model")


def _in_role(wish: Wish, role: SizeClass) -> Wish:
    origins = replace(wish.origins, sampling={"size_class": f"--{role}-model"})
    return replace(wish, size_class=class_as(split_model(wish.model)[1], role), origins=origins)


def _by_file(flags: Flags, config: Config, faults: Faults) -> Iterator[Wish]:
    for number, part in enumerate(config.form.models):
        place = ("models", number)
        texts = _chosen(flags, config)
        if part.strategies and not flags.strategy:
            texts = _written(part.strategies, (*place, "strategies"), config)
        yield _from_file(part, _specs(flags, faults, texts), place, config)
    named = os.environ.get("OLLAMA_MODEL")
    if named and not config.form.models and not config.form.arms:
        yield _wish(named, _specs(flags, faults, _chosen(flags, config)), "OLLAMA_MODEL")


def _one_by_one(flags: Flags, config: Config, faults: Faults) -> Iterator[Wish]:
    for number, part in enumerate(config.form.arms):
        place = ("arms", number)
        text = part.strategy, config.origin((*place, "strategy")) or DEFAULT
        yield _from_file(part, _specs(flags, faults, [text]), place, config)


def _from_file(part: ModelPart | ArmPart, specs: Sequence[_Spec], place: Place, config: Config) -> Wish:
    made = _wish(part.name if isinstance(part, ModelPart) else part.model, specs, config.origin(place), part)
    said = {name: origin for name in _SAMPLED if (origin := config.origin((*place, name)))}
    return replace(made, origins=replace(made.origins, sampling=said))


_SAMPLED = (*SamplingPart.model_fields, "size_class")


def _by_flag(flags: Flags) -> list[tuple[str, str]]:
    return [(text, "--strategy") for text in flags.strategy]


def _chosen(flags: Flags, config: Config) -> _Texts:
    """The strategies for models that name none."""
    return _by_flag(flags) or _written(config.form.strategies, ("strategies",), config)


def _written(texts: Iterable[str], place: Place, config: Config) -> _Texts:
    return [(text, config.origin((*place, number)) or DEFAULT) for number, text in enumerate(texts)]


def _specs(flags: Flags, faults: Faults, texts: _Texts) -> list[_Spec]:
    """Strategies with their options; some flags say what holds for one of them wherever it does not say it itself."""
    told: dict[str, dict[str, tuple[Json, str]]] = {}
    if flags.max_depth is not None:
        told["branching"] = {"max_depth": (flags.max_depth, "--max-depth")}
    if flags.large_model:
        told["cascade"] = {"large": (split_model(flags.large_model[0])[1], "--large-model")}
    found = []
    for text, origin in texts:
        if spec := faults.catch(partial(parse_spec, text), place_of(origin)):
            name, own = spec
            options = {**told.get(name, {}), **{key: (value, origin) for key, value in own.items()}}
            origins = {"": origin, **{key: where for key, (_, where) in options.items()}}
            found.append(_Spec(name, {key: value for key, (value, _) in options.items()}, origins))
    return found


def _with_flags(wish: Wish, flags: Flags) -> Wish:
    """The wish with what flags say of sampling, which goes before all else."""
    said = Sampling(temperature=flags.temperature, max_tokens=flags.max_tokens)
    names = {name: option(name) for name in ("temperature", "max_tokens") if getattr(said, name) is not None}
    origins = replace(wish.origins, sampling={**wish.origins.sampling, **names})
    return replace(wish, sampling=said.over(wish.sampling), origins=origins)


# -------------------------------------------------------------------------------------------------------- the grid


@dataclass(frozen=True, slots=True)
class Point:
    """One combination of the parameters."""

    sampling: Sampling = field(default_factory=Sampling)
    options: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    """By strategy."""


@dataclass(frozen=True, slots=True)
class _Grid:
    """All combinations of a file's parameters."""

    points: Sequence[Point] = (Point(),)
    origins: Mapping[str, str] = field(default_factory=dict)
    """Where the values of each parameter were said."""


def _grid(config: Config, strategies: OptionsByName, faults: Faults) -> _Grid:
    """The grid of a file; one point of nothing where it names no parameters, or something is wrong."""
    parameters, before = config.form.parameters, len(faults.found)
    origins = {key: config.origin(("parameters", key)) for key in parameters}
    for key, values in parameters.items():
        for value in values:
            faults.catch(partial(check_parameter, key, value, strategies), origins[key])
    count = math.prod(map(len, parameters.values()))
    if count > _MOST:
        said = InputError(f"parameters: come to {count} combinations; {_MOST} at most")
        faults.note(said, config.origin(("parameters",)))
    if len(faults.found) > before:
        return _Grid()
    axes = [[(key, value) for value in values] for key, values in parameters.items()]
    return _Grid([point(combination) for combination in itertools.product(*axes)], origins)


def _in_grid(wish: Wish, point: Point, said: Mapping[str, str]) -> Wish:
    """The wish with a combination of the parameters wherever it says nothing itself."""
    strategies, origins = [], []
    for (name, own), where in zip(wish.strategies, wish.origins.strategies, strict=True):
        given = point.options.get(name, {})
        strategies.append((name, {**given, **own}))
        origins.append({**{key: said[f"{name}.{key}"] for key in given}, **where})
    sampled = {key: origin for key, origin in said.items() if "." not in key}
    return replace(
        wish,
        strategies=tuple(strategies),
        sampling=wish.sampling.over(point.sampling),
        origins=Origins(wish.origins.model, {**sampled, **wish.origins.sampling}, tuple(origins)),
    )


OptionsByName: TypeAlias = Mapping[str, Sequence[Mapping[str, Json]]]
"""The options of every arm, by the name of its strategy."""


def options_by_name(wishes: Iterable[Wish]) -> OptionsByName:
    """What the arms' strategies say of their options; one strategy can be there with several."""
    found: dict[str, list[Mapping[str, Json]]] = {}
    for wish in wishes:
        for name, options in wish.strategies:
            found.setdefault(name, []).append(options)
    return found


def check_parameter(key: str, value: Json, strategies: OptionsByName) -> None:
    """Sees that a parameter can have a value.

    Raises:
        InputError: it can't, or no arm has such a parameter.
    """
    strategy, dot, option = key.partition(".")
    if not dot:
        if key not in SamplingPart.model_fields:
            raise UnknownName("parameter", key, [*SamplingPart.model_fields, "STRATEGY.OPTION"])
        try:
            SamplingPart.model_validate({key: value})
        except ValidationError as error:
            raise InputError("\n".join(words(error, SamplingPart))) from error
    elif strategy not in strategies:
        raise UnknownName("strategy of the arms", strategy, strategies)
    else:
        for options in strategies[strategy]:
            strategy_options(strategy, {**options, option: value})


def point(combination: Iterable[tuple[str, Json]]) -> Point:
    """What a combination of parameters says of sampling, and of the options of strategies."""
    combination = tuple(combination)
    sampling = SamplingPart.model_validate({key: value for key, value in combination if "." not in key})
    options: dict[str, dict[str, Json]] = {}
    for key, value in combination:
        strategy, dot, option = key.partition(".")
        if dot:
            options.setdefault(strategy, {})[option] = value
    return Point(_sampling(sampling), options)


def _sampling(part: SamplingPart) -> Sampling:
    return Sampling(part.temperature, part.top_p, part.max_tokens, context=part.context)
