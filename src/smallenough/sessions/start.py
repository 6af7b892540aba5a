"""Files of settings to start from: every setting with its default and what it means."""

from __future__ import annotations

from pathlib import Path

from smallenough.errors import InputError
from smallenough.sessions.schema import schema_files

_TEMPLATES = Path(__file__).parents[1] / "templates" / "start"

_NAMES = ("experiment_config.yaml", "models.yaml")


def start_files() -> dict[str, str]:
    """By name: an experiment file that says what holds without one, and a file of models with a commented example."""
    return {name: (_TEMPLATES / name).read_text("utf-8") for name in _NAMES}


def write_start(folder: Path) -> dict[Path, bool]:
    """Writes the files below `folder`, as `config/…`, with the schemas that they name; keeps those that are there.

    Returns:
        Whether each was written.

    Raises:
        InputError: one can't be written.
    """
    found = {}
    for name, text in {**start_files(), **schema_files()}.items():
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
