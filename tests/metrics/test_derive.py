from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smallenough.errors import InputError, UnknownName
from smallenough.events import ActionsDecided, AttemptFinished, Scored, StepFinished, TrialFinished
from smallenough.metrics import (
    ARM_KEYS,
    TRIAL_METRICS,
    AttemptFacts,
    EfficiencyWeights,
    TrialFacts,
    arm_metrics,
    derive_trial,
    efficiency,
    total_usage,
    trial_metrics,
)
from smallenough.records import (
    Ask,
    Completion,
    Evaluation,
    Message,
    Propose,
    Score,
    Step,
    Task,
    TestResult,
    TrialKey,
    Usage,
)
from smallenough.trial import Trial

WEIGHTS = EfficiencyWeights()
ASK = Ask((Message("user", "?"),))
GiB = 2**30


def completion(**changes: Any) -> Completion:
    base = Completion(
        "answer",
        tokens_in=100,
        tokens_out=50,
        reasoning_tokens=10,
        seconds=4.0,
        first_token_seconds=0.5,
        generate_seconds=2.5,
    )
    return replace(base, **changes)


USAGE = Usage(
    seconds=4.0,
    cpu_seconds=8.0,
    cpu_percent=200.0,
    peak_memory_bytes=3 * GiB,
    mean_memory_bytes=2 * GiB,
    energy_joules=60.0,
)


def evaluation(passed: bool, runs: int = 1) -> Evaluation:
    return Evaluation((TestResult("assert …", passed),), True, runs)


def step(index: int, passed: bool = False, runs: int = 1) -> Step:
    return Step(index, ASK, "answer", "code", evaluation(passed, runs))


def scored(index: int, solved: float | None, hidden: Evaluation | None = None, **more: float | None) -> Scored:
    given_ = {"solved": solved, "tests_passed_ratio": solved, "syntax_valid": 1.0, **more}
    return Scored(index, hidden, tuple(Score(name, value, "s/1") for name, value in given_.items()))


def facts(**changes: Any) -> TrialFacts:
    """A trial of two attempts, whose second solved the task."""
    base = TrialFacts(
        attempts=[AttemptFacts(0, None, completion(), USAGE), AttemptFacts(1, 0, completion(seconds=2.0), USAGE)],
        steps=[step(0), step(1, passed=True, runs=2)],
        scored=[scored(0, 0.0, evaluation(False)), scored(1, 1.0, evaluation(True, 3), complexity=4.0)],
        outcome="solved",
        chosen=1,
        wall_seconds=7.5,
    )
    return replace(base, **changes)


def test_every_metric_of_a_trial() -> None:
    found = derive_trial(facts(), WEIGHTS)
    expected = {
        "solved": 1.0,
        "first_attempt_solved": 0.0,
        "tests_passed_ratio": 1.0,
        "syntax_valid": 1.0,
        "latency_seconds": 6.0,
        "wall_seconds": 7.5,
        "time_to_first_token_seconds": 0.5,
        "tokens_in": 200.0,
        "tokens_out": 100.0,
        "tokens_total": 300.0,
        "reasoning_tokens": 20.0,
        "tokens_per_second": 20.0,
        "branching_depth": 1.0,
        "model_calls": 2.0,
        "sandbox_runs": 7.0,
        "cpu_seconds": 16.0,
        "cpu_percent": 200.0,
        "peak_memory_bytes": 3.0 * GiB,
        "mean_memory_bytes": 2.0 * GiB,
        "gpu_percent": None,
        "gpu_peak_memory_bytes": None,
        "energy_joules": 120.0,
        "gpu_energy_joules": None,
        "runtime_ratio": None,
        "complexity": 4.0,
        "lint_findings": None,
        "lines_of_code": None,
    }
    assert {name: value for name, value in found.items() if name != "efficiency"} == expected
    assert found["efficiency"] is not None
    assert 0 < found["efficiency"] < 1
    assert list(found) == [metric.name for metric in TRIAL_METRICS]


