"""smallenough: the smallest model that is good enough, with the evidence in MLflow."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from smallenough.api import ExperimentRunner
    from smallenough.metrics import MetricsCollector
    from smallenough.records import Sampling
    from smallenough.sessions.settings import Settings, Wish

__version__ = "0.1.0"

__all__ = ["ExperimentRunner", "MetricsCollector", "Sampling", "Settings", "Wish"]

_HOMES = {
    "ExperimentRunner": "api",
    "MetricsCollector": "metrics",
    "Sampling": "records",
    "Settings": "sessions.settings",
    "Wish": "sessions.settings",
}


def __getattr__(name: str) -> object:
    """Imports what is public when it is first used, so that the command line starts quickly."""
    from importlib import import_module

    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
