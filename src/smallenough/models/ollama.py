"""Models on an Ollama server, by the `ollama` package.

Answers are streamed inside, so that deadlines and `cancel` hold at any moment (see `wire`). What is transient is
tried again: a refused or reset connection, a 5xx or 429, half an answer. Tokens and durations are the server's own
counters; the time to the first token is measured here. The server's processes are found only on this machine.
"""

from __future__ import annotations

import contextlib
import difflib
import http.client
import json
import re
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any, Literal, TypeAlias, TypeVar, cast

import httpx
import ollama
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_exponential, wait_random

from smallenough.errors import ModelError, ModelNotFound, ModelOutOfMemory, ModelTimeout, ModelUnavailable
from smallenough.models.local import server_processes, server_url
from smallenough.models.reasoning import separate
from smallenough.models.wire import Flight, Unreachable, Wire
from smallenough.protocols import OnToken
from smallenough.records import Completion, Message, ModelInfo, Request, Sampling

OnProgress: TypeAlias = Callable[[str, int | None, int | None], None]
"""Told while a model is pulled: what is being done, and bytes done and in all, where the server says."""

_Piece = TypeVar("_Piece")

_SCALES = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}

_FINISH: dict[str, Literal["stop", "length"]] = {"stop": "stop", "length": "length"}

_OUT_OF_MEMORY = re.compile(
    r"more system memory|out of memory|(not enough|insufficient) (\w+ )?memory|failed to allocate|unable to allocate"
    r"|allocation failed|cudaMalloc failed|signal: killed",
    re.IGNORECASE,
)


class _Garbled(Exception):
    """What arrived is not what Ollama answers."""


