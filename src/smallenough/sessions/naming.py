"""What arms are called: by model, strategy and options, and by whatever else tells namesakes apart. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from smallenough.records import Arm, Json


def arm_name(model: str, provider: str, strategy: str, options: Mapping[str, Json]) -> str:
    """`MODEL STRATEGY OPTION=VALUE,…`, with the options that were given; no provider is named where it is empty."""
    told = options_text(options)
    # Two providers may have a model of the same name.
    shown = model if provider.partition(":")[0] in ("", "ollama", "replay") else f"{provider}:{model}"
    return f"{shown} {strategy}" + (f" {told}" if told else "")


def options_text(options: Mapping[str, Json]) -> str:
    """Options as a command line, or an experiment file, says them: `feedback=off,ladder=0.1;0.5`."""
    return ",".join(f"{name}={_short(value)}" for name, value in options.items())


def distinct_names(arms: Sequence[Arm]) -> list[str]:
    """A name for each arm: its own and, where other arms of that name differ from it, in what they differ.

    So two arms have one name only if they are the same but for which is the baseline.
    """
    facets = [_facets(arm) for arm in arms]
    return [
        " ".join([arm.name, *filter(None, [_differences(own, _namesakes(arm, arms, facets))])])
        for arm, own in zip(arms, facets, strict=True)
    ]


_Facets = Mapping[tuple[str, str], Json]


def _facets(arm: Arm) -> _Facets:
    """All that makes an arm besides what its name always tells; by where it belongs, and its name."""
    parts = {"sampling": asdict(arm.sampling), "option": arm.options}
    named = {("arm", "prompts"): arm.size_class, ("arm", "provider"): arm.provider}
    return {**named, **{(part, name): value for part, values in parts.items() for name, value in values.items()}}


def _namesakes(arm: Arm, arms: Sequence[Arm], facets: Sequence[_Facets]) -> list[_Facets]:
    return [found for other, found in zip(arms, facets, strict=True) if other.name == arm.name]


def _differences(own: _Facets, others: Sequence[_Facets]) -> str:
    return ",".join(
        f"{key[1]}={_short(value)}" for key, value in own.items() if any(other.get(key) != value for other in others)
    )


def _short(value: Json) -> str:
    if value is None:
        return "default"
    if isinstance(value, bool):
        return "on" if value else "off"
    return ";".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
