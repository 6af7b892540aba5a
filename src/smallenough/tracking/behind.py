"""How far the tracking stores are behind a session's journal, in two small files beside it.

`store.json` names the session's own store, the one that was in force when it was run or resumed last, and the writer
that was started then. `writer.json`
has for each store that it was written to how far the writer came, and why not further. Stores are named without their
passwords; the local one that holds the journal is `local`, so that it can be moved.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from smallenough.errors import InputError, JournalError
from smallenough.records import Json
from smallenough.tracking.masking import MASK, shown_uri
from smallenough.tracking.store import Store

_OWN, _STATES = "store.json", "writer.json"
_LOCAL = "local"


@dataclass(frozen=True, slots=True)
class WriterState:
    """How far a writer is with one store."""

    offset: int = 0
    """Bytes of the journal that are in the store."""
    runs: int = 0
    """Runs written by this writer."""
    error: str = ""
    """Why the store can't be written right now; empty: it can."""
    slow: str = ""
    """Why the quick way of writing is not used; empty: it is."""
    run_id: str = ""
    """MLflow's id of the session's run, once it exists."""
    suite: str = ""
    """Why the session's tasks are no dataset of the store; empty: they are."""

    @classmethod
    def read(cls, folder: Path, store: Store | None = None) -> WriterState | None:
        """The state of one store; None: no writer has been there.

        Args:
            folder: the session's folder.
            store: which; None: the session's own.
        """
        try:
            return cls(**_load(folder / _STATES)[_own(folder) if store is None else _place(store)])
        except (KeyError, TypeError):
            return None

    def save(self, folder: Path, store: Store) -> None:
        """Puts the state beside the journal, whole or not at all; that of other stores stays.

        Raises:
            JournalError: the folder can't be written.
        """
        _save(folder / _STATES, {**_load(folder / _STATES), _place(store): asdict(self)})


def left(folder: Path, store: Store | None = None) -> int:
    """How many bytes of a session's journal are not in the store (None: the session's own) yet."""
    state = WriterState.read(folder, store)
    return max(0, (folder / "journal.jsonl").stat().st_size - (state.offset if state else 0))


def claim(folder: Path, store: Store) -> str:
    """Notes that the session's own store is `store`, and that a new writer is about to fill it.

    Returns:
        The writer's name; one that follows the session under another name steps down (see `claimed`).

    Raises:
        JournalError: the folder can't be written.
    """
    name = secrets.token_hex(8)
    _save(folder / _OWN, {"store": _place(store), "writer": name})
    return name


def claimed(folder: Path) -> str:
    """The name of the writer that was started last for the session; empty: none was."""
    return str(_load(folder / _OWN).get("writer", ""))


def own_store(folder: Path, given: Store) -> Store:
    """The session's own store; where none is noted, `given`.

    Args:
        folder: the session's folder.
        given: the store in force, which holds the password if the session's own has one.

    Raises:
        InputError: the session's own store has a password, and `given` is another store.
    """
    own = _own(folder, _place(given))
    if own == _place(given):
        return given
    if own == _LOCAL:
        return Store.local(folder.parent.parent)
    if MASK in own:
        raise InputError(
            f"session {folder.name} belongs to {own}, whose password is not kept; "
            "give the address with its password: --tracking-uri URI"
        )
    return Store(given.folder, own)


def _place(store: Store) -> str:
    """What a store is called here."""
    return _LOCAL if store.uri == Store.local(store.folder).uri else shown_uri(store.uri)


def _own(folder: Path, default: str = _LOCAL) -> str:
    return str(_load(folder / _OWN).get("store", default))


def _load(path: Path) -> dict[str, Json]:
    """What a file holds; nothing, where it is missing or no such file."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _save(path: Path, value: Mapping[str, Json]) -> None:
    fresh = path.with_suffix(".new")
    try:
        fresh.write_text(json.dumps(value), encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror or error}") from error