class OllamaClient:
    """Answers requests with the models of one Ollama server. Safe to call from several threads.

    Args:
        url: the server, as `OLLAMA_HOST` is written; None: that variable, else http://127.0.0.1:11434.
        retries: further tries for what is transient.
        patience: seconds that a question about the server itself (not a generation) may take.

    Raises:
        InputError: `url` has no meaning as an address.
    """

    def __init__(self, url: str | None = None, *, retries: int = 3, patience: float = 30.0) -> None:
        self.url = server_url(url)
        self._retries = retries
        self._patience = patience
        self._wire = Wire(self.url)
        self._client = ollama.Client(self.url, transport=self._wire)

    def generate(self, request: Request, on_token: OnToken | None = None) -> Completion:
        """Answers one request; its deadline covers all tries. See `protocols.ModelClient`."""
        failures: list[str] = []

        def failed(state: RetryCallState) -> None:
            failures.append(str(state.outcome.exception()) if state.outcome else "")

        with self._wire.flight(request.deadline) as flight:
            retrying = Retrying(
                stop=stop_after_attempt(self._retries + 1),
                wait=wait_exponential(multiplier=0.2, max=8.0) + wait_random(0.0, 0.2),
                # A cancelled request is unavailable too, for good.
                retry=retry_if_exception(lambda error: isinstance(error, ModelUnavailable) and not flight.cancelled),
                before_sleep=failed,
                sleep=flight.pause,
                reraise=True,
            )
            try:
                return retrying(lambda: self._try(request, flight, on_token, len(failures)))
            except ModelTimeout as error:
                if not failures:
                    raise
                raise ModelTimeout(f"{error}; before that, {failures[-1]}") from error

    def describe(self, model: str) -> ModelInfo:
        """What the server says of `model`. See `protocols.ModelClient`."""
        with self._asking(model):
            shown = self._client.show(tagged(model))
        listed = next((known for known in self.list_models() if known.name == tagged(model)), None)
        facts = shown.modelinfo or {}
        details = shown.details
        family = facts.get("general.architecture") or (details.family if details else None)
        return ModelInfo(
            name=model,
            provider="ollama",
            digest=listed.digest if listed else None,
            parameters=facts.get("general.parameter_count") or (listed.parameters if listed else None),
            size_bytes=listed.size_bytes if listed else None,
            quantization=details.quantization_level if details else None,
            family=family,
            context_length=facts.get(f"{family}.context_length"),
            server=self.url,
            version=self.health(),
        )

    def processes(self) -> Sequence[int] | None:
        """The server's process on this machine (its runners are its children); None: elsewhere, or hidden."""
        return server_processes(self.url, "ollama")

    def cancel(self) -> None:
        """Stops every request in flight; the server sees the connections close, and stops generating."""
        self._wire.cancel()

    def unload(self, model: str) -> None:
        """Frees what `model` occupies, and returns when the server no longer lists it as loaded.

        Raises:
            ModelUnavailable: no server answers.
            ModelError: it is still loaded after the client's patience.
        """
        name = tagged(model)
        with self._asking(model) as flight:
            self._client.generate(model=name, keep_alive=0)
            pause = 0.02
            while any(found.model == name for found in self._client.ps().models):
                flight.pause(pause)
                pause = min(2 * pause, 0.5)
                if flight.expired:
                    raise ModelError(
                        f"{model} is still loaded on {self.url} {self._patience:g} s after it was to be unloaded;"
                        f" another program may be using it: see `ollama ps`"
                    )

    def close(self) -> None:
        """Closes the connections that are not in use."""
        self._wire.close()

    def health(self) -> str:
        """The server's version.

        Raises:
            ModelUnavailable: no Ollama server answers.
        """
        with self._asking():
            response = self._wire.handle_request(httpx.Request("GET", f"{self.url}/api/version"))
            with contextlib.closing(response):
                return str(json.loads(response.read())["version"])

    def list_models(self) -> list[ModelInfo]:
        """The models that the server has.

        Raises:
            ModelUnavailable: no server answers.
        """
        with self._asking():
            models = self._client.list().models
        return [
            ModelInfo(
                name=found.model or "",
                provider="ollama",
                digest=found.digest,
                parameters=_count(found.details.parameter_size) if found.details else None,
                size_bytes=int(found.size) if found.size is not None else None,
                quantization=found.details.quantization_level if found.details else None,
                family=found.details.family if found.details else None,
                server=self.url,
            )
            for found in models
        ]

    def loaded(self) -> list[str]:
        """Names of the models that occupy memory now.

        Raises:
            ModelUnavailable: no server answers.
        """
        with self._asking():
            return [found.model or "" for found in self._client.ps().models]

    def pull(self, model: str, on_progress: OnProgress | None = None) -> None:
        """Has the server fetch `model`; takes as long as it takes, `cancel` stops it.

        Raises:
            ModelNotFound: there is no such model to pull.
            ModelUnavailable: no server answers, or it can't reach its registry.
        """
        try:
            with self._wire.flight(None) as flight, self._mapped(model, flight):
                status = None
                with contextlib.closing(_pieces(self._client.pull(tagged(model), stream=True))) as steps:
                    for step in steps:
                        status = step.status
                        if on_progress is not None:
                            on_progress(status or "", step.completed, step.total)
                if status != "success":
                    raise ConnectionResetError(f"pulling {model} ended at {status!r}")
        except ModelNotFound as error:
            raise ModelNotFound(
                f"{self.url} finds no model {model!r} to pull; look for its name on ollama.com"
            ) from error

    def _try(self, request: Request, flight: Flight, on_token: OnToken | None, retries: int) -> Completion:
        with self._mapped(request.model, flight, request.deadline):
            pieces: list[str] = []
            thoughts: list[str] = []
            first: float | None = None
            started, clock = time.time(), time.perf_counter()
            stream = self._client.chat(
                model=tagged(request.model),
                messages=_messages(request.messages),
                options=_options(request.sampling),
                stream=True,
            )
            with contextlib.closing(_pieces(stream)) as parts:
                for part in parts:
                    thought = getattr(part.message, "thinking", None)
                    if thought:
                        thoughts.append(thought)
                    if part.message.content:
                        pieces.append(part.message.content)
                    if thought or part.message.content:
                        first = time.perf_counter() - clock if first is None else first
                        if on_token is not None:
                            on_token()
                    if part.done:
                        seconds = time.perf_counter() - clock
                        _drain(parts, flight)
                        break
                else:
                    raise ConnectionResetError("the stream ended before the answer did")
        separated = separate(pieces)
        return Completion(
            text=separated.text,
            reasoning="\n\n".join(filter(None, ["".join(thoughts).strip(), separated.reasoning])),
            tokens_in=part.prompt_eval_count,
            tokens_out=part.eval_count,
            reasoning_tokens=len(thoughts) + separated.reasoning_pieces,
            finish=_FINISH.get(part.done_reason or "", "unknown"),
            started=started,
            seconds=seconds,
            first_token_seconds=first,
            load_seconds=_seconds(part.load_duration),
            prompt_seconds=_seconds(part.prompt_eval_duration),
            generate_seconds=_seconds(part.eval_duration),
            retries=retries,
            server=self.url,
        )

    @contextlib.contextmanager
    def _asking(self, model: str = "") -> Iterator[Flight]:
        """A question about the server itself: no retries, and the client's patience as deadline."""
        with self._wire.flight(self._patience) as flight:
            try:
                with self._mapped(model, flight, self._patience), _parsing():
                    yield flight
            except ModelTimeout as error:
                raise ModelUnavailable(f"the server at {self.url} does not answer: {error}") from error

    @contextlib.contextmanager
    def _mapped(self, model: str, flight: Flight, seconds: float | None = None) -> Iterator[None]:
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
            text = f"{type(error).__name__}: {error}".rstrip(": ").removeprefix("_Garbled: ")
            raise ModelUnavailable(f"the server at {self.url} broke off its answer: {text}") from error

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
            with self._wire.flight(5.0 if left is None else min(left, 5.0)):
                names = [found.model or "" for found in self._client.list().models]
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


def _pieces(stream: Iterator[_Piece]) -> Generator[_Piece, None, None]:
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


def _drain(parts: Iterator[object], flight: Flight) -> None:
    """Reads to the end of the stream, so that its connection serves again; the answer itself is already whole."""
    flight.hurry(0.25)
    with contextlib.suppress(OSError, http.client.HTTPException, httpx.HTTPError, ollama.ResponseError, _Garbled):
        for _ in parts:
            pass


def _messages(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _options(sampling: Sampling) -> dict[str, Any]:
    options = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "num_predict": sampling.max_tokens,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
        "num_ctx": sampling.context,
    }
    return {name: value for name, value in options.items() if value is not None}


def _seconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e9


def _status(status: int) -> str:
    return f" ({status})" if status > 0 else ""


def _count(text: str | None) -> int | None:
    """The number of weights that a size like `134.52M` means."""
    match = re.fullmatch(r"([\d.]+)\s*([KMBT]?)", text or "")
    return round(float(match[1]) * _SCALES[match[2]]) if match else None
