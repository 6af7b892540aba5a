"""What a training goes on from: written whole, or not at all."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from smallenough.training.faults import BadInput
from smallenough.training.folder import CHECKPOINT


@dataclass(slots=True)
class Progress:
    """Where a training stands besides its weights."""

    step: int = 0
    """Steps that were made."""
    best: float | None = None
    """The least loss of a validation."""
    best_step: int | None = None
    worse: int = 0
    """Validations since."""
    best_state: dict[str, Any] | None = None
    """The adapter's weights then."""


def save(folder: Path, progress: Progress, adapter: dict[str, Any], optimizer: dict[str, Any]) -> None:
    """Writes a checkpoint in place of the one that is there.

    Raises:
        OSError: it can't be written; the one that was there still is.
    """
    place = folder / CHECKPOINT
    fresh = place.with_suffix(".new")
    told = {name: getattr(progress, name) for name in ("step", "best", "best_step", "worse", "best_state")}
    try:
        with fresh.open("wb") as file:
            torch.save({"progress": told, "adapter": adapter, "optimizer": optimizer}, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(place)
    except (OSError, RuntimeError) as error:  # torch's own writer raises the latter where the disk is full
        fresh.unlink(missing_ok=True)
        raise error if isinstance(error, OSError) else OSError(str(error)) from error


def load(folder: Path) -> tuple[Progress, dict[str, Any], dict[str, Any]] | None:
    """The checkpoint of a folder: where it stands, the adapter's and the optimizer's state; None: there is none.

    Raises:
        BadInput: it is damaged.
    """
    place = folder / CHECKPOINT
    if not place.is_file():
        return None
    try:
        found = torch.load(place, map_location="cpu", weights_only=True)
        return Progress(**found["progress"]), found["adapter"], found["optimizer"]
    except Exception as error:
        raise BadInput(f"{place} is damaged ({type(error).__name__}); remove it to begin anew") from error
