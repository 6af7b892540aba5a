"""Asks a program of yours: it reads a request as JSON from standard input, and prints its answer as JSON.

In: `{"messages": [{"role": …, "content": …}], "temperature": …, "max_tokens": …, "seed": …}`.
Out: `{"text": …, "tokens_in": …, "tokens_out": …}`, and `reasoning_tokens` where it reasons.

    smallenough run --model script:./answer.py
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict

from smallenough.errors import ModelError, ModelNotFound, ModelTimeout, ModelUnavailable
from smallenough.protocols import OnToken
from smallenough.records import Completion, ModelInfo, Request


class ScriptClient:
    """Runs the program that a model's name stands for, once for each request. Safe to call from several threads."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[str]] = set()
        self._cancelled: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()

    def generate(self, request: Request, on_token: OnToken | None = None) -> Completion:
        """Answers one request. See `smallenough.protocols.ModelClient`."""
        if request.choices is not None:
            raise ModelError(f"{request.model}: a program's answer can't be held to choices; take answers=free")
        sampling = request.sampling
        asked = {
            "messages": [asdict(message) for message in request.messages],
            "temperature": sampling.temperature,
            "max_tokens": sampling.max_tokens,
            "seed": sampling.seed,
        }
        started, clock = time.time(), time.perf_counter()
        said = self._run(request.model, json.dumps(asked), request.deadline)
        seconds = time.perf_counter() - clock
        if on_token is not None:
            on_token()
        try:
            answer = json.loads(said)
            text, tokens_in, tokens_out = str(answer["text"]), answer.get("tokens_in"), answer.get("tokens_out")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelError(f"{request.model}: its answer is not of the form that is read: {said[:200]!r}") from error
        return Completion(
            text,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            reasoning_tokens=answer.get("reasoning_tokens", 0),
            finish="length" if tokens_out is not None and tokens_out == sampling.max_tokens else "stop",
            started=started,
            seconds=seconds,
            first_token_seconds=seconds,
            server="script",
        )

    def describe(self, model: str) -> ModelInfo:
        """What is known of a program: that it is there."""
        return ModelInfo(model, "script", server=_path(model))

    def processes(self) -> Sequence[int] | None:
        """This process, below which the programs run."""
        return [os.getpid()]

    def cancel(self) -> None:
        """Ends every program that runs."""
        with self._lock:
            self._cancelled |= self._running
            for process in self._running:
                process.kill()

    def unload(self, model: str) -> None:
        """Nothing is held between requests."""

    def close(self) -> None:
        """Ends what still runs."""
        self.cancel()

    def _run(self, model: str, text: str, seconds: float | None) -> str:
        command = [_path(model)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            with self._lock:
                self._running.add(process)
            try:
                said, _ = process.communicate(text, timeout=seconds)
            except subprocess.TimeoutExpired:
                raise ModelTimeout(f"{model}: no whole answer within {seconds:g} s") from None
            finally:
                process.kill()
                with self._lock:
                    self._running.discard(process)
                    cancelled = process in self._cancelled
                    self._cancelled.discard(process)
        if cancelled:
            raise ModelUnavailable(f"{model}: the request was cancelled")
        if process.returncode != 0:
            raise ModelError(f"{model}: ended with exit code {process.returncode}")
        return said


def _path(model: str) -> str:
    found = shutil.which(model)
    if found is None:
        raise ModelNotFound(f"{model}: there is no such program, or it may not be run; look at its path and its rights")
    return found
