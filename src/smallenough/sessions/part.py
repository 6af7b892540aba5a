"""The part of a session's events that belongs to some of its tasks, with what its arms took for these. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from smallenough.events import (
    ArmFinished,
    ArmStarted,
    AttemptFinished,
    Event,
    ReferencesTimed,
    SessionFinished,
    SessionResumed,
    SessionStarted,
    TrialReopened,
)
from smallenough.metrics import total_usage
from smallenough.records import Usage


def part_of(events: Iterable[Event], tasks: frozenset[str]) -> Iterator[Event]:
    """The events of these tasks' trials, and those of arms.

    What an arm took was measured over all tasks. For some of them it is what their attempts took; where the arm was
    killed, and nothing says what it took, that ends it too.

    Args:
        events: those of a session.
        tasks: the tasks to keep.
    """
    arm, attempts = "", list[AttemptFinished]()
    for event in events:
        match event:
            case ArmStarted():
                yield from _killed(arm, attempts)
                arm, attempts = event.arm, []
                yield event
            case ArmFinished():
                reasons = {name: event.monitor[name] for name in ("interval", "reasons") if name in event.monitor}
                yield replace(event, usage=_taken(attempts), monitor={**reasons, "attempts": len(attempts)})
                arm = ""
            case SessionStarted() | SessionResumed() | SessionFinished() | ReferencesTimed():
                yield event
            case _:
                if isinstance(event, TrialReopened):  # somebody goes on with a session that was killed
                    yield from _killed(arm, attempts)
                    arm = ""
                if event.key.task in tasks:
                    if isinstance(event, AttemptFinished):
                        attempts.append(event)
                    yield event
    yield from _killed(arm, attempts)


def _killed(arm: str, attempts: Sequence[AttemptFinished]) -> Iterator[ArmFinished]:
    if arm and attempts:
        yield ArmFinished(arm, _taken(attempts), {"attempts": len(attempts)}, attempts[-1].time)


def _taken(attempts: Sequence[AttemptFinished]) -> Usage:
    """What attempts took together; for as long as at least one of them went on."""
    seconds = _covered([(one.started, one.time) for one in attempts])
    usages = [one.usage for one in attempts if one.usage is not None]
    if not usages or len(usages) < len(attempts):
        return Usage(seconds)
    return replace(total_usage(usages), seconds=seconds)


def _covered(spans: Sequence[tuple[float, float]]) -> float:
    """How long the spans last together, where they overlap only once."""
    seconds, until = 0.0, 0.0
    for start, end in sorted(spans):
        seconds += max(0.0, end - max(start, until))
        until = max(until, end)
    return seconds
