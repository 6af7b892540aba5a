"""Programs in namespaces of their own, by bubblewrap: no network, only the system's files, nothing that remains.

What holds: a program sees the system's and the interpreter's files, read-only, and a private temporary folder of
limited size that is gone afterwards. It sees no other process, no environment, no network but its own empty loopback,
and has no privilege and no way to one (no new privileges, seccomp, no namespaces of its own). All its processes end
with it.

What does not: a fault in the kernel itself can let a program out, as with every container. Host facts that /proc shows
to everyone (processor, memory, kernel version, mount points) can be read. Without a control group, many empty files in
the temporary folder take the kernel's memory. Packages that are installed beside the interpreter are hidden: they may
hold a suite's answers.

Started by root, each run gets a user id of its own that nothing else has. Otherwise it runs in a user namespace as the
user who started it; there a program can reach the stage beside it, and so lie about its own exit code and memory.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from smallenough.errors import SandboxError
from smallenough.records import Execution, Limits, Program
from smallenough.sandboxes import _cgroup, _process, _seccomp, _stage

_SYSTEM = ("/bin", "/lib", "/lib32", "/lib64")
_USR = ("bin", "lib", "lib32", "lib64", "local/bin", "local/lib", "share/zoneinfo")
"""Of /usr, what interpreters need; containers often keep projects in /usr/src."""

_FILES = ("/etc/ld.so.cache",)
"""Without it, libraries outside the loader's own folders are not found."""

_PACKAGES = ("site-packages", "dist-packages")
"""Folders of installed packages: hidden, since the suites in them have the answers."""

_NOBODY = 65534
_FIRST_USER = 1_000_000_000
"""First of the user ids for runs that root starts: above all that systems, containers and directories hand out."""

_SHARED_BYTES = 2**23
"""Size of /dev/shm, which holds the locks of multiprocessing."""

_LAUNCHER_TASKS = 2
"""Processes beside the program: bubblewrap outside, the stage inside."""

_TRIAL = "import tempfile; tempfile.TemporaryFile().close()"
"""Needs the standard library and the temporary folder."""

_runs = itertools.count()


