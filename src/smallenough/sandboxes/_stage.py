"""What the sandboxed interpreter runs before the program, and beside it.

It divides in two. One half becomes the program: it puts on itself the limits that the parent can't set (code between
fork and exec is unsafe in a process with threads, and limits on the sandbox's launcher would hit the launcher), and
runs the source, which comes through a pipe, so that it is in no argument list. Nothing hostile has run yet when
the limits are set, and without a privilege they can't be raised again. The other half waits for everything, ends what
is left, and reports how the program ended and what it took; so the numbers are the program's alone.

The interpreter is started without `site`: only the standard library can be imported.
"""

from __future__ import annotations

import math
import os
import re
import resource
import sys
from dataclasses import dataclass

from smallenough.records import Limits

FILE_NAME = "program.py"
"""What tracebacks call the program."""

READY = b"ready\n"
"""What the stage reports when the limits stand and the program is about to run."""

OPEN_FILES = 256
"""File descriptors that a program may have open."""

ENVIRONMENT = {"MALLOC_ARENA_MAX": "1"}
"""What a program's environment holds. With an arena for each thread, address space that the C library only reserves
would count against the limit on memory."""

_MEMORY_UNIT = 1 if sys.platform == "darwin" else 1024
"""Bytes in which the system tells the largest resident set."""

_ENDED = re.compile(rb"ended (\d+) (\d+) (\d+)\n")

# Objects that the collector leaves alone need no copy of their page in the other half. `os` takes longer to import than
# `posix`, its compiled part, takes to do all this.
_STAGE = f"""
def _stage():
    import builtins, gc, posix, resource, sys
    from _sitebuiltins import Quitter
    source, report, user, *limits = map(int, sys.argv[1:])
    with open(source, "rb") as file:
        text = file.read()
    gc.freeze()
    program = posix.fork()
    if program:
        for descriptor in range(3):
            posix.close(descriptor)
        while True:
            ended, status = posix.wait()
            if ended == program:
                break
        try:
            if posix.getpid() == 1:
                posix.kill(-1, 9)
            while True:
                posix.wait()
        except (ChildProcessError, ProcessLookupError):
            pass
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        micros = int((usage.ru_utime + usage.ru_stime) * 1e6)
        posix.write(report, b"ended %d %d %d\\n" % (status, micros, usage.ru_maxrss))
        posix._exit(0)
    for i in range(0, len(limits), 3):
        resource.setrlimit(limits[i], (limits[i + 1], limits[i + 2]))
    if user:
        posix.setgroups([])
        posix.setresgid(user, user, user)
        posix.setresuid(user, user, user)
    def hook(kind, error, trace):
        while trace and trace.tb_frame.f_code.co_filename == "<string>":
            trace = trace.tb_next
        sys.__excepthook__(kind, error.with_traceback(trace), trace)
    sys.excepthook = hook
    sys.argv[:] = [{FILE_NAME!r}]
    builtins.exit, builtins.quit = Quitter("exit", "Ctrl-D"), Quitter("quit", "Ctrl-D")
    del globals()["_stage"]
    posix.write(report, {READY!r})
    posix.close(report)
    return compile(text, {FILE_NAME!r}, "exec", dont_inherit=True)
exec(_stage())
"""


@dataclass(frozen=True, slots=True)
class Report:
    """What the stage has reported."""

    ready: bool
    """Whether the program was reached."""
    status: int | None = None
    """The program's wait status; None: it was stopped with everything else."""
    cpu_seconds: float = 0.0
    """User and system time of the program and all that it started."""
    peak_memory_bytes: int = 0
    """The largest resident set among them."""


def read(report: bytes) -> Report:
    """What `report` says."""
    ended = _ENDED.search(report)
    if not ended:
        return Report(READY in report)
    return Report(READY in report, int(ended[1]), int(ended[2]) / 1e6, int(ended[3]) * _MEMORY_UNIT)


def interpreter() -> str:
    """The real interpreter behind `sys.executable`, outside any virtual environment."""
    base: str | None = getattr(sys, "_base_executable", None)
    return os.path.realpath(base or sys.executable)


def command(source: int, report: int, limits: Limits, *, user: int = 0, tasks: int | None = None) -> list[str]:
    """The interpreter with the stage and the program.

    Args:
        source: the file descriptor that the program's source is read from.
        report: the file descriptor that `READY` is written to.
        limits: what the program may use; per process, since that is what the kernel's resource limits are.
        user: the user and group id to become; 0: stay as one is.
        tasks: processes and threads of this user that there may be; None: not limited here.
    """
    seconds = max(1, math.ceil(limits.cpu_seconds))
    hard = {
        resource.RLIMIT_FSIZE: limits.disk_bytes,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    if sys.platform != "darwin":  # which refuses it; there the tree is watched
        hard[resource.RLIMIT_AS] = limits.memory_bytes
    if tasks is not None:
        hard[resource.RLIMIT_NPROC] = tasks
    numbers = [source, report, user, resource.RLIMIT_CPU, seconds, seconds + 1]
    for which, value in hard.items():
        numbers += [which, value, value]
    return [interpreter(), "-I", "-S", "-X", "utf8", "-c", _STAGE, *map(str, numbers)]
