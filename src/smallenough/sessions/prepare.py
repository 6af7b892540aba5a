"""From wishes to a plan: names are looked up, models described, options and references checked.

All faults are collected and reported at once, before the first inference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from typing import Any, TypeAlias

from pydantic import ValidationError

from smallenough import plugins
from smallenough.config import ExperimentFile, SamplingPart, place_of, words
from smallenough.errors import Faults, InputError
from smallenough.events import Plan
from smallenough.metrics.collector import MetricsCollector
from smallenough.metrics.efficiency import EfficiencyWeights
from smallenough.models.balanced import BalancedClient
from smallenough.models.catalogue import class_as, defaults_for, own
from smallenough.options import strategy_options
from smallenough.prompts import Prompts
from smallenough.protocols import ModelClient, Sandbox, Strategy
from smallenough.records import Arm, Json, Limits, ModelInfo, Sampling, SizeClass, Suite
from smallenough.sessions.naming import arm_name, distinct_names

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


@dataclass(frozen=True)
class Prepared:
    """A session that can begin: everything in it was checked."""

    plan: Plan
    suite: Suite
    clients: Mapping[str, ModelClient]
    """By provider."""
    sandbox: Sandbox
    models: Mapping[str, ModelInfo]
    """By arm name."""
    strategies: Mapping[str, Strategy]
    """By arm name."""
    prompts: Mapping[str, Prompts]
    """By arm name."""
    further: Mapping[str, tuple[ModelInfo, ...]] = field(default_factory=dict)
    """The models that an arm's strategy asks besides the arm's own, by arm name; an arm without has no entry."""

    def close(self) -> None:
        """Gives back what the clients hold."""
        for client in self.clients.values():
            client.close()


def split_model(name: str) -> tuple[str, str]:
    """Provider and name of a model: a bare name is Ollama's.

    A name of the user's own, in config/models.yaml, stands for what that says. `PROVIDER:NAME` names another
    provider's; `replay:FILE` and `replay:FILE#NAME` a recorded model's, whose provider is `replay:FILE`.
    """
    if entry := own(name):
        return entry.provider, entry.reference or entry.name
    kind, colon, rest = name.partition(":")
    if not colon or kind not in plugins.names("models"):
        return "ollama", name
    if kind == "replay":
        file, _, model = rest.partition("#")
        return f"replay:{file}", model
    return kind, rest


def make_client(provider: str, urls: Sequence[str] = ()) -> ModelClient:
    """A client of a provider; several URLs, which are Ollama servers', share the work.

    Raises:
        UnknownName: no such provider.
        InputError: a URL or a file is not as it should be.
    """
    name, _, detail = provider.partition(":")
    kind: Any = plugins.load("models", name)
    if detail:
        client: ModelClient = kind.from_file(detail)
    elif name != "ollama" or not urls:
        client = kind()
    elif len(urls) == 1:
        client = kind(urls[0])
    else:
        client = BalancedClient([kind(url, retries=0) for url in urls])
    return client


def make_sandbox(name: str) -> Sandbox:
    """The sandbox of that name, checked to work here.

    Raises:
        UnknownName: no such sandbox.
        SandboxError: it does not work here; says how to mend it.
    """
    sandbox: Sandbox = plugins.load("sandboxes", name)()
    return sandbox


def prepare(suite: Suite | None, wishes: Sequence[Wish], settings: Settings, faults: Faults | None = None) -> Prepared:
    """Checks everything that a session needs, and lays down its plan.

    Args:
        suite: the tasks, already selected; None: there was a fault, and the rest shall be checked all the same.
        wishes: the models to compare, with their strategies.
        settings: how to run.
        faults: what is known to be wrong already.

    Raises:
        InputError: something named does not exist or has the wrong form; all faults at once.
        InfrastructureError: no server answers, or the sandbox does not work here.
    """
    faults = faults or Faults()
    if not wishes:
        faults.note(InputError("no model is named; give --model NAME, or --large-model and --small-model"))
    check_wanted(wishes, settings, faults)
    sandbox = faults.catch(lambda: make_sandbox(settings.sandbox), faults.origins.get("sandbox", ""))
    clients: dict[str, ModelClient] = {}
    found: list[_Found] = []
    for wish in wishes:
        provider, _ = split_model(wish.model)
        if provider not in clients:
            origin = faults.origins.get("urls", "") if provider == "ollama" else wish.place
            if client := faults.catch(partial(make_client, provider, settings.urls), origin):
                clients[provider] = client
        found += _look_up(wish, suite, clients.get(provider), faults)
    try:
        faults.report()
    except BaseException:
        for client in clients.values():
            client.close()
        raise
    assert sandbox is not None
    assert suite is not None
    by_name = _each_once(found)
    return Prepared(
        lay_down(suite, tuple(one.arm for one in by_name.values()), settings),
        suite,
        clients,
        sandbox,
        models={name: one.info for name, one in by_name.items()},
        strategies={name: one.strategy for name, one in by_name.items()},
        prompts={name: one.prompts for name, one in by_name.items()},
        further={name: one.further for name, one in by_name.items() if one.further},
    )


def check_wanted(wishes: Sequence[Wish], settings: Settings, faults: Faults) -> None:
    """Sees what can be seen without asking a model's server: settings, names, and the options of strategies."""
    faults.catch(partial(check_settings, settings))
    faults.catch(partial(EfficiencyWeights.of, settings.weights), faults.origins.get("weights", ""))
    faults.catch(partial(MetricsCollector.installed, settings.scorers), faults.origins.get("scorers", ""))
    faults.catch(partial(plugins.load, "sandboxes", settings.sandbox), faults.origins.get("sandbox", ""))
    for wish in [wish for wish in wishes if wish.baseline][1:]:
        faults.note(InputError(f"{wish.model}: another arm is the baseline already; mark one of them"), wish.place)
    for wish in wishes:
        if not wish.strategies:
            faults.note(InputError(f"{wish.model}: no strategy is named; name one, as single"), wish.place)
        faults.catch(partial(_check_sampling, wish.model, wish.sampling), wish.place)
        for number, (strategy, options) in enumerate(wish.strategies):
            faults.catch(partial(strategy_options, strategy, options), wish.place_of_strategy(number))


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


