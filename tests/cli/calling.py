"""Calls the command line in this process, as `main` runs it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from smallenough.cli.main import main


@dataclass(frozen=True)
class Called:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> Called:
    """Runs a command to its end."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    assert isinstance(ended.value.code, int)
    assert "Traceback" not in said.err
    return Called(ended.value.code, said.out, said.err)
