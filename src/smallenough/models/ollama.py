"""Models on an Ollama server, by the `ollama` package.

Answers are streamed inside, so that deadlines and `cancel` hold at any moment (see `wire`). What is transient is
tried again: a refused or reset connection, a 5xx or 429, half an answer, a server that hangs (see `liveness`). Tokens
and durations are the server's own counters; the time to the first token is measured here. The server's processes are
found only on this machine.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

from smallenough.errors import ModelError, ModelNotFound, ModelTimeout
from smallenough.models.flight import Flight
from smallenough.models.ollama_server import OllamaServer, drain, pieces_of, tagged
from smallenough.models.reasoning import reasoning_tokens, separate
from smallenough.models.retrying import QUESTION_RETRIES, RETRIES, retrying
from smallenough.protocols import OnProgress, OnToken
from smallenough.records import Choices, Completion, Message, ModelInfo, Request, Sampling

_Result = TypeVar("_Result")

_SCALES = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}

_PLAIN = {"repeat_penalty": 1.0}
"""With it the likeliest token is the model's own: by default Ollama makes those less likely that came before."""

Finish: TypeAlias = Literal["stop", "length", "unknown"]

_FINISH: dict[str, Literal["stop", "length"]] = {"stop": "stop", "length": "length"}


class OllamaClient:
    """Answers requests with the models of one Ollama server. Safe to call from several threads.

    Args:
        url: the server, as `OLLAMA_HOST` is written; None: that variable, else http://127.0.0.1:11434.
        retries: further tries for what is transient.
        patience: seconds that a question about the server itself (not a generation) may take, and in which a server
            that says nothing has to show a sign of life.

    Raises:
        InputError: `url` has no meaning as an address.
    """

    def __init__(self, url: str | None = None, *, retries: int = RETRIES, patience: float = 30.0) -> None:
        self._server = OllamaServer(url, patience)
        self._retries = retries
        self.url = self._server.url

    def generate(self, request: Request, on_token: OnToken | None = None) -> Completion:
        """Answers one request; its deadline covers all tries. See `protocols.ModelClient`.

        A server that is slow but alive has all of that time; one that hangs is given up earlier, and asked again.
        """
        failures: list[str] = []
        with self._server.wire.flight(request.deadline) as flight:
            try:
                return retrying(flight, self._retries, failures)(
                    lambda: self._try(request, flight, on_token, len(failures))
                )
            except ModelTimeout as error:
                before = f"; before that, {failures[-1]}" if failures else ""
                raise ModelTimeout(f"{error}{before}; --timeout SECONDS gives it more") from error

    def describe(self, model: str) -> ModelInfo:
        """What the server says of `model`. See `protocols.ModelClient`."""
        shown = self._ask(lambda _: self._server.api.show(tagged(model)), model)
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
            answers=("free", "constrained"),
        )

    def processes(self) -> Sequence[int] | None:
        """The server's process on this machine (its runners are its children); None: elsewhere, or hidden."""
        return self._server.processes()

    def cancel(self) -> None:
        """Stops every request in flight; the server sees the connections close, and stops generating."""
        self._server.wire.cancel()

    def unload(self, model: str) -> None:
        """Frees what `model` occupies, and returns when the server no longer lists it as loaded.

        What is transient is tried again as for a request: a server that restarts has nothing loaded.

        Raises:
            ModelUnavailable: no server answers.
            ModelError: it is still loaded after the client's patience.
        """
        self._server.ask(lambda flight: self._unload(model, flight), self._retries, model)

    def close(self) -> None:
        """Closes the connections that are not in use."""
        self._server.wire.close()

    def health(self) -> str:
        """The server's version.

        Raises:
            ModelUnavailable: no Ollama server answers.
        """
        return self._ask(lambda _: str(json.loads(self._server.version())["version"]))

    def list_models(self) -> list[ModelInfo]:
        """The models that the server has.

        Raises:
            ModelUnavailable: no server answers.
        """
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
            for found in self._ask(lambda _: self._server.api.list().models)
        ]

    def loaded(self) -> list[str]:
        """Names of the models that occupy memory now.

        Raises:
            ModelUnavailable: no server answers.
        """
        return [found.model or "" for found in self._ask(lambda _: self._server.api.ps().models)]

    def pull(self, model: str, on_progress: OnProgress | None = None) -> None:
        """Has the server fetch `model`; takes as long as it takes, `cancel` stops it.

        Raises:
            ModelNotFound: there is no such model to pull.
            ModelUnavailable: no server answers, or it can't reach its registry.
        """
        try:
            with self._server.wire.flight(None) as flight, self._server.mapped(model, flight):
                status = None
                with contextlib.closing(pieces_of(self._server.api.pull(tagged(model), stream=True))) as steps:
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

    def create(self, model: str, base: str, adapter: Mapping[str, Path], on_progress: OnProgress | None = None) -> None:
        """Has the server make `model` of one that it has and a LoRA adapter; the base's template and parameters stay.

        Only repetitions are no longer made less likely, as Ollama does by itself: that would change greedy answers.

        Args:
            model: its name; one that is there is replaced.
            base: a model of the server.
            adapter: the adapter's files, by the name under which the server reads them.
            on_progress: told what the server does.

        Raises:
            ModelNotFound: the server does not have `base`.
            ModelUnavailable: no server answers, or it broke off.
            ModelError: it can't use this adapter with this model.
        """
        api = self._server.api
        with self._server.wire.flight(None) as flight, self._server.mapped(base, flight):
            held = {name: self._server.blob(path) for name, path in adapter.items()}
            steps = api.create(tagged(model), from_=tagged(base), adapters=held, parameters=_PLAIN, stream=True)
            status = None
            with contextlib.closing(pieces_of(steps)) as told:
                for step in told:
                    status = step.status
                    if on_progress is not None:
                        on_progress(status or "", None, None)
            if status != "success":
                raise ConnectionResetError(f"making {model} ended at {status!r}")

    def delete(self, model: str) -> None:
        """Removes `model` from the server.

        Raises:
            ModelNotFound: the server does not have it.
            ModelUnavailable: no server answers.
        """
        self._ask(lambda _: self._server.api.delete(tagged(model)), model)

    def _ask(self, question: Callable[[Flight], _Result], model: str = "") -> _Result:
        return self._server.ask(question, min(self._retries, QUESTION_RETRIES), model)

    def _unload(self, model: str, flight: Flight) -> None:
        name, pause = tagged(model), 0.02
        self._server.api.generate(model=name, keep_alive=0)
        while any(found.model == name for found in self._server.api.ps().models):
            flight.pause(pause)
            pause = min(2 * pause, 0.5)
            if flight.expired:
                raise ModelError(
                    f"{model} is still loaded on {self.url} {self._server.patience:g} s after it was to be unloaded;"
                    f" another program may be using it: see `ollama ps`"
                )

    def _try(self, request: Request, flight: Flight, on_token: OnToken | None, retries: int) -> Completion:
        choices = request.choices
        if choices and choices.by != "constrained":
            raise ModelError(
                f"{request.model}: Ollama does not tell how likely an answer is; take answers=constrained, or the"
                " embedded engine (huggingface:)"
            )
        with self._server.mapped(request.model, flight, request.deadline):
            self._server.listen(flight)
            pieces: list[str] = []
            thoughts: list[str] = []
            first: float | None = None
            started, clock = time.time(), time.perf_counter()
            stream = self._server.api.chat(
                model=tagged(request.model),
                messages=_messages(request.messages),
                options=_options(request.sampling, choices),
                format={"type": "string", "enum": list(choices.texts)} if choices else None,
                stream=True,
            )
            with contextlib.closing(pieces_of(stream)) as parts:
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
                        drain(parts, flight)
                        break
                else:
                    raise ConnectionResetError("the stream ended before the answer did")
        separated = separate(pieces)
        finish: Finish = _FINISH.get(part.done_reason or "", "unknown")
        thinking = len(thoughts) + separated.reasoning_pieces
        return Completion(
            text=self._chosen(separated.text, choices, finish) if choices else separated.text,
            reasoning="\n\n".join(filter(None, ["".join(thoughts).strip(), separated.reasoning])),
            tokens_in=part.prompt_eval_count,
            tokens_out=part.eval_count,
            reasoning_tokens=reasoning_tokens(part.eval_count, thinking, len(thoughts) + len(pieces)),
            finish=finish,
            started=started,
            seconds=seconds,
            first_token_seconds=first,
            load_seconds=_seconds(part.load_duration),
            prompt_seconds=_seconds(part.prompt_eval_duration),
            generate_seconds=_seconds(part.eval_duration),
            retries=retries,
            server=self.url,
        )

    def _chosen(self, text: str, choices: Choices, finish: str) -> str:
        """The choice that is written as JSON.

        Raises:
            ModelError: it is none, which the server should have seen to.
        """
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if value in choices.texts:
            return str(value)
        if finish == "length":  # cut off on the way
            return text
        raise ModelError(
            f"the server at {self.url} does not hold answers to the choices: it let {text[:80]!r} pass; update Ollama"
            " to 0.5 or later, or take answers=free"
        )


def _messages(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _options(sampling: Sampling, choices: Choices | None) -> dict[str, Any]:
    """What the server is told of sampling; one of some choices may be as long as the longest of them, as JSON."""
    longest = max((len(json.dumps(text)) for text in choices.texts), default=0) if choices else 0
    options = {
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "num_predict": max(sampling.max_tokens, longest) if sampling.max_tokens is not None else None,
        "seed": sampling.seed,
        "stop": list(sampling.stop) or None,
        "num_ctx": sampling.context,
    }
    return {name: value for name, value in options.items() if value is not None}


def _seconds(nanoseconds: int | None) -> float | None:
    return None if nanoseconds is None else nanoseconds / 1e9


def _count(text: str | None) -> int | None:
    """The number of weights that a size like `134.52M` means."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMBT]?)", text or "")
    return round(float(match[1]) * _SCALES[match[2]]) if match else None
