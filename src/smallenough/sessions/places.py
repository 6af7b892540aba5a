"""Folders that results go into: whether they can be made and written, found out without leaving anything there."""

from __future__ import annotations

import tempfile
from pathlib import Path

from smallenough.errors import JournalError
from smallenough.tracking.store import Store


def check_writable(store: Store) -> None:
    """Sees that a session can be journalled.

    Raises:
        JournalError: it can't be; says where, why and what to do.
    """
    place = store.journals
    try:
        place = existing(place)
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise JournalError(
            f"{store.journals} can't be written: {place}: {error.strerror or error}; "
            "make it writable, or name another folder with --store"
        ) from error


def existing(path: Path) -> Path:
    """`path`, or the nearest folder above it that exists.

    Raises:
        OSError: a folder on the way can't be read.
    """
    return next(place for place in (path, *path.parents) if place.exists())
