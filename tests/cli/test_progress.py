"""What a session's progress says where the output is no terminal."""

from __future__ import annotations

import pytest

from smallenough.cli.progress import SessionProgress
from smallenough.events import ArmFinished, ArmStarted, Plan, TrialFinished
from smallenough.records import Arm, ModelInfo, Outcome, TrialKey, Usage

PLAN = Plan("e", "s", "d", (Arm("m single", "m"),), ("a", "b", "c"))


def ended(task: str, outcome: Outcome = "solved") -> TrialFinished:
    return TrialFinished(TrialKey("m single", task), outcome, 0, (), None, 0.0)


def test_a_resumed_session_counts_what_was_solved_before_and_tells_no_rate_of_an_instant(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with SessionProgress(PLAN, [ended("a"), ended("b", "unsolved")]) as progress:
        progress.observe(ArmStarted("m single", ModelInfo("m", "replay"), "p", None, 0.0))
        progress.observe(ended("c"))
        progress.observe(ArmFinished("m single", Usage(), {}, 0.0))
    said = capsys.readouterr().err
    assert "m single: 3/3 2 solved, in 0 s" in said
    assert "/min" not in said


def test_a_line_for_a_log_is_not_broken(capsys: pytest.CaptureFixture[str]) -> None:
    text = "a line that is longer than eighty columns, as many are, and that a log shall have as one: word " * 2
    SessionProgress(PLAN).say(text)
    assert capsys.readouterr().err == f"{text}\n"
