"""The events of some of a session's tasks: whose they are, and what arms took for them."""

from __future__ import annotations

import pytest

from smallenough.events import ArmFinished, ArmStarted, AttemptFinished, Event, TrialReopened, TrialStarted
from smallenough.records import ModelInfo, TrialKey, Usage
from smallenough.sessions.part import part_of

WHOLE = Usage(100.0, cpu_seconds=90.0, cpu_provenance="measured")
KEPT = frozenset({"t"})


def begun(arm: str, time: float) -> ArmStarted:
    return ArmStarted(arm, ModelInfo("m", "replay"), "p", None, time)


def attempt(task: str, start: float, end: float, cpu: float | None = 1.0, arm: str = "a") -> AttemptFinished:
    usage = None if cpu is None else Usage(end - start, cpu_seconds=cpu, cpu_provenance="apportioned")
    return AttemptFinished(TrialKey(arm, task), 0, start, None, None, usage, end)


def ended(arm: str, time: float) -> ArmFinished:
    return ArmFinished(arm, WHOLE, {"interval": 0.1, "reasons": {}, "samples": 9}, time)


def arms(events: list[Event]) -> list[ArmFinished]:
    return [event for event in part_of(events, KEPT) if isinstance(event, ArmFinished)]


def test_only_the_tasks_own_events_are_kept_and_all_of_arms() -> None:
    kept, other = TrialStarted(TrialKey("a", "t"), 1, 1.0), TrialStarted(TrialKey("a", "u"), 1, 1.0)
    first, second = attempt("t", 1, 2), attempt("u", 2, 3)
    found = list(part_of([begun("a", 0), kept, first, other, second, ended("a", 9)], KEPT))
    assert found[:3] == [begun("a", 0), kept, first]
    assert [type(event) for event in found] == [ArmStarted, TrialStarted, AttemptFinished, ArmFinished]


def test_an_arm_took_what_its_attempts_took_and_time_that_they_shared_counts_once() -> None:
    found = arms([begun("a", 0), attempt("t", 1, 3), attempt("t", 2, 5), attempt("u", 5, 9), ended("a", 9)])
    (end,) = found
    assert end.usage.seconds == pytest.approx(4.0)
    assert end.usage.cpu_seconds == pytest.approx(2.0)
    assert end.usage.cpu_provenance == "apportioned"
    assert end.monitor == {"interval": 0.1, "reasons": {}, "attempts": 2}
    assert end.time == 9


def test_what_was_not_measured_of_one_attempt_is_not_known_of_the_arm() -> None:
    (end,) = arms([begun("a", 0), attempt("t", 1, 3), attempt("t", 3, 4, None), ended("a", 9)])
    assert end.usage == Usage(3.0)
    (none,) = arms([begun("a", 0), attempt("u", 1, 3), ended("a", 9)])
    assert none.usage == Usage(0.0)


@pytest.mark.parametrize("reopened", [False, True])
def test_a_part_that_was_killed_ends_with_what_its_attempts_took(reopened: bool) -> None:
    again: list[Event] = [TrialReopened(TrialKey("a", "t"), 4)] if reopened else []
    events = [begun("a", 0), attempt("t", 1, 3), *again, begun("a", 5), attempt("t", 6, 7), ended("a", 9)]
    assert [end.usage.seconds for end in arms(events)] == pytest.approx([2.0, 1.0])
    order = [type(event) for event in part_of(events, KEPT)]
    assert order[:3] == [ArmStarted, AttemptFinished, ArmFinished]
    before = list(part_of(events[:2], KEPT))
    assert list(part_of(events, KEPT))[: len(before)] == before, "what a session gains later only comes after"
