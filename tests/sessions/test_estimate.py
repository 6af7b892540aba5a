"""Estimates come from trials like those that are planned, and from nothing else."""

from __future__ import annotations

from pathlib import Path

from smallenough.events import ArmFinished, ArmStarted, Failure, Plan, SessionStarted, TrialFinished
from smallenough.journal import Journal
from smallenough.records import Arm, ModelInfo, Sampling, Suite, TrialKey, Usage, replace
from smallenough.sessions.estimate import estimate

ARM = Arm("m single", "m", "single", {"shots": 0})
PLAN = Plan("e", "s", "d", (ARM,), ("a", "b"))


def ran(root: Path, session: str, plan: Plan, failure: Failure | None = None) -> None:
    """A session that took 10 seconds for two trials, one of which failed if `failure` says so."""
    with Journal.create(root, session, Suite(plan.suite, ())) as book:
        book.append(SessionStarted(session, plan, {}, 0.0))
        book.append(ArmStarted(plan.arms[0].name, ModelInfo("m", "ollama"), "p", None, 0.0))
        for task, failed in (("a", failure), ("b", failure)):
            key = TrialKey(plan.arms[0].name, task)
            book.append(TrialFinished(key, "model_failed" if failed else "solved", None, (), failed, 5.0))
        book.append(ArmFinished(plan.arms[0].name, Usage(), {}, 10.0))


def test_the_same_arm_on_the_same_suite_tells_the_time_whatever_it_is_called(tmp_path: Path) -> None:
    ran(tmp_path, "one", replace(PLAN, arms=(replace(ARM, name="m single temperature=default"),)))
    assert estimate(PLAN, tmp_path).seconds == 10.0
    assert estimate(replace(PLAN, repeats=3), tmp_path).seconds == 30.0


def test_another_suite_longer_answers_or_failures_tell_nothing(tmp_path: Path) -> None:
    ran(tmp_path, "suite", replace(PLAN, suite="other"))
    ran(tmp_path, "long", replace(PLAN, arms=(replace(ARM, sampling=Sampling(max_tokens=9)),)))
    ran(tmp_path, "failed", PLAN, Failure("ModelUnavailable", "reset"))
    ran(tmp_path, "concurrent", replace(PLAN, concurrency=8))
    assert estimate(PLAN, tmp_path).seconds is None
