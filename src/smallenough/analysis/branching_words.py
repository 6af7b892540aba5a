"""Branching from within, in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from smallenough.analysis.branching import FIRST, PROPOSED, Move, Reach, Rescue
from smallenough.analysis.wording import interval_share
from smallenough.wording import duration, number, share

_FAILED = {
    "syntax": "an error of syntax",
    "name": "an unknown name",
    "type": "an error of type",
    "assertion": "a wrong result",
    "timeout": "a time-out",
    "other": "another error",
}
_MEASURES = {
    "branching_depth": ("no deeper than the first attempt", "1 level deep", "{} levels deep"),
    "model_calls": ("with no call", "with 1 call", "with {} calls"),
}


def rescue_sentences(found: Sequence[Rescue]) -> Iterator[str]:
    """Each kind of failure, of the arms that tried again at all."""
    again = {one.arm for one in found if one.followed}
    return (rescue_sentence(one) for one in found if one.arm in again)


def rescue_sentence(found: Rescue) -> str:
    """What became of one kind of failure in an arm."""
    seen = f"{found.arm!r}: {_FAILED[found.kind]} in {_count(found.trials, 'trial')}"
    if found.rescued is None:
        return f"{seen}, none of which was tried again."
    tried = "" if found.followed == found.trials else f", {found.followed} of them tried again"
    text = f"{seen}{tried}; {found.rescued.successes} ended solved ({interval_share(found.rescued)})"
    spent = [
        _calls(found.calls_after) if found.calls_after is not None else "",
        duration(found.seconds_after) if found.seconds_after is not None else "",
        f"{number(found.tokens_after)} tokens" if found.tokens_after is not None else "",
    ]
    after = ", ".join(filter(None, spent))
    each = f", {duration(found.seconds_per_rescue)} for each rescue" if found.seconds_per_rescue is not None else ""
    return f"{text}, after {after} on average{each}." if after else f"{text}."


def move_sentence(found: Move) -> str:
    """How one kind of question fared in an arm."""
    gave = f"gave the answer of {_count(found.chosen, 'trial')}, {found.chosen_solved} of them solved"
    if found.attempts is None or found.trials is None:
        name = "a solution put together from parts" if found.move == PROPOSED else repr(found.move)
        return f"{found.arm!r}: {name} {gave}."
    name = "the first question" if found.move == FIRST else repr(found.move)
    often = f"was asked {_times(found.attempts)} in {_count(found.trials, 'trial')}"
    passed = f", passed the public tests in {interval_share(found.passed)}" if found.passed else ""
    return f"{found.arm!r}: {name} {often}{passed}, and {gave}."


def reach_sentences(found: Sequence[Reach]) -> Iterator[str]:
    """How far the trials of each arm went, and how many of them were solved there."""
    for (arm, measure), group in groupby(found, key=lambda one: (one.arm, one.measure)):
        none, once, many = _MEASURES[measure]
        parts = [
            f"{_count(one.solved.n, 'trial')} {(none, once)[one.value] if one.value < 2 else many.format(one.value)}"
            f" ({share(one.solved.rate)} solved)"
            for one in group
        ]
        yield f"{arm!r}: {', '.join(parts)}."


def _calls(calls: float) -> str:
    return "1 more call" if calls == 1 else f"{number(calls)} more calls"


def _count(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count:,} {what}s"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"
