"""From wishes to a plan: names are looked up, models described, options and references checked.

All faults are collected and reported at once, before the first inference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial

from smallenough import plugins
from smallenough.errors import Faults, InputError
from smallenough.events import Plan
from smallenough.models.catalogue import defaults_for, own
from smallenough.options import strategy_options
from smallenough.prompts import Prompts
from smallenough.protocols import ModelClient, Sandbox, Strategy
from smallenough.records import Answers, Arm, ModelInfo, Suite
from smallenough.sessions.charged import Asked, charged
from smallenough.sessions.check import check_wanted, place_of_provider
from smallenough.sessions.named import (
    further_models,
    load_prompts,
    make_client,
    make_strategy,
    sandbox_for,
    split_model,
)
from smallenough.sessions.naming import arm_name, distinct_names
from smallenough.sessions.settings import Settings, Wish


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
    sandbox = faults.catch(lambda: sandbox_for(suite, settings.sandbox), faults.origins.get("sandbox", ""))
    clients: dict[str, ModelClient] = {}
    found: list[_Found] = []
    for wish in wishes:
        provider, _ = split_model(wish.model)
        if provider not in clients:
            place = place_of_provider(wish, faults)
            if client := faults.catch(partial(make_client, provider, settings.urls), place):
                clients[provider] = client
        found += _look_up(wish, suite, clients.get(provider), faults)
    prices = faults.catch(partial(charged, settings.prices, [model for one in found for model in one.asked]))
    try:
        faults.report()
    except BaseException:
        for client in clients.values():
            client.close()
        raise
    assert sandbox is not None
    assert suite is not None
    assert prices is not None
    by_name = _each_once(found)
    return Prepared(
        lay_down(suite, tuple(one.arm for one in by_name.values()), replace(settings, prices=prices)),
        suite,
        clients,
        sandbox,
        models={name: one.info for name, one in by_name.items()},
        strategies={name: one.strategy for name, one in by_name.items()},
        prompts={name: one.prompts for name, one in by_name.items()},
        further={name: one.further for name, one in by_name.items() if one.further},
    )


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
    asked: tuple[Asked, ...]
    """Every model that it asks."""


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
        arm = _arm(wish, number, provider, info)
        if {name, info.name} & set(known.models):
            said = f"{arm.name}: asks {info.name} besides itself; name another model there"
            faults.note(InputError(said), place)
        further = faults.catch(partial(further_models, arm, client), place)
        faults.catch(partial(_check_answers, arm.name, known.answers, (info, *(further or ())), suite), place)
        prompts = faults.catch(partial(load_prompts, arm, suite), place) if suite else None
        if prompts is not None and further is not None:
            asked = (
                Asked(provider, name or info.name, info.name),
                *(Asked(provider, one, one) for one in known.models),
            )
            found.append(_Found(arm, info, make_strategy(arm, prompts), prompts, further, asked))
    return found


def _check_answers(arm: str, answers: Answers, models: Sequence[ModelInfo], suite: Suite | None) -> None:
    """Sees that every model can answer in the way that is wanted, and every task says what may be answered.

    Raises:
        InputError: one can't, or does not.
    """
    if answers == "free":
        return
    for info in models:
        if answers not in info.answers:
            raise InputError(
                f"{arm}: {info.provider} models can't answer by answers={answers}; {info.name} can by"
                f" {' or '.join(info.answers)}" + ("" if info.provider == "huggingface" else _ENGINE)
            )
    lacking = [task.id for task in suite.tasks if not task.labels] if suite else []
    if suite and lacking:
        raise InputError(
            f"{arm}: answers={answers} needs tasks with labels to choose from, and {len(lacking)} of"
            f" {len(suite.tasks)} of {suite.name!r} have none, {lacking[0]} for one; take other tasks, or answers=free"
        )


_ENGINE = ", and the embedded engine (huggingface:) by any"


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


def _arm(wish: Wish, number: int, provider: str, info: ModelInfo) -> Arm:
    strategy, options = wish.strategies[number]
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
        baseline=wish.baseline and not number,
    )


def _each_once(found: Sequence[_Found]) -> dict[str, _Found]:
    """The arms by names that tell them apart. One that was wished for twice is there once."""
    arms: dict[str, _Found] = {}
    for one, name in zip(found, distinct_names([one.arm for one in found]), strict=True):
        before = arms.get(name, one).arm
        arms[name] = replace(one, arm=replace(one.arm, name=name, baseline=before.baseline or one.arm.baseline))
    return arms
