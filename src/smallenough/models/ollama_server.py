"""The conversation with one Ollama server: what goes wrong in it becomes one of smallenough's errors.

What the server reports, what the `ollama` package stumbles over and what the wire raises are told apart here: which of
it another try may mend (`ModelUnavailable`), and which it won't.
"""

from __future__ import annotations

import contextlib
import difflib
import http.client
import re
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TypeVar, cast

import httpx
import ollama

from smallenough.errors import ModelError, ModelNotFound, ModelOutOfMemory, ModelTimeout, ModelUnavailable
from smallenough.models.flight import Flight, Stalled, Unreachable
from smallenough.models.liveness import Liveness
from smallenough.models.local import server_processes, server_url
from smallenough.models.packages import sha256
from smallenough.models.retrying import retrying
from smallenough.models.wire import Wire

_Piece = TypeVar("_Piece")
_Result = TypeVar("_Result")

_OUT_OF_MEMORY = re.compile(
    r"more system memory|out of memory|(not enough|insufficient) (\w+ )?memory|failed to allocate|unable to allocate"
    r"|allocation failed|cudaMalloc failed|signal: killed",
    re.IGNORECASE,
)


class _Garbled(Exception):
    """What arrived is not what Ollama answers."""


class OllamaServer:
    """One server, and how it is spoken to. Safe to use from several threads.

    Args:
        url: the server, as `OLLAMA_HOST` is written; None: that variable, else http://127.0.0.1:11434.
        patience: seconds that a question about the server itself (not a generation) may take, and in which a server
            that says nothing has to show a sign of life.

    Raises:
        InputError: `url` has no meaning as an address.
    """

    def __init__(self, url: str | None, patience: float) -> None:
        self.url = server_url(url)
        self.patience = patience
        self.wire = Wire(self.url)
        self.api = ollama.Client(self.url, transport=self.wire)

    def processes(self) -> list[int] | None:
        """The server's process on this machine (its runners are its children); None: elsewhere, or hidden."""
        return server_processes(self.url, "ollama")

    def listen(self, flight: Flight) -> None:
        """From now on, silence on `flight`, which begins a try, is looked into (see `liveness`)."""
        ear = Liveness(lambda: self._answers(flight), self.processes, flight.remaining(), self.patience / 2)
        flight.listen(ear.every, ear.hangs)

    def ask(self, question: Callable[[Flight], _Result], retries: int, model: str = "") -> _Result:
        """The answer to a question about the server itself, which it should answer at once.

        Raises:
            ModelUnavailable: `retries` further tries failed too, or the patience is at its end.
        """

        def once() -> _Result:
            with self.mapped(model, flight, self.patience), _parsing():
                return question(flight)

        failures: list[str] = []
        with self.wire.flight(self.patience) as flight:
            # Nothing is loaded or read for it: its own silence is enough to ask again.
            flight.listen(self.patience / 2, lambda silent: f"not a byte for {silent:.3g} s")
            try:
                return retrying(flight, retries, failures)(once)
            except ModelTimeout as error:
                before = f"; before that, {failures[-1]}" if failures else ""
                raise ModelUnavailable(f"the server at {self.url} does not answer: {error}{before}") from error

    def version(self) -> bytes:
        """The JSON in which the server tells its version, asked within the current thread's flight."""
        response = self.wire.handle_request(httpx.Request("GET", f"{self.url}/api/version"))
        with contextlib.closing(response):
            return response.read()

    def blob(self, path: Path) -> str:
        """The digest of a file that the server has now, sent within the current thread's flight if it had not.

        A server that has it answers before it has read it, and the rest can't be sent.
        """
        digest = f"sha256:{sha256(path)}"
        response = self.wire.handle_request(httpx.Request("HEAD", f"{self.url}/api/blobs/{digest}"))
        with contextlib.closing(response):
            response.read()
        return digest if response.status_code == 200 else self.api.create_blob(path)

    @contextlib.contextmanager
    def mapped(self, model: str, flight: Flight, seconds: float | None = None) -> Iterator[None]:
        """What the wire or the package raises becomes one of smallenough's errors."""
        try:
            yield
        except (ollama.ResponseError, OSError, http.client.HTTPException, httpx.HTTPError, _Garbled) as error:
            if flight.cancelled:
                raise ModelUnavailable(f"the request to {self.url} was cancelled") from error
            if isinstance(error, ollama.ResponseError):
                raise self._refusal(model, error.error, error.status_code, flight) from error
            if flight.expired:
                raise ModelTimeout(f"{model or self.url}: no whole answer within {seconds:g} s") from error
            if isinstance(error, Unreachable):
                raise ModelUnavailable(
                    f"no Ollama server answers at {self.url}; start it with `ollama serve`,"
                    f" or name another with --url ({error})"
                ) from error
            if isinstance(error, Stalled):
                raise ModelUnavailable(f"the server at {self.url} hangs: {error}; restart it") from error
            text = f"{type(error).__name__}: {error}".rstrip(": ").removeprefix("_Garbled: ")
            raise ModelUnavailable(f"the server at {self.url} broke off its answer: {text}") from error

    def _answers(self, silent: Flight) -> bool:
        """Whether the server answers anything at all, while it says nothing on `silent`."""
        left = silent.remaining()
        try:
            with self.wire.flight(self.patience / 2 if left is None else min(left, self.patience / 2)):
                self.version()
        except (OSError, http.client.HTTPException):
            return False
        return True

    def _refusal(self, model: str, text: str, status: int, flight: Flight) -> ModelError:
        """The error for what the server itself reports; a status below 0 is an error within a stream."""
        if _OUT_OF_MEMORY.search(text):
            return ModelOutOfMemory(
                f"{model} does not fit into the memory of the server at {self.url}: {text.strip()};"
                " stop other programs, or take a smaller model, a stronger quantization or a shorter context"
            )
        if ("not found" in text and "model" in text) or "file does not exist" in text:
            return ModelNotFound(f"{self.url} has no model {model!r}{self._nearest(model, flight)}")
        if status < 0 or status in (408, 429) or status >= 500:
            return ModelUnavailable(f"the server at {self.url} failed{_status(status)}: {text.strip()}")
        return ModelError(f"the server at {self.url} refuses the request{_status(status)}: {text.strip()}")

    def _nearest(self, model: str, flight: Flight) -> str:
        """What to do about a model that the server does not have, in the time that is left."""
        mend = f"get it with `ollama pull {model}` or `smallenough models --pull`"
        left = None if flight.deadline is None else flight.deadline - time.monotonic()
        try:
            with self.wire.flight(5.0 if left is None else min(left, 5.0)):
                names = [found.model or "" for found in self.api.list().models]
        except (OSError, http.client.HTTPException, httpx.HTTPError, ollama.ResponseError, ValueError):
            return f"; {mend}"  # The finding stands; only the hint is missing.
        near = difflib.get_close_matches(model, names, n=1, cutoff=0.4)
        if near:
            return f"; did you mean {near[0]!r}? Else {mend}"
        return f"; it has {', '.join(sorted(names)[:8]) or 'none'}; {mend}"


