"""A real Ollama server of a test's own, beside the one that all tests share."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from pathlib import Path

import psutil

from smallenough.models.local import server_processes


class OwnOllama:
    """A second server of the real Ollama, with the first one's models, which can be ended and started again."""

    def __init__(self, url: str, folder: Path) -> None:
        (first,) = server_processes(url, "ollama") or []
        self.program = psutil.Process(first).exe()
        theirs = psutil.Process(first).environ()
        models = Path(theirs.get("OLLAMA_MODELS") or Path(theirs["HOME"], ".ollama", "models"))
        shutil.copytree(models / "manifests", folder / "models" / "manifests")
        (folder / "models" / "blobs").symlink_to(models / "blobs")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.url = f"http://127.0.0.1:{free.getsockname()[1]}"
        self.environment = {**theirs, "OLLAMA_MODELS": str(folder / "models"), "OLLAMA_HOST": self.url}
        self.log = folder / "ollama.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.program, "serve"], env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        while not self.answers() and self.process.poll() is None:
            time.sleep(0.05)

    def answers(self) -> bool:
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.url}/api/version", timeout=5):
            return True
        return False

    def end(self) -> None:
        if self.process is not None:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                child.kill()
            self.process.kill()
            self.process.wait()
            self.process = None

    def call(self, path: str, method: str, **body: str) -> None:
        data = json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}{path}", data, method=method), timeout=60):
            pass
