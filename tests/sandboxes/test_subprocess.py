from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest

from smallenough import plugins
from smallenough.contracts.sandbox import FORK_BOMB, SandboxContract
from smallenough.errors import SandboxError
from smallenough.protocols import Sandbox
from smallenough.records import Limits, Program
from smallenough.sandboxes import _stage, _tree
from smallenough.sandboxes.subprocess import SubprocessSandbox


class TestSubprocessSandboxWithoutLinux(SandboxContract):
    """By what macOS has: no file descriptors for processes, no waiting without an end, no /proc."""

    @pytest.fixture
    def sandbox(self, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
        monkeypatch.delattr(os, "pidfd_open")
        monkeypatch.delattr(os, "waitid")
        monkeypatch.setattr(_tree, "_LISTED", False)
        monkeypatch.setattr(_tree.Tree, "proportional_bytes", None)
        real = os.killpg

        def killpg(group: int, number: int) -> None:
            """macOS forbids to signal a group of which only dead processes are left."""
            real(group, 0)
            if not any(_tree._states(group)):
                raise PermissionError(1, "Operation not permitted")
            real(group, number)

        monkeypatch.setattr(os, "killpg", killpg)
        assert psutil.LINUX, "imported before it could take this for another system"
        monkeypatch.setattr(sys, "platform", "darwin")
        return SubprocessSandbox()

    def test_a_program_that_ends_at_its_limit_is_no_fault_of_the_sandbox(self, sandbox: Sandbox) -> None:
        for wall in (0.01, 0.015, 0.02, 0.025, 0.03) * 4:
            done = self.run(sandbox, "import time; time.sleep(0.018)", wall_seconds=wall)
            assert done.stopped in (None, "wall")

    def test_a_memory_bomb_is_stopped_for_its_memory(self, sandbox: Sandbox) -> None:
        """By the watch alone: what is taken between two looks comes on top."""
        assert self.run(sandbox, "held = []\nwhile True: held.append(bytearray(5_000_000))").stopped == "memory"

    def test_a_program_may_outlive_its_own_memory_error(self, sandbox: Sandbox) -> None:
        """There is none: the kernel gives what is asked for, and the watch over the tree ends who uses it."""
        assert self.run(sandbox, "bytearray(10**10)").stopped == "memory"


class TestSubprocessSandbox(SandboxContract):
    @pytest.fixture
    def sandbox(self) -> Sandbox:
        return SubprocessSandbox()

    def test_it_goes_by_its_name(self) -> None:
        assert plugins.load("sandboxes", "subprocess") is SubprocessSandbox

    def test_it_says_that_it_isolates_nothing(self) -> None:
        assert SubprocessSandbox().describe()["isolation"] == "none"

    def test_a_fork_bomb_is_stopped_for_its_processes(self, sandbox: Sandbox) -> None:
        assert self.run(sandbox, FORK_BOMB).stopped == "processes"

    def test_the_working_folder_is_gone_afterwards(self, sandbox: Sandbox) -> None:
        folder = Path(self.run(sandbox, "import os; print(os.getcwd(), end='')").stdout.decode())
        assert folder.is_absolute()
        assert not folder.exists()

    def test_an_interpreter_that_does_not_start_is_the_sandboxs_failure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_stage, "interpreter", lambda: "/bin/false")
        with pytest.raises(SandboxError, match=r"'subprocess' failed before the program started .*exit code 1"):
            SubprocessSandbox().run(Program("pass"), Limits())

    def test_a_slow_start_does_not_count_as_the_programs_time(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        slow = tmp_path / "python"
        slow.write_text(f'#!/bin/sh\nsleep 1.5\nexec "{_stage.interpreter()}" "$@"\n')
        slow.chmod(0o755)
        monkeypatch.setattr(_stage, "interpreter", lambda: str(slow))
        done = SubprocessSandbox().run(Program("print('reached')"), Limits(wall_seconds=1.4))
        assert (done.stopped, done.stdout) == (None, b"reached\n")
        assert done.seconds > 1.5

    def test_an_interpreter_that_does_not_exist_is_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_stage, "interpreter", lambda: "/missing/python")
        with pytest.raises(SandboxError, match="/missing/python"):
            SubprocessSandbox().run(Program("pass"), Limits())
