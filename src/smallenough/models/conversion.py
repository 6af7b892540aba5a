"""The cache of models that were converted for the embedded engine: each once, whole or not at all.

A model is prepared in a folder of another name, which gets its own in one step when everything is written. Two that
want the same one at the same time: one prepares it, the other waits.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import portalocker
from platformdirs import user_cache_path

from smallenough.errors import InputError, MissingPackage, ModelError, ModelOutOfMemory
from smallenough.machine import free_bytes
from smallenough.protocols import OnProgress
from smallenough.wording import size

MANIFEST = "smallenough.json"
"""Beside a converted model: `quantization`, and the `digest` of its files."""


def cache_folder(folder: Path | None = None) -> Path:
    """`folder`, else `SMALLENOUGH_CACHE`, else the user's cache folder."""
    named = os.environ.get("SMALLENOUGH_CACHE")
    return folder or (Path(named) if named else user_cache_path("smallenough"))


def place(name: str, digest: str, cache: Path) -> Path:
    """Where the model is, or will be, that comes from the GGUF file with this digest."""
    return cache / "models" / f"{re.sub(r'[^A-Za-z0-9._]+', '-', name).strip('-.')}-{digest[:12]}"


def prepare(
    target: Path,
    room: int,
    fill: Callable[[Path, OnProgress], None],
    on_progress: OnProgress,
    cache: Path,
    sound: Callable[[Path], bool] = Path.is_dir,
) -> None:
    """Makes the folder `target`, unless it is there and sound.

    Args:
        target: a folder in the cache.
        room: bytes that making it takes, at least.
        fill: writes its content into a folder.
        on_progress: told what is being done.
        cache: the cache.
        sound: says whether what is there is as it was made.

    Raises:
        InputError: the cache can't be written.
        ModelError: no space is left, or `fill` failed; nothing half-made remains.
    """
    try:
        with _alone(target, on_progress):
            if target.is_dir() and sound(target):
                return
            if target.is_dir():
                on_progress("damaged: it is made anew", None, None)
                shutil.rmtree(target)
            for left in target.parent.glob(f"{target.name}.part-*"):
                shutil.rmtree(left)  # of a process that was killed
            if (free := free_bytes(cache)) < room:
                raise ModelError(
                    f"{target.name} needs {size(room)} in {cache}, where {size(free)} are free:"
                    " free some, or name a folder on another disk with SMALLENOUGH_CACHE"
                )
            staging = Path(tempfile.mkdtemp(prefix=f"{target.name}.part-", dir=target.parent))
            try:
                fill(staging, on_progress)
                staging.chmod(0o755)
                staging.rename(target)
            finally:
                shutil.rmtree(staging, ignore_errors=True)
    except OSError as error:
        if "No space left" in str(error):
            raise ModelError(f"no space is left in {cache}; free some, and start again") from error
        raise InputError(
            f"{error.filename or cache}: {error.strerror or error}; make {cache} writable, or name another folder with"
            " SMALLENOUGH_CACHE"
        ) from error


@contextlib.contextmanager
def _alone(target: Path, on_progress: OnProgress) -> Iterator[None]:
    """While this holds, nobody else makes `target`."""
    target.parent.mkdir(parents=True, exist_ok=True)
    path = target.with_name(f"{target.name}.lock")
    lock = portalocker.Lock(path, mode="a", flags=portalocker.LOCK_EX | portalocker.LOCK_NB, timeout=0)
    try:
        lock.acquire()
    except portalocker.LockException:
        on_progress("waiting for another process that prepares it", None, None)
        lock = portalocker.Lock(path, mode="a", flags=portalocker.LOCK_EX)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def convert(source: Path, target: Path, on_progress: OnProgress) -> None:
    """Converts a GGUF file into the folder `target`, in a process of its own.

    Raises:
        MissingPackage: the engine's packages are not installed.
        InputError: the file is not such as transformers can read.
        ModelError: memory or the disk is too small.
    """
    on_progress("converting", None, None)
    done = subprocess.run(
        [sys.executable, "-m", "smallenough.models.engine.convert", str(source), str(target)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    said: dict[str, Any] = json.loads(lines[-1]) if done.returncode == 0 and lines else {}
    if "quantization" in said:
        (target / MANIFEST).write_text(json.dumps(said), "utf-8")
        return
    fault, text = said.get("fault"), str(said.get("text", ""))[:400]
    if fault == "package":
        raise MissingPackage(text, "hf")
    if fault == "disk":
        raise ModelError(
            f"{source.name} could not be converted ({text}); free some, or name a folder on another disk with"
            " SMALLENOUGH_CACHE, and start again"
        )
    if fault == "memory" or done.returncode == -signal.SIGKILL:
        raise ModelOutOfMemory(
            f"{source.name} could not be converted: memory is too small; stop other programs, or take a smaller model"
        )
    if fault == "model":
        raise InputError(f"{source.name} is no GGUF file that transformers can read: {text}")
    words = " ".join(done.stderr.decode("utf-8", "replace").split())[-400:]
    raise ModelError(f"{source.name} could not be converted: exit code {done.returncode}; {words or 'no message'}")