def test_scores_of_other_scorers_keep_their_names() -> None:
    found = derive_trial(facts(scored=[scored(1, 1.0, style=0.5)]), WEIGHTS)
    assert found["style"] == 0.5


def test_what_is_missing_in_one_part_is_missing_in_the_sum() -> None:
    attempts = [
        AttemptFacts(0, None, completion(tokens_in=None), USAGE),
        AttemptFacts(1, 0, completion(), replace(USAGE, energy_joules=None)),
    ]
    found = derive_trial(facts(attempts=attempts), WEIGHTS)
    assert [found[name] for name in ("tokens_in", "tokens_total", "energy_joules")] == [None] * 3
    assert (found["tokens_out"], found["cpu_seconds"]) == (100.0, 16.0)


def test_what_a_failed_attempt_took_is_not_known() -> None:
    for attempts in ([AttemptFacts(0)], [AttemptFacts(0, None, completion()), AttemptFacts(1, 0)]):
        found = derive_trial(facts(attempts=attempts), WEIGHTS)
        names = ("latency_seconds", "tokens_in", "tokens_out", "tokens_total", "reasoning_tokens")
        assert [found[name] for name in names] == [None] * 5
        assert found["model_calls"] == len(attempts)


def test_an_attempt_that_was_not_monitored_leaves_no_usage() -> None:
    attempts = [AttemptFacts(0, None, completion(), USAGE), AttemptFacts(1, 0, completion(), None)]
    found = derive_trial(facts(attempts=attempts), WEIGHTS)
    assert found["cpu_seconds"] is None
    assert found["peak_memory_bytes"] is None
    assert found["efficiency"] is None


@pytest.mark.parametrize("outcome", ["model_failed", "sandbox_failed", "scorer_failed", "unscored"])
def test_a_trial_that_was_not_decided_is_neither_solved_nor_not(outcome: Any) -> None:
    found = derive_trial(facts(outcome=outcome, chosen=None, scored=[]), WEIGHTS)
    assert found["solved"] is None
    assert found["first_attempt_solved"] is None
    assert found["efficiency"] is None
    assert found["latency_seconds"] == 6.0


def test_the_first_attempt_is_the_first_that_was_scored() -> None:
    found = derive_trial(facts(scored=[Scored(0, None, ()), scored(2, 0.0), scored(1, 1.0)]), WEIGHTS)
    assert found["first_attempt_solved"] == 1.0


def test_a_shared_evaluation_is_counted_once() -> None:
    """Under the standard protocol the public tests decide, and are run once."""
    same = evaluation(True, runs=2)
    one = replace(step(0), evaluation=same)
    assert derive_trial(facts(steps=[one], scored=[scored(0, 1.0, same)], chosen=0), WEIGHTS)["sandbox_runs"] == 2.0


@pytest.mark.parametrize(
    ("parents", "depth"), [([None], 0.0), ([None, 0, 0], 1.0), ([None, 0, 1, 2], 3.0), ([None, None], 0.0), ([], None)]
)
def test_depth_is_the_longest_chain(parents: list[int | None], depth: float | None) -> None:
    attempts = [AttemptFacts(index, parent, completion(), USAGE) for index, parent in enumerate(parents)]
    assert derive_trial(facts(attempts=attempts), WEIGHTS)["branching_depth"] == depth


def test_a_trial_without_any_inference_cost_no_tokens() -> None:
    found = derive_trial(facts(attempts=[]), WEIGHTS)
    assert (found["tokens_total"], found["model_calls"], found["latency_seconds"]) == (0.0, 0.0, 0.0)
    assert found["tokens_per_second"] is None
    assert found["cpu_seconds"] is None


