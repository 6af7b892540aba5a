"""What Ollama servers have, and what of the catalogue is missing there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from smallenough.errors import ModelError
from smallenough.models.catalogue import CatalogueEntry, entries, lookup
from smallenough.models.local import server_url
from smallenough.models.ollama import OllamaClient
from smallenough.protocols import OnProgress
from smallenough.records import ModelInfo

_PATIENCE = 5.0
"""Seconds that a server may take to say what it has."""


@dataclass(frozen=True, slots=True)
class HeldModel:
    """A model that a server has."""

    info: ModelInfo
    loaded: bool
    """Whether it occupies memory now."""


@dataclass(frozen=True, slots=True)
class ServerState:
    """What a server has; or why it can't be told."""

    url: str
    version: str | None = None
    models: tuple[HeldModel, ...] = ()
    error: str = ""
    """Empty: the server answers."""


def server_state(url: str | None = None) -> ServerState:
    """What the Ollama server at `url` has; None: `OLLAMA_HOST`, else the one on this machine.

    Raises:
        InputError: `url` has no meaning as an address.
    """
    client = OllamaClient(url, retries=0, patience=_PATIENCE)
    try:
        version, models, loaded = client.health(), client.list_models(), set(client.loaded())
    except ModelError as error:
        return ServerState(client.url, error=str(error))
    finally:
        client.close()
    held = (HeldModel(info, info.name in loaded) for info in models)
    return ServerState(client.url, version, tuple(sorted(held, key=lambda one: one.info.name)))


def server_states(urls: Sequence[str] = ()) -> list[ServerState]:
    """The state of every server, each once; no URL: the default one.

    Raises:
        InputError: a URL has no meaning as an address.
    """
    return [server_state(url) for url in dict.fromkeys(server_url(url) for url in urls or (None,))]


def missing(states: Sequence[ServerState]) -> list[CatalogueEntry]:
    """Models of the catalogue that some of the servers lacks, in the catalogue's order."""
    held = [{lookup(one.info.name) for one in state.models} for state in states if not state.error]
    theirs = [entry for entry in entries() if entry.provider == "ollama"]
    return [entry for entry in theirs if any(entry not in names for names in held)]


def pull(url: str, model: str, on_progress: OnProgress | None = None) -> None:
    """Has the server at `url` fetch a model.

    Raises:
        ModelNotFound: there is no such model to pull.
        ModelUnavailable: no server answers, or it can't reach its registry.
    """
    client = OllamaClient(url, retries=0)
    try:
        client.pull(model, on_progress)
    finally:
        client.close()
