"""Runs programs in bubblewrap, and keeps a log of them."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path

from smallenough.errors import SandboxError
from smallenough.records import Execution, Limits, Program, replace
from smallenough.sandboxes.bubblewrap import BubblewrapSandbox


class LoggedSandbox:
    """Bubblewrap, with a line of JSON for each program in the file that `SANDBOX_LOG` names (default: sandbox.log).

    Raises:
        SandboxError: bubblewrap does not work here.
    """

    name = "logged"

    def __init__(self) -> None:
        self._inner = BubblewrapSandbox()
        self._file = Path(os.environ.get("SANDBOX_LOG", "sandbox.log"))
        self._lock = threading.Lock()

    def describe(self) -> dict[str, str]:
        """What is in force; recorded with the session."""
        return {**self._inner.describe(), "log": str(self._file)}

    def run(self, program: Program, limits: Limits) -> Execution:
        """Runs `program`, and notes what became of it.

        Raises:
            SandboxError: the sandbox failed, or the log can't be written.
        """
        done = self._inner.run(program, limits)
        digest = hashlib.sha256(program.source.encode("utf-8", "surrogatepass")).hexdigest()
        line = json.dumps({"program": digest, "exit_code": done.exit_code, "stopped": done.stopped})
        try:
            with self._lock, self._file.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            raise SandboxError(f"sandbox {self.name!r}: {self._file} can't be written: {error.strerror}") from error
        return replace(done, sandbox=self.name)
