"""A model client that answers without a model: from recorded completions, or by a function.

`RecordingClient` writes what another client answers to a file, one JSON line for each completion,
`{"key": …, "digest": …, "completion": {…}}`, and one for each model that is described, `{"info": {…}}`.
`ReplayClient.from_file` answers a request with what was recorded for the same question, which is what the digest of
model, messages and sampling says: of several such lines with the one that also has the same `Request.key`, else with
the first. A line that has a key and no digest, as one writes by hand, answers whatever has that key. So a question
that was changed is never answered with what was recorded for the old one. The client returns at once: recorded times
are told, not spent. A file is read at each request, never held in memory, so it must not change meanwhile.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from smallenough.errors import InfrastructureError, InputError, ModelError, ModelNotFound
from smallenough.protocols import ModelClient, OnToken
from smallenough.records import Completion, ModelInfo, Request, digest

_Identity = tuple[str | None, str | None]
"""The key and the digest of a request."""

_COMPLETION = TypeAdapter(Completion)
_INFO = TypeAdapter(ModelInfo)


def request_digest(request: Request) -> str:
    """Identifies what a model is asked: model, messages, sampling and choices, not the deadline or the key."""
    choices = [asdict(request.choices)] if request.choices else []
    messages = [asdict(message) for message in request.messages]
    return digest([request.model, messages, asdict(request.sampling), *choices])


class ReplayClient:
    """Answers requests by a function. Safe to call from several threads where the function is.

    Args:
        answer: the completion for a request; raises ModelNotFound where there is none.
        infos: what is known of models, by name; None: any name is described, by nothing else.
    """

    def __init__(self, answer: Callable[[Request], Completion], infos: Mapping[str, ModelInfo] | None = None) -> None:
        self._answer = answer
        self._infos = infos

    @classmethod
    def from_file(cls, path: str | Path) -> ReplayClient:
        """A client that answers from the completions that were recorded in `path`.

        Raises:
            InputError: the file can't be read, or a line is not as it should be; names file and line.
        """
        recording = _Recording(Path(path))
        return cls(recording.answer, recording.infos)

    def generate(self, request: Request, on_token: OnToken | None = None) -> Completion:
        """The recorded completion, told as one piece.

        Raises:
            ModelNotFound: none is recorded for `request`; names the nearest that is.
            ModelError: the file is gone, or changed, since it was opened; or the model can't be asked in this way.
        """
        if request.choices and request.choices.by not in self.describe(request.model).answers:
            raise ModelError(f"{request.model}: its answers can't be {request.choices.by}, by what is recorded of it")
        completion = self._answer(request)
        if on_token is not None:
            on_token()
        return completion

    def describe(self, model: str) -> ModelInfo:
        """What was recorded of `model`; of the only one, where `model` is empty.

        Raises:
            ModelNotFound: nothing was.
        """
        if self._infos is None:
            return ModelInfo(model, "replay")
        if not model and len(self._infos) == 1:
            return next(iter(self._infos.values()))
        if model not in self._infos:
            known = ", ".join(sorted(self._infos)) or "none"
            raise ModelNotFound(f"model {model!r} is not recorded; recorded: {known}")
        return self._infos[model]

    def processes(self) -> Sequence[int] | None:
        """None: no process generates anything."""
        return None

    def cancel(self) -> None:
        """Does nothing: no request is ever in flight for long."""

    def unload(self, model: str) -> None:
        """Does nothing: no model is loaded."""

    def close(self) -> None:
        """Does nothing: nothing is held open."""


class RecordingClient:
    """Answers with another client, and writes each completion to a file. Safe to call from several threads.

    Args:
        inner: the client that answers.
        path: the file to append to; made where it does not exist.

    Raises:
        InputError: the file can't be written.
    """

    def __init__(self, inner: ModelClient, path: str | Path) -> None:
        self._inner = inner
        self._path = path
        self._lock = threading.Lock()
        try:
            self._file = Path(path).open("a", encoding="utf-8")  # noqa: SIM115 - open until `close`
        except OSError as error:
            raise InputError(f"{path}: can't be written: {error.strerror}") from error

    def generate(self, request: Request, on_token: OnToken | None = None) -> Completion:
        """The inner client's completion, which is in the file when this returns.

        Raises:
            InfrastructureError: what the inner client raises, and: the file can't be written.
        """
        completion = self._inner.generate(request, on_token)
        line = {"key": request.key, "digest": request_digest(request), "model": request.model}
        self._write(line | {"completion": asdict(completion)})
        return completion

    def describe(self, model: str) -> ModelInfo:
        """The inner client's description, which is in the file when this returns.

        Raises:
            InfrastructureError: what the inner client raises, and: the file can't be written.
        """
        info = self._inner.describe(model)
        self._write({"model": model, "info": asdict(info)})
        return info

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
        """Closes the file and the inner client.

        Raises:
            InfrastructureError: what is left can't be written.
        """
        self._inner.close()
        with self._lock, self._writing():
            self._file.close()

    def _write(self, line: Mapping[str, Any]) -> None:
        text = json.dumps(line, ensure_ascii=False) + "\n"
        with self._lock, self._writing():
            self._file.write(text)
            self._file.flush()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise InfrastructureError(f"{self._path}: can't be written: {error.strerror}") from error


class _Recording:
    """Where in a file each completion stands."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places: dict[_Identity, int] = {}
        self.infos: dict[str, ModelInfo] = {}
        for number, place, line in self._lines():
            try:
                self._add(place, json.loads(line))
            except (ValueError, TypeError, KeyError) as error:
                raise InputError(f"{path}, line {number}: {_fault(error)}") from error

    def answer(self, request: Request) -> Completion:
        asked = request_digest(request)
        for identity in ((request.key, asked), (request.key, None), (None, asked)):
            if identity in self._places:
                return self._read(self._places[identity])
        raise ModelNotFound(f"{self._path}: nothing is recorded for {request.model!r}, {self._missed(request.key)}")

    def _add(self, place: int, entry: Any) -> None:
        _known(entry, "entry", ("key", "digest", "model", "completion", "info"))
        model = entry.get("model")
        if "info" in entry:
            info = _INFO.validate_python(entry["info"])
            self.infos[model or info.name] = info
            return
        _completion(entry["completion"])
        key, asked = entry.get("key") or None, entry.get("digest")
        if key is None and asked is None:
            raise ValueError("a completion needs a key or a digest")
        # The first one stands: where a request was made several times, its key tells them apart.
        self._places.setdefault((key, asked), place)
        self._places.setdefault((None, asked), place)
        if model:
            self.infos.setdefault(model, ModelInfo(model, "replay"))

    def _lines(self) -> Iterator[tuple[int, int, bytes]]:
        try:
            with self._path.open("rb") as file:
                place = 0
                for number, line in enumerate(file, start=1):
                    if line.strip():
                        yield number, place, line
                    place += len(line)
        except OSError as error:
            raise InputError(f"{self._path}: can't be read: {error.strerror}") from error

    def _read(self, place: int) -> Completion:
        try:
            with self._path.open("rb") as file:
                file.seek(place)
                return _completion(json.loads(file.readline())["completion"])
        except OSError as error:
            raise ModelError(f"{self._path}: can't be read any more: {error.strerror}") from error
        except (ValueError, TypeError, KeyError) as error:
            raise ModelError(f"{self._path}: was changed since it was opened; start again") from error

    def _missed(self, key: str) -> str:
        """What was looked for, and what comes nearest."""
        text = f"key {key!r}, or the same model, messages and sampling"
        keys = [known for known, _ in self._places if known is not None]
        if key in keys:
            return f"{text}; that key is recorded with another model, other messages or other sampling"
        near = get_close_matches(key, keys, n=1, cutoff=0.0) if key else []
        return f"{text}; the nearest key is {near[0]!r}" if near else text


def _completion(value: Any) -> Completion:
    _known(value, "completion", tuple(field.name for field in fields(Completion)))
    return _COMPLETION.validate_python(value)


def _known(value: Any, what: str, names: Sequence[str]) -> None:
    if not isinstance(value, dict):
        raise TypeError(f"{what}: not an object, but {type(value).__name__}")
    unknown = sorted(value.keys() - set(names))
    if unknown:
        raise ValueError(f"{what}: unknown key {unknown[0]!r}; known: {', '.join(names)}")


def _fault(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"column {error.colno}: not JSON: {error.msg}"
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is missing"
    return str(error)
