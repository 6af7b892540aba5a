"""Folders that results go into: whether they can be made and written, found out without leaving anything there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from smallenough.config import Value, in_force, load_config
from smallenough.errors import InputError, JournalError
from smallenough.machine import nearest_folder, path_fault
from smallenough.tracking.store import Store


def store_of(force: Mapping[str, Value]) -> Store:
    """The store that settings in force name.

    Raises:
        InputError: the tracking URI is not as it should be.
    """
    uri, folder = force["tracking.uri"], force["tracking.store"].value
    try:
        found = Store.resolve(uri.value or None, Path(folder) if folder else None)
        if fault := path_fault(found.folder) or path_fault(found.database or ""):
            raise InputError(f"the tracking URI's folder {fault}")
    except InputError as error:
        raise InputError(f"{uri.place}: {error}" if uri.place else str(error)) from error
    return found


def store_in_force(folder: Path | None = None, uri: str | None = None) -> Store:
    """The store that is named here, else by the environment, else by config/experiment_config.yaml, else `mlruns`.

    Raises:
        InputError: that file, or the tracking URI, is not as it should be.
    """
    return store_of(in_force(load_config(), {"store": folder, "tracking_uri": uri}, os.environ))


def check_writable(store: Store) -> None:
    """Sees that a session can be journalled.

    Raises:
        JournalError: it can't be; says where, why and what to do.
    """
    place = store.journals
    try:
        place = nearest_folder(place)
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        raise JournalError(
            f"{store.journals} can't be written: {place}: {error.strerror or error}; "
            "make it writable, or name another folder with --store"
        ) from error
