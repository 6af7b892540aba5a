"""Arms in a report: a number, a look, and a name without what all of them share."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from smallenough.analysis.findings import Findings
from smallenough.analysis.plots.style import Look, looks

_BREAKS = re.compile(r"([,=:/;_ ]+)")
"""After these a long name may be broken."""


@dataclass(frozen=True, slots=True)
class ArmName:
    """How a report calls an arm."""

    label: str
    short: str
    look: Look
    baseline: bool

    def chip(self) -> Markup:
        """Its number on its colour, and its name."""
        return Markup(
            '<span class="chip" style="--arm: {}" title="{}"><i class="n">{}</i><span>{}</span></span>'
        ).format(self.look.colour, self.label, self.look.number, breakable(self.short))


def arm_names(found: Findings) -> tuple[ArmName, ...]:
    """Every arm, in the comparison's order."""
    rows, seen = found.comparison.rows, looks(found.frames.labels)
    shorts = short_names([row.arm for row in rows], [row.provider for row in rows])
    return tuple(ArmName(row.arm, short, seen[row.arm], row.baseline) for row, short in zip(rows, shorts, strict=True))


def short_names(labels: Sequence[str], providers: Sequence[str | None]) -> list[str]:
    """The names without a provider that all arms share."""
    shared = f"{providers[0]}:"
    if all(label.startswith(shared) for label in labels):
        return [label.removeprefix(shared) for label in labels]
    return list(labels)


def breakable(text: str) -> Markup:
    """Text that may be broken after its signs."""
    return Markup("").join(
        escape(part) + Markup("<wbr>") if place % 2 else escape(part) for place, part in enumerate(_BREAKS.split(text))
    )


def with_chips(text: str, arms: Mapping[str, ArmName]) -> Markup:
    """A sentence in which arms stand as they do elsewhere in the report, instead of by their quoted names."""
    quoted = {repr(label): arm for label, arm in arms.items()}
    pattern = "|".join(re.escape(name) for name in sorted(quoted, key=len, reverse=True))
    parts = re.split(f"({pattern})", text)
    return Markup("").join(quoted[part].chip() if part in quoted else escape(part) for part in parts)
