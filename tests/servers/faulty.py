"""A server that speaks Ollama's HTTP interface and answers, or fails, as it was told.

In tests: `with FaultyServer() as server: server.program(Answer("hi"), Answer(fault="reset"))`. As a program, it is a
quick stand-in for measuring everything around a model:

    python tests/servers/faulty.py --port 0 --delay 0.02 --answers FILE.jsonl

prints its URL, and answers by the first line {"match": "…", "answer": "…"} whose match stands in the prompt; such a
line may also have a `fault`.
It knows no more of Ollama than its clients need, and generates nothing.
"""

from __future__ import annotations

import argparse
import json
import select
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

Fault = Literal[
    "hang",
    "hang midway",
    "hang after done",
    "freeze",
    "toil",
    "reset",
    "half JSON",
    "not JSON",
    "no done",
    "error line",
]
"""What goes wrong, after the first piece; `hang`, `freeze`, `toil` and, where there are no pieces, `reset`: before the
answer's head. In a `freeze` the server answers nobody, until the client gives up; to `toil` is to compute without end.
"""


@dataclass(frozen=True)
class Answer:
    """One answer to /api/chat, or how it fails."""

    text: str = ""
    pieces: Sequence[str] = ()
    """The text as it is streamed; empty: cut into `Answer.cuts` pieces."""
    thinking: Sequence[str] = ()
    """Pieces of the message's field `thinking`, streamed before the text."""
    cuts: int = 8
    delay: float = 0.0
    """Seconds before the first piece."""
    gap: float = 0.0
    """Seconds between two pieces."""
    status: int = 200
    error: str = ""
    """The server's message, for a status other than 200 and for an `error line`."""
    tokens: int | None = None
    """Tokens that it took, as the server counts them; None: one for each piece."""
    fault: Fault | None = None
    done_reason: str = "stop"

    @property
    def streamed(self) -> list[str]:
        """The text's pieces."""
        if self.pieces or not self.text:
            return list(self.pieces)
        size = -(-len(self.text) // self.cuts)
        return [self.text[start : start + size] for start in range(0, len(self.text), size)]


@dataclass
class Model:
    """A model that the server pretends to have."""

    digest: str = "d" * 64
    parameters: int = 134_515_008
    size: int = 98_363_007
    quantization: str = "Q4_1"
    family: str = "llama"
    context: int = 8192
    parameter_size: str = "134.52M"


class _Gone(Exception):
    """The client closed the connection, or the server stops."""


@dataclass
class _State:
    answer: Callable[[Mapping[str, Any]], Answer]
    models: dict[str, Model]
    version: str = "0.9.3"
    programmed: deque[Answer] = field(default_factory=deque)
    loaded: list[str] = field(default_factory=list)
    stays_loaded: bool = False
    """Whether a model can't be unloaded."""
    pulls: dict[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """By name of model, the lines that /api/pull streams."""
    requests: Counter[str] = field(default_factory=Counter)
    bodies: deque[Any] = field(default_factory=lambda: deque(maxlen=1000))
    """What /api/chat was asked, newest last."""
    refusals: deque[int] = field(default_factory=deque)
    """Statuses of the next answers to anything but /api/chat and /api/pull; 0: the connection is reset."""
    frozen: bool = False
    """Whether it answers nobody."""
    connections: set[socket.socket] = field(default_factory=set)
    accepted: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)
    begun: int = 0
    """Streams that were begun: the answer's head and the first piece are sent, or the fault has come."""
    disconnects: int = 0
    """Clients that closed the connection before the answer was complete."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _HttpServer

    def setup(self) -> None:
        super().setup()
        state = self.server.state
        with state.changed:
            state.connections.add(self.connection)
            state.accepted += 1

    def finish(self) -> None:
        with self.server.state.changed:
            self.server.state.connections.discard(self.connection)
        super().finish()

    def handle(self) -> None:
        try:
            super().handle()
        except (_Gone, OSError):
            self.close_connection = True

    def do_GET(self) -> None:
        state = self.server.state
        state.requests[self.path] += 1
        self._be_asked()
        if self.path == "/api/version":
            self._json({"version": state.version})
        elif self.path == "/api/tags":
            self._json({"models": [_listed(name, model) for name, model in state.models.items()]})
        elif self.path == "/api/ps":
            self._json({"models": [_listed(name, state.models[name]) for name in state.loaded]})
        else:
            self._json({"error": "404 page not found"}, 404)

    def do_POST(self) -> None:
        state = self.server.state
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with state.changed:
            state.requests[self.path] += 1
            state.changed.notify_all()
        name = body.get("model", "")
        if self.path not in ("/api/chat", "/api/pull"):
            self._be_asked()
        if self.path == "/api/pull":
            self._pull(state.pulls.get(name))
        elif name not in state.models:
            self._json({"error": f"model '{name}' not found"}, 404)
        elif self.path == "/api/show":
            self._json(_shown(state.models[name]))
        elif self.path == "/api/generate":
            if not state.stays_loaded and name in state.loaded:
                state.loaded.remove(name)
            self._json({"model": name, "response": "", "done": True, "done_reason": "unload"})
        elif self.path == "/api/chat":
            if name not in state.loaded:
                state.loaded.append(name)
            self._chat(body)
        else:
            self._json({"error": "404 page not found"}, 404)

    def _chat(self, body: Mapping[str, Any]) -> None:
        state = self.server.state
        with state.changed:
            state.bodies.append(body)
            answer = state.programmed.popleft() if state.programmed else None
        answer = answer or _held(state.answer(body), body)
        if answer.fault in ("hang", "freeze", "toil") or (answer.fault == "reset" and not answer.streamed):
            self._begun()
            self._fail(answer)
        self._wait(answer.delay)
        if answer.status != 200:
            self._json({"error": answer.error}, answer.status)
        elif body.get("stream", True):
            self._stream(answer, body)
        else:
            last = _last_line(answer, body)
            self._json(last | {"message": {"role": "assistant", "content": "".join(answer.streamed)}})

    def _stream(self, answer: Answer, body: Mapping[str, Any]) -> None:
        pieces = [{"thinking": piece, "content": ""} for piece in answer.thinking]
        pieces += [{"content": piece} for piece in answer.streamed]
        lines = [
            _line({"model": body["model"], "created_at": _NOW, "message": _SAYS | p, "done": False}) for p in pieces
        ]
        last = _line(_last_line(answer, body))
        if not answer.gap and answer.fault is None:
            self.wfile.write(_HEAD + b"".join(map(_chunk, lines)) + _chunk(last) + _END)
            return
        self.wfile.write(_HEAD)
        for number, line in enumerate(lines):
            if number:
                self._wait(answer.gap)
            self.wfile.write(_chunk(line))
            if not number:
                self._begun()
                if answer.fault is not None and answer.fault != "hang after done":
                    self._fail(answer)
                    return
        self.wfile.write(_chunk(last))
        if answer.fault == "hang after done":
            self._fail(answer)
        self.wfile.write(_END)

    def _fail(self, answer: Answer) -> None:
        """The fault of an answer; what can't go on after it raises _Gone."""
        if answer.fault in ("hang", "hang midway", "hang after done"):
            self._wait(None)
        elif answer.fault == "freeze":
            self._freeze()
        elif answer.fault == "toil":
            while True:
                self._wait(0.001)
                sum(range(100_000))
        elif answer.fault == "reset":
            self._reset()
        elif answer.fault == "half JSON":
            self.wfile.write(_chunk(b'{"model":"m","message":{"role":"assist') + _END)
        elif answer.fault == "not JSON":
            self.wfile.write(_chunk(b"<html>Bad gateway</html>\n") + _END)
        elif answer.fault == "error line":
            self.wfile.write(_chunk(_line({"error": answer.error})) + _END)
        elif answer.fault == "no done":
            self.wfile.write(_END)

    def _freeze(self) -> None:
        state = self.server.state
        with state.changed:
            state.frozen = True
        try:
            self._wait(None)
        finally:
            with state.changed:
                state.frozen = False
                state.changed.notify_all()

    def _be_asked(self) -> None:
        """Fails as it was told, instead of answering a question about the server itself."""
        state = self.server.state
        with state.changed:
            state.changed.wait_for(lambda: not state.frozen)
            status = state.refusals.popleft() if state.refusals else None
        if status == 0:
            self._reset()
        elif status is not None:
            self._json({"error": "not now"}, status)
            raise _Gone

    def _reset(self) -> None:
        # With this option, close() sends a reset instead of an orderly end.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        raise _Gone

    def _pull(self, lines: Sequence[Mapping[str, Any]] | None) -> None:
        if lines is None:
            lines = [{"status": "pulling manifest"}, {"error": "pull model manifest: file does not exist"}]
        self.wfile.write(_HEAD + b"".join(_chunk(_line(line)) for line in lines) + _END)

    def _begun(self) -> None:
        state = self.server.state
        with state.changed:
            state.begun += 1
            state.changed.notify_all()

    def _wait(self, seconds: float | None) -> None:
        """Waits; None: until the client closes the connection, or the server stops."""
        if seconds == 0:
            return
        poll = select.poll()
        poll.register(self.connection, select.POLLIN)
        if poll.poll(None if seconds is None else seconds * 1000):
            state = self.server.state
            with state.changed:
                state.disconnects += 1
                state.changed.notify_all()
            raise _Gone

    def _json(self, value: Mapping[str, Any], status: int = 200) -> None:
        body = json.dumps(value).encode()
        head = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.wfile.write(head.encode() + body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: what happened is counted."""


_NOW = "2025-01-01T00:00:00Z"
_SAYS = {"role": "assistant"}
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n"
_END = b"0\r\n\r\n"


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _held(answer: Answer, body: Mapping[str, Any]) -> Answer:
    """The answer as the real server holds it to a format: JSON of a text among those that are allowed."""
    allowed = (body.get("format") or {}).get("enum")
    if not allowed:
        return answer
    return replace(answer, text=json.dumps(answer.text if answer.text in allowed else allowed[0]), pieces=())


def _last_line(answer: Answer, body: Mapping[str, Any]) -> dict[str, Any]:
    tokens_in = sum(len(message["content"]) for message in body["messages"]) // 4
    tokens_out = len(answer.thinking) + len(answer.streamed) if answer.tokens is None else answer.tokens
    prompt, generating = int(answer.delay * 1e9), int(answer.gap * max(tokens_out - 1, 0) * 1e9)
    return {
        "model": body["model"],
        "created_at": _NOW,
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": answer.done_reason,
        "total_duration": prompt + generating,
        "load_duration": 1_000_000,
        "prompt_eval_count": tokens_in,
        "prompt_eval_duration": prompt,
        "eval_count": tokens_out,
        "eval_duration": generating,
    }


def _listed(name: str, model: Model) -> dict[str, Any]:
    details = {"family": model.family, "parameter_size": model.parameter_size, "quantization_level": model.quantization}
    return {"name": name, "model": name, "size": model.size, "digest": model.digest, "details": details}


def _shown(model: Model) -> dict[str, Any]:
    facts = {
        "general.architecture": model.family,
        "general.parameter_count": model.parameters,
        f"{model.family}.context_length": model.context,
    }
    return {"details": _listed("", model)["details"], "model_info": facts}


class _HttpServer(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True

    def __init__(self, port: int, state: _State) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.state = state


class FaultyServer:
    """The server, in threads of its own, from `start` to `stop` or as a context.

    Args:
        answer: the answer to a request to /api/chat, by its body, once all programmed ones are given.
        models: the models that it pretends to have.
        port: 0: any that is free.
    """

    def __init__(
        self,
        answer: Callable[[Mapping[str, Any]], Answer] = lambda _body: Answer("Hello there"),
        models: Mapping[str, Model] | None = None,
        port: int = 0,
    ) -> None:
        self.state = _State(answer, dict(models or {"smollm2:135m": Model()}))
        self._server = _HttpServer(port, self.state)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def program(self, *answers: Answer) -> None:
        """Gives these answers, in turn, to the next requests to /api/chat."""
        self.state.programmed.extend(answers)

    def wait(self, condition: Callable[[_State], bool], seconds: float = 10.0) -> None:
        """Waits until `condition` holds, which `begun` or `disconnects` brings about."""
        with self.state.changed:
            if not self.state.changed.wait_for(lambda: condition(self.state), seconds):
                raise TimeoutError(f"not within {seconds} s: {self.state}")

    def start(self) -> FaultyServer:
        self._thread.start()
        return self

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        with self.state.changed:
            for connection in self.state.connections:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    continue  # Its client has closed it already.
        self._server.server_close()

    def __enter__(self) -> FaultyServer:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def answers_from(path: Path, delay: float = 0.0, cuts: int = 8) -> Callable[[Mapping[str, Any]], Answer]:
    """Answers, or fails, by the first line of `path` whose `match` stands in the prompt."""
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]

    @lru_cache(4096)
    def find(prompt: str) -> Answer:
        line: dict[str, Any] = next((one for one in lines if one["match"] in prompt), {"answer": "I do not know."})
        return Answer(line["answer"], delay=delay, cuts=cuts, fault=line.get("fault"))

    return lambda body: find("\n".join(message["content"] for message in body["messages"]))


def main() -> None:
    parser = argparse.ArgumentParser(description="A stand-in for an Ollama server.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before an answer")
    parser.add_argument("--pieces", type=int, default=8, help="pieces in which an answer is streamed")
    parser.add_argument("--answers", type=Path, help='lines of {"match": "…", "answer": "…"}')
    parser.add_argument("--model", action="append", default=[], help="a model that it shall have (repeatable)")
    options = parser.parse_args()
    if options.answers:
        answer = answers_from(options.answers, options.delay, options.pieces)
    else:
        always = Answer("I do not know.", delay=options.delay, cuts=options.pieces)

        def answer(_body: Mapping[str, Any]) -> Answer:
            return always

    with FaultyServer(answer, {name: Model() for name in options.model or ["smollm2:135m"]}, options.port) as server:
        print(server.url, flush=True)
        try:
            while True:
                time.sleep(3600)
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
