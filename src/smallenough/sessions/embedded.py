"""What the embedded engine has: its packages, and the catalogue's models for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata

from smallenough.models import weights
from smallenough.models.catalogue import CatalogueEntry, entries
from smallenough.protocols import OnProgress

PROVIDER = "huggingface"

_PACKAGES = ("torch", "transformers", "gguf")


@dataclass(frozen=True, slots=True)
class EmbeddedModel:
    """A model of the catalogue that the engine can run."""

    entry: CatalogueEntry
    ready: bool
    """Whether it is on this machine."""

    @property
    def name(self) -> str:
        """As it is named on the command line."""
        return f"{PROVIDER}:{self.entry.name}"


@dataclass(frozen=True, slots=True)
class EngineState:
    """What is there."""

    versions: Mapping[str, str | None]
    """Of the packages that it needs, by name; None: not installed."""
    models: tuple[EmbeddedModel, ...]

    @property
    def installed(self) -> bool:
        """Whether all of its packages are there."""
        return None not in self.versions.values()

    @property
    def usable(self) -> bool:
        """Whether it can answer now, with one of the catalogue's models."""
        return self.installed and any(model.ready for model in self.models)


def engine_state() -> EngineState:
    """What of the embedded engine is on this machine."""
    models = tuple(EmbeddedModel(entry, weights.ready(entry)) for entry in entries() if entry.weights)
    return EngineState({name: _version(name) for name in _PACKAGES}, models)


def pull(name: str, on_progress: OnProgress) -> None:
    """Gets a model ready for the engine.

    Args:
        name: as `weights.fetch` takes it, without the provider.
        on_progress: told what is being done.

    Raises:
        ModelNotFound: there is no such model.
        InputError: it is none that the engine can use, or the cache can't be written.
        ModelError: the network, the disk or memory is in the way; a second start goes on.
    """
    weights.fetch(name, on_progress)


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
