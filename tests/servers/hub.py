"""A model hub on loopback, as far as `huggingface_hub` asks for one: repositories are folders, with one commit each."""

from __future__ import annotations

import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from smallenough.models.packages import sha256

COMMIT = "0123456789abcdef0123456789abcdef01234567"

_INFO = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)/revision/[^/?]+")
_TREE = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)/tree/[^/?]+")
_FILE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/[^/]+/(?P<file>.+)")


class Hub:
    """Serves the repositories below `folder`, by OWNER/NAME; a gated one has a file `.gated` with the token for it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cut: int | None = None
        """Bytes after which the next answers with weights break off."""
        self.seen: list[tuple[str, str]] = []
        """Method and path of each request."""
        hub = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                hub._answer(self)

            do_HEAD = do_GET  # noqa: N815 - as the library names it

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing is told on standard error."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Hub:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        self.seen.append((request.command, request.path))
        path = request.path.partition("?")[0]
        info, tree, file = (form.fullmatch(path) for form in (_INFO, _TREE, _FILE))
        match = info or tree or file
        folder = self.folder / (match["repo"] if match else "none")
        if match is None or not folder.is_dir():
            self._refuse(request, 401 if match else 404, "RepoNotFound")
            return
        gate = folder / ".gated"
        if gate.exists() and request.headers.get("Authorization") != f"Bearer {gate.read_text()}":
            self._refuse(request, 403, "GatedRepo")
            return
        files = sorted(one for one in folder.iterdir() if one.is_file() and one != gate)
        if info:
            self._send_json(
                request, {"id": match["repo"], "sha": COMMIT, "siblings": [{"rfilename": f.name} for f in files]}
            )
        elif tree:
            entries = [{"type": "file", "path": f.name, "size": f.stat().st_size, "oid": sha256(f)} for f in files]
            self._send_json(request, entries)
        elif (folder / match["file"]) in files:
            self._send_file(request, folder / match["file"])
        else:
            self._refuse(request, 404, "EntryNotFound")

    def _refuse(self, request: BaseHTTPRequestHandler, status: int, code: str) -> None:
        request.send_response(status)
        request.send_header("X-Error-Code", code)
        request.send_header("X-Error-Message", f"{code}, says the hub")
        request.send_header("Content-Length", "0")
        request.end_headers()

    def _send_json(self, request: BaseHTTPRequestHandler, value: Any) -> None:
        body = json.dumps(value).encode()
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    def _send_file(self, request: BaseHTTPRequestHandler, path: Path) -> None:
        body = path.read_bytes()
        span = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
        start = int(span[1]) if span else 0
        request.send_response(206 if span else 200)
        if span:
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        request.send_header("Content-Length", str(len(body) - start))
        request.send_header("ETag", f'"{sha256(path)}"')
        request.send_header("X-Repo-Commit", COMMIT)
        request.send_header("Accept-Ranges", "bytes")
        request.end_headers()
        if request.command == "HEAD":
            return
        end = len(body) if self.cut is None or path.suffix != ".safetensors" else min(len(body), start + self.cut)
        request.wfile.write(body[start:end])
        if end < len(body):
            request.close_connection = True
