"""From a name to an implementation, by entry points; built-ins come the same way as other packages' plugins.

An implementation is announced in its package's metadata, in the group `smallenough.KIND`:

    [project.entry-points."smallenough.strategies"]
    mine = "my_package.mine:MyStrategy"
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal, TypeAlias

from smallenough.errors import InputError, UnknownName

Kind: TypeAlias = Literal["models", "sandboxes", "strategies", "tasks", "scorers", "probes"]

_SINGULAR = {
    "models": "model provider",
    "sandboxes": "sandbox",
    "strategies": "strategy",
    "tasks": "task source",
    "scorers": "scorer",
    "probes": "probe",
}


@cache
def _entries(kind: Kind) -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=f"smallenough.{kind}")}


def names(kind: Kind) -> list[str]:
    """The names of every implementation of `kind` that is installed."""
    return sorted(_entries(kind))


def load(kind: Kind, name: str) -> Any:
    """The implementation (a class) that `name` stands for.

    Raises:
        UnknownName: nothing is announced under that name.
        InputError: what is announced can't be imported; names the plugin and its package.
    """
    known = _entries(kind)
    if name not in known:
        raise UnknownName(_SINGULAR[kind], name, known)
    entry = known[name]
    try:
        return entry.load()
    except (ImportError, AttributeError) as error:
        package = entry.dist.name if entry.dist else entry.value
        raise InputError(f"{_SINGULAR[kind]} {name!r} of package {package!r} can't be loaded: {error}") from error
