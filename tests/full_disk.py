"""A disk that is really full, for programs that shall tell so."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

_MOUNT = 'mount -t tmpfs -o size="$0k" small "$1" && shift && exec "$@"'


def on_small_disk(
    folder: Path, kilobytes: int, command: Sequence[str], environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Runs a command for which `folder` is a disk of its own, new and of this size."""
    apart = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", _MOUNT, str(kilobytes), str(folder)]
    return subprocess.run([*apart, *command], env=environment, capture_output=True, text=True, timeout=240, check=False)


def fill(folder: Path, but: int = 0) -> str:
    """The shell's words for: fill the disk up to the last byte, then let go of so many kilobytes."""
    ballast = shlex.quote(str(folder / "ballast"))
    return f"cat /dev/zero > {ballast} 2>/dev/null; truncate -s -{but}K {ballast}"


def make_room(folder: Path) -> str:
    """The shell's words for: the disk is not full any more."""
    return f"rm {shlex.quote(str(folder / 'ballast'))}"
