"""Estimates come from trials like those that are planned, and from nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from smallenough.events import (
    ActionsDecided,
    ArmFinished,
    ArmStarted,
    AttemptFinished,
    Event,
    Failure,
    Plan,
    SessionStarted,
    TrialFinished,
)
from smallenough.journal import Journal
from smallenough.records import Arm, Ask, Completion, ModelInfo, Sampling, Suite, TrialKey, Usage, replace
from smallenough.sessions.estimate import Estimate, estimate

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


# ------------------------------------------------------------------------------- inferences, energy, tokens and money

CASCADE = Arm("m cascade", "m", "cascade", {"large": "h"})
BOTH = Plan("e", "s", "d", (ARM, CASCADE), ("a", "b"))
HOSTED = {"h": {"input": 1e6, "output": 2e6}}


def asked(key: TrialKey, *answers: Completion | None, models: tuple[str | None, ...] = (None, "h")) -> list[Event]:
    """Inferences of a trial; None: the server failed. The second is a further model's."""
    found: list[Event] = []
    for index, answer in enumerate(answers):
        failure = None if answer else Failure("ModelUnavailable", "reset")
        found.append(ActionsDecided(key, index, (Ask((), model=models[index]),), 1.0))
        found.append(AttemptFinished(key, index, 1.0, answer, failure, None, 2.0))
    return found


def told(root: Path, joules: float | None = 30.0, tokens: int | None = 100, *, end: bool = True) -> None:
    """Two arms at two tasks: 10 s and one inference a task; 20 s, two inferences, three at the second, one failed."""
    some, other = Completion("x", tokens_in=tokens, tokens_out=10), Completion("y", tokens_in=7, tokens_out=3)
    with Journal.create(root, "told", Suite("s", ())) as book:
        book.append(SessionStarted("told", BOTH, {}, 0.0))
        for arm, seconds in ((ARM, 20.0), (CASCADE, 40.0)):
            book.append(ArmStarted(arm.name, ModelInfo("m", "ollama"), "p", None, 0.0))
            for task in BOTH.task_ids:
                key = TrialKey(arm.name, task)
                answers = [some] if arm is ARM else [some, other]
                for event in asked(key, *answers):
                    book.append(event)
                if arm is CASCADE and task == "b":
                    book.append(ActionsDecided(key, 2, (Ask((), model="h"),), 1.0))
                    book.append(AttemptFinished(key, 2, 1.0, None, Failure("ModelUnavailable", "reset"), None, 2.0))
                book.append(TrialFinished(key, "solved", 0, (), None, 5.0))
            if end or arm is ARM:
                book.append(ArmFinished(arm.name, Usage(energy_joules=joules), {}, seconds))


def of(root: Path, arm: Arm = CASCADE, tasks: int = 4, **prices: Any) -> Estimate:
    return estimate(Plan("e", "s", "d", (arm,), tuple(map(str, range(tasks))), prices=prices), root)


def test_inferences_and_energy_are_told_as_time_is(tmp_path: Path) -> None:
    told(tmp_path)
    found = estimate(BOTH, tmp_path)
    assert (found.inferences, found.seconds, found.joules, found.money) == (7, 60.0, 60.0, None)
    assert (of(tmp_path).inferences, of(tmp_path).seconds, of(tmp_path).joules) == (10, 80.0, 60.0)
    assert of(tmp_path, ARM).inferences == 4


@pytest.mark.parametrize(
    ("prices", "money"),
    [
        ({"per_machine_hour": 3600.0}, 80.0),
        ({"per_kwh": 3.6e6}, 60.0),
        ({"tokens": HOSTED, "per_machine_hour": 3600.0}, 80.0 + 4 * (7 + 2 * 3)),  # failed ones have no count
        ({"tokens": {**HOSTED, "m": {"input": 1e6, "output": 1e6}}}, 4 * (7 + 2 * 3) + 4 * 110),
        ({"tokens": HOSTED}, None),  # the machine has no price
        ({}, None),
    ],
)
def test_money_is_by_the_plan_s_prices(tmp_path: Path, prices: Mapping[str, Any], money: float | None) -> None:
    told(tmp_path)
    found = of(tmp_path, **prices, currency="EUR")
    assert found.money == (None if money is None else pytest.approx(money, rel=1e-12))
    assert found.currency == ("EUR" if prices else "")


def test_what_was_not_measured_is_not_known_and_never_0(tmp_path: Path) -> None:
    told(tmp_path, joules=None, tokens=None)
    assert (of(tmp_path).joules, of(tmp_path, per_kwh=1.0).money) == (None, None)
    assert of(tmp_path, tokens={**HOSTED, "m": {"input": 1, "output": 1}}).money is None
    assert of(tmp_path, per_machine_hour=3600.0).money == 80.0


def test_an_arm_that_was_killed_tells_nothing_and_the_others_of_its_session_do(tmp_path: Path) -> None:
    told(tmp_path, end=False)
    assert of(tmp_path).seconds is None
    assert of(tmp_path, ARM).seconds == 40.0


def test_how_answers_are_drawn_and_options_left_at_their_defaults_make_no_other_arm(tmp_path: Path) -> None:
    ran(tmp_path, "one", PLAN)
    drawn = replace(ARM, options={}, sampling=Sampling(temperature=0.7, top_p=0.5, seed=3), baseline=True)
    assert estimate(replace(PLAN, arms=(drawn,)), tmp_path).seconds == 10.0
    for other in (replace(ARM, options={"shots": 1}), replace(ARM, model="n"), replace(ARM, strategy="branching")):
        assert estimate(replace(PLAN, arms=(other,)), tmp_path).seconds is None
