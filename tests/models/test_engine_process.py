"""What becomes of the engine's process and its client when one of them writes what the other can't read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from smallenough.errors import ModelUnavailable
from smallenough.models.engine.process import Engine
from smallenough.records import Request


def test_a_line_that_is_no_report_ends_the_engine_with_words(tmp_path: Path, hello: Request) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('a library says hello', flush=True)")  # before reports begin
    engine = Engine({"PYTHONPATH": str(tmp_path)})
    said = r"the engine wrote a line that is no report: b'a library says hello\\n'"
    with pytest.raises(ModelUnavailable, match=said):
        engine.ready(60.0)
    _, inbox = engine.ask(hello)
    end = inbox.get(timeout=60.0)
    assert isinstance(end, ModelUnavailable)
    assert engine.died
    engine.stop()


@pytest.mark.parametrize(
    "line", [b"no command\n", b'{"fault": "model", "text": "", "kind": "failed"}\n', b'{"kind": "lo']
)
def test_a_line_that_is_no_command_ends_the_process(line: bytes) -> None:
    program = "import queue, sys\nfrom smallenough.models.engine import __main__ as engine\n"
    command = [sys.executable, "-c", f"{program}engine._listen(sys.stdin.buffer, queue.SimpleQueue())"]
    done = subprocess.run(command, input=line, capture_output=True, timeout=60.0, check=False)
    assert done.returncode == 1
    assert b"Error" in done.stderr
