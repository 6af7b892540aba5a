"""Where a report's numbers come from: sessions, suites, models, versions, machines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from smallenough.analysis.findings import Findings
from smallenough.wording import NOTHING, number, size

_MAIN: Sequence[tuple[str, Sequence[str]]] = (
    ("Suite", ("suite", "suite_version")),
    ("Suite digest", ("suite_digest",)),
    ("Protocol", ("protocol",)),
    ("Tasks × repeats", ("tasks", "repeats")),
    ("Seed", ("seed",)),
    ("Requests at once", ("concurrency",)),
    ("Sandbox", ("sandbox", "sandbox_isolation")),
    ("smallenough", ("version_smallenough", "git_commit")),
    ("Python", ("version_python",)),
    ("Processor", ("hardware_cpu_model",)),
    ("Cores", ("hardware_cores_logical",)),
    ("System", ("hardware_os", "hardware_kernel")),
    ("Command", ("command",)),
)


@dataclass(frozen=True, slots=True)
class SessionOrigin:
    """One session."""

    session: str
    main: tuple[tuple[str, str], ...]
    """What a reader asks first, as label and text."""
    all: tuple[tuple[str, str], ...]
    """Every parameter."""


@dataclass(frozen=True, slots=True)
class ArmOrigin:
    """One arm: what was asked, and how."""

    arm: str
    model: str
    provider: str
    digest: str
    quantization: str
    parameters: str
    strategy: str
    sampling: str


def session_origins(found: Findings) -> tuple[SessionOrigin, ...]:
    """Every session, in the order in which they were read."""
    return tuple(_session(name, found.tables.parameters.get(name, {})) for name in found.tables.sessions)


def arm_origins(found: Findings) -> tuple[ArmOrigin, ...]:
    """Every arm, in the comparison's order."""
    rows = found.frames.arms.to_dict("index")
    return tuple(
        ArmOrigin(
            arm=label,
            model=_text(rows[label].get("model")),
            provider=_text(rows[label].get("provider")),
            digest=_text(rows[label].get("model_digest"))[:16],
            quantization=_text(rows[label].get("model_quantization")),
            parameters=_parameters(rows[label].get("model_parameters")),
            strategy=_strategy(rows[label]),
            sampling=_sampling(found, label),
        )
        for label in found.frames.labels
    )


def _session(name: str, told: Mapping[str, str]) -> SessionOrigin:
    main = [("Began", began(name)), *((label, _joined(told, keys)) for label, keys in _MAIN)]
    if memory := told.get("hardware_memory_bytes"):
        main.append(("Memory", size(float(memory))))
    return SessionOrigin(name, tuple((label, text) for label, text in main if text), tuple(sorted(told.items())))


def began(session: str) -> str:
    """When a session began, by its id; empty: its id does not say."""
    with suppress(ValueError):
        return datetime.strptime(session[:15], "%Y%m%d-%H%M%S").strftime("%Y-%m-%d %H:%M:%S")
    return ""


def _joined(told: Mapping[str, str], keys: Sequence[str]) -> str:
    between = " × " if keys == ("tasks", "repeats") else ", "
    return between.join(told[key] for key in keys if key in told)


def _strategy(row: Mapping[object, object]) -> str:
    options = row.get("options")
    told = json.loads(options) if isinstance(options, str) else {}
    chosen = ", ".join(f"{name}={value}" for name, value in told.items())
    return f"{_text(row.get('strategy'))} ({chosen})" if chosen else _text(row.get("strategy"))


def _sampling(found: Findings, label: str) -> str:
    """What the arm's attempts were sampled with."""
    attempts = found.frames.attempts
    if attempts.empty:
        return NOTHING
    own = attempts[attempts["label"] == label]
    told = []
    for column, word in (("temperature", "temperature"), ("top_p", "top-p"), ("max_tokens", "most tokens")):
        values = sorted(own[column].dropna().unique()) if column in own else []
        if values:
            told.append(f"{word} {', '.join(number(float(value)) for value in values[:6])}")
    return "; ".join(told) or NOTHING


def _parameters(value: object) -> str:
    return f"{value:,.0f}" if isinstance(value, float) and value == value else NOTHING


def _text(value: object) -> str:
    return value if isinstance(value, str) and value else NOTHING