class BubblewrapSandbox:
    """Runs programs in namespaces of their own, by bubblewrap.

    Raises:
        SandboxError: bubblewrap is missing, or namespaces are forbidden here; names the mend. There is no fallback.
    """

    name = "bubblewrap"

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise SandboxError(f"sandbox {self.name!r} needs Linux; this is {sys.platform}")
        found = shutil.which("bwrap", path=os.environ.get("PATH", os.defpath) + ":/usr/bin:/usr/local/bin")
        if found is None:
            raise SandboxError("bubblewrap is not installed; run: apt-get install bubblewrap")
        self._bwrap = os.path.realpath(found)
        self._own_users = _may_take_users()
        self._filter = _seccomp.bpf() if _seccomp.supported() else None
        self._view = tuple(_view(_stage.interpreter(), sys.base_prefix))
        self._parent = _cgroup.find()
        self.check()

    def check(self) -> None:
        """Runs a small program, so that what is wrong shows now.

        Raises:
            SandboxError: it did not run; names the mend.
        """
        try:
            ended = self._supervise(Program(_TRIAL), Limits())
        except OSError as error:
            raise SandboxError(f"sandbox {self.name!r} failed: {error}") from error
        if not ended.ready or ended.exit_code != 0:
            said = ended.stderr.decode(errors="replace").strip()[-500:]
            raise SandboxError(f"bubblewrap can't run a program here: {said or 'no message'}; {_mend(said)}")

    def describe(self) -> dict[str, str]:
        """What is in force, by limit; to be recorded with the results."""
        watched = "; whole tree, watched"
        group = f"; whole tree, by a control group (version {self._parent.version})" if self._parent else watched
        return {
            "isolation": "namespaces, own user id" if self._own_users else "namespaces, user namespace",
            "seccomp": "denylist" if self._filter else f"none: no list for {platform.machine()}",
            "cpu": f"each process, by the kernel{watched}",
            "memory": f"each process, by the kernel{group}",
            "processes": "whole tree, by the kernel" if self._counts_tasks else "whole tree, watched",
            "disk": "whole temporary folder",
            "interpreter": _stage.interpreter(),
            "bubblewrap": _version(self._bwrap),
        }

    def run(self, program: Program, limits: Limits) -> Execution:
        """Runs `program` to its end or to a limit.

        Raises:
            SandboxError: bubblewrap failed before the program was reached.
        """
        try:
            return self._supervise(program, limits).execution(self.name)
        except OSError as error:
            raise SandboxError(f"sandbox {self.name!r} failed: {error}") from error

    @property
    def _counts_tasks(self) -> bool:
        """Whether the kernel counts the tasks of a run apart: of a user namespace, it does from 5.14 on."""
        return self._own_users or _kernel() >= (5, 14)

    def _supervise(self, program: Program, limits: Limits) -> _process.Ended:
        with contextlib.ExitStack() as stack:
            group = stack.enter_context(self._parent.group(limits.memory_bytes)) if self._parent else None
            seccomp = stack.enter_context(_process.memory_file(self._filter)) if self._filter else None
            launch = _process.Launch(
                command=functools.partial(self._command, limits, seccomp),
                directory="/",
                environment=_stage.ENVIRONMENT,
                descriptors=() if seccomp is None else (seccomp,),
                namespace=True,
                enter=group.enter if group else None,
                memory=group is None,
                tasks=None if self._counts_tasks else limits.processes + _LAUNCHER_TASKS,
            )
            ended = _process.supervise(launch, program, limits)
            if group is None:
                return ended
            failed = ended.exit_code != 0
            return dataclasses.replace(
                ended,
                peak_memory_bytes=max(group.peak_bytes or 0, ended.peak_memory_bytes or 0) or None,
                stopped="memory" if ended.stopped in (None, "cpu") and failed and group.kills else ended.stopped,
            )

    def _command(self, limits: Limits, seccomp: int | None, source: int, report: int, info: int) -> list[str]:
        if self._own_users:
            user = _FIRST_USER + os.getpid() * 256 + next(_runs) % 256
            identity = ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_KILL"]
            tasks = limits.processes
        else:
            user = 0
            identity = ["--unshare-user", "--uid", str(_NOBODY), "--gid", str(_NOBODY)]
            tasks = limits.processes + 1  # The stage counts there too.
        return [
            self._bwrap,
            *("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"),
            *(
                "--as-pid-1",
                "--die-with-parent",
                "--new-session",
                "--cap-drop",
                "ALL",
                *identity,
                "--hostname",
                "sandbox",
            ),
            *("--info-fd", str(info), *(() if seccomp is None else ("--seccomp", str(seccomp)))),
            *self._view,
            *("--size", str(limits.disk_bytes), "--perms", "1777", "--tmpfs", "/tmp"),
            *("--remount-ro", "/", "--chdir", "/tmp", "--"),
            *_stage.command(source, report, limits, user=user, tasks=tasks if self._counts_tasks else None),
        ]


def _view(interpreter: str, prefix: str) -> Iterator[str]:
    """Options that make the file system which programs see: what an interpreter needs, and no more.

    Raises:
        SandboxError: the interpreter can't be shown without showing a home folder.
    """
    for path in map(Path, _SYSTEM):
        if path.is_symlink():
            yield from ("--symlink", str(path.readlink()), str(path))
        elif path.is_dir():
            yield from ("--ro-bind", str(path), str(path))
    shown: list[Path] = []
    for path in [
        *(Path("/usr", name) for name in _USR),
        *_interpreter_folders(Path(interpreter), Path(prefix).resolve()),
    ]:
        if path.is_dir() and not any(path.is_relative_to(other) for other in shown):
            shown.append(path)
    files = [path for path in map(Path, _FILES) if path.is_file()]
    above = {folder for path in (*shown, *files) for folder in path.parents[:-1]}
    for folder in sorted(above):  # Left to bubblewrap, only root could enter them.
        yield from ("--perms", "0755", "--dir", str(folder))
    for path in (*shown, *files):
        yield from ("--ro-bind", str(path), str(path))
    for folder in _package_folders(shown):
        yield from ("--size", "4096", "--tmpfs", str(folder), "--remount-ro", str(folder))
    yield from ("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys", "--dev", "/dev")
    yield from ("--size", str(_SHARED_BYTES), "--perms", "1777", "--tmpfs", "/dev/shm", "--remount-ro", "/dev")