def test_a_trials_facts_come_from_its_events() -> None:
    key = TrialKey("arm", "t")
    trial = Trial(key, Task("t", "?", "f"), 1)
    trial.apply(ActionsDecided(key, 0, (ASK, replace(ASK, parent=0), Propose("code", (1,))), 10.0))
    trial.apply(AttemptFinished(key, 0, 11.0, completion(), None, USAGE, 15.0))
    trial.apply(StepFinished(key, 0, "code", evaluation(False), None, 15.5))
    trial.apply(AttemptFinished(key, 1, 16.0, completion(), None, USAGE, 20.0))
    trial.apply(StepFinished(key, 1, "code", evaluation(False), None, 20.5))
    trial.apply(StepFinished(key, 2, "code", evaluation(True), None, 20.7))
    finished = TrialFinished(key, "solved", 2, (scored(0, 0.0), scored(1, 0.0), scored(2, 1.0)), None, 21.0)
    found = trial_metrics(trial, finished, {"cpu": 0, "memory": 0})
    assert found["wall_seconds"] == 10.0
    assert (found["solved"], found["first_attempt_solved"], found["branching_depth"]) == (1.0, 0.0, 1.0)
    assert (found["model_calls"], found["sandbox_runs"]) == (2.0, 3.0)
    assert found["efficiency"] == pytest.approx((1 * (1 / 1.8) ** 0.5) ** (1 / 1.5))


# ----------------------------------------------------------------------------------------------------- efficiency


def test_efficiency_is_the_weighted_geometric_mean() -> None:
    metrics = {"tests_passed_ratio": 0.5, "latency_seconds": 10.0, "cpu_seconds": 20.0, "peak_memory_bytes": 4.0 * GiB}
    assert efficiency(metrics, WEIGHTS) == pytest.approx(0.5)
    assert efficiency({**metrics, "tests_passed_ratio": 0.0}, WEIGHTS) == 0.0
    assert efficiency({**metrics, "cpu_seconds": None}, WEIGHTS) is None
    assert efficiency({**metrics, "cpu_seconds": None}, EfficiencyWeights(cpu=0)) == pytest.approx(0.5)
    assert efficiency({"energy_joules": 500.0}, EfficiencyWeights(0, 0, 0, 0, 0, energy=2)) == pytest.approx(0.5)


costs = st.floats(0, 1e9)


@given(costs, costs, st.floats(0, 1), st.floats(0.01, 10))
def test_less_cost_is_never_worse(cost: float, saved: float, quality: float, weight: float) -> None:
    weights = EfficiencyWeights(latency=weight, cpu=0, memory=0)
    dear = efficiency({"tests_passed_ratio": quality, "latency_seconds": cost + saved}, weights)
    cheap = efficiency({"tests_passed_ratio": quality, "latency_seconds": cost}, weights)
    assert dear is not None
    assert cheap is not None
    assert 0 <= dear <= cheap * (1 + 1e-9) <= 1 + 1e-6


