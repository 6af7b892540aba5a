"""What all figures share: one colour, symbol and number for an arm throughout, units on every axis, nothing else.

Colours are those of M. Okabe and K. Ito (2008), "Color universal design", which people tell apart whatever their colour
vision; the light ones are darkened, so that lines stand out on white paper as on a dark screen. Numbers and
symbols tell arms apart without any colour. Text is grey and the ground is clear, so that a figure stands on any page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from smallenough.analysis.costs import Cost

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

COLOURS = ("#0072b2", "#d07f00", "#009e73", "#b9568f", "#d55e00", "#3a9bd9", "#9a8a00", "#7f7f7f")
SYMBOLS = ("circle", "square", "diamond", "hexagon", "octagon", "pentagon")
"""Those that have room for a number."""

INK, GRID = "#7a828e", "rgba(127,127,127,0.25)"
BAND = 0.08
"""Opacity of a band around a line."""
EDGE = 0.4
"""Opacity of its edges, by which bands that lie over one another are told apart."""

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

_UNITS: Mapping[str, Sequence[tuple[float, str]]] = {
    "memory": ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1, "B")),
    "seconds": ((7200, "h"), (120, "min"), (1, "s"), (1e-3, "ms")),
    "cpu": ((7200, "h"), (120, "min"), (1, "s"), (1e-3, "ms")),
    "energy": ((1e6, "MJ"), (1e3, "kJ"), (1, "J")),
    "operations": ((1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"), (1, "FLOP")),
}
"""From which value on a unit is taken; a unit of time holds fewer seconds than that."""

_HELD = {"h": 3600.0, "min": 60.0}


@dataclass(frozen=True, slots=True)
class Look:
    """How an arm is drawn."""

    number: int
    """From 1: its place among the arms."""
    colour: str
    symbol: str
    dash: str = "solid"
    """Of a line; `dot` where it is not the arm's own."""

    @property
    def faint(self) -> str:
        """Its colour, nearly clear."""
        return self._clear(BAND)

    @property
    def edge(self) -> str:
        """Its colour, half clear."""
        return self._clear(EDGE)

    def _clear(self, opacity: float) -> str:
        red, green, blue = (int(self.colour[place : place + 2], 16) for place in (1, 3, 5))
        return f"rgba({red},{green},{blue},{opacity})"


def looks(labels: Sequence[str]) -> dict[str, Look]:
    """The look of each arm, by its place."""
    return {
        label: Look(at + 1, COLOURS[at % len(COLOURS)], SYMBOLS[at % len(SYMBOLS)]) for at, label in enumerate(labels)
    }


def look_of(curve: str, labels: Sequence[str]) -> Look:
    """The look of a curve: that of the arm whose name it begins with, dotted where it is not the arm's own."""
    known = looks(labels)
    if curve in known:
        return known[curve]
    arm = max((label for label in labels if curve.startswith(label)), key=len, default=labels[0])
    return replace(known[arm], dash="dot")


def marked(look: Look, *, hollow: bool = False) -> dict[str, Any]:
    """How a point of an arm is drawn, its number in it.

    Args:
        look: of the arm.
        hollow: whether only its edge is coloured.
    """
    return {
        "mode": "markers+text",
        "cliponaxis": False,
        "text": [str(look.number)],
        "textposition": "middle center",
        "textfont": {"size": 11, "weight": 700, "color": look.colour if hollow else "#ffffff"},
        "marker": {
            "color": "rgba(127,127,127,0.12)" if hollow else look.colour,
            "symbol": look.symbol,
            "size": 20,
            "line": {"width": 2 if hollow else 0, "color": look.colour},
        },
    }


def unit_of(cost: Cost, largest: float, currency: str = "") -> tuple[float, str]:
    """The unit in which a cost is drawn: what one holds, and its name.

    Args:
        cost: what is drawn.
        largest: the largest value, in the cost's own unit.
        currency: of money; empty: not known.
    """
    if cost.name not in _UNITS:
        return 1.0, currency or "units of money"
    units = _UNITS[cost.name]
    least, name = next((unit for unit in units if largest >= unit[0]), units[-1])
    return _HELD.get(name, float(least)), name


def figure(across: str, up: str, height: int = 380) -> Figure:
    """An empty figure with two named axes."""
    import plotly.graph_objects as go

    axis: dict[str, Any] = {
        "gridcolor": GRID,
        "linecolor": GRID,
        "zeroline": False,
        "automargin": True,
        "ticks": "",
    }
    return go.Figure(
        layout={
            "height": height,
            "margin": {"l": 8, "r": 12, "t": 12, "b": 8},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"family": _FONT, "size": 13, "color": INK},
            "hoverlabel": {"align": "left", "font": {"family": _FONT, "size": 13}},
            "legend": {"orientation": "h", "y": -0.25, "x": 0},
            "template": "none",
            "xaxis": {**axis, "title": {"text": across, "standoff": 8, "font": {"size": 13}}},
            "yaxis": {**axis, "title": {"text": up, "standoff": 8, "font": {"size": 13}}},
        }
    )


def share_axis(drawn: Figure, largest: float) -> None:
    """Makes the upright axis one of shares from 0 on, in percent."""
    drawn.update_yaxes(range=[0, min(1.0, largest * 1.08) or 1.0], tickformat=".0%", rangemode="tozero")
