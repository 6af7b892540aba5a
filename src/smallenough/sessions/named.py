"""From names to what they stand for: model clients, sandboxes, strategies with their prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from smallenough import plugins
from smallenough.errors import InputError, SandboxError
from smallenough.models.balanced import BalancedClient
from smallenough.models.catalogue import class_as, defaults_for, own
from smallenough.options import strategy_options
from smallenough.prompts import Prompts
from smallenough.protocols import ModelClient, Sandbox, Strategy
from smallenough.records import Arm, Execution, Limits, ModelInfo, Program, Suite


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


def check_provider(provider: str) -> None:
    """Sees that a provider is known, and the file of recordings that it may name; asks no server.

    Raises:
        UnknownName: no such provider.
        InputError: the file is not as it should be.
    """
    name, _, detail = provider.partition(":")
    kind: Any = plugins.load("models", name)
    if detail:
        kind.from_file(detail)


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


class NoSandbox:
    """In place of a sandbox, where no answer is code: labels need none."""

    name = "none"

    def describe(self) -> Mapping[str, str]:
        """Nothing is held, since nothing runs."""
        return {}

    def run(self, program: Program, limits: Limits) -> Execution:
        """Runs nothing.

        Raises:
            SandboxError: always.
        """
        raise SandboxError("this suite has no task whose answer is code, and no sandbox was made")


def sandbox_for(suite: Suite | None, name: str) -> Sandbox:
    """What the answers to a suite's tasks are run in: the sandbox of that name, unless all of them are labels.

    Raises:
        UnknownName: no such sandbox.
        SandboxError: it does not work here; says how to mend it.
    """
    labels = suite is not None and all(task.kind == "label" for task in suite.tasks)
    return NoSandbox() if labels else make_sandbox(name)


def make_strategy(arm: Arm, prompts: Prompts) -> Strategy:
    """The strategy of an arm.

    Raises:
        UnknownName: no such strategy or option.
        InputError: an option's value is wrong.
    """
    strategy: Strategy = plugins.load("strategies", arm.strategy)(strategy_options(arm.strategy, arm.options), prompts)
    return strategy


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
    problems = {task.kind == "label": task.problem for task in (*suite.examples, *suite.tasks)}
    prompts = replace(prompts, others=others).only(problems.values())
    for problem in problems.values():
        prompts.check(problem)
    return prompts


def further_models(arm: Arm, client: ModelClient) -> tuple[ModelInfo, ...]:
    """What is known of the models that an arm's strategy asks besides the arm's own.

    Raises:
        ModelNotFound: the server does not have one.
        ModelUnavailable: no server answers.
    """
    return tuple(client.describe(model) for model in strategy_options(arm.strategy, arm.options).models)
