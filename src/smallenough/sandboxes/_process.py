"""Runs one process to its end or to a limit: feeds it, reads it, watches it, and leaves nothing of it behind.

For Linux and macOS. CPU time and memory are the program's own as its stage reports them; of a program that was stopped,
they are what was seen just before, the start of the sandbox (a few milliseconds) included.
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Literal, TypeAlias

from smallenough.errors import SandboxError
from smallenough.records import Execution, Limits, Program
from smallenough.sandboxes import _stage, _tree

Stopped: TypeAlias = Literal["wall", "cpu", "memory", "output", "processes"]

_LOOK_SECONDS = 0.05
"""Between two looks at the tree: the most that a limit on the whole tree may be overrun."""

_START_SECONDS = 60.0
"""The most that a sandbox may take until the program runs: a few milliseconds, seconds where the machine is overloaded.
It does not count as the program's wall time, so that a verdict does not depend on what else runs."""

_DEATH_SECONDS = 2.0
"""The most that a killed process is waited for; only one that hangs in the kernel takes so long."""

_CHUNK = 65536
_REPORT_BYTES = 4096
_FIRST_INSIDE = re.compile(rb'"child-pid":\s*(\d+)')


@dataclass(frozen=True, slots=True)
class Launch:
    """How a process is started."""

    command: Callable[[int, int, int], Sequence[str]]
    """Makes the command from the file descriptors that the source is read from, that the stage reports to, and that the
    launcher of a namespace reports to."""
    directory: str
    environment: dict[str, str] = field(default_factory=dict)
    descriptors: tuple[int, ...] = ()
    """Further file descriptors that the command needs."""
    namespace: bool = False
    """Whether the command is a launcher that reports the first process of a namespace, and waits for it."""
    enter: Callable[[int], None] | None = None
    """Called with the first process of the namespace, before the source is handed over."""
    memory: bool = True
    """Whether the tree's memory is watched here; False: something better does."""
    tasks: int | None = None
    """Processes and threads of the tree at which it is stopped; None: something better limits them."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of the process."""

    exit_code: int | None
    signal: int | None
    stdout: bytes
    stderr: bytes
    seconds: float
    cpu_seconds: float
    peak_memory_bytes: int | None
    stopped: Stopped | None
    ready: bool
    """Whether the program was reached; False: what started it failed."""

    def execution(self, sandbox: str) -> Execution:
        """The same as the value that the protocol names.

        Raises:
            SandboxError: the program was not reached.
        """
        if not self.ready:
            said = self.stderr.decode(errors="replace").strip().replace("\n", "; ")[-500:]
            how = f"limit {self.stopped}" if self.stopped else f"exit code {self.exit_code}, signal {self.signal}"
            raise SandboxError(f"sandbox {sandbox!r} failed before the program started ({how}): {said or 'no message'}")
        return Execution(
            exit_code=self.exit_code,
            stdout=self.stdout,
            stderr=self.stderr,
            seconds=self.seconds,
            cpu_seconds=self.cpu_seconds,
            peak_memory_bytes=self.peak_memory_bytes,
            stopped=self.stopped,
            sandbox=sandbox,
        )


