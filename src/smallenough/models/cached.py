"""Answers that are kept: a model that is asked the same as before need not be asked again.

An answer is the same where the model's digest, the provider's version, the messages, the sampling and the allowed
answers are, and no chance has a part in it: at temperature 0, with a seed, or where the likeliest of some answers is
chosen. What an answer took when it was given is kept with it; one that comes from here says so (`Completion.cached`),
and is in no timing.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from smallenough.protocols import ModelClient, OnToken
from smallenough.records import Completion, Json, ModelInfo, Request, digest, replace

_COMPLETION = TypeAdapter(Completion)


def asked(info: ModelInfo, request: Request) -> Json:
    """What an answer depends on; None: also on chance, or on a model that can't be told from others."""
    sampling, choices = request.sampling, request.choices
    certain = sampling.temperature == 0 or (choices is not None and choices.by == "likelihood")
    if info.digest is None or (not certain and sampling.seed is None):
        return None
    return {
        "model": [info.provider, info.digest, info.version, info.dtype],
        "messages": [asdict(message) for message in request.messages],
        "sampling": asdict(replace(sampling, seed=None) if certain else sampling),
        "choices": asdict(choices) if choices else None,
    }


class PredictionCache:
    """Completions in a folder, a file each. Safe to use from several threads and processes.

    Args:
        folder: it need not exist.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def find(self, identity: Json) -> Completion | None:
        """What was kept; None: nothing was, or it is damaged."""
        try:
            entry: Any = json.loads(self._path(identity).read_text("utf-8"))
            if entry["asked"] != json.loads(json.dumps(identity)):
                return None
            return _COMPLETION.validate_python(entry["completion"])
        except (OSError, ValueError, KeyError, TypeError, ValidationError):
            return None

    def keep(self, identity: Json, completion: Completion) -> None:
        """Keeps a completion; where that can't be done, it has to be asked for again another time."""
        path = self._path(identity)
        with contextlib.suppress(OSError, UnicodeEncodeError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                "w", dir=path.parent, suffix=".new", encoding="utf-8", delete=False
            ) as new:
                json.dump({"asked": identity, "completion": asdict(completion)}, new)
            os.replace(new.name, path)  # noqa: PTH105 - a name, not a path

    def _path(self, identity: Json) -> Path:
        name = digest(identity)
        return self._folder / name[:2] / f"{name}.json"


class CachedClient:
    """Answers with what was kept, else with another client. Safe to call from several threads where that is.

    Args:
        inner: the client that answers.
        cache: where answers are kept.
        infos: the models that may be asked, by name, as they are now.
    """

    def __init__(self, inner: ModelClient, cache: PredictionCache, infos: Mapping[str, ModelInfo]) -> None:
        self._inner = inner
        self._cache = cache
        self._infos = infos

    def generate(self, request: Request, on_token: OnToken | None = None) -> Completion:
        """The completion that was kept for the same request, else the inner client's, which is kept."""
        info = self._infos.get(request.model)
        identity = asked(info, request) if info else None
        if identity is None:
            return self._inner.generate(request, on_token)
        known = self._cache.find(identity)
        if known is not None:
            return replace(known, cached=True)
        completion = self._inner.generate(request, on_token)
        self._cache.keep(identity, completion)
        return completion

    def describe(self, model: str) -> ModelInfo:
        """The inner client's description."""
        return self._inner.describe(model)

    def processes(self) -> Sequence[int] | None:
        """The inner client's processes."""
        return self._inner.processes()

    def cancel(self) -> None:
        """Stops the inner client's requests in flight."""
        self._inner.cancel()

    def unload(self, model: str) -> None:
        """Frees what `model` occupies."""
        self._inner.unload(model)

    def close(self) -> None:
        """Closes the inner client."""
        self._inner.close()