def tagged(model: str) -> str:
    """`model` with its tag: as for Ollama itself, none means `latest`."""
    return model if ":" in model.rpartition("/")[2] else f"{model}:latest"


@contextlib.contextmanager
def _parsing() -> Iterator[None]:
    """The package takes an answer's form on trust: what it stumbles over is the server's fault."""
    try:
        yield
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        raise _Garbled(f"not Ollama's JSON ({str(error).splitlines()[0]})") from error


def pieces_of(stream: Iterator[_Piece]) -> Generator[_Piece, None, None]:
    """The pieces of a stream, whose connection is given up when the reader stops early."""
    # The package says Iterator; it is a generator, and only its end closes the connection.
    with contextlib.closing(cast("Generator[_Piece, None, None]", stream)) as pieces:
        while True:
            with _parsing():
                try:
                    piece = next(pieces)
                except StopIteration:
                    return
            yield piece


def drain(parts: Iterator[object], flight: Flight) -> None:
    """Reads to the end of the stream, so that its connection serves again; the answer itself is already whole."""
    flight.hurry(0.25)
    with contextlib.suppress(OSError, http.client.HTTPException, httpx.HTTPError, ollama.ResponseError, _Garbled):
        for _ in parts:
            pass


def _status(status: int) -> str:
    return f" ({status})" if status > 0 else ""
