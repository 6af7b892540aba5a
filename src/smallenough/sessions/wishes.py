"""From models, strategies and grids of parameters, as flags or a file name them, to the arms that are wished for."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from pydantic import ValidationError

from smallenough.config import Config, SamplingPart
from smallenough.errors import InputError, UnknownName
from smallenough.models.catalogue import class_as
from smallenough.options import parse_spec, strategy_options
from smallenough.records import Json, Sampling, replace
from smallenough.sessions.flags import Flags
from smallenough.sessions.prepare import Faults, Specs, Wish, split_model

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
        texts, origin = _chosen(flags, config)
        for name, options in _specs(flags, faults, texts, origin):
            faults.catch(partial(strategy_options, name, options), origin)
    said = Sampling(temperature=flags.temperature, max_tokens=flags.max_tokens)
    points = _grid(config, dict(spec for wish in wishes for spec in wish.strategies), faults)
    for wish in wishes:
        for number, point in enumerate(points):
            yield replace(
                wish,
                strategies=tuple((name, {**point.options.get(name, {}), **own}) for name, own in wish.strategies),
                sampling=said.over(wish.sampling).over(point.sampling),
                baseline=wish.baseline and not number,
            )
    if not named:
        for arm in _one_by_one(flags, config, faults):
            yield replace(arm, sampling=said.over(arm.sampling))


def _by_flags(flags: Flags, config: Config, faults: Faults) -> Iterator[Wish]:
    specs = partial(_specs, flags, faults)
    for place, name in enumerate(flags.large_model):
        size_class = class_as(split_model(name)[1], "large")
        yield Wish(name, specs(["single"], ""), size_class, baseline=place == 0)
    for name in flags.small_model:
        chosen = flags.strategy or ("single", "branching")
        yield Wish(name, specs(chosen, ""), class_as(split_model(name)[1], "small"))
    for name in flags.model:
        yield Wish(name, specs(*_chosen(flags, config)))


def _by_file(flags: Flags, config: Config, faults: Faults) -> Iterator[Wish]:
    for number, part in enumerate(config.form.models):
        place = ("models", number)
        texts, origin = _chosen(flags, config)
        if part.strategies and not flags.strategy:
            texts, origin = part.strategies, config.origin((*place, "strategies"))
        yield Wish(
            part.name,
            _specs(flags, faults, texts, origin),
            part.size_class,
            _sampling(part),
            part.baseline,
            origin=config.origin(place),
        )
    named = os.environ.get("OLLAMA_MODEL")
    if named and not config.form.models and not config.form.arms:
        yield Wish(named, _specs(flags, faults, *_chosen(flags, config)), origin="OLLAMA_MODEL")


def _one_by_one(flags: Flags, config: Config, faults: Faults) -> Iterator[Wish]:
    for number, part in enumerate(config.form.arms):
        origin = config.origin(("arms", number))
        yield Wish(
            part.model,
            _specs(flags, faults, [part.strategy], origin),
            part.size_class,
            _sampling(part),
            part.baseline,
            origin=origin,
        )


def _chosen(flags: Flags, config: Config) -> tuple[Iterable[str], str]:
    """The strategies for models that name none, and where that is said."""
    return (
        (flags.strategy, "--strategy") if flags.strategy else (config.form.strategies, config.origin(("strategies",)))
    )


def _specs(flags: Flags, faults: Faults, texts: Iterable[str], origin: str) -> Specs:
    """Strategies with their options; some flags say what holds for one of them wherever it does not say it itself."""
    told: dict[str, dict[str, Json]] = {}
    if flags.max_depth is not None:
        told["branching"] = {"max_depth": flags.max_depth}
    if flags.large_model:
        told["cascade"] = {"large": split_model(flags.large_model[0])[1]}
    parsed = [spec for text in texts if (spec := faults.catch(partial(parse_spec, text), origin))]
    return tuple((name, {**told.get(name, {}), **options}) for name, options in parsed)


# -------------------------------------------------------------------------------------------------------- the grid


@dataclass(frozen=True, slots=True)
class Point:
    """One combination of the parameters."""

    sampling: Sampling = field(default_factory=Sampling)
    options: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)
    """By strategy."""


def _grid(config: Config, strategies: Mapping[str, Mapping[str, Json]], faults: Faults) -> list[Point]:
    """All combinations of the file's parameters; one of nothing where it names none, or something is wrong."""
    parameters, before = config.form.parameters, len(faults.found)
    for key, values in parameters.items():
        origin = config.origin(("parameters", key))
        for value in values:
            faults.catch(partial(check_parameter, key, value, strategies), origin)
    count = math.prod(map(len, parameters.values()))
    if count > _MOST:
        said = InputError(f"parameters: come to {count} combinations; {_MOST} at most")
        faults.note(said, config.origin(("parameters",)))
    if len(faults.found) > before:
        return [Point()]
    axes = [[(key, value) for value in values] for key, values in parameters.items()]
    return [point(combination) for combination in itertools.product(*axes)]


def check_parameter(key: str, value: Json, strategies: Mapping[str, Mapping[str, Json]]) -> None:
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
            fault = error.errors()[0]
            raise InputError(f"parameters.{key}: {fault['msg']}; it is {value!r}") from error
    elif strategy not in strategies:
        raise UnknownName("strategy of the arms", strategy, strategies)
    else:
        strategy_options(strategy, {**strategies[strategy], option: value})


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
