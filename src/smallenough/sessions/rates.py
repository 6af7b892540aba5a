"""What a trial took in earlier sessions: seconds, inferences, energy, tokens. From journals, or as it was tracked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd

from smallenough import journal
from smallenough.analysis.money import Prices
from smallenough.errors import InputError, JournalError
from smallenough.events import (
    ActionsDecided,
    ArmFinished,
    ArmStarted,
    AttemptFinished,
    Event,
    Plan,
    SessionStarted,
    TrialFinished,
)
from smallenough.metrics import total
from smallenough.options import strategy_options
from smallenough.records import Arm, Ask, Json, digest
from smallenough.tracking.tables import Tables

_MOST_SESSIONS = 20
"""So many of the newest sessions are looked through."""


@dataclass(frozen=True, slots=True)
class Rate:
    """What a trial that went through takes; what failed took its part too. None: not measured."""

    seconds: float | None
    inferences: float
    joules: float | None
    """Of the machine, its GPUs included."""
    tokens: Mapping[str, tuple[float, float] | None] = field(default_factory=dict)
    """Read and written, of each model that answers; None: some of its answers have no count."""

    def money(self, prices: Prices) -> float | None:
        """What it costs; None: something that is charged for was not measured, or has no price."""
        hosted = self.tokens.keys() & prices.tokens.keys()
        by_tokens = [prices.tokens[name].cost(*(self.tokens[name] or (None, None))) for name in sorted(hosted)]
        machine = prices.cost(self.seconds, self.joules)
        return total(by_tokens if hosted and hosted == self.tokens.keys() else [*by_tokens, machine])


def rates(plan: Plan, journals: Path) -> dict[str, Rate]:
    """What a trial of each arm takes, by `alike`, from the newest sessions on this suite with the same concurrency.

    Args:
        plan: what shall be run; an arm that has not been run before has no entry.
        journals: the folder of all journals.
    """
    found: dict[str, Rate] = {}
    wanted = {alike(arm) for arm in plan.arms}
    sessions = (one for one in journal.sessions(journals) if one.suite == plan.suite)
    for session in islice(sessions, _MOST_SESSIONS):
        if wanted <= found.keys():
            break
        try:
            for arm, rate in _rates_of(session.folder, plan.concurrency).items():
                found.setdefault(arm, rate)
        except JournalError:
            continue
    return found


def alike(arm: Arm) -> str:
    """What two arms share that take the same for a task: the model, the strategy, and what sets an answer's length.

    Neither what they are called nor how answers are drawn has a part in it.
    """
    sampling = arm.sampling
    return digest(
        [
            arm.provider,
            arm.model,
            arm.strategy,
            _whole(arm),
            arm.size_class,
            [sampling.max_tokens, sampling.stop, sampling.context],
        ]
    )


def _whole(arm: Arm) -> Json:
    """An arm's options with all defaults; as they are, where this version no longer knows them."""
    try:
        return asdict(strategy_options(arm.strategy, arm.options))
    except InputError:
        return arm.options


@dataclass
class _Taken:
    """What an arm of a session took so far."""

    arm: Arm
    started: float | None = None
    """When its part began; None: none is under way."""
    whole: bool = True
    """Whether every part ended in order, and every answer was asked for: else it is not known what it takes."""
    seconds: float = 0.0
    joules: list[float | None] = field(default_factory=list)
    trials: int = 0
    attempts: int = 0
    models: dict[tuple[object, int], str] = field(default_factory=dict)
    """Whom each action asks, by trial and index."""
    tokens: dict[str, list[tuple[int | None, int | None]]] = field(default_factory=lambda: defaultdict(list))

    def take(self, event: Event) -> None:
        """Takes one of the arm's events in."""
        match event:
            case ArmStarted():
                self.whole = self.whole and self.started is None
                self.started = event.time
            case ArmFinished():
                self.seconds += event.time - (event.time if self.started is None else self.started)
                self.joules.append(event.usage.energy_joules)
                self.started = None
            case ActionsDecided():
                for place, action in enumerate(event.actions, event.first):
                    if isinstance(action, Ask):
                        self.models[event.key, place] = action.model or self.arm.model
            case AttemptFinished():
                self.attempts += 1
                if event.completion and event.completion.cached:
                    self.whole = False
                elif event.completion:
                    asked = self.models.get((event.key, event.index), self.arm.model)
                    self.tokens[asked].append((event.completion.tokens_in, event.completion.tokens_out))
            case TrialFinished(failure=None):
                self.trials += 1
            case _:
                pass

    @property
    def rate(self) -> Rate | None:
        """By trial that went through; None: none did, or what it took is not known."""
        if not self.trials or not self.whole or self.started is not None:
            return None
        joules = total(self.joules)
        return Rate(
            self.seconds / self.trials,
            self.attempts / self.trials,
            None if joules is None else joules / self.trials,
            {name: self._each(counts) for name, counts in self.tokens.items()},
        )

    def _each(self, counts: list[tuple[int | None, int | None]]) -> tuple[float, float] | None:
        read, written = (total(side) for side in zip(*counts, strict=True))
        return None if read is None or written is None else (read / self.trials, written / self.trials)


def _rates_of(folder: Path, concurrency: int) -> dict[str, Rate]:
    """The rates of a session's arms."""
    arms: dict[str, _Taken] = {}
    for _, event in journal.read(folder):
        match event:
            case SessionStarted():
                if event.plan.concurrency != concurrency:
                    return {}
                arms = {arm.name: _Taken(arm) for arm in event.plan.arms}
            case ArmStarted() | ArmFinished():
                arms[event.arm].take(event)
            case ActionsDecided() | AttemptFinished() | TrialFinished():
                arms[event.key.arm].take(event)
            case _:
                pass
    return {alike(one.arm): rate for one in arms.values() if (rate := one.rate)}


def tracked(tables: Tables, session: str) -> dict[str, Rate]:
    """What a trial of each arm of a session took, as it was tracked; an arm that goes on, or has no trial, has none.

    Args:
        tables: as the reader brings them.
        session: one of theirs.
    """
    trials, attempts, arms = (
        frame[frame["session"] == session] for frame in (tables.trials, tables.attempts, tables.arms)
    )
    found: dict[str, Rate] = {}
    for row in arms.to_dict("records"):
        name = str(row["arm"])
        outcomes = trials.loc[trials["arm"] == name, "outcome"]
        count = int((~outcomes.str.endswith("_failed")).sum())
        own = attempts[attempts["arm"] == name]
        if count and str(row["status"]) != "running":
            found[name] = Rate(
                _by(row["wall_seconds"], count),
                len(own) / count,
                _by(row["energy_joules"], count),
                {
                    str(model): _tokens(answered, count)
                    for model, answered in own[own["outcome"] != "model_failed"].groupby("model")
                },
            )
    return found


def _tokens(answers: pd.DataFrame, count: int) -> tuple[float, float] | None:
    sums = [None if answers[side].isna().any() else float(answers[side].sum()) for side in ("tokens_in", "tokens_out")]
    read, written = sums
    return None if read is None or written is None else (read / count, written / count)


def _by(value: Any, count: int) -> float | None:
    return None if pd.isna(value) else float(value) / count
