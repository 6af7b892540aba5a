"""Arms in a report: a number, a look, and a name without what all of them share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smallenough.analysis.findings import Findings
from smallenough.analysis.plots.style import Look, looks


@dataclass(frozen=True, slots=True)
class ArmName:
    """How a report calls an arm."""

    number: int
    label: str
    short: str
    look: Look
    baseline: bool


def arm_names(found: Findings) -> tuple[ArmName, ...]:
    """Every arm, in the comparison's order."""
    rows, seen = found.comparison.rows, looks(found.frames.labels)
    shorts = short_names([row.arm for row in rows], [row.provider for row in rows])
    return tuple(
        ArmName(number, row.arm, short, seen[row.arm], row.baseline)
        for number, (row, short) in enumerate(zip(rows, shorts, strict=True), 1)
    )


def short_names(labels: Sequence[str], providers: Sequence[str | None]) -> list[str]:
    """The names without a provider that all arms share."""
    shared = f"{providers[0]}:"
    if all(label.startswith(shared) for label in labels):
        return [label.removeprefix(shared) for label in labels]
    return list(labels)
