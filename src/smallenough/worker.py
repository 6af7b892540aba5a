"""A process of our own that works for this one: what is said to it and by it are lines of JSON over two pipes.

It is in a session of its own, so that Ctrl-C at a terminal reaches only its client, and it ends when its client does,
however that ends, since then its standard input does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field, TypeAdapter

LAST_WORDS = 400
"""Characters of what a dead process wrote last that an error repeats."""

_ENDING_SECONDS = 10.0
"""For so long a process that was asked to end is waited for."""

Said = TypeVar("Said")


class Lines(Generic[Said]):
    """Messages as lines of JSON, told apart by their `kind`.

    Args:
        kinds: the dataclasses of all messages, as a union.
    """

    def __init__(self, kinds: object) -> None:
        self._kinds = kinds

    @cached_property
    def _adapter(self) -> TypeAdapter[Said]:
        kinds: Any = Annotated[self._kinds, Field(discriminator="kind")]
        return TypeAdapter(kinds)

    def encode(self, message: Said) -> bytes:
        """`message` as one line, with its end."""
        return self._adapter.dump_json(message) + b"\n"

    def decode(self, line: bytes) -> Said:
        """The message that `encode` wrote.

        Raises:
            ValueError: the line is none.
        """
        return self._adapter.validate_json(line)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended."""

    code: int
    """Its exit code; negative: the signal that ended it."""
    words: str
    """The last of what it wrote to standard error, on one line."""

    @property
    def killed(self) -> bool:
        """Whether it was killed from outside, as the system does where memory runs out."""
        return self.code == -signal.SIGKILL

    @property
    def told(self) -> str:
        """In words: `ended with exit code 1; its last words: …`."""
        how = f"signal {signal.Signals(-self.code).name}" if self.code < 0 else f"exit code {self.code}"
        return f"ended with {how}; its last words: {self.words or 'none'}"


class Worker:
    """The process, as its client sees it.

    Args:
        module: that the process runs, as `python -m` does.
        environment: variables that are set for it besides this process's own.
    """

    def __init__(self, module: str, environment: Mapping[str, str] | None = None) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - for as long as the process may write to it
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def tell(self, line: bytes) -> None:
        """Sends a line; one that has ended is told nothing, and `ended` tells why."""
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(OSError, ValueError):
            pipe.write(line)
            pipe.flush()

    def lines(self) -> Iterator[bytes]:
        """The whole lines that it writes, until there are no more."""
        pipe = self._process.stdout
        assert pipe is not None
        with pipe:
            for line in pipe:
                if line.endswith(b"\n"):  # else it was killed while it wrote
                    yield line

    def kill(self) -> None:
        """Ends it at once."""
        self._process.kill()

    def end(self) -> None:
        """Ends it, and returns when it is gone."""
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(OSError):  # it is gone already
            pipe.close()
        try:
            self._process.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def ended(self) -> Ending:
        """How it ended, once it has; to be asked once, after its last line."""
        code = self._process.wait()
        with self._errors:
            self._errors.seek(0)
            words = self._errors.read().decode("utf-8", "replace")
        return Ending(code, " ".join(words.split())[-LAST_WORDS:])
