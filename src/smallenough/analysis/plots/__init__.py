"""Figures of what was found, for reports and notebooks; each function gives a Plotly figure, or None for no data.

Plotly is imported when a figure is made.
"""

from __future__ import annotations

from smallenough.analysis.plots.budgets import success_at_budgets
from smallenough.analysis.plots.resources import SERIES, Samples, resource_series
from smallenough.analysis.plots.success import (
    F1_AGAINST,
    f1_against,
    model_sizes,
    size_against_success,
    success_against_cost,
    tuned_from,
)

__all__ = [
    "F1_AGAINST",
    "SERIES",
    "Samples",
    "f1_against",
    "model_sizes",
    "resource_series",
    "size_against_success",
    "success_against_cost",
    "success_at_budgets",
    "tuned_from",
]
