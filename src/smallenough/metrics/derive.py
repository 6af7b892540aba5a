"""Derives the metrics of a trial from its events, and an arm's from those of its trials. Pure.

None, or a name that is missing, is 'not measured'. A sum is known only where every part is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from smallenough.events import Scored, TrialFinished
from smallenough.metrics.efficiency import EfficiencyWeights, efficiency
from smallenough.metrics.names import TRIAL_METRICS, per_solved
from smallenough.records import Ask, Completion, Json, Outcome, Provenance, Score, Step, Usage
from smallenough.trial import Trial

_SOLVED: Mapping[Outcome, float] = {"solved": 1.0, "unsolved": 0.0}


@dataclass(frozen=True, slots=True)
class AttemptFacts:
    """What an attempt was and consumed."""

    index: int
    """Place of its action in the trial."""
    parent: int | None = None
    completion: Completion | None = None
    """None: the model's server failed, or was not asked."""
    usage: Usage | None = None
    """None: not monitored."""
    cached: bool = False
    """Whether nobody was asked: what it took is not known then."""


@dataclass(frozen=True, slots=True)
class TrialFacts:
    """What a trial's metrics are derived from."""

    attempts: Sequence[AttemptFacts]
    steps: Sequence[Step]
    scored: Sequence[Scored]
    outcome: Outcome
    chosen: int | None = None
    """Index of the step that is the answer."""
    wall_seconds: float | None = None

    @classmethod
    def of(cls, trial: Trial, finished: TrialFinished) -> TrialFacts:
        """Of a trial that has ended."""
        attempts = [
            AttemptFacts(index, _parent(trial, index), cached=True)
            if attempt.completion and attempt.completion.cached
            else AttemptFacts(index, _parent(trial, index), attempt.completion, attempt.usage)
            for index, attempt in sorted(trial.attempts.items())
        ]
        started = min((attempt.started for attempt in trial.attempts.values()), default=None)
        known = started is not None and not any(attempt.cached for attempt in attempts)
        wall = max(finished.time - started, 0.0) if known and started is not None else None
        return cls(attempts, trial.steps, finished.scored, finished.outcome, finished.chosen, wall)


def trial_metrics(trial: Trial, finished: TrialFinished, weights: Mapping[str, float]) -> dict[str, float | None]:
    """Every metric of a trial, and the scores of other scorers under their own names.

    Args:
        trial: the trial, all its events taken in.
        finished: how it ended.
        weights: the efficiency weights that differ from the defaults.

    Raises:
        InputError: the weights are not what they should be.
    """
    return derive_trial(TrialFacts.of(trial, finished), EfficiencyWeights.of(weights))


def derive_trial(facts: TrialFacts, weights: EfficiencyWeights) -> dict[str, float | None]:
    """Every metric of a trial, and the scores of other scorers under their own names."""
    derived = {
        **_scores_of(facts),
        **_inference(facts),
        **_usage(facts.attempts),
        "wall_seconds": facts.wall_seconds,
        "branching_depth": _depth(facts),
        "sandbox_runs": _sandbox_runs(facts),
    }
    derived["efficiency"] = efficiency(derived, weights)
    named = {metric.name: derived.pop(metric.name, None) for metric in TRIAL_METRICS}
    return {**named, **derived}


def arm_metrics(trials: Sequence[Mapping[str, Json]], usage: Usage | None = None) -> dict[str, float]:
    """An arm's metrics, those that were measured. Trials that failed for no fault of the answer are only counted.

    Args:
        trials: each trial's metrics, with its `outcome`.
        usage: what the arm's model consumed, measured over the whole arm; the trials' shares, where it is None.
    """
    valid = [trial for trial in trials if not str(trial.get("outcome")).endswith("_failed")]
    solved_count = sum(1 for trial in valid if trial.get("solved") == 1)
    found: dict[str, float | None] = {
        "trials": float(len(trials)),
        "solved_count": float(solved_count),
        "infrastructure_failures": float(len(trials) - len(valid)),
    }
    for metric in TRIAL_METRICS:
        known = [value for trial in valid if (value := trial.get(metric.name)) is not None]
        whole = known if valid and len(known) == len(valid) else [None]
        measured = _measured_total(usage, metric.name)
        if measured is not None or metric.arm == "none":
            found[metric.name] = measured
        elif metric.arm == "sum":
            found[metric.name] = total(whole)
        elif metric.arm == "max":
            found[metric.name] = max(known, default=None)
        else:
            found[metric.name] = sum(known) / len(known) if known else None
        if metric.is_cost:
            cost = measured if measured is not None else total(whole)
            found[per_solved(metric.name)] = cost / solved_count if cost is not None and solved_count else None
    return {name: float(value) for name, value in found.items() if value is not None}


def total_usage(parts: Sequence[Usage]) -> Usage:
    """What parts that followed one another come to: sums, largest peaks, means by time.

    A sum is known where every part is; peaks and means are those of the parts in which they are known. Of several
    provenances the weakest is told.
    """
    found = _together(parts)
    whole = {name: found[name] for name in ("peak_memory_bytes", "mean_memory_bytes", "gpu_peak_memory_bytes")}
    provenances: dict[str, Provenance] = {
        "cpu_provenance": _weakest([one.cpu_provenance for one in parts]),
        "memory_provenance": _weakest([one.memory_provenance for one in parts if one.memory_provenance != "none"]),
        "gpu_provenance": _weakest([one.gpu_provenance for one in parts if one.gpu_provenance != "none"]),
        "energy_provenance": _weakest([one.energy_provenance for one in parts]),
    }
    counts = {name: None if value is None else int(value) for name, value in whole.items()}
    return Usage(**{"seconds": sum(one.seconds for one in parts), **found, **counts, **provenances})  # type: ignore[arg-type]  # by name


