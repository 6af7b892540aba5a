"""Success against the size of models, and against what a task costs, with the front."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any

from smallenough.analysis.costs import COSTS, cost_named
from smallenough.analysis.evidence import ArmRow
from smallenough.analysis.findings import Findings
from smallenough.analysis.pareto import Front, FrontArm
from smallenough.analysis.plots.style import INK, Look, figure, looks, marked, share_axis, unit_of
from smallenough.analysis.wording import interval_share
from smallenough.wording import number, share

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_STEP = 0.045
"""Between arms of one size, as a share of the axis."""

_LOGARITHMIC = 30
"""Costs whose largest is so many times the smallest are drawn on a logarithmic axis."""


def model_sizes(found: Findings) -> dict[str, int | None]:
    """Parameters of all models that each arm asks, by its label; None: not known of one of them."""
    return {
        label: _parameters(row) for label, row in found.frames.arms.to_dict("index").items() if label in _labels(found)
    }


def size_against_success(found: Findings) -> Figure | None:
    """Success of each arm by the size of its models, with the interval; None: no size is known.

    Arms of one size stand side by side; a dotted line leads from a model as it is to the same one fine-tuned.
    """
    import plotly.graph_objects as go

    sizes = {label: size for label, size in model_sizes(found).items() if size}
    rows = [row for row in found.comparison.rows if row.arm in sizes and row.solved_rate]
    if not rows:
        return None
    places = {row.arm: math.log10(sizes[row.arm]) for row in rows}
    span = (max(places.values()) - min(places.values())) or 1.0
    drawn = figure("parameters, logarithmic", "tasks solved")
    seen: dict[float, int] = {}
    alike = {place: list(places.values()).count(place) for place in places.values()}
    for row in rows:
        place, look = places[row.arm], looks(_labels(found))[row.arm]
        at = seen[place] = seen.get(place, -1) + 1
        assert row.solved_rate is not None
        rate, interval = row.solved_rate.rate, row.solved_rate.interval
        drawn.add_trace(
            go.Scatter(
                x=[place + span * _STEP * (at - (alike[place] - 1) / 2)],
                y=[rate],
                error_y=_error(rate, interval.low, interval.high, look),
                **marked(look),
                name=row.arm,
                hovertemplate=f"{_safe(row.arm)}<br>{_size(sizes[row.arm])} parameters<br>solved"
                f" {interval_share(row.solved_rate)}<extra></extra>",
            )
        )
    for tuned, plain in tuned_from(found).items():
        ends = [_point(drawn, label) for label in (plain, tuned) if label in places]
        if len(ends) == 2:
            drawn.add_trace(
                go.Scatter(
                    x=[end[0] for end in ends],
                    y=[end[1] for end in ends],
                    mode="lines",
                    line={"color": INK, "width": 1.5, "dash": "dot"},
                    hoverinfo="skip",
                    showlegend=False,
                )
            )
    ticks = sorted({places[row.arm]: _size(sizes[row.arm]) for row in rows}.items())
    drawn.update_xaxes(tickvals=[at for at, _ in ticks], ticktext=[text for _, text in ticks])
    drawn.update_xaxes(range=[ticks[0][0] - 0.18 * span, ticks[-1][0] + 0.18 * span])
    share_axis(drawn, max(row.solved_rate.interval.high for row in rows if row.solved_rate))
    return drawn


def tuned_from(found: Findings) -> dict[str, str]:
    """Each arm of a fine-tuned model, and the arm of the same model as it is that is asked in the same way."""
    rows = found.frames.arms.to_dict("index")
    if not all({"base_model", "options"} <= row.keys() for row in rows.values()):
        return {}
    as_is = {
        (row["model"], row["strategy"], row["options"]): str(label)
        for label, row in rows.items()
        if not isinstance(row["base_model"], str)
    }
    asked = {str(label): (row["base_model"], row["strategy"], row["options"]) for label, row in rows.items()}
    return {label: as_is[key] for label, key in asked.items() if key in as_is}


def f1_against(found: Findings, measure: str) -> Figure | None:
    """Macro F1 of each arm on labels by what it takes or how fast it is; None: no answer is a label, or not measured.

    Args:
        found: the findings.
        measure: one of `F1_AGAINST`.
    """
    import plotly.graph_objects as go

    across, cost, value = F1_AGAINST[measure]
    rows = {row.arm: row for row in found.comparison.rows}
    f1 = {one.arm: one.measures.get("macro_f1") for one in found.labels}
    points = [(arm, at, one) for arm, one in f1.items() if one and (at := value(rows[arm])) is not None]
    if not points:
        return None
    factor, unit = unit_of(COSTS[cost], max(at for _, at, _ in points)) if cost else (1.0, "tokens/s")
    drawn = figure(f"{across}, {unit}", "macro F1")
    for arm, at, one in points:
        look = looks(_labels(found))[arm]
        drawn.add_trace(
            go.Scatter(
                x=[at / factor],
                y=[one.value],
                error_y=_around(one.value, one.interval, 1.0, look),
                **marked(look),
                name=arm,
                hovertemplate=f"{_safe(arm)}<br>macro F1 {share(one.value)}<br>%{{x:.3~g}} {unit}<extra></extra>",
            )
        )
    drawn.update_xaxes(rangemode="tozero")
    share_axis(drawn, max(one.interval.high if one.interval else one.value for _, _, one in points))
    return drawn


F1_AGAINST: Mapping[str, tuple[str, str, Callable[[ArmRow], float | None]]] = {
    "latency": ("time of a task", "seconds", lambda row: row.measures["latency_seconds"].mean),
    "memory": ("peak memory of the arm", "memory", lambda row: row.totals.peak_memory_bytes),
    "tokens": ("tokens generated per second", "", lambda row: row.measures["tokens_per_second"].mean),
}
"""What F1 can be drawn against: the axis, the cost whose unit it has (empty: tokens a second), and an arm's value."""


