"""What a study found, as its results file has it: by model, what it is, how it was trained, its metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from smallenough.analysis.breakeven import Repayment
from smallenough.analysis.classification import Classified, classify
from smallenough.analysis.evidence import ArmRow
from smallenough.analysis.findings import Findings
from smallenough.records import Json
from smallenough.sessions.study.carry_out import Measured


def results(measured: Sequence[Measured], found: Findings) -> dict[str, Json]:
    """The results by key, as `SLM_Llama-3B_finetuned`: `model_type`, `size`, `training` and `metrics`, and more.

    Args:
        measured: every model in every state.
        found: the comparison of their sessions.

    Returns:
        `metrics` are those of the study's first strategy, None for what was not measured; `strategies` those of each.
        Where answers are labels, F1 and its like are among them.
    """
    rows = {(row.session, row.arm.removesuffix(f" @ {row.session}")): row for row in found.comparison.rows}
    labels = {one.arm: one for one in classify(found.frames.trials, found.frames.labels)}
    repaid = found.repayments()
    return {one.key: _result(one, [rows[one.session, name] for name in one.arms], labels, repaid) for one in measured}


def _result(
    one: Measured, rows: Sequence[ArmRow], labels: Mapping[str, Classified], repaid: Sequence[Repayment]
) -> dict[str, Json]:
    metrics = {row.arm: {**_metrics(row), **_of_labels(labels.get(row.arm))} for row in rows}
    return {
        "model_type": one.kind,
        "size": one.model.size,
        "training": one.training,
        "metrics": metrics[rows[0].arm],
        "model": one.model.name,
        "description": one.model.description,
        "session": one.session,
        "strategies": metrics,
        "memory": {"before": asdict(one.before), "after": asdict(one.after)},
        **(
            {"trained": {**_trained(one), "repaid_after_requests": _repaid(rows[0].arm, repaid)}} if one.trained else {}
        ),
    }


def _repaid(arm: str, repaid: Sequence[Repayment]) -> dict[str, Json]:
    """After how many requests the training is repaid beside the baseline, by cost; None: never, as far as is known."""
    return {
        one.at.cost: {"requests": one.at.requests, "low": one.at.low, "high": one.at.high, "beside": one.large}
        for one in repaid
        if one.tuned == arm
    }


def _metrics(row: ArmRow) -> dict[str, Json]:
    solved = row.solved_rate
    return {
        "tasks": row.counts.tasks,
        "accuracy": solved.rate if solved else None,
        "accuracy_low": solved.interval.low if solved else None,
        "accuracy_high": solved.interval.high if solved else None,
        "latency_seconds": row.measures["latency_seconds"].mean,
        "tokens_per_second": row.measures["tokens_per_second"].mean,
        **_costs(row.costs),
    }


def _of_labels(found: Classified | None) -> dict[str, Json]:
    """Each measure of labels with the ends of its interval; the accuracy is told already."""
    told: dict[str, Json] = {}
    for name, estimate in found.measures.items() if found else ():
        if name != "accuracy" and estimate is not None:
            told[name] = estimate.value
            told[f"{name}_low"] = estimate.interval.low if estimate.interval else None
            told[f"{name}_high"] = estimate.interval.high if estimate.interval else None
    return told


def _costs(costs: Mapping[str, float | None]) -> dict[str, Json]:
    return {
        "peak_memory_bytes": costs["memory"],
        "wall_seconds_per_task": costs["seconds"],
        "cpu_seconds_per_task": costs["cpu"],
        "energy_joules_per_task": costs["energy"],
        "operations_per_task": costs["operations"],
    }


def _trained(one: Measured) -> dict[str, Json]:
    assert one.trained is not None
    made = one.trained
    return {
        "adapter": str(made.place),
        "run_id": made.run_id,
        "steps": made.steps,
        "loss": made.loss,
        "validation_loss": made.validation_loss,
        "tokens_per_second": made.tokens_per_second,
        **(asdict(made.usage) if made.usage else {}),
    }
