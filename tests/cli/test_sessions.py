"""`sessions` and `resume` where journals are damaged: told with the mend, never a traceback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from smallenough.journal import Journal
from smallenough.records import Suite
from tests.cli.calling import call


def test_a_session_that_never_began_is_listed_with_its_mend_and_is_never_the_last(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    Journal.create(tmp_path / "journal", "20260101-1", Suite("s", ())).close()
    done = call(capsys, "sessions", "--store", tmp_path)
    assert done.code == 0
    assert "session 20260101-1 is damaged" in done.err
    assert f"remove {tmp_path / 'journal' / '20260101-1'}" in done.err
    (one,) = json.loads(call(capsys, "sessions", "--json", "--store", tmp_path).out)
    assert (one["session"], one["status"]) == ("20260101-1", "damaged")
    for verb in ("resume", "compare"):
        done = call(capsys, verb, "last", "--store", tmp_path)
        assert (done.code, "unknown session 'last'" in done.err) == (2, True)
    done = call(capsys, "resume", "20260101-1", "--store", tmp_path)
    assert done.code == 3
    assert "the session never began" in done.err