def test_weights_come_by_name() -> None:
    assert EfficiencyWeights.of({}) == EfficiencyWeights()
    assert EfficiencyWeights.of({"energy": 1, "half_energy": 10}) == EfficiencyWeights(energy=1.0, half_energy=10.0)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"quality": -1.0}, "quality is -1.0; give a number of 0 or more"),
        ({"half_cpu": 0.0}, "half_cpu is 0.0; give a number of above 0"),
        ({"cpu": math.nan}, "cpu is nan"),
        ({"quality": 0, "latency": 0, "cpu": 0, "memory": 0}, "every efficiency weight is 0"),
    ],
)
def test_weights_that_make_no_sense_are_refused(weights: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        EfficiencyWeights.of(weights)


def test_an_unknown_weight_is_named_with_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean 'latency'"):
        EfficiencyWeights.of({"latencey": 1})


# ------------------------------------------------------------------------------------------------------------ arms


def row(outcome: str, **more: float | None) -> dict[str, Any]:
    solved = {"solved": 1.0, "unsolved": 0.0}.get(outcome)
    return {"outcome": outcome, "task": "t", "solved": solved, **more}


def test_an_arm_has_means_and_costs_per_solved_task() -> None:
    rows = [
        row("solved", latency_seconds=2.0, tokens_total=100.0, peak_memory_bytes=5.0, cpu_seconds=1.0),
        row("unsolved", latency_seconds=4.0, tokens_total=300.0, peak_memory_bytes=7.0, cpu_seconds=3.0),
        row("model_failed", latency_seconds=1000.0, cpu_seconds=1000.0),
    ]
    found = arm_metrics(rows)
    assert found == {
        "trials": 3.0,
        "solved_count": 1.0,
        "infrastructure_failures": 1.0,
        "solved": 0.5,
        "latency_seconds": 3.0,
        "latency_seconds_per_solved": 6.0,
        "tokens_total": 200.0,
        "tokens_total_per_solved": 400.0,
        "peak_memory_bytes": 7.0,
        "cpu_seconds": 4.0,
        "cpu_seconds_per_solved": 4.0,
    }


def test_what_was_measured_over_the_whole_arm_goes_before_the_shares() -> None:
    rows = [row("solved", cpu_seconds=1.0, energy_joules=5.0), row("solved", cpu_seconds=3.0, energy_joules=None)]
    usage = Usage(seconds=9.0, cpu_seconds=5.0, peak_memory_bytes=11, cpu_percent=50.0, mean_memory_bytes=9)
    found = arm_metrics(rows, usage)
    assert (found["cpu_seconds"], found["cpu_seconds_per_solved"]) == (5.0, 2.5)
    assert (found["peak_memory_bytes"], found["mean_memory_bytes"], found["cpu_percent"]) == (11.0, 9.0, 50.0)
    assert "energy_joules" not in found


def test_where_nothing_is_solved_there_is_no_cost_of_a_solved_task() -> None:
    found = arm_metrics([row("unsolved", latency_seconds=2.0)])
    assert found["solved"] == 0.0
    assert not any(name.endswith("_per_solved") for name in found)


def test_a_cost_that_one_trial_lacks_is_not_known_per_solved_task() -> None:
    found = arm_metrics([row("solved", tokens_total=5.0), row("solved", tokens_total=None)])
    assert found["tokens_total"] == 5.0
    assert "tokens_total_per_solved" not in found


def test_an_arms_wall_time_is_its_own_and_no_mean_of_trials_that_overlap() -> None:
    rows = [row("solved", wall_seconds=60.0), row("unsolved", wall_seconds=70.0)]
    assert arm_metrics(rows, Usage(seconds=100.0))["wall_seconds"] == 100.0
    assert "wall_seconds" not in arm_metrics(rows)


def test_parts_come_to_sums_largest_peaks_and_means_by_time() -> None:
    first = Usage(10.0, 4.0, 40.0, 500, 400, 80.0, 60, 90.0, None, "measured", "measured", "measured", "measured")
    second = Usage(30.0, 6.0, 20.0, 700, 600, 40.0, 50, 10.0, None, "measured", "measured", "measured", "estimated")
    assert total_usage([first, second]) == Usage(
        40.0, 10.0, 25.0, 700, 550, 50.0, 60, 100.0, None, "measured", "measured", "measured", "estimated"
    )
    assert total_usage([first]) == first
    blind = Usage(seconds=5.0)
    assert total_usage([first, blind]) == Usage(
        15.0, None, 40.0, 500, 400, 80.0, 60, None, None, "none", "measured", "measured", "none"
    )


def test_an_arm_without_trials_has_only_counts() -> None:
    assert arm_metrics([]) == {"trials": 0.0, "solved_count": 0.0, "infrastructure_failures": 0.0}


def test_the_table_of_metrics_is_sound() -> None:
    assert len(ARM_KEYS) == len(set(ARM_KEYS))
    assert len(ARM_KEYS) + len(("cpu", "memory", "memory share", *range(8))) < 50, "there is room for eight GPUs"
    assert all(metric.about and metric.unit for metric in TRIAL_METRICS)
