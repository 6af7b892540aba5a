"""A training as a run, written from its log, and its adapter as a LoggedModel with base model and data behind it.

Writing can be repeated: the same log always gives the same run and the same LoggedModel.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from smallenough.metrics import total_usage
from smallenough.records import Json, Usage
from smallenough.tracking import store as stores
from smallenough.tracking.access import find_runs, mapped, put_run
from smallenough.tracking.layout import usage_metrics
from smallenough.tracking.runs import TAG, RunRecord, RunStatus, Series, numbers, tags, texts
from smallenough.tracking.store import Store

Entries: TypeAlias = Sequence[Mapping[str, Any]]
"""A training's log."""

_CURVES = ("loss", "learning_rate", "gradient_norm")
_STATUS: Mapping[str, RunStatus] = {"done": "FINISHED", "patience": "FINISHED", "stopped": "KILLED"}


def write(store: Store, experiment: str, entries: Entries, since: int = 0) -> str:
    """Puts a training's run into a store.

    Args:
        store: where to track.
        experiment: name of the MLflow experiment; made if it is not there.
        entries: the training's log as far as it goes; its first entry is the plan.
        since: so many entries were written before.

    Returns:
        The run's id.

    Raises:
        TrackingError: the store can't be reached or written.
    """
    client = stores.connect(store)
    where = stores.experiment_id(client, store, experiment)
    run = training_run(entries, since)
    with mapped(store.uri):
        existing = find_runs(client, [where], kind="training", record=run.record)
        return put_run(client, where, run, None, existing[0].info.run_id if existing else None)


def register(store: Store, run_id: str, entries: Entries, adapter: Path, files: Sequence[str]) -> str:
    """Registers the adapter as a LoggedModel that the run made.

    Args:
        store: that holds the run.
        run_id: of the training.
        entries: the training's whole log.
        adapter: its folder.
        files: what of the folder belongs to the adapter.

    Returns:
        The LoggedModel's id.

    Raises:
        TrackingError: the store can't be reached or written.
    """
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    client, plan = stores.connect(store), entries[0]["plan"]
    record = _record(entries)
    with mapped(store.uri):
        where = client.get_run(run_id).info.experiment_id
        query = f"tags.`{TAG}record` = '{record}'"
        found = client.search_logged_models([where], query)
        ready = next((one for one in found if str(one.status) == str(LoggedModelStatus.READY)), None)
        if ready is not None:
            return str(ready.model_id)
        for left in found:  # of a process that was killed
            client.delete_logged_model(left.model_id)
        made = client.create_logged_model(
            where,
            name=re.sub(r"[/:.%\"']+", "-", adapter.name),
            source_run_id=run_id,
            tags={**tags("training", record, model=plan["base"], suite=plan["suite"])},
            params=texts({name: plan[name] for name in _LINKS} | plan["settings"]),
            model_type="lora-adapter",
        )
        for name in files:
            client.log_model_artifact(made.model_id, str(adapter / name))
        client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)
        last = _last(entries, "ended")
        client.log_outputs(run_id, [LoggedModelOutput(made.model_id, int(last["kept"] or 0) if last else 0)])
        return str(made.model_id)


_LINKS = ("base", "base_digest", "suite", "suite_digest", "validation", "data_digest", "prompt_class", "prompts_digest")
"""What of a plan leads back to base model and data."""


