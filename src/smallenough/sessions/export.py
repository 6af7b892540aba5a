"""An adapter as a model of an Ollama server: made there, compared with the embedded engine, named in the catalogue."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from smallenough.errors import InputError, ModelError, ModelNotFound
from smallenough.models import catalogue
from smallenough.models.huggingface import HuggingFaceClient
from smallenough.models.ollama import OllamaClient
from smallenough.models.ollama_adapter import files_for_ollama
from smallenough.models.weights import Weights, find
from smallenough.prompts import Prompts
from smallenough.protocols import ModelClient
from smallenough.records import Request, Sampling, Suite

MOST_PROMPTS = 20
"""So many tasks of a suite are asked in both places."""
TOLERANCE = 0.2
"""The share of answers that may differ: the server computes with rounded activations, and where two tokens are nearly
as likely, that decides."""
_TOKENS = 16
"""Of each answer, so many are compared: after a token that differs, everything may."""
_TOGETHER = 8
_DEADLINE = 300.0


@dataclass(frozen=True, slots=True)
class Exported:
    """What was made."""

    name: str
    """As Ollama calls it."""
    url: str
    base: str
    prompts: int
    """Asked in both places."""
    same: int
    """Of these, answered alike."""
    catalogue: Path
    """The file that names it."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What shall be made."""

    adapter: str
    """The folder."""
    name: str
    """As Ollama shall call it."""
    url: str | None = None
    base: str | None = None
    """The base model, as Ollama calls it; None: as the embedded engine does."""
    tolerance: float = TOLERANCE
    replace: bool = False
    """Whether a model of that name may be replaced."""


def export(wanted: Wanted, suite: Suite, say: Callable[[str], None]) -> Exported:
    """Makes an Ollama model of an adapter, if it answers as the embedded engine does.

    Args:
        wanted: what shall be made.
        suite: the first tasks of it are asked.
        say: told what is being done.

    Raises:
        InputError: there is no adapter, Ollama can't use it, or the name is taken.
        ModelNotFound: the server, or this machine, does not have the base model.
        ModelError: the answers differ more than the tolerance allows; the model is removed again.
    """
    found = find(wanted.adapter)
    if found.adapter is None:
        raise InputError(f"{wanted.adapter}: is a model, and no adapter; name the folder of a LoRA adapter")
    server = OllamaClient(wanted.url)
    try:
        base = wanted.base or found.adapter.base
        _check_names(server, wanted, base)
        requests = _requests(wanted.adapter, suite)
        say(f"asking the embedded engine {len(requests)} prompts of {suite.name}")
        here = _answered_here(requests)
        with tempfile.TemporaryDirectory(prefix="smallenough-export-") as staging:
            files = files_for_ollama(found.adapter, Path(staging))
            server.create(wanted.name, base, files, lambda status, *_: say(f"{server.url}: {status}"))
        say(f"asking {wanted.name} the same")
        there = _answers(server, [_renamed(request, wanted.name) for request in requests], 1)
        server.unload(wanted.name)
        same = sum(one == other for one, other in zip(here, there, strict=True))
        if len(here) - same > wanted.tolerance * len(here):
            server.delete(wanted.name)
            raise ModelError(_told_apart(wanted, base, here, there, same))
        path = _register(wanted, found)
    finally:
        server.close()
    return Exported(wanted.name, server.url, base, len(here), same, path)


def _check_names(server: OllamaClient, wanted: Wanted, base: str) -> None:
    try:
        server.describe(base)
    except ModelNotFound as error:
        raise ModelNotFound(
            f"{error}; the adapter's base model has to be there: name it as that server calls it, with --base"
        ) from error
    try:
        server.describe(wanted.name)
    except ModelNotFound:
        return
    if not wanted.replace:
        raise InputError(f"{server.url} has a model {wanted.name!r} already; choose another name, or say --replace")


def _requests(model: str, suite: Suite) -> list[Request]:
    prompts = Prompts.load(catalogue.defaults_for(model).size_class)
    sampling = Sampling(temperature=0.0, seed=0, max_tokens=_TOKENS)
    return [Request(model, prompts.first(task.problem), sampling, _DEADLINE) for task in suite.tasks[:MOST_PROMPTS]]


def _renamed(request: Request, model: str) -> Request:
    return Request(model, request.messages, request.sampling, request.deadline)


def _answered_here(requests: Sequence[Request]) -> list[str]:
    engine = HuggingFaceClient()
    try:
        return _answers(engine, requests, _TOGETHER)
    finally:
        engine.close()


def _answers(client: ModelClient, requests: Sequence[Request], together: int) -> list[str]:
    with ThreadPoolExecutor(together) as threads:
        return [" ".join(done.text.split()) for done in threads.map(client.generate, requests)]


def _told_apart(wanted: Wanted, base: str, here: Sequence[str], there: Sequence[str], same: int) -> str:
    one, other = next((a, b) for a, b in zip(here, there, strict=True) if a != b)
    return (
        f"{wanted.name} answers {same} of {len(here)} prompts as the embedded engine does, and at most"
        f" {wanted.tolerance:.0%} may differ: {one!r} here, {other!r} there. Is {base} on that server the adapter's"
        " base model, and how is it quantized? Name another with --base, or allow for more with --tolerance; the model"
        " was removed again"
    )


def _register(wanted: Wanted, found: Weights) -> Path:
    """Names the model in the user's own catalogue, with prompts and sampling as in the embedded engine."""
    assert found.adapter is not None
    entry = catalogue.defaults_for(wanted.adapter)
    values = {
        "name": wanted.name,
        "provider": "ollama",
        "size_class": entry.size_class,
        "description": f"{found.adapter.base} with the adapter in {found.adapter.folder.absolute()}.",
        "sampling": entry.sampling.model_dump(mode="json"),
    }
    return catalogue.add(values)