def supervise(launch: Launch, program: Program, limits: Limits) -> Ended:
    """Runs `program` as `launch` says, until it ends or a limit ends it; then nothing of it runs any more.

    Raises:
        SandboxError: the process could not be started.
        OSError: `launch.enter` failed, or too many files are open; nothing of the program has run.
    """
    started = time.monotonic()
    with contextlib.ExitStack() as stack:
        inside = stack.enter_context(contextlib.ExitStack())
        source_inside, source = _pipe(inside, stack)
        report, report_inside = _pipe(stack, inside)
        reports = [report_inside.fileno()]
        if launch.namespace:
            reports.append(os.dup(report_inside.fileno()))
            inside.callback(os.close, reports[-1])
        try:
            process = subprocess.Popen(
                launch.command(source_inside.fileno(), reports[0], reports[-1]),
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                cwd=launch.directory,
                env=launch.environment,
                pass_fds=(source_inside.fileno(), *reports, *launch.descriptors),
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(f"the sandbox's process can't be started: {error}") from error
        inside.close()
        run = _Run(process, launch, limits, started)
        try:
            run.open(program, source, report)
            run.loop()
        finally:
            status = run.finish()
        return run.ended(status)


def _kill_group(group: int) -> None:
    """Kills a process group. One of which only dead processes are left is gone, or, on macOS, may not be signalled."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def _pipe(reading: contextlib.ExitStack, writing: contextlib.ExitStack) -> tuple[IO[bytes], IO[bytes]]:
    """A pipe, each end closed with its stack at the latest."""
    read, write = os.pipe()
    return (
        reading.enter_context(os.fdopen(read, "rb", buffering=0)),
        writing.enter_context(os.fdopen(write, "wb", buffering=0)),
    )


@contextlib.contextmanager
def memory_file(content: bytes) -> Iterator[int]:
    """A file descriptor, only in memory, that reads `content`."""
    descriptor = os.memfd_create("content")
    try:
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


class _Run:
    """One process under way."""

    def __init__(self, process: subprocess.Popen[bytes], launch: Launch, limits: Limits, started: float) -> None:
        self.process, self.launch, self.limits, self.started = process, launch, limits, started
        self.selector = selectors.PollSelector()
        self.stdout, self.stderr, self.report = bytearray(), bytearray(), bytearray()
        self.read: dict[int, tuple[bytearray, int]] = {}
        self.write: dict[int, tuple[IO[bytes], memoryview]] = {}
        self.pidfd = self.source = self.reporting = -1
        self.enter = launch.enter
        self.deadline = started + _START_SECONDS
        self.ready = False
        self.stopped: Stopped | None = None
        self.last: _tree.Tree | None = None
        self.peak = 0

    def open(self, program: Program, source: IO[bytes], report: IO[bytes]) -> None:
        """Takes the ends of the pipes that the process holds the other ends of.

        Raises:
            OSError: this process has too many files open.
        """
        if hasattr(os, "pidfd_open"):  # Linux; elsewhere the end of the report tells
            self.pidfd = os.pidfd_open(self.process.pid)
            self.selector.register(self.pidfd, selectors.EVENT_READ)
        stdin, stdout, stderr = self.process.stdin, self.process.stdout, self.process.stderr
        assert stdin is not None
        assert stdout is not None
        assert stderr is not None
        most = self.limits.output_bytes
        for file, into, room in (
            (stdout, self.stdout, most),
            (stderr, self.stderr, most),
            (report, self.report, _REPORT_BYTES),
        ):
            os.set_blocking(file.fileno(), False)
            self.read[file.fileno()] = (into, room)
            self.selector.register(file.fileno(), selectors.EVENT_READ)
        self.reporting = report.fileno()
        for file, content in (stdin, program.stdin), (source, program.source.encode("utf-8", "surrogatepass")):
            os.set_blocking(file.fileno(), False)
            self.write[file.fileno()] = (file, memoryview(content))
        self.selector.register(stdin.fileno(), selectors.EVENT_WRITE)
        self.source = source.fileno()
        if self.enter is None:
            self.selector.register(self.source, selectors.EVENT_WRITE)

    def loop(self) -> None:
        """Feeds, reads and watches until the process has ended or was stopped."""
        look = time.monotonic() + _LOOK_SECONDS
        while self.stopped is None:
            now = time.monotonic()
            if now >= self.deadline:
                self.stopped = "wall"
                return
            if now >= look:
                self.watch()
                look = time.monotonic() + _LOOK_SECONDS
                continue
            for key, _ in self.selector.select(min(self.deadline, look) - now):
                if key.fd == self.pidfd:
                    return
                if key.fd not in self.read:
                    self.feed(key.fd)
                elif not self.take(key.fd) and key.fd == self.reporting and self.pidfd < 0:
                    self.await_end(_DEATH_SECONDS)
                    return
            if not self.ready and _stage.read(bytes(self.report)).ready:
                self.ready, self.deadline = True, time.monotonic() + self.limits.wall_seconds
            if self.enter and (first := self.first_inside):
                self.enter(first)
                self.enter = None
                self.selector.register(self.source, selectors.EVENT_WRITE)

    @property
    def first_inside(self) -> int | None:
        """The first process of the namespace, once the launcher has reported it."""
        found = _FIRST_INSIDE.search(self.report) if self.launch.namespace else None
        return int(found[1]) if found else None

    def feed(self, descriptor: int) -> None:
        """Writes what there is room for; closes the pipe when all is written or nobody reads any more."""
        file, rest = self.write[descriptor]
        try:
            while rest:
                rest = rest[os.write(descriptor, rest[:_CHUNK]) :]
        except BlockingIOError:
            self.write[descriptor] = (file, rest)
            return
        except BrokenPipeError:
            pass
        self.selector.unregister(descriptor)
        file.close()

    def take(self, descriptor: int) -> bool:
        """Reads once; says whether there may be more."""
        try:
            piece = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return False
        if not piece:
            self.selector.unregister(descriptor)
            del self.read[descriptor]
            return False
        into, most = self.read[descriptor]
        room = most - len(into)
        into += piece[:room]
        if len(piece) > room:
            self.stopped = self.stopped or "output"
            return False
        return True

    def watch(self) -> None:
        """Looks at the tree, and stops it at a limit that holds for the whole of it."""
        self.last = tree = _tree.look(self.process.pid, self.launch.tasks)
        if tree.cpu_seconds > self.limits.cpu_seconds:
            self.stopped = "cpu"
        elif self.launch.tasks is not None and tree.tasks > self.launch.tasks:
            self.stopped = "processes"
        elif self.launch.memory and tree.resident_bytes > self.limits.memory_bytes:
            proportional = tree.proportional_bytes
            if proportional is None or proportional > self.limits.memory_bytes:
                self.stopped = "memory"

    def finish(self) -> int:
        """Kills what is left, waits for it, and reads what it had written. Returns the process's wait status."""
        pid = self.process.pid
        if not _tree.has_ended(pid):
            self.last = _tree.look(pid, self.launch.tasks)
            self.peak = self.last.peak_bytes
            if first := self.first_inside:
                # The kernel ends a namespace with its first process, and the launcher waits for that.
                with contextlib.suppress(ProcessLookupError):
                    os.kill(first, signal.SIGKILL)
            else:
                _kill_group(pid)
            self.await_end(math.inf)
        # Before the process is waited for, while its number can't have become another's.
        _kill_group(pid)
        _, status = os.waitpid(pid, 0)
        until = time.monotonic() + _DEATH_SECONDS
        while _tree.group_lives(pid) and time.monotonic() < until:
            time.sleep(0.001)  # What was killed takes a moment to die, and tells nobody here.
        self.process.returncode = os.waitstatus_to_exitcode(status)
        for descriptor in list(self.read):
            while self.take(descriptor):
                pass
        self.selector.close()
        if self.pidfd >= 0:
            os.close(self.pidfd)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        return status

    def await_end(self, seconds: float) -> None:
        """Returns when the process has ended, or after so long; it remains to be waited for."""
        until = time.monotonic() + seconds
        while not _tree.has_ended(self.process.pid) and time.monotonic() < until:
            time.sleep(0.001)

    def ended(self, status: int) -> Ended:
        """The result, from what was read and reported, and the process's own wait status."""
        said = _stage.read(bytes(self.report))
        if said.ready:  # Without the end reported, the program was killed with everything else.
            status = signal.SIGKILL if said.status is None else said.status
        code = os.waitstatus_to_exitcode(status)
        number = -code if code < 0 else None
        cpu = said.cpu_seconds
        if said.status is None and self.last:
            cpu = self.last.cpu_seconds
        stopped = self.stopped
        if stopped is None and number in (signal.SIGXCPU, signal.SIGKILL) and cpu >= self.limits.cpu_seconds:
            stopped = "cpu"
        elif stopped is None and code == 1 and self.stderr.rstrip().rpartition(b"\n")[2].startswith(b"MemoryError"):
            stopped = "memory"
        return Ended(
            exit_code=None if number else code,
            signal=number,
            stdout=bytes(self.stdout),
            stderr=bytes(self.stderr),
            seconds=time.monotonic() - self.started,
            cpu_seconds=cpu,
            peak_memory_bytes=max(said.peak_memory_bytes, self.peak) or None,
            stopped=stopped,
            ready=said.ready,
        )
