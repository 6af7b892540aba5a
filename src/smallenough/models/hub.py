"""Models of the Hugging Face hub, in the hub's own cache, by the package `huggingface_hub`."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from smallenough.errors import InputError, MissingPackage, ModelError, ModelNotFound, ModelUnavailable
from smallenough.protocols import OnProgress

_FILES = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "*.model", "*.txt"]

_LEFT_OUT = ["consolidated*"]
"""The same weights once more, in another form."""

_UNWRITABLE = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EROFS)


def find(name: str) -> Path | None:
    """The folder of a repository that was fetched; None: it was not."""
    hub = _hub()
    try:
        found = hub.snapshot_download(name, allow_patterns=_FILES, ignore_patterns=_LEFT_OUT, local_files_only=True)
        return Path(found)
    except (hub.errors.LocalEntryNotFoundError, hub.errors.HFValidationError, OSError):
        return None


def fetch(name: str, on_progress: OnProgress) -> None:
    """Fetches what is missing of a repository's files; one that is half there is completed.

    Raises:
        MissingPackage: `huggingface_hub` is not installed.
        ModelNotFound: there is no such repository, or this user may not see it.
        InputError: the hub's cache can't be written.
        ModelUnavailable: the hub can't be reached.
        ModelError: no space is left, or the hub refuses.
    """
    hub = _hub()
    on_progress("downloading from the Hugging Face hub", None, None)
    try:
        hub.snapshot_download(
            name,
            allow_patterns=_FILES,
            ignore_patterns=_LEFT_OUT,
            token=os.environ.get("HUGGINGFACE_API_KEY") or None,
        )
    except (hub.errors.GatedRepoError, hub.errors.RepositoryNotFoundError, hub.errors.HFValidationError) as error:
        raise ModelNotFound(
            f"the Hugging Face hub shows no model {name!r} to you; look for its name on huggingface.co, and where it is"
            f" gated, accept its terms there and set HUGGINGFACE_API_KEY ({_first_line(error)})"
        ) from error
    except Exception as error:  # what the libraries below it raise has no common base
        if isinstance(error, OSError) and error.errno in _UNWRITABLE:
            raise InputError(
                f"{hub.constants.HF_HUB_CACHE} can't be written: {error.strerror}; make it writable, or name another"
                " folder with HF_HOME"
            ) from error
        if "No space left" in str(error):
            raise ModelError(f"no space is left on the disk for {name}; free some, and start again") from error
        raise ModelUnavailable(
            f"{name} could not be fetched from the Hugging Face hub; look at the network, and start again: what is"
            f" complete is kept ({_first_line(error)})"
        ) from error


def _hub() -> Any:
    try:
        import huggingface_hub
        import huggingface_hub.constants
        import huggingface_hub.errors
    except ImportError as error:
        raise MissingPackage("huggingface_hub", "hf") from error
    return huggingface_hub


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no message'}"
