"""What can be seen of wishes without asking a model's server: settings, names, the options of strategies."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pydantic import ValidationError

from smallenough import plugins
from smallenough.config import ExperimentFile, SamplingPart, words
from smallenough.errors import Faults, InputError
from smallenough.metrics.collector import MetricsCollector
from smallenough.metrics.efficiency import EfficiencyWeights
from smallenough.models.catalogue import own, own_origin
from smallenough.models.local import server_url
from smallenough.options import strategy_options
from smallenough.records import Sampling
from smallenough.sessions.named import check_provider, split_model
from smallenough.sessions.settings import Settings, Wish


def check_wanted(wishes: Sequence[Wish], settings: Settings, faults: Faults) -> None:
    """Sees what can be seen without asking a model's server: settings, names, and the options of strategies."""
    faults.catch(partial(check_settings, settings))
    faults.catch(partial(EfficiencyWeights.of, settings.weights), faults.origins.get("weights", ""))
    faults.catch(partial(MetricsCollector.installed, settings.scorers), faults.origins.get("scorers", ""))
    faults.catch(partial(plugins.load, "sandboxes", settings.sandbox), faults.origins.get("sandbox", ""))
    for url in settings.urls:
        faults.catch(partial(server_url, url), faults.origins.get("urls", ""))
    for wish in [wish for wish in wishes if wish.baseline][1:]:
        faults.note(InputError(f"{wish.model}: another arm is the baseline already; mark one of them"), wish.place)
    for wish in wishes:
        faults.catch(partial(check_provider, split_model(wish.model)[0]), place_of_provider(wish, faults))
        if not wish.strategies:
            faults.note(InputError(f"{wish.model}: no strategy is named; name one, as single"), wish.place)
        faults.catch(partial(_check_sampling, wish.model, wish.sampling), wish.place)
        for number, (strategy, options) in enumerate(wish.strategies):
            faults.catch(partial(strategy_options, strategy, options), wish.place_of_strategy(number))


def place_of_provider(wish: Wish, faults: Faults) -> str:
    """Where to mend who runs a model: the servers, the user's own entry of the model, or where it is named."""
    if split_model(wish.model)[0] == "ollama":
        return faults.origins.get("urls", "")
    entry = own(wish.model)
    return (own_origin(entry, "provider") if entry else "") or wish.place


def _check_sampling(model: str, sampling: Sampling) -> None:
    """Sees that a model can be sampled so.

    Raises:
        InputError: a value is out of its bounds; all of them are named.
    """
    values = {name: getattr(sampling, name) for name in SamplingPart.model_fields}
    try:
        SamplingPart.model_validate(values)
    except ValidationError as error:
        raise InputError("\n".join(f"{model}: {text}" for text in words(error, SamplingPart))) from error


def check_settings(settings: Settings) -> None:
    """Sees that the numbers can be meant, by the bounds of an experiment file.

    Raises:
        InputError: one can't be; all of them are named.
    """
    same = ("repeats", "seed", "concurrency", "timeout", "fail_on_error")
    values = {name: getattr(settings, name) for name in same}
    whole = {"experiment": {"name": settings.experiment}, "monitoring": {"sample_interval": settings.sample_interval}}
    try:
        ExperimentFile.model_validate({**values, **whole})
    except ValidationError as error:
        raise InputError("\n".join(words(error, ExperimentFile))) from error
