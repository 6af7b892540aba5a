"""Success at equal budgets: a curve for each arm, with its band."""

from __future__ import annotations

from typing import TYPE_CHECKING

from smallenough.analysis.budgets import BudgetCurve, Budgets
from smallenough.analysis.costs import cost_named
from smallenough.analysis.findings import Findings
from smallenough.analysis.plots.style import Look, figure, look_of, marked, share_axis, unit_of

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def success_at_budgets(found: Findings, budgets: Budgets) -> Figure | None:
    """What each arm would have solved, had each of its trials been stopped at a budget; None: there is no curve."""
    curves = [curve for curve in budgets.curves if curve.largest > 0]
    if not curves:
        return None
    cost = cost_named(budgets.cost)
    currency = found.comparison.prices.currency if found.comparison.prices else ""
    factor, unit = unit_of(cost, max(curve.largest for curve in curves), currency)
    drawn = figure(f"budget of a task: {cost.title}, {unit}", "tasks solved")
    labels = found.frames.labels
    for curve in curves:
        _band(drawn, curve, factor, look_of(curve.arm, labels))
    for curve in curves:
        _line(drawn, curve, factor, unit, look_of(curve.arm, labels))
    drawn.update_xaxes(range=[0, 1.04 * max(curve.largest for curve in curves) / factor])
    share_axis(drawn, max(high for curve in curves for high in (*curve.success, *_known(curve.high))))
    return drawn


def _band(drawn: Figure, curve: BudgetCurve, factor: float, look: Look) -> None:
    import plotly.graph_objects as go

    edges = zip(curve.success, curve.low, curve.high, strict=True)
    ends = [(rate if low is None else low, rate if high is None else high) for rate, low, high in edges]
    for place, fill in ((0, None), (1, "tonexty")):
        drawn.add_trace(
            go.Scatter(
                x=[budget / factor for budget in curve.budgets],
                y=[end[place] for end in ends],
                mode="lines",
                line={"width": 0.75, "shape": "hv", "color": look.edge},
                fill=fill,
                fillcolor=look.faint,
                hoverinfo="skip",
                showlegend=False,
            )
        )


def _line(drawn: Figure, curve: BudgetCurve, factor: float, unit: str, look: Look) -> None:
    import plotly.graph_objects as go

    drawn.add_trace(
        go.Scatter(
            x=[budget / factor for budget in curve.budgets],
            y=list(curve.success),
            mode="lines",
            line={"width": 2, "shape": "hv", "color": look.colour, "dash": look.dash},
            name=curve.arm,
            hovertemplate=f"%{{y:.0%}} with %{{x:.3~g}} {unit} a task<extra></extra>",
        )
    )
    drawn.add_trace(
        go.Scatter(
            x=[curve.largest / factor],
            y=[curve.success[-1]],
            **marked(look, hollow=look.dash != "solid"),
            showlegend=False,
            hovertemplate=f"the costliest trial took %{{x:.3~g}} {unit}<extra></extra>",
        )
    )


def _known(values: tuple[float | None, ...]) -> list[float]:
    return [value for value in values if value is not None]
