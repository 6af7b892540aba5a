"""What the models' processes took from moment to moment, arm by arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from smallenough.analysis.findings import Findings
from smallenough.analysis.plots.style import figure, looks, marked

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
    Series("Memory of the models' processes", "GB", r"resident_bytes", 1e9),
    Series("CPU of the models' processes", "cores in use", r"cpu_percent", 100),
    Series("Use of the GPUs, added up", "%", r"gpu_\d+_percent", 1),
    Series("Memory on the GPUs", "GB", r"gpu_\d+_device_memory_bytes", 1e9),
    Series("Power of the GPUs", "W", r"gpu_\d+_power_watts", 1),
    Series("Energy of the machine since the arm began", "kJ", r"energy_joules", 1e3),
)


def resource_series(found: Findings, samples: Samples, series: Series) -> Figure | None:
    """One measure of every arm over the time since it began; None: it was measured for none."""
    import plotly.graph_objects as go

    drawn = figure("time since the arm began, min", series.up, height=300)
    known = looks(found.frames.labels)
    for label, row in found.frames.arms.iterrows():
        frame = samples.get((str(row["session"]), str(row["arm"])))
        line = None if frame is None else _line(frame, series)
        if line is None:
            continue
        look = known[str(label)]
        drawn.add_trace(
            go.Scatter(
                x=line[0],
                y=line[1],
                mode="lines",
                line={"width": 1.75, "color": look.colour},
                connectgaps=False,
                name=str(label),
                hovertemplate="%{y:.3~g} after %{x:.2~f} min<extra></extra>",
            )
        )
        last = max(at for at, value in enumerate(line[1]) if value is not None)
        drawn.add_trace(
            go.Scatter(x=[line[0][last]], y=[line[1][last]], **marked(look), showlegend=False, hoverinfo="skip")
        )
    drawn.update_yaxes(rangemode="tozero")
    return drawn if drawn.data else None


def _line(frame: pd.DataFrame, series: Series) -> tuple[list[float | None], list[float | None]] | None:
    """Minutes and means of the measure, with a hole where there are no samples; None: it was not measured."""
    columns = list(frame.filter(regex=f"^{series.columns}$").columns)
    if not columns or "time" not in frame or frame[columns].isna().all(axis=None):
        return None
    values = frame[columns].sum(axis=1, min_count=len(columns)) / series.factor
    seconds = frame["time"] - frame["time"].iloc[0]
    kept = values.notna() & seconds.notna()
    values, seconds = values[kept], seconds[kept]
    width = max(float(seconds.max()) / POINTS, 1e-9)
    means = pd.DataFrame({"at": seconds, "value": values}).groupby((seconds // width).astype(int)).mean()
    at, value = means["at"].to_numpy(), means["value"].to_numpy()
    holes = np.flatnonzero(np.diff(at) > max(_GAP, 3 * width)) + 1
    minutes = np.insert(at / 60, holes, np.nan)
    return _plain(minutes), _plain(np.insert(value, holes, np.nan))


def _plain(values: Sequence[float] | np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else float(f"{value:.5g}") for value in values]
