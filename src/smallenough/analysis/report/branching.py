"""Branching taken apart, as tables of text."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby

from smallenough.analysis import ablation
from smallenough.analysis.branching import FIRST, PART, PROPOSED, Move, Reach, Rescue
from smallenough.analysis.report.content import Branching
from smallenough.analysis.wording import interval_share
from smallenough.wording import NOTHING, duration, number

_FAILURES = {
    "syntax": "syntax error",
    "name": "unknown name",
    "type": "type error",
    "assertion": "wrong result",
    "timeout": "time-out",
    "other": "another error",
}
_MOVES = {FIRST: "first question", PART: "part of a split task", PROPOSED: "put together from parts"}


@dataclass(frozen=True, slots=True)
class ArmTable:
    """A table whose first column is an arm."""

    title: str
    text: str
    """What its numbers mean."""
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def arms(self) -> tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]:
        """The rows of each arm together, without its name."""
        return tuple((arm, tuple(row[1:] for row in rows)) for arm, rows in groupby(self.rows, key=lambda row: row[0]))


def tables(found: Branching) -> tuple[ArmTable, ...]:
    """What there is to tell; empty tables are left out."""
    told = (
        ArmTable(
            "What was rescued",
            "Trials in which an attempt failed in this way before any passed the public tests, and how many of those"
            " that were tried again ended solved.",
            ("Arm", "First failure", "Trials", "Tried again", "Ended solved [95%]", "Calls after", "Time after"),
            tuple(map(_rescue, found.rescues)),
        ),
        ArmTable(
            "What each question gave",
            "How often each kind of question was asked, how many of its answers passed the public tests, and whose"
            " answer was chosen.",
            ("Arm", "Question", "Asked", "Passed public tests [95%]", "Chosen", "Of them solved"),
            tuple(map(_move, found.moves)),
        ),
        ArmTable(
            "How deep it went",
            "Trials by the depth of their tree of attempts; 0 is the first attempt alone.",
            ("Arm", "Depth", "Trials", "Solved [95%]"),
            tuple(map(_reach, found.reaches)),
        ),
    )
    return tuple(one for one in told if one.rows)


def ablations(found: Branching) -> tuple[str, ...]:
    """What single options add, in words."""
    return ablation.sentences(found.ablations)


def _rescue(one: Rescue) -> tuple[str, ...]:
    return (
        *(one.arm, _FAILURES[one.kind], str(one.trials), str(one.followed), interval_share(one.rescued)),
        *(number(one.calls_after), duration(one.seconds_after)),
    )


def _move(one: Move) -> tuple[str, ...]:
    asked = NOTHING if one.attempts is None else str(one.attempts)
    return (
        *(one.arm, _MOVES.get(one.move, one.move), asked, interval_share(one.passed), str(one.chosen)),
        str(one.chosen_solved),
    )


def _reach(one: Reach) -> tuple[str, ...]:
    return one.arm, str(one.value), str(one.solved.n), interval_share(one.solved)
