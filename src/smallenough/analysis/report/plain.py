"""The numbers of a report as data frames, and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict

import pandas as pd

from smallenough.analysis import ablation, branching, breakeven, categories, classification, equal_budgets
from smallenough.analysis.report import methods, provenance
from smallenough.analysis.report.content import Content


def frames(content: Content) -> dict[str, pd.DataFrame]:
    """Every table by name; those of what there is not have no rows."""
    apart = content.branching
    return {
        "comparison": content.findings.comparison.to_frame(),
        **{f"front_{one.cost}": one.to_frame() for one in content.fronts},
        **{f"budgets_{one.cost}": one.to_frame() for one in content.budgets},
        "equal_budgets": equal_budgets.to_frame([one for found in content.equal.values() for one in found]),
        "break_even": breakeven.to_frame(content.repayments),
        "labels": classification.to_frame(content.findings.labels),
        "classes": classification.classes_frame(content.findings.labels),
        "frequencies": classification.frequencies_frame(content.frequencies),
        "categories": categories.to_frame(content.categories),
        "rescues": branching.rescues_frame(apart.rescues),
        "moves": branching.moves_frame(apart.moves),
        "reaches": branching.reaches_frame(apart.reaches),
        "ablations": ablation.to_frame(apart.ablations),
        "tasks": content.grid.to_frame(),
    }


def to_json(content: Content, title: str, origin: str) -> str:
    """All numbers as indented JSON, null for 'not measured'. Answers are in the store, not here."""
    tables = {name: frame for name, frame in frames(content).items() if name != "comparison"}
    told = {
        "title": title,
        "origin": origin,
        "findings": json.loads(content.findings.to_json()),
        "unmeasured": content.unmeasured,
        **{name: json.loads(frame.to_json(orient="records")) for name, frame in tables.items()},
        "methods": [asdict(one) for one in methods.methods(content)],
        "arms": [asdict(one) for one in provenance.arm_origins(content.findings)],
        "sessions": {one.session: dict(one.all) for one in provenance.session_origins(content.findings)},
    }
    return json.dumps(told, indent=2, ensure_ascii=False, allow_nan=False)