def success_against_cost(found: Findings, front: Front) -> Figure | None:
    """Success of each arm by what a task costs it; the arms on the front are joined, the others hollow.

    Returns:
        The figure; None: no arm has a place.
    """
    import plotly.graph_objects as go

    if not front.arms:
        return None
    cost = cost_named(front.cost)
    currency = found.comparison.prices.currency if found.comparison.prices else ""
    factor, unit = unit_of(cost, max(_high(one) for one in front.arms), currency)
    drawn = figure(f"{cost.title} {_of(front.cost)}, {unit}", "tasks solved")
    on = [one for one in front.arms if one.on_front]
    drawn.add_trace(
        go.Scatter(
            x=[one.cost / factor for one in on],
            y=[one.success for one in on],
            mode="lines",
            line={"color": INK, "width": 1.5, "dash": "dot", "shape": "hv"},
            hoverinfo="skip",
            showlegend=False,
        )
    )
    for one in front.arms:
        look = looks(_labels(found))[one.arm]
        drawn.add_trace(
            go.Scatter(
                x=[one.cost / factor],
                y=[one.success],
                error_y=_around(one.success, one.success_interval, 1.0, look),
                error_x=_around(one.cost / factor, one.cost_interval, factor, look),
                **marked(look, hollow=not one.on_front),
                name=one.arm,
                hovertemplate=f"{_safe(one.arm)}<br>solves {share(one.success)}<br>"
                f"{cost.title} {cost.write(one.cost)}<br>on the front in {share(one.front_share)} of resamples"
                "<extra></extra>",
            )
        )
    costs = [one.cost for one in front.arms]
    if min(costs) > 0 and max(costs) > _LOGARITHMIC * min(costs):
        drawn.update_xaxes(type="log")
    else:
        drawn.update_xaxes(rangemode="tozero")
    share_axis(drawn, max(one.success_interval.high if one.success_interval else one.success for one in front.arms))
    return drawn


def _point(drawn: Figure, arm: str) -> tuple[float, float]:
    """Where an arm was drawn."""
    trace = next(trace for trace in drawn.data if trace.name == arm)
    return trace.x[0], trace.y[0]


def _labels(found: Findings) -> tuple[str, ...]:
    return found.frames.labels


def _parameters(row: Mapping[Hashable, Any]) -> int | None:
    own, further = row.get("model_parameters"), row.get("further_models")
    others = [one.get("parameters") for one in json.loads(further)] if isinstance(further, str) else []
    if not isinstance(own, int | float) or math.isnan(own) or None in others:
        return None
    return int(own + sum(others))


def _size(parameters: int) -> str:
    """`135M`, `1.7B`."""
    factor, letter = (1e9, "B") if parameters >= 1e9 else (1e6, "M")
    return f"{number(parameters / factor)}{letter}"


def _of(cost: str) -> str:
    return "of the arm" if cost == "memory" else "of a task"


def _high(one: FrontArm) -> float:
    return max(one.cost, one.cost_interval.high) if one.cost_interval else one.cost


def _around(value: float, interval: object, factor: float, look: Look) -> dict[str, object] | None:
    low, high = (getattr(interval, end, None) for end in ("low", "high"))
    return None if low is None or high is None else _error(value, low / factor, high / factor, look)


def _error(value: float, low: float, high: float, look: Look) -> dict[str, object]:
    return {
        "type": "data",
        "array": [max(high - value, 0.0)],
        "arrayminus": [max(value - low, 0.0)],
        "color": look.colour,
        "thickness": 1.5,
        "width": 4,
    }


def _safe(text: str) -> str:
    """Text in which a figure finds no tags and no places to fill."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("%{", "% {")
