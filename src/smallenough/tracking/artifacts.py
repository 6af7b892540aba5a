"""Artifacts of many runs at once: read where they lie on this machine, else downloaded, several at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

Advance: TypeAlias = Callable[[int, int], None]
"""Is told how many are done, of how many."""

_DOWNLOADS = 8
"""At the same time."""

_GIVE_UP = 24
"""So many that fail before one was read: the store has no artifacts for us, and the others are not tried."""


def fetch(
    client: MlflowClient, wanted: Sequence[tuple[Run, str]], advance: Advance | None = None
) -> list[bytes | None]:
    """The content of artifacts.

    Args:
        client: of the store that holds the runs.
        wanted: runs, and the name of an artifact of each.
        advance: is told of the progress.

    Returns:
        In the same order; None: there is no such artifact, or it can't be read.
    """
    told, total = advance or (lambda _done, _of: None), len(wanted)
    found: list[bytes | None] = []
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(_DOWNLOADS, "artifacts") as pool:

        def one(place: int) -> bytes | None:
            if len(found) >= _GIVE_UP and not any(found):
                return None
            run, name = wanted[place]
            own = _local(run, name)
            return own.read_bytes() if own else _download(client, run, name, Path(folder, str(place)))

        for done, content in enumerate(pool.map(one, range(total)), 1):
            found.append(content)
            told(done, total)
    return found


def _local(run: Run, name: str) -> Path | None:
    """Where the artifact lies on this machine; None: elsewhere, or nowhere."""
    path = Path(unquote(str(run.info.artifact_uri).removeprefix("file://")), name)
    return path if path.is_absolute() and path.is_file() else None


def _download(client: MlflowClient, run: Run, name: str, folder: Path) -> bytes | None:
    import requests
    from mlflow.exceptions import MlflowException

    folder.mkdir()
    try:
        return Path(client.download_artifacts(run.info.run_id, name, str(folder))).read_bytes()
    except (MlflowException, requests.RequestException, OSError):
        return None
