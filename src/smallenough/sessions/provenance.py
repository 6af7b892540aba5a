"""What results may depend on besides the plan: versions, commits, the machine, the command."""

from __future__ import annotations

import contextlib
import platform
import socket
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import smallenough
from smallenough.records import Json
from smallenough.resources.hardware import hardware
from smallenough.tracking.masking import masked

_PACKAGES = ("mlflow", "ollama", "pandas", "psutil", "transformers", "torch")


def provenance() -> dict[str, Json]:
    """What is recorded with a session. Passwords in the command are not.

    `git_commit` is that of smallenough's own code, where it runs from a clone; `working_folder_git_commit` that of
    the folder in which the session was started.
    """
    versions = {}
    for package in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            versions[f"version_{package}"] = metadata.version(package)
    return {
        "version_smallenough": smallenough.__version__,
        "version_python": platform.python_version(),
        **versions,
        "git_commit": code_commit(Path(smallenough.__file__)),
        "working_folder_git_commit": commit(Path.cwd()),
        "host": socket.gethostname(),
        "command": masked(" ".join(sys.argv)),
        **{f"hardware_{name}": value for name, value in hardware().items()},
    }


def code_commit(file: Path) -> str | None:
    """The commit that a source file belongs to; None: it is installed, not part of a clone.

    A clone may hold an environment with installed code: only a file that git tracks counts.
    """
    return commit(file.parent) if _git(file.parent, "ls-files", "--error-unmatch", file.name) else None


def commit(folder: Path) -> str | None:
    """The commit of a folder, with `+` where files differ from it; None: it is in no git repository."""
    return _git(folder, "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*")


def _git(folder: Path, *arguments: str) -> str | None:
    """What git says of a folder; None: nothing."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=5, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None
