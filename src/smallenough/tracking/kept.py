"""A session's journal in the tracking store: one artifact of its run, so that the store alone is enough to go on from.

Runs hold what a person looks at, and not all that was done: a proposal that no model was asked for has none. So the
session's run keeps the folder itself, packed: the journal, the tasks, the resource monitor's samples. Passwords in the
URLs of servers are left out.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from smallenough.errors import JournalError, TrackingError
from smallenough.records import Json
from smallenough.tracking import store as stores
from smallenough.tracking.access import every, find_runs, mapped
from smallenough.tracking.masking import masked, shown_uri
from smallenough.tracking.runs import TAG
from smallenough.tracking.store import Store

if TYPE_CHECKING:
    from mlflow import MlflowClient

KEPT = "session.tar.gz"
"""The artifact on the session's run."""

_JOURNAL, _SUITE, _SAMPLES = "journal.jsonl", "suite.json", "samples"
_LEVEL = 3
"""Of compression: most of what can be gained, in a third of the time."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A session in the store."""

    session: str
    started: float
    """When it began, in seconds since the epoch."""
    run_id: str


# ------------------------------------------------------------------------------------------------------ packing


def pack(folder: Path) -> bytes:
    """The folder of a session, as its run keeps it.

    Raises:
        JournalError: a file can't be read.
    """
    buffer = io.BytesIO()
    try:
        with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=_LEVEL) as archive:
            _add(archive, _JOURNAL, b"".join(_lines(folder / _JOURNAL)))
            _add(archive, _SUITE, (folder / _SUITE).read_bytes())
            for path in sorted((folder / _SAMPLES).glob("*.jsonl")):
                _add(archive, f"{_SAMPLES}/{path.name}", path.read_bytes())
    except OSError as error:
        raise JournalError(f"{error.filename or folder}: {error.strerror or error}") from error
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _lines(path: Path) -> Iterator[bytes]:
    """The whole lines of a journal: a last one may be under way."""
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield _without_passwords(line)


def _without_passwords(line: bytes) -> bytes:
    if b"://" not in line:
        return line
    try:
        return json.dumps(_masked(json.loads(line)), separators=(",", ":")).encode() + b"\n"
    except ValueError:  # a damaged line stays what it is: whoever reads it says so
        return line


def _masked(value: Json, *, told: bool = False) -> Json:
    """An event without passwords: in the URLs of servers, and in the words of failures. What models wrote stays."""
    if isinstance(value, dict):
        failure = value.keys() == {"error", "message"}
        return {name: _masked(item, told=failure or name in ("server", "urls")) for name, item in value.items()}
    if isinstance(value, list):
        return [_masked(item, told=told) for item in value]
    return masked(value) if told and isinstance(value, str) else value


# ----------------------------------------------------------------------------------------------------- fetching


def stored_sessions(store: Store) -> list[Stored]:
    """The sessions in a store, the newest first. A store that does not exist has none.

    Raises:
        TrackingError: the store can't be reached or read.
    """
    if store.database is not None and not store.database.exists():
        return []
    client = stores.connect(store)
    with mapped(store.uri):
        experiments = [one.experiment_id for one in every(lambda token: client.search_experiments(page_token=token))]
        runs = find_runs(client, experiments, kind="session")
    return [
        Stored(run.data.tags[f"{TAG}session"], run.info.start_time / 1000, run.info.run_id)
        for run in runs
        if f"{TAG}session" in run.data.tags
    ]


def fetch(store: Store, session: Stored, folder: Path) -> None:
    """Puts what the store keeps of a session's folder into `folder`, which exists.

    Raises:
        TrackingError: the store can't be reached or read, or it has no such artifact; says how it gets there.
    """
    client = stores.connect(store)
    where = f"{shown_uri(store.uri)}: session {session.session}"
    mend = f"write it where its journal lies, with: smallenough flush {session.session}"
    with mapped(store.uri), tempfile.TemporaryDirectory() as place:
        if KEPT not in {file.path for file in client.list_artifacts(session.run_id)}:
            raise TrackingError(f"{where} has no {KEPT}; {mend}")
        packed = Path(_download(client, session.run_id, place)).read_bytes()
    try:
        _unpack(packed, folder)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise TrackingError(f"{where}: {KEPT} is damaged ({error}); {mend}") from error


def _download(client: MlflowClient, run_id: str, place: str) -> str:
    return str(client.download_artifacts(run_id, KEPT, place))


def _unpack(packed: bytes, folder: Path) -> None:
    """Writes the files of a session's folder, and no others."""
    (folder / _SAMPLES).mkdir(exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(packed), mode="r:gz") as archive:
        for entry in archive:
            path = PurePosixPath(entry.name)
            sample = path.parts[:-1] == (_SAMPLES,) and path.suffix == ".jsonl" and path.stem.isdigit()
            if entry.isfile() and (sample or entry.name in (_JOURNAL, _SUITE)):
                content = archive.extractfile(entry)
                assert content is not None
                (folder / path).write_bytes(content.read())
