"""Models of the embedded engine: transformers on this machine's processor or GPU, in a process of its own.

Requests in flight are answered together, each exactly as if it were alone (see `engine.network`), by a process that
holds one model and nothing else: what it uses is what the model uses, and ending it gives everything back. A process
that ends unasked is replaced, and what was in flight is asked once more, unless memory ran out. Where models come from,
see `weights`; what the machine lacks is fetched by `smallenough models --pull`, never here.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from smallenough.errors import InputError, MissingPackage, ModelTimeout, ModelUnavailable, SmallenoughError
from smallenough.models.engine.messages import Done, Piece
from smallenough.models.engine.process import Engine, Inbox
from smallenough.models.reasoning import reasoning_tokens, separate
from smallenough.models.weights import IN_4BIT, Weights, find
from smallenough.protocols import OnToken
from smallenough.records import Completion, ModelInfo, Request, replace

_RETRIES = 1
"""Further tries for a request whose engine ended under it."""


@dataclass(frozen=True, eq=False)
class _Flight:
    """A request on its way."""

    engine: Engine
    number: int
    inbox: Inbox


class HuggingFaceClient:
    """Answers requests with models on this machine. Safe to call from several threads.

    Args:
        cache: the folder of converted models; None: `SMALLENOUGH_CACHE`, else the user's cache folder.

    Raises:
        MissingPackage: torch or transformers is not installed.
    """

    def __init__(self, cache: Path | None = None) -> None:
        for package in ("torch", "transformers"):
            if find_spec(package) is None:
                raise MissingPackage(package, "hf")
        self._cache = cache
        self._weights: dict[str, Weights] = {}
        self._engines: list[Engine] = []
        self._flights: set[_Flight] = set()
        self._cancels = 0
        self._lock = threading.Lock()

    def generate(self, request: Request, on_token: OnToken | None = None) -> Completion:
        """Answers one request; its deadline covers loading and all tries. See `protocols.ModelClient`.

        What the request leaves open is the model's own default, by its `generation_config.json`; without one, the
        likeliest token is taken each time. Without a limit of tokens, the context is the limit.
        """
        weights = self._found(request.model)
        cancels, begun, retries = self._cancels, time.perf_counter(), 0
        while True:
            engine = self._engine(request.model, weights)
            try:
                completion = self._try(engine, request, on_token, begun)
            except ModelUnavailable:
                if not engine.died or retries == _RETRIES or self._cancels != cancels:
                    raise
                retries += 1
            else:
                return replace(completion, retries=retries)

    def describe(self, model: str) -> ModelInfo:
        """What is known of `model`, by its files. See `protocols.ModelClient`.

        Raises:
            ModelNotFound: it is not on this machine; names the nearest, and how to get it.
            ModelError: its files are damaged, or the engine can't be started.
            InputError: it is of a kind that the engine can't use.
        """
        weights = self._found(model)
        ready = self._any_engine().ready()
        if weights.in_4bit and ready.device != "cuda":
            raise InputError(f"{model}: 4 bits take a CUDA GPU, and torch finds none here; name it without {IN_4BIT}")
        return ModelInfo(
            name=model,
            provider="huggingface",
            digest=weights.digest,
            parameters=weights.parameters,
            size_bytes=weights.size_bytes,
            quantization=weights.quantization,
            family=weights.family,
            context_length=weights.context_length,
            server=f"embedded engine on {ready.device}",
            version=ready.versions,
            dtype=ready.dtype,
            adapter=weights.adapter.described(weights.adapter_parameters) if weights.adapter else None,
            answers=("free", "constrained", "likelihood"),
        )

    def processes(self) -> Sequence[int] | None:
        """The engine's processes, which are ready: one for each model that is loaded, else one that waits for one."""
        self._any_engine().ready()
        with self._lock:
            return [engine.pid for engine in self._living()]

    def cancel(self) -> None:
        """Stops every request in flight; the engine stops generating for it at the next token."""
        with self._lock:
            self._cancels += 1
            flights = list(self._flights)
        for flight in flights:
            flight.inbox.put(ModelUnavailable("the request to the embedded engine was cancelled"))

    def unload(self, model: str) -> None:
        """Ends the process that holds `model`, and returns when it is gone."""
        self._stop(lambda engine: engine.model == model)

    def close(self) -> None:
        """Ends all processes."""
        self._stop(lambda _: True)

    def _found(self, model: str) -> Weights:
        """The model's files, which are looked at once."""
        with self._lock:
            if model not in self._weights:
                found = find(model, self._cache)
                if found.adapter and find_spec("peft") is None:
                    raise MissingPackage("peft", "hf")
                if found.in_4bit and find_spec("bitsandbytes") is None:
                    raise MissingPackage("bitsandbytes", "train")
                self._weights[model] = found
            return self._weights[model]

    def _any_engine(self) -> Engine:
        with self._lock:
            return next(iter(self._living()), None) or self._new()

    def _engine(self, model: str, weights: Weights) -> Engine:
        """The engine that holds `model`, or is told to load it now."""
        with self._lock:
            living = self._living()
            for engine in living:
                if engine.model == model:
                    return engine
            engine = next((engine for engine in living if not engine.model), None) or self._new()
            engine.load(model, str(weights.folder), weights.adapter, in_4bit=weights.in_4bit)
            return engine

    def _living(self) -> list[Engine]:
        for engine in [engine for engine in self._engines if engine.died]:
            engine.stop()
            self._engines.remove(engine)
        return self._engines

    def _new(self) -> Engine:
        engine = Engine()
        self._engines.append(engine)
        return engine

    def _stop(self, which: Callable[[Engine], bool]) -> None:
        with self._lock:
            stopped = [engine for engine in self._engines if which(engine)]
            self._engines = [engine for engine in self._engines if not which(engine)]
        for engine in stopped:
            engine.stop()

    def _try(self, engine: Engine, request: Request, on_token: OnToken | None, begun: float) -> Completion:
        pieces: list[str] = []
        first: float | None = None
        started, clock = time.time(), time.perf_counter()
        with self._flight(engine, request) as flight:
            while True:
                report = self._next(flight, request, begun)
                if isinstance(report, Done):
                    break
                if first is None:
                    first = time.perf_counter() - clock
                pieces.append(report.text)
                if on_token is not None:
                    on_token()
        separated = separate(pieces)
        return Completion(
            text=separated.text,
            reasoning=separated.reasoning,
            tokens_in=report.tokens_in,
            tokens_out=report.tokens_out,
            reasoning_tokens=reasoning_tokens(report.tokens_out, separated.reasoning_pieces, len(pieces)),
            finish=report.finish,
            started=started,
            seconds=time.perf_counter() - clock,
            first_token_seconds=first,
            load_seconds=max(0.0, engine.loaded_at - clock),
            prompt_seconds=report.prompt_seconds,
            generate_seconds=report.generate_seconds,
            server=f"embedded engine, {engine.together} at most together",
            likelihoods=report.likelihoods,
        )

    @contextlib.contextmanager
    def _flight(self, engine: Engine, request: Request) -> Iterator[_Flight]:
        with self._lock:  # no cancel comes between the two
            flight = _Flight(engine, *engine.ask(request))
            self._flights.add(flight)
        try:
            yield flight
        finally:
            with self._lock:
                self._flights.discard(flight)
            engine.drop(flight.number)

    def _next(self, flight: _Flight, request: Request, begun: float) -> Piece | Done:
        left = None if request.deadline is None else max(0.0, begun + request.deadline - time.perf_counter())
        try:
            report = flight.inbox.get(timeout=left)
        except queue.Empty:
            raise ModelTimeout(f"{request.model}: no whole answer within {request.deadline:g} s") from None
        if isinstance(report, SmallenoughError):
            raise report
        return report
