"""Digests of large files, which are read again only when they have changed.

What was found is kept in the cache with each file's size and time of change. A change that alters neither (a failing
disk) is not noticed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from smallenough.models.conversion import MANIFEST
from smallenough.models.packages import sha256

_SUFFIXES = frozenset({".safetensors", ".json", ".jinja", ".model", ".txt"})
"""Of the files of a model that an engine reads."""


def folder_digest(folder: Path, cache: Path) -> str:
    """SHA-256 over the names and contents of a model's files."""
    found = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in _SUFFIXES and path.name != MANIFEST and path.is_file():
            found.update(f"{path.name}\0{file_digest(path, cache)}\n".encode())
    return found.hexdigest()


def file_digest(path: Path, cache: Path) -> str:
    """SHA-256 of a file's content."""
    status = path.stat()
    state = [status.st_size, status.st_mtime_ns, status.st_ino]
    book = cache / "digests.json"
    known = _read(book)
    name = str(path.resolve())
    if name in known and known[name][0] == state:
        return str(known[name][1])
    digest = sha256(path)
    _write(book, {**{one: value for one, value in known.items() if Path(one).exists()}, name: [state, digest]})
    return digest


def _read(book: Path) -> dict[str, Any]:
    try:
        found = json.loads(book.read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # only time is lost
    return found if isinstance(found, dict) else {}


def _write(book: Path, content: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # only time is lost
        book.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w", dir=book.parent, prefix="digests-", encoding="utf-8", delete=False
        ) as new:
            json.dump(content, new)
        os.replace(new.name, book)  # noqa: PTH105 - a name, not a path
