"""What a study found, as its results file has it: by model, what it is, how it was trained, its metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

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
    """
    rows = {(row.session, row.arm.removesuffix(f" @ {row.session}")): row for row in found.comparison.rows}
    return {one.key: _result(one, [rows[one.session, name] for name in one.arms]) for one in measured}


def _result(one: Measured, rows: Sequence[ArmRow]) -> dict[str, Json]:
    return {
        "model_type": one.kind,
        "size": one.model.size,
        "training": one.training,
        "metrics": _metrics(rows[0]),
        "model": one.model.name,
        "description": one.model.description,
        "session": one.session,
        "strategies": {row.arm: _metrics(row) for row in rows},
        "memory": {"before": asdict(one.before), "after": asdict(one.after)},
        **({"trained": _trained(one)} if one.trained else {}),
    }


def _metrics(row: ArmRow) -> dict[str, Json]:
    solved = row.solved_rate
    return {
        "tasks": row.counts.tasks,
        "accuracy": solved.rate if solved else None,
        "accuracy_low": solved.interval.low if solved and solved.interval else None,
        "accuracy_high": solved.interval.high if solved and solved.interval else None,
        "latency_seconds": row.measures["latency_seconds"].mean,
        **_costs(row.costs),
    }


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
        "adapter": str(made.folder),
        "run_id": made.run_id,
        "steps": made.steps,
        "loss": made.loss,
        "validation_loss": made.validation_loss,
        "tokens_per_second": made.tokens_per_second,
        **({f"{name}": value for name, value in asdict(made.usage).items()} if made.usage else {}),
    }
