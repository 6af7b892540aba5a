"""A plain process with resource limits: for programs that one would also run by hand.

It does not protect against a hostile program. That program runs as the user who started smallenough, so it can read
and write all files that the user can (other solutions, hidden tests, keys), use the network, signal the user's
processes, and leave processes behind that have left its process group. It outlives a smallenough that is killed with
`kill -9`, up to its CPU time. What it holds against are accidents: endless loops, too much memory, output or processes,
a crash.
"""

from __future__ import annotations

import sys
import tempfile

from smallenough.errors import SandboxError
from smallenough.records import Execution, Limits, Program
from smallenough.sandboxes import _process, _stage


class SubprocessSandbox:
    """Runs programs in plain processes, with limits and a temporary working folder, and without isolation.

    Raises:
        SandboxError: this is neither Linux nor macOS.

    Memory: the address space of each process (not on macOS), and the tree's memory, looked at twenty times a second:
    what is shared counts once, except on macOS. CPU time: of each process, and of the tree in the same way. Processes:
    the tree is stopped (`processes`) when it has more. Disk: the size of each file alone, whereas the number of files
    is not limited.
    """

    name = "subprocess"

    def __init__(self) -> None:
        self.check()

    def check(self) -> None:
        """Makes sure that programs can be run here.

        Raises:
            SandboxError: this is neither Linux nor macOS.
        """
        if sys.platform not in ("linux", "darwin"):
            raise SandboxError(f"sandbox {self.name!r} needs Linux or macOS; this is {sys.platform}")

    def describe(self) -> dict[str, str]:
        """What is in force, by limit; to be recorded with the results."""
        whole = "whole tree, watched"
        return {
            "isolation": "none",
            "cpu": f"each process, by the kernel; {whole}",
            "memory": whole if sys.platform == "darwin" else f"each process, by the kernel; {whole}",
            "processes": whole,
            "disk": "each file",
            "interpreter": _stage.interpreter(),
        }

    def run(self, program: Program, limits: Limits) -> Execution:
        """Runs `program` to its end or to a limit.

        Raises:
            SandboxError: no process could be started, or the interpreter failed before the program was reached.
        """
        try:
            with tempfile.TemporaryDirectory(prefix="smallenough-", ignore_cleanup_errors=True) as folder:
                launch = _process.Launch(
                    command=lambda source, report, _: _stage.command(source, report, limits),
                    directory=folder,
                    environment={**_stage.ENVIRONMENT, "TMPDIR": folder},
                    tasks=limits.processes + 1,  # The stage is one more.
                )
                return _process.supervise(launch, program, limits).execution(self.name)
        except OSError as error:
            raise SandboxError(f"sandbox {self.name!r} failed: {error}") from error
