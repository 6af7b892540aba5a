"""What the tables of a store come to: the comparison, the verdict, and what else they can tell, each made on demand."""

from __future__ import annotations

import json
from collections.abc import Sequence
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

    def _repr_markdown_(self) -> str:
        """How a notebook shows it."""
        return "\n\n".join([" ".join(sentences(self.verdict)), table.markdown(self.comparison), *self.tables.notes])


def find(
    tables: Tables,
    *,
    baseline: str | None = None,
    prices: Prices | None = None,
    margin: float | None = None,
    criterion: Criterion | None = None,
    common: bool = False,
) -> Findings:
    """What tables come to.

    Args:
        tables: as the reader brings them.
        baseline: the arm to compare with; None: the one that the sessions name.
        prices: what is charged; None: as the sessions were told, if they agree.
        margin: by how much of the solved rate an arm may be worse; None: by the number of tasks.
        criterion: what cheap means; None: peak memory, then seconds.
        common: whether only what every arm tried is compared.

    Raises:
        UnknownName: there is no such arm.
        InputError: there is nothing to compare, or nothing in common.
    """
    charged = prices or recorded_prices(tables)
    frames = prepare(tables.trials, tables.arms, tables.attempts, charged)
    if common:
        frames = common_tasks(frames)
    comparison = compare_frames(frames, baseline, charged)
    return Findings(tables, frames, comparison, judge(frames, comparison, margin, criterion))


def recorded_prices(tables: Tables) -> Prices | None:
    """The prices with which all of the sessions were run; None: they were told none, or different ones."""
    told: Sequence[dict[str, str]] = [dict(tables.prices.get(session, {})) for session in tables.sessions]
    return Prices.recorded(told[0]) if all(other == told[0] for other in told) else None
