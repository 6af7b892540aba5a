"""Files of settings to start from: every setting with its default and what it means."""

from __future__ import annotations

from pathlib import Path

from smallenough.errors import InputError

_TEMPLATES = Path(__file__).parents[1] / "templates" / "start"

EXPERIMENT = (_TEMPLATES / "experiment_config.yaml").read_text("utf-8")
"""An experiment file that says what holds without one."""

MODELS = (_TEMPLATES / "models.yaml").read_text("utf-8")
"""A file of models with an example in comments."""


def write_start(folder: Path) -> dict[Path, bool]:
    """Writes the files below `folder`, as `config/…`; keeps those that are there.

    Returns:
        Whether each was written.

    Raises:
        InputError: one can't be written.
    """
    found = {}
    for name, text in (("experiment_config.yaml", EXPERIMENT), ("models.yaml", MODELS)):
        path = folder / "config" / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
            found[path] = True
        except FileExistsError:
            found[path] = False
        except OSError as error:
            raise InputError(f"{error.filename or path} can't be written: {error.strerror or error}") from error
    return found
