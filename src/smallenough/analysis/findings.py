"""What the tables of a store come to: the comparison, the verdict, and what else they can tell, each made on demand."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from smallenough.analysis import table
from smallenough.analysis.comparison import compare_frames
from smallenough.analysis.criterion import Criterion
from smallenough.analysis.evidence import Comparison
from smallenough.analysis.frames import Frames, common_tasks, prepare
from smallenough.analysis.money import Prices
from smallenough.analysis.verdict import Verdict, judge
from smallenough.analysis.verdict_words import sentences
from smallenough.tracking.reader import Tables


@dataclass(frozen=True, slots=True)
class Terms:
    """What is compared with what, and what counts."""

    baseline: str | None = None
    """The arm to compare with; None: the one that the sessions name."""
    prices: Prices | None = None
    """What is charged; None: as the sessions were told, if they agree."""
    margin: float | None = None
    """By how much of the solved rate an arm may be worse; None: by the number of tasks."""
    criterion: Criterion | None = None
    """What cheap means; None: peak memory, then seconds."""
    common: bool = False
    """Whether only what every arm tried is compared."""


@dataclass(frozen=True)
class Findings:
    """A comparison with its verdict, and the tables that both were made from."""

    tables: Tables
    frames: Frames
    """The tables as they were compared: checked, arms labelled, costs reckoned."""
    comparison: Comparison
    verdict: Verdict

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the numbers should know."""
        return (*self.tables.notes, *self.comparison.notes)

    def to_json(self) -> str:
        """Comparison and verdict as indented JSON, null for 'not measured'."""
        told = {
            **json.loads(self.comparison.to_json()),
            "notes": self.notes,
            "verdict": {**asdict(self.verdict), "words": sentences(self.verdict)},
        }
        return json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False)

    def to_markdown(self, *, detailed: bool = False) -> str:
        """The verdict in words, the table, and what a reader should know."""
        shown = table.markdown(self.comparison, detailed=detailed)
        return "\n".join([" ".join(sentences(self.verdict)), "", shown, *(f"- {note}" for note in self.tables.notes)])

    def _repr_markdown_(self) -> str:
        """How a notebook shows it."""
        return self.to_markdown()


def find(tables: Tables, terms: Terms | None = None) -> Findings:
    """What tables come to.

    Args:
        tables: as the reader brings them.
        terms: what is compared with what; None: the defaults.

    Raises:
        UnknownName: there is no such arm.
        InputError: there is nothing to compare, or nothing in common.
    """
    asked = terms or Terms()
    prices = asked.prices or recorded_prices(tables)
    frames = prepare(tables.trials, tables.arms, tables.attempts, prices)
    if asked.common:
        frames = common_tasks(frames)
    comparison = compare_frames(frames, asked.baseline, prices)
    return Findings(tables, frames, comparison, judge(frames, comparison, asked.margin, asked.criterion))


def recorded_prices(tables: Tables) -> Prices | None:
    """The prices with which all of the sessions were run; None: they were told none, or different ones."""
    told = [tables.prices(session) for session in tables.sessions]
    return Prices.recorded(told[0]) if all(other == told[0] for other in told) else None