def lay_down(suite: Suite, arms: tuple[Arm, ...], settings: Settings) -> Plan:
    """The plan of these arms on these tasks. It names all scorers and holds options whole: a resume has the same.

    Raises:
        UnknownName: no such strategy or option.
        InputError: an option's value is wrong.
    """
    whole = (replace(arm, options=asdict(strategy_options(arm.strategy, arm.options))) for arm in arms)
    shared = {field.name: getattr(settings, field.name) for field in fields(settings)}
    return Plan(
        suite=suite.name,
        suite_digest=suite.digest,
        arms=tuple(whole),
        task_ids=tuple(task.id for task in suite.tasks),
        **{
            **shared,
            "concurrency": settings.concurrency or max(1, len(settings.urls)),
            "scorers": settings.scorers or tuple(plugins.names("scorers")),
        },
    )


@dataclass(frozen=True, eq=False)
class _Found:
    """An arm, and what was looked up for it."""

    arm: Arm
    info: ModelInfo
    strategy: Strategy
    prompts: Prompts
    further: tuple[ModelInfo, ...]


def _look_up(wish: Wish, suite: Suite | None, client: ModelClient | None, faults: Faults) -> list[_Found]:
    """The arms that a wish comes to, as far as nothing is wrong with them."""
    provider, name = split_model(wish.model)
    info = faults.catch(partial(_described, wish.model, name, client), wish.place) if client else None
    found = []
    for number, (strategy, options) in enumerate(wish.strategies):
        place = wish.place_of_strategy(number)
        known = faults.catch(partial(strategy_options, strategy, options), place)
        if client is None or info is None or known is None:
            continue
        arm = _arm(wish, provider, info, strategy, options)
        if {name, info.name} & set(known.models):
            said = f"{arm.name}: asks {info.name} besides itself; name another model there"
            faults.note(InputError(said), place)
        further = faults.catch(partial(further_models, arm, client), place)
        prompts = faults.catch(partial(load_prompts, arm, suite), place) if suite else None
        if prompts is not None and further is not None:
            found.append(_Found(arm, info, make_strategy(arm, prompts), prompts, further))
    return found


