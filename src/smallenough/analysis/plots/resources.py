"""What the models' processes took from moment to moment, arm by arm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from smallenough.analysis.costs import COSTS
from smallenough.analysis.findings import Findings
from smallenough.analysis.plots.style import figure, looks, marked, unit_of
from smallenough.analysis.statistics import Floats

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Samples = Mapping[tuple[str, str], pd.DataFrame]
"""The samples of arms, by session and arm, as the tracking store has them."""

POINTS = 150
"""Of a line: each is the mean of the samples of so long a stretch."""

_GAP = 30.0
"""Seconds without a sample after which a line breaks: the arm was interrupted."""


@dataclass(frozen=True, slots=True)
class Series:
    """A measure over time."""

    title: str
    up: str
    """What the upright axis says, with the unit."""
    columns: str
    """A pattern of the samples' columns, which are added up."""
    factor: float


SERIES = (
    Series("Resident memory of the models' processes", "GB", r"resident_bytes", 1e9),
    Series("CPU of the models' processes", "cores in use", r"cpu_percent", 100),
    Series("Use of the GPUs, added up", "%", r"gpu_\d+_percent", 1),
    Series("Memory on the GPUs", "GB", r"gpu_\d+_device_memory_bytes", 1e9),
    Series("Power of the GPUs", "W", r"gpu_\d+_power_watts", 1),
    Series("Energy of the machine since the arm began", "kJ", r"energy_joules", 1e3),
)


def resource_series(found: Findings, samples: Samples, series: Series) -> Figure | None:
    """One measure of every arm over the time since it began; None: it was measured for none."""
    import plotly.graph_objects as go

    sampled = (
        (str(label), samples.get((str(row["session"]), str(row["arm"])))) for label, row in found.frames.arms.iterrows()
    )
    means = {label: line for label, frame in sampled if frame is not None and (line := _means(frame, series))}
    if not means:
        return None
    factor, unit = unit_of(COSTS["seconds"], max(seconds[-1] for seconds, _ in means.values()))
    drawn = figure(f"time since the arm began, {unit}", series.up, height=300)
    for label, (seconds, values) in means.items():
        look = looks(found.frames.labels)[label]
        across, up = _with_holes(seconds, values, factor)
        drawn.add_trace(
            go.Scatter(
                x=across,
                y=up,
                mode="lines",
                line={"width": 1.75, "color": look.colour},
                connectgaps=False,
                name=label,
                hovertemplate="%{y:.3~g} after %{x:.3~g} " + unit + "<extra></extra>",
            )
        )
        drawn.add_trace(go.Scatter(x=[across[-1]], y=[up[-1]], **marked(look), showlegend=False, hoverinfo="skip"))
    drawn.update_yaxes(rangemode="tozero")
    return drawn


def _means(frame: pd.DataFrame, series: Series) -> tuple[Floats, Floats] | None:
    """Seconds since the start, and the measure's mean in each stretch; None: it was not measured."""
    columns = list(frame.filter(regex=f"^{series.columns}$").columns)
    if not columns or "time" not in frame:
        return None
    values = frame[columns].sum(axis=1, min_count=len(columns)) / series.factor
    seconds = frame["time"] - frame["time"].iloc[0]
    kept = values.notna() & seconds.notna()
    if not kept.any():
        return None
    found = pd.DataFrame({"seconds": seconds[kept], "value": values[kept]})
    width = max(float(seconds.max()) / POINTS, 1e-9)
    means = found.groupby((found["seconds"] // width).astype(int)).mean()
    return means["seconds"].to_numpy(dtype=np.float64), means["value"].to_numpy(dtype=np.float64)


def _with_holes(seconds: Floats, values: Floats, factor: float) -> tuple[list[float | None], list[float | None]]:
    """The points of a line, with a hole where there was no sample for long."""
    gaps = np.diff(seconds)
    holes = np.flatnonzero(gaps > max(_GAP, 3 * float(np.median(gaps)) if len(gaps) else 0.0)) + 1
    return _plain(np.insert(seconds / factor, holes, np.nan)), _plain(np.insert(values, holes, np.nan))


def _plain(values: Floats) -> list[float | None]:
    return [None if np.isnan(value) else float(f"{value:.5g}") for value in values]
