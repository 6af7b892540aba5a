"""A session with the embedded engine: measured alone, also after the engine was started again."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from smallenough import journal
from smallenough.events import ArmStarted, AttemptFinished
from smallenough.models.huggingface import HuggingFaceClient
from smallenough.protocols import OnToken
from smallenough.records import Completion, Request, Sampling, replace
from smallenough.sessions import experiment
from smallenough.sessions.prepare import prepare
from smallenough.sessions.settings import Settings, Wish
from smallenough.tasks.basics import BasicsSource
from smallenough.tracking.store import Store

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

MODEL = "huggingface:smollm2:135m"


class Fragile(HuggingFaceClient):
    """Its first engine is killed at its first token."""

    fell = False

    def generate(self, request: Request, on_token: OnToken | None = None) -> Completion:
        def fall() -> None:
            if not self.fell:
                self.fell = True
                for pid in self.processes() or ():
                    os.kill(pid, signal.SIGKILL)

        return super().generate(request, fall)


def test_an_engine_that_is_killed_is_replaced_and_measured(
    tmp_path: Path, engine_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SMALLENOUGH_CACHE", str(engine_cache))
    suite = BasicsSource().load()
    wish = Wish(MODEL, (("single", {}),), sampling=Sampling(max_tokens=40))
    prepared = prepare(replace(suite, tasks=suite.tasks[:3]), [wish], Settings(experiment="fragile"))
    prepared.close()
    fragile = replace(prepared, clients={"huggingface": Fragile()})
    result = experiment.run(fragile, Store.resolve(folder=tmp_path))
    result.writer.wait()
    assert result.status == "completed"
    events = [event for _, event in journal.read(result.folder)]
    first, *others = [event for event in events if isinstance(event, AttemptFinished)]
    assert first.failure is not None
    assert (first.failure.error, "was killed" in first.failure.message) == ("ModelOutOfMemory", True)
    assert len(others) == 2
    for attempt in others:
        assert attempt.completion is not None
        assert attempt.usage is not None
        assert attempt.usage.cpu_seconds is not None, "the new engine was seen"
        assert attempt.usage.cpu_seconds > 0.1
        assert attempt.usage.peak_memory_bytes is not None
        assert attempt.usage.peak_memory_bytes > 500e6
    (started,) = [event for event in events if isinstance(event, ArmStarted)]
    assert started.arm == f"{MODEL} single"
    assert started.model.dtype in ("float32", "bfloat16")