def training_run(entries: Entries, since: int = 0) -> RunRecord:
    """The run of a training, by its log. Pure.

    Args:
        entries: the log; its first entry is the plan.
        since: the curves of so many entries are left out.
    """
    first, ended, failed = entries[0], _last(entries, "ended"), _last(entries, "failed")
    plan, counted = first["plan"], first["counted"]
    going_on = max(_place(entries, "loaded"), _place(entries, "plan"))
    if max(_place(entries, "ended"), _place(entries, "failed")) < going_on:  # it was gone on with since
        ended = failed = None
    elif _place(entries, "failed") > _place(entries, "ended"):
        ended = None
    outcome = ended["why"] if ended else "failed" if failed else None
    status: RunStatus = _STATUS[ended["why"]] if ended else "FAILED" if failed else "RUNNING"
    record = _record(entries)
    return RunRecord(
        record,
        None,
        "training",
        f"training {plan['base']} on {plan['suite']}",
        status,
        first["time"],
        None if status == "RUNNING" else entries[-1]["time"],
        tags(
            "training",
            record,
            training=first["id"],
            model=plan["base"],
            suite=plan["suite"],
            outcome=outcome,
            unmeasured_parts=_unmeasured(entries),
            adapter=first["folder"],
        ),
        texts(
            {
                **{name: plan[name] for name in _LINKS},
                **plan["settings"],
                "target_modules": ",".join(counted["target_modules"]),
                **{name: counted[name] for name in _COUNTED},
                "device": first["device"],
                "libraries": first["libraries"],
                **first["provenance"],
            }
        ),
        _totals(entries),
        {"log.jsonl": _lines(entries)} if status != "RUNNING" else {},
        _series(entries[since:]),
        {
            "name": plan["suite"],
            "digest": plan["data_digest"],
            "source_type": "smallenough",
            "source": json.dumps({"suite": plan["suite"], "suite_digest": plan["suite_digest"]}),
            "profile": json.dumps({name: counted[name] for name in ("rows", "validation_rows", "tokens")}),
        },
    )


_COUNTED = (
    "rows",
    "validation_rows",
    "tokens",
    "answer_tokens",
    "longest",
    "steps",
    "parameters",
    "trainable",
    "precision",
)
"""What of a count stands among the parameters."""


def _totals(entries: Entries) -> dict[str, float]:
    """What the training came to so far."""
    steps = {entry["step"]: entry for entry in entries if entry["kind"] == "stepped"}
    losses = [entry["loss"] for entry in entries if entry["kind"] == "validated" and entry["step"]]
    counted, settings = entries[0]["counted"], entries[0]["plan"]["settings"]
    seconds, tokens = (sum(entry[name] for entry in steps.values()) for name in ("seconds", "tokens"))
    told: dict[str, Json] = {
        "steps_done": len(steps),
        "samples": samples(len(steps), counted["rows"], settings["batch"] * settings["accumulation"]),
        "tokens_total": tokens,
        "training_seconds": seconds,
        "tokens_per_second_mean": tokens / seconds if seconds else None,
        "best_validation_loss": min(losses, default=None),
    }
    usage = used(entries)
    told["wall_seconds"] = usage.seconds if usage else None
    return {**numbers(told), **usage_metrics(usage)}


def samples(steps: int, rows: int, size: int) -> int:
    """Rows that so many steps saw; an epoch's last step may be short."""
    epoch = -(-rows // size)
    return steps // epoch * rows + steps % epoch * size if epoch else 0


def used(entries: Entries) -> Usage | None:
    """What all parts of a training consumed that were measured; None: none was."""
    parts = [Usage(**entry["usage"]) for entry in entries if entry["kind"] == "usage"]
    return total_usage(parts) if parts else None


def _unmeasured(entries: Entries) -> int | None:
    """Parts that ended without being measured, as where all was killed; None: none did."""
    parts = [entry["kind"] for entry in entries if entry["kind"] in ("loaded", "usage")]
    return sum(one == "loaded" == then for one, then in itertools.pairwise(parts)) or None


def _series(entries: Entries) -> Series:
    found: list[tuple[str, float, float, int]] = []
    for entry in entries:
        step, at = entry.get("step", 0), entry["time"]
        if entry["kind"] == "stepped":
            found += [(name, entry[name], at, step) for name in _CURVES]
            found.append(("tokens_per_second", entry["tokens"] / max(entry["seconds"], 1e-9), at, step))
        elif entry["kind"] == "validated":
            found.append(("validation_loss", entry["loss"], at, step))
    return tuple(found)


def _record(entries: Entries) -> str:
    return f"training:{entries[0]['id']}"


def _last(entries: Entries, kind: str) -> Mapping[str, Any] | None:
    return next((entry for entry in reversed(entries) if entry["kind"] == kind), None)


def _place(entries: Entries, kind: str) -> int:
    """Where the last entry of a kind stands; -1: there is none."""
    return next((at for at in range(len(entries) - 1, -1, -1) if entries[at]["kind"] == kind), -1)


def _lines(entries: Entries) -> bytes:
    return "".join(f"{json.dumps(entry)}\n" for entry in entries).encode()