def _interpreter_folders(interpreter: Path, prefix: Path) -> list[Path]:
    """Where the interpreter and its library lie.

    Raises:
        SandboxError: a home folder lies there too.
    """
    libraries = [prefix / name for name in ("lib", "lib64") if (prefix / name).is_dir()]
    folders = [interpreter.parent, *libraries]
    homes = {Path(os.environ.get("HOME") or "/root"), Path("/root"), Path("/home")}
    for folder in folders:
        if any(home.is_relative_to(folder) for home in homes):
            raise SandboxError(
                f"the interpreter's folder {folder} holds a home folder, which programs must not see; "
                "use a Python that is installed in a folder of its own"
            )
    return folders


def _package_folders(shown: list[Path]) -> list[Path]:
    """The folders of installed packages in what programs would see."""
    libraries = [path for path in shown if path.name in ("lib", "lib64") or path.name.startswith("python")]
    libraries += [path / name for path in shown for name in ("lib", "lib64") if (path / name).is_dir()]
    found = {
        packages.resolve()
        for library in libraries
        for pattern in ("", "python*/")
        for name in _PACKAGES
        for packages in library.glob(f"{pattern}{name}")
        if packages.is_dir()
    }
    return sorted(found)


def _may_take_users() -> bool:
    """Whether this process may become any user: root, and not root of a container that maps only some."""
    if os.geteuid() != 0:
        return False
    last = _FIRST_USER + 2**22 * 256
    ranges = [list(map(int, line.split())) for line in Path("/proc/self/uid_map").read_text().splitlines()]
    return any(first <= _FIRST_USER and last <= first + count for first, _, count in ranges)


def _kernel() -> tuple[int, int]:
    numbers = re.match(r"(\d+)\.(\d+)", platform.release())
    return (int(numbers[1]), int(numbers[2])) if numbers else (0, 0)


def _version(bwrap: str) -> str:
    said = subprocess.run([bwrap, "--version"], env={}, capture_output=True, text=True, check=False)
    return said.stdout.removeprefix("bubblewrap").strip()


def _mend(said: str) -> str:
    """What to do about bubblewrap's message."""
    restricted = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    if "nknown option" in said:
        return "bubblewrap 0.6 or newer is needed"
    if os.geteuid() != 0 and restricted.exists() and restricted.read_text().strip() == "1":
        return (
            "AppArmor forbids user namespaces: as root, give bwrap an AppArmor profile with `userns`, "
            "or run `sysctl kernel.apparmor_restrict_unprivileged_userns=0`"
        )
    if "namespace" in said or "Operation not permitted" in said or "clone" in said.lower():
        if os.geteuid() == 0:
            return "in a container, start it with `--privileged`, or with `--cap-add SYS_ADMIN` and seccomp unconfined"
        return (
            "allow user namespaces, as root: `sysctl user.max_user_namespaces=15000 kernel.unprivileged_userns_clone=1`"
        )
    if "can't open file" in said or "Permission denied" in said or "No module named" in said:
        return f"make the interpreter's folder {sys.base_prefix} readable for everyone (chmod -R o+rX)"
    return "run `smallenough doctor`"


__all__ = ["BubblewrapSandbox"]
