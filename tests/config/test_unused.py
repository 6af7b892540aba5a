"""The variables of `.env.example`, and what is accepted and not used yet: both say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from smallenough.sessions.unused import UNUSED, UNUSED_VARIABLES

ROOT = Path(__file__).parents[2]
SOURCES = {path: path.read_text("utf-8") for path in (ROOT / "src").rglob("*.py") if path.name != "unused.py"}
VARIABLE = re.compile(r'"((?:SMALLENOUGH|OLLAMA|HUGGINGFACE)_[A-Z_]+|MLFLOW_(?:TRACKING_URI|EXPERIMENT_NAME))"')
OF_MLFLOW = {"MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"}
"""Read by MLflow itself."""


def reads(name: str) -> bool:
    """Whether some code names a variable in quotes."""
    return any(f'"{name}"' in text for text in SOURCES.values())


def test_the_env_file_to_start_from_has_what_is_read_and_nothing_else() -> None:
    lines = (ROOT / ".env.example").read_text("utf-8").splitlines()
    offered = {line[1:].partition("=")[0]: lines[number - 1] for number, line in enumerate(lines) if "=" in line[:40]}
    assert all(before.startswith("# ") for before in offered.values()), "each after a line that says what it is"
    assert all(reads(name) for name in offered.keys() - OF_MLFLOW)
    named = {name for text in SOURCES.values() for name in VARIABLE.findall(text)}
    assert named <= offered.keys()


def test_what_is_told_to_be_unused_is_read_nowhere() -> None:
    assert [name for name in UNUSED_VARIABLES if reads(name)] == []
    read = "\n".join(text for path, text in SOURCES.items() if "config" not in path.parts)
    for key in UNUSED:
        assert not re.search(rf"\bconfig\.form\.{re.escape(key)}\b", read), f"{key} is used now; say so"
