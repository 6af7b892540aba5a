"""The report as one HTML file that needs no network, and lets nothing run or load but its own two scripts.

What models wrote is hostile. All text goes through Jinja with escaping on, or lies as JSON in a script element that no
browser runs, where `<` is written as an escape, and reaches the page as text only. The page's policy allows scripts by
their digests alone, and no connection at all.
"""

from __future__ import annotations

import base64
import hashlib
import json
from functools import cache, partial
from importlib import resources
from typing import TYPE_CHECKING

from smallenough import wording
from smallenough.analysis import breakeven
from smallenough.analysis.evidence import ArmRow
from smallenough.analysis.report import branching, drill, figures, labels, methods, provenance
from smallenough.analysis.report.content import Content
from smallenough.analysis.report.names import arm_names, breakable, with_chips
from smallenough.analysis.verdict_words import sentences
from smallenough.records import Json

if TYPE_CHECKING:
    from jinja2 import Environment


_WIDTH = 125
"""Characters of the essential table that a laptop's page has room for; the others are in the detailed one."""


def render(content: Content, title: str, made: str) -> str:
    """The report.

    Args:
        content: what it tells.
        title: its name.
        made: when and by what it was made.
    """
    arms = arm_names(content.findings)
    shown = figures.figures(content)
    scripts = {"plotly": _plotly(), "page": _file("report.js")}
    headline, *behind = sentences(content.findings.verdict)
    data: dict[str, Json] = {
        "arms": [
            {"label": arm.label, "short": arm.short, "number": arm.look.number, "colour": arm.look.colour}
            for arm in arms
        ],
        "figures": {one.key: one.drawn for one in shown if one.drawn is not None},
        "answers": drill.drill(content.frames, content.grid, content.answers) if content.answers else None,
    }
    page = _environment().get_template("report.html.j2")
    by_label = {arm.label: arm for arm in arms}
    return page.render(
        title=title,
        made=made,
        content=content,
        arms=arms,
        by_label=by_label,
        told=partial(with_chips, arms=by_label),
        headline=headline,
        behind=behind,
        tiles=_tiles(content),
        essential=content.findings.table(width=_WIDTH),
        detailed=content.findings.table(detailed=True),
        figures=shown,
        unmeasured=figures.unmeasured(content),
        repaid=breakeven.sentences(content.repayments, content.currency),
        labels=labels.tables(content.findings.labels, content.frequencies),
        branching=branching.tables(content.branching),
        ablations=branching.ablations(content.branching),
        methods=methods.methods(content),
        sessions=provenance.session_origins(content.findings),
        origins=provenance.arm_origins(content.findings),
        style=_file("report.css"),
        scripts=scripts,
        digests=[_digest(text) for text in scripts.values()],
        data={name: embedded(value) for name, value in data.items()},
    )


def embedded(value: Json) -> str:
    """A value as JSON that can't end the element it lies in, whatever its texts hold."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in ("<", ">", "&", "\u2028", "\u2029"):
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return text.encode("utf-8", "backslashreplace").decode()


def _tiles(content: Content) -> list[dict[str, str]]:
    """The numbers that a busy reader wants: those of the arm that was found, beside the baseline's."""
    verdict, rows = content.findings.verdict, {row.arm: row for row in content.findings.comparison.rows}
    base = rows[verdict.baseline]
    if verdict.arm is None:
        return []
    found = rows[verdict.arm]

    def tile(title: str, own: str, other: str) -> dict[str, str]:
        return {"title": title, "own": own, "other": other}

    def solved(row: ArmRow) -> str:
        return wording.share(row.solved_rate.rate if row.solved_rate else None)

    tiles = [tile("tasks solved", solved(found), solved(base))]
    for name, cost in (
        ("memory", wording.size),
        ("seconds", wording.duration),
        ("cpu", wording.duration),
        ("energy", wording.energy),
    ):
        if found.costs[name] is not None:
            title = {
                "memory": "peak memory",
                "seconds": "wall time a task",
                "cpu": "CPU time a task",
                "energy": "energy a task",
            }
            tiles.append(tile(title[name], cost(found.costs[name]), cost(base.costs[name])))
    return tiles


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("smallenough.analysis.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(share=wording.share, breakable=breakable)
    return made


@cache
def _plotly() -> str:
    """Plotly's code as its package brings it."""
    from plotly.offline import get_plotlyjs

    text: str = get_plotlyjs()
    return text


def _file(name: str) -> str:
    return (resources.files("smallenough.analysis.report") / "templates" / name).read_text("utf-8")


def _digest(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
