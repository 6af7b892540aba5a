"""Running code: a program in a sandbox, and what becomes of a solution on its tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True, slots=True)
class Limits:
    """What a program in a sandbox may use."""

    cpu_seconds: float = 10.0
    wall_seconds: float = 20.0
    """From when the program runs; the start of the sandbox has a limit of its own."""
    memory_bytes: int = 512 * 2**20
    processes: int = 16
    """Processes and threads at the same time."""
    output_bytes: int = 2**20
    """Standard output and standard error, each."""
    disk_bytes: int = 32 * 2**20
    """Everything in the private temporary folder."""


@dataclass(frozen=True, slots=True)
class Program:
    """Python source for a sandbox to run, with what it reads on standard input."""

    source: str
    stdin: bytes = b""


@dataclass(frozen=True, slots=True)
class Execution:
    """What became of a program. That it failed or was stopped is a result, not an error."""

    exit_code: int | None
    """None: ended by a signal."""
    stdout: bytes
    stderr: bytes
    seconds: float
    """Wall time, start of the sandbox included."""
    cpu_seconds: float | None = None
    """User and system time of the program and its children."""
    peak_memory_bytes: int | None = None
    stopped: Literal["wall", "cpu", "memory", "output", "processes"] | None = None
    """The limit that ended it; None: it ended by itself."""
    sandbox: str = ""


@dataclass(frozen=True, slots=True)
class TestResult:
    """What became of one test."""

    __test__: ClassVar[bool] = False
    code: str
    """The test as it was written."""
    passed: bool
    error: str | None = None
    """Class of the failure: AssertionError, NameError, SyntaxError, Timeout, MemoryError, Crash, …; None: passed."""
    message: str = ""
    """The failure in words, for a reader or a model."""
    expected: str | None = None
    """What should have come, as Python would print it."""
    actual: str | None = None
    """What came, as Python would print it."""
    output: str = ""
    """What the solution printed meanwhile."""
    seconds: float | None = None
    """Time of the call itself, without start-up."""
    exposed: bool = False
    """Whether the expectation was in the same process as the solution."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What became of a solution on a set of tests, one by one."""

    results: tuple[TestResult, ...]
    syntax_valid: bool | None = None
    """Whether the code parses; None: there was no code."""
    runs: int = 0
    """How many sandboxes it took."""
    cpu_seconds: float | None = None
    """What the sandboxes consumed."""
    sandbox: str = ""

    @property
    def passed(self) -> bool | None:
        """Whether every test passed; None: there are no tests."""
        return all(result.passed for result in self.results) if self.results else None

    @property
    def ratio(self) -> float | None:
        """Tests passed of all tests, 0 to 1; None: there are no tests."""
        return sum(result.passed for result in self.results) / len(self.results) if self.results else None

    @property
    def first_failure(self) -> TestResult | None:
        """The first test that did not pass."""
        return next((result for result in self.results if not result.passed), None)