def _described(called: str, name: str, client: ModelClient) -> ModelInfo:
    """What is known of a model.

    Raises:
        ModelNotFound: it is not there.
        InputError: it is not what the user's own entry says.
    """
    info, entry = client.describe(name), own(called)
    if entry and entry.quantization and info.quantization and entry.quantization != info.quantization:
        raise InputError(
            f"{called}: config/models.yaml says that it is {entry.quantization}, and it is {info.quantization}; name"
            " the right reference, or mend its quantization"
        )
    return info


def _arm(wish: Wish, provider: str, info: ModelInfo, strategy: str, options: Mapping[str, Json]) -> Arm:
    entry = own(wish.model)
    defaults = entry or defaults_for(info.name, info)
    return Arm(
        name=arm_name(entry.name, "ollama", strategy, options)
        if entry
        else arm_name(info.name, provider, strategy, options),
        model=info.name,
        strategy=strategy,
        options=options,
        sampling=wish.sampling.over(defaults.defaults),
        provider=provider,
        size_class=wish.size_class or defaults.size_class,
        baseline=wish.baseline and strategy == wish.strategies[0][0],
    )


def _each_once(found: Sequence[_Found]) -> dict[str, _Found]:
    """The arms by names that tell them apart. One that was wished for twice is there once."""
    arms: dict[str, _Found] = {}
    for one, name in zip(found, distinct_names([one.arm for one in found]), strict=True):
        before = arms.get(name, one).arm
        arms[name] = replace(one, arm=replace(one.arm, name=name, baseline=before.baseline or one.arm.baseline))
    return arms


def load_prompts(arm: Arm, suite: Suite) -> Prompts:
    """What an arm's strategy says to models: the templates in force, and as many examples of the suite as it wants.

    Raises:
        UnknownName: no such strategy or option.
        InputError: an option's value is wrong, the suite has fewer examples, or a template can't be used.
    """
    options, held = strategy_options(arm.strategy, arm.options), len(suite.examples)
    if options.shots < 0:
        raise InputError(f"strategy {arm.strategy}, option shots: must be 0 or more")
    if options.shots > held:
        has = "no examples to show" if not held else f"{held} examples to show" if held > 1 else "1 example to show"
        mend = f"give {held} at most" if held else "leave the option out, or take another suite"
        raise InputError(f"strategy {arm.strategy}, option shots: suite {suite.name!r} has {has}; {mend}")
    prompts = replace(Prompts.load(arm.size_class), shots=suite.examples[: options.shots])
    others = {
        model: replace(
            Prompts.load(class_as(model, "large")), shots=prompts.shots, stop=defaults_for(model).defaults.stop
        )
        for model in options.models
    }
    prompts = replace(prompts, others=others)
    prompts.check(suite.tasks[0].problem)
    return prompts


def further_models(arm: Arm, client: ModelClient) -> tuple[ModelInfo, ...]:
    """What is known of the models that an arm's strategy asks besides the arm's own.

    Raises:
        ModelNotFound: the server does not have one.
        ModelUnavailable: no server answers.
    """
    return tuple(client.describe(model) for model in strategy_options(arm.strategy, arm.options).models)


def make_strategy(arm: Arm, prompts: Prompts) -> Strategy:
    """The strategy of an arm.

    Raises:
        UnknownName: no such strategy or option.
        InputError: an option's value is wrong.
    """
    strategy: Strategy = plugins.load("strategies", arm.strategy)(strategy_options(arm.strategy, arm.options), prompts)
    return strategy
