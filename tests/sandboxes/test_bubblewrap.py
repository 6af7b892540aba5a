from __future__ import annotations

import json
import os
import platform
import secrets
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import smallenough
from smallenough import plugins
from smallenough.contracts.sandbox import LIMITS, THREAD_BOMB, SandboxContract, running
from smallenough.errors import SandboxError
from smallenough.protocols import Sandbox
from smallenough.records import Limits, Program
from smallenough.sandboxes import _cgroup, _process, _stage, bubblewrap
from smallenough.sandboxes.bubblewrap import BubblewrapSandbox
from tests.sandboxes import as_user
from tests.sandboxes.hostile import PROGRAMS

ROOT = Path(__file__).parents[2]
ORDINARY_USER = 65533


@pytest.fixture(scope="module")
def shared_sandbox() -> BubblewrapSandbox:
    return BubblewrapSandbox()


class TestBubblewrapSandbox(SandboxContract):
    @pytest.fixture
    def sandbox(self, shared_sandbox: BubblewrapSandbox) -> Sandbox:
        return shared_sandbox

    def test_it_goes_by_its_name(self) -> None:
        assert plugins.load("sandboxes", "bubblewrap") is BubblewrapSandbox

    def test_it_says_what_is_in_force(self, shared_sandbox: BubblewrapSandbox) -> None:
        said = shared_sandbox.describe()
        assert said["isolation"].startswith("namespaces")
        assert said["seccomp"] == "denylist"
        assert ("control group" in said["memory"]) == (_cgroup.find() is not None)

    @pytest.mark.parametrize("name", PROGRAMS)
    def test_it_holds(self, sandbox: Sandbox, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SECRET_KEY", "secret")
        done = sandbox.run(Program(PROGRAMS[name]), as_user.LIMITS)
        assert (done.exit_code, done.stopped, done.stderr.decode()) == (0, None, "")

    def test_exactly_as_many_processes_as_allowed(self, sandbox: Sandbox) -> None:
        assert self.run(sandbox, as_user.FORKS, processes=5).stdout == b"4\n"

    def test_exactly_as_many_threads_as_allowed(self, sandbox: Sandbox) -> None:
        assert self.run(sandbox, THREAD_BOMB, processes=5).stdout == b"4\n"

    def test_servers_of_this_machine_are_out_of_reach(self, sandbox: Sandbox) -> None:
        name = f"\0smallenough-{secrets.token_hex(8)}"
        with (
            socket.create_server(("127.0.0.1", 0)) as internet,
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as unix,
        ):
            unix.bind(name)
            unix.listen()
            places = [(int(socket.AF_INET), internet.getsockname()), (int(socket.AF_UNIX), name)]
            for family, address in places:
                with socket.socket(family) as reachable:
                    reachable.connect(address)
            done = self.run(
                sandbox,
                f"import socket\nfor family, address in {places!r}:\n"
                "    try: socket.socket(family).connect(address)\n"
                "    except ConnectionRefusedError: print('refused')",
            )
        assert (done.stdout, done.stderr) == (b"refused\nrefused\n", b"")

    def test_files_of_the_user_and_the_project_are_not_there(self, sandbox: Sandbox, tmp_path: Path) -> None:
        secret = tmp_path / "secret"
        secret.write_text("secret")
        paths = [secret, Path(__file__), ROOT / "pyproject.toml", Path(smallenough.__file__), Path.home() / ".ssh"]
        paths += [Path("/etc/shadow"), Path("/etc/passwd"), Path("/var"), Path("/run"), Path("/sys"), Path("/boot")]
        source = f"import os; print([p for p in {list(map(str, paths))!r} if os.path.exists(p)])"
        assert self.run(sandbox, source).stdout == b"[]\n"

    def test_nothing_is_kept_for_the_next_run(self, sandbox: Sandbox) -> None:
        source = (
            "import os\nprint(os.listdir('/tmp'), os.listdir('/dev/shm'))\n"
            "for f in '/tmp', '/dev/shm': open(f + '/kept', 'w').close()"
        )
        for _ in range(2):
            assert self.run(sandbox, source).stdout == b"[] []\n"

    @pytest.mark.parametrize("end", ["", "time.sleep(60)", "while True: pass", "os.kill(os.getpid(), 9)"])
    def test_a_daemon_that_left_everything_ends_too(self, sandbox: Sandbox, end: str) -> None:
        marker = f"32{secrets.randbelow(10**9)}"
        source = f"""
import os, time
ready, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    for n in range(3): os.close(n)
    if os.fork():
        os.close(write)
        os.execv('/bin/sleep', ['sleep', '{marker}'])
    os.write(write, b'1')
    time.sleep(60)
os.read(ready, 1)
print('started', flush=True)
{end}
"""
        done = self.run(sandbox, source, wall_seconds=1.5, cpu_seconds=0.5)
        assert done.stdout == b"started\n"
        assert running(marker) == []

    @pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
    def test_it_ends_with_the_process_that_started_it(self, how: signal.Signals) -> None:
        marker = f"33{secrets.randbelow(10**9)}"
        source = f"import subprocess; subprocess.run(['/bin/sleep', '{marker}'])"
        harness = (
            "from smallenough.sandboxes.bubblewrap import BubblewrapSandbox\n"
            "from smallenough.records import Limits, Program\n"
            f"BubblewrapSandbox().run(Program({source!r}), Limits(wall_seconds=60))"
        )
        with subprocess.Popen(
            [sys.executable, "-c", harness], stderr=subprocess.PIPE, start_new_session=True
        ) as process:
            sleeper = os.pidfd_open(wait_for(marker))
            # To the whole group, as a terminal does: the sandbox must not be in it.
            os.killpg(process.pid, how)
            process.communicate(timeout=120)
            poll = select.poll()
            poll.register(sleeper, select.POLLIN)
            assert poll.poll(10_000), "the program still runs"
            os.close(sleeper)
        assert process.returncode in (-how, 128 + how)

    def test_it_works_without_a_control_group(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_cgroup, "find", lambda: None)
        sandbox = BubblewrapSandbox()
        done = sandbox.run(Program("held = bytearray(b'x') * 60_000_000"), LIMITS)
        assert done.peak_memory_bytes is not None
        assert done.peak_memory_bytes > 60_000_000
        assert "control group" not in sandbox.describe()["memory"]

    def test_temporary_files_count_as_memory_of_a_control_group(self, sandbox: Sandbox) -> None:
        if _cgroup.find() is None:
            pytest.skip("no control group can be made here")
        source = "f = open('/tmp/large', 'wb')\nwhile True: f.write(bytes(2**20))"
        assert self.run(sandbox, source, memory_bytes=48 * 2**20, disk_bytes=2**29).stopped == "memory"

    def test_no_control_group_remains(self, sandbox: Sandbox) -> None:
        parent = _cgroup.find()
        if parent is None:
            pytest.skip("no control group can be made here")
        self.run(sandbox, "pass")
        assert list(parent.path.glob(f"smallenough-{os.getpid()}-*")) == []


def wait_for(marker: str) -> int:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for pid in running(marker):
            if Path(f"/proc/{pid}/comm").read_text() == "sleep\n":
                return pid
        time.sleep(0.01)
    pytest.fail("the program did not start")


class TestFaults:
    def test_without_bubblewrap_it_says_how_to_get_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
        with pytest.raises(SandboxError, match="apt-get install bubblewrap"):
            BubblewrapSandbox()

    @pytest.mark.parametrize(
        ("says", "mend"),
        [
            ("No permissions to create new namespace", r"sysctl|--privileged"),
            ("Creating new namespace failed: Operation not permitted", r"sysctl|--privileged"),
            ("Unknown option --perms", "0.6 or newer"),
            ("execvp /x/python: Permission denied", "chmod"),
        ],
    )
    def test_a_bubblewrap_that_fails_is_named_with_its_mend(
        self, says: str, mend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        failing = tmp_path / "bwrap"
        failing.write_text(f"#!/bin/sh\necho 'bwrap: {says}' >&2\nexit 1\n")
        failing.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(SandboxError, match=mend) as caught:
            BubblewrapSandbox()
        assert says in str(caught.value)

    def test_a_failure_later_is_the_sandboxs_not_the_programs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sandbox = BubblewrapSandbox()
        monkeypatch.setattr(sandbox, "_view", (*sandbox._view, "--ro-bind", "/missing", "/missing"))
        with pytest.raises(SandboxError, match="/missing"):
            sandbox.run(Program("pass"), Limits())

    def test_a_start_that_takes_too_long_is_the_sandboxs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        sandbox = BubblewrapSandbox()
        monkeypatch.setattr(_process, "_START_SECONDS", 0.0)
        with pytest.raises(SandboxError, match="before the program started"):
            sandbox.run(Program("pass"), LIMITS)

    def test_an_interpreter_beside_a_home_folder_is_refused(self) -> None:
        with pytest.raises(SandboxError, match="holds a home folder"):
            list(bubblewrap._view("/home/python", "/home"))

    @pytest.mark.parametrize("machine", ["riscv64"])
    def test_an_architecture_without_a_list_is_announced(self, machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(platform, "machine", lambda: machine)
        sandbox = BubblewrapSandbox()
        assert sandbox.describe()["seccomp"] == f"none: no list for {machine}"


@pytest.fixture
def place_for_everyone() -> Iterator[Path]:
    """A copy of the package that an ordinary user can read."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for part in ("src/smallenough", "tests/sandboxes"):
            shutil.copytree(ROOT / part, place / part, ignore=shutil.ignore_patterns("__pycache__"))
        for path in [place, *place.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        yield place


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_it_holds_for_an_ordinary_user(place_for_everyone: Path) -> None:
    candidates = [_stage.interpreter(), "/usr/bin/python3"]
    usable = [path for path in candidates if runs(path)]
    if not usable:
        pytest.skip("no interpreter of version 3.10 or newer here is readable for an ordinary user")
    done = subprocess.run(
        [usable[0], "-B", "-m", "tests.sandboxes.as_user"],
        cwd=place_for_everyone,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": "src:.", "SECRET_KEY": "secret"},
        capture_output=True,
        text=True,
        check=False,
        user=ORDINARY_USER,
        group=ORDINARY_USER,
        extra_groups=[],
    )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["wrong"] == {}
    assert said["describe"]["isolation"] == "namespaces, user namespace"
    assert (said["forks"], said["memory"]) == (f"{as_user.LIMITS.processes - 1}\n", "memory")


def runs(interpreter: str) -> bool:
    """Whether an ordinary user can start it, and it is new enough."""
    try:
        done = subprocess.run(
            [interpreter, "-c", "import sys; sys.exit(sys.version_info < (3, 10))"],
            user=ORDINARY_USER,
            group=ORDINARY_USER,
            extra_groups=[],
            cwd="/",
            env={},
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0