def _weakest(provenances: Sequence[Provenance]) -> Provenance:
    order: tuple[Provenance, ...] = ("none", "estimated", "apportioned", "measured")
    return next((one for one in order if one in provenances), "none")


# ------------------------------------------------------------------------------------------------ parts of a trial


def _scores_of(facts: TrialFacts) -> dict[str, float | None]:
    """The chosen answer's scores, and whether the first one would have done."""
    chosen = next((one for one in facts.scored if one.index == facts.chosen), None)
    firsts = (_value(one.scores, "solved") for one in sorted(facts.scored, key=lambda one: one.index))
    first = next((value for value in firsts if value is not None), None)
    scores = {score.name: score.value for score in chosen.scores} if chosen else {}
    solved = _SOLVED.get(facts.outcome)
    return {**scores, "solved": solved, "first_attempt_solved": None if solved is None else first}


def _inference(facts: TrialFacts) -> dict[str, float | None]:
    asked = [attempt.completion for attempt in facts.attempts]  # what a failed one took is not known
    done = [completion for completion in asked if completion]
    waits = [one.first_token_seconds for one in done if one.first_token_seconds is not None]
    rated = [one for one in done if one.tokens_out is not None and one.generate_seconds]
    generating = sum(one.generate_seconds or 0.0 for one in rated)
    tokens_in = total(one.tokens_in if one else None for one in asked)
    tokens_out = total(one.tokens_out if one else None for one in asked)
    return {
        "latency_seconds": total(one.seconds if one else None for one in asked),
        "time_to_first_token_seconds": sum(waits) / len(waits) if waits else None,
        "tokens_in": tokens_in,
        "tokens_out": tokens_out,
        "tokens_total": None if tokens_in is None or tokens_out is None else tokens_in + tokens_out,
        "reasoning_tokens": total(one.reasoning_tokens if one else None for one in asked),
        "tokens_per_second": sum(one.tokens_out or 0 for one in rated) / generating if generating else None,
        "model_calls": float(sum(not attempt.cached for attempt in facts.attempts)),
    }


def _usage(attempts: Sequence[AttemptFacts]) -> dict[str, float | None]:
    windows = [attempt.usage for attempt in attempts if attempt.usage]
    if not windows or len(windows) < len(attempts):
        return {}
    return _together(windows)


def _together(windows: Sequence[Usage]) -> dict[str, float | None]:
    """What several windows, one after the other or apportioned, come to."""
    return {
        "cpu_seconds": total(one.cpu_seconds for one in windows),
        "cpu_percent": mean_by_time((one.cpu_percent, one.seconds) for one in windows),
        "peak_memory_bytes": _largest(one.peak_memory_bytes for one in windows),
        "mean_memory_bytes": mean_by_time((one.mean_memory_bytes, one.seconds) for one in windows),
        "gpu_percent": mean_by_time((one.gpu_percent, one.seconds) for one in windows),
        "gpu_peak_memory_bytes": _largest(one.gpu_peak_memory_bytes for one in windows),
        "energy_joules": total(one.energy_joules for one in windows),
        "gpu_energy_joules": total(one.gpu_energy_joules for one in windows),
    }


def _depth(facts: TrialFacts) -> float | None:
    """How many attempts the longest chain has after its first."""
    depths: dict[int, int] = {}
    for attempt in sorted(facts.attempts, key=lambda attempt: attempt.index):
        depths[attempt.index] = depths.get(attempt.parent, -1) + 1 if attempt.parent is not None else 0
    return float(max(depths.values())) if depths else None


def _sandbox_runs(facts: TrialFacts) -> float:
    public = {id(step.evaluation): step.evaluation.runs for step in facts.steps if step.evaluation}
    hidden = {id(one.hidden): one.hidden.runs for one in facts.scored if one.hidden}
    return float(sum({**public, **hidden}.values()))  # under the standard protocol both are the same evaluation


def _parent(trial: Trial, index: int) -> int | None:
    """What an attempt builds on; a scorer's question about a step builds on nothing."""
    action = trial.actions[index]
    return action.parent if isinstance(action, Ask) and index not in trial.scorers else None


def _value(scores: Iterable[Score], name: str) -> float | None:
    return next((score.value for score in scores if score.name == name), None)


def _measured_total(usage: Usage | None, name: str) -> float | None:
    """What was measured over the whole arm, where `name` is one of its measures."""
    value = getattr(usage, "seconds" if name == "wall_seconds" else name, None)
    return None if value is None else float(value)


# -------------------------------------------------------------------------------------------------------- arithmetic


def total(values: Iterable[float | None]) -> float | None:
    """The sum, if every part is known."""
    parts = list(values)
    return None if None in parts else float(sum(part for part in parts if part is not None))


def _largest(values: Iterable[float | None]) -> float | None:
    return max((float(value) for value in values if value is not None), default=None)


def mean_by_time(values: Iterable[tuple[float | None, float]]) -> float | None:
    """The mean of what is known, weighted by the seconds that each covers; plainly, where no time passed."""
    known = [(value, seconds) for value, seconds in values if value is not None]
    if not known:
        return None
    if len(known) == 1:  # as it is: multiplied and divided it would lose its last digit
        return known[0][0]
    time = sum(seconds for _, seconds in known)
    if time <= 0:
        return sum(value for value, _ in known) / len(known)
    return sum(value * seconds for value, seconds in known) / time
