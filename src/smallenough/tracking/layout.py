"""What stands where in MLflow: every tag, parameter and metric name, in one file. Pure.

Runs nest: session › arm › trial › attempt; each arm has a run of kind `resources` beside its trials. Every run says
by tags what it is, so that one filter finds anything. Trial and attempt runs are complete in themselves; the tables
that comparisons read (`trials.parquet`, `attempts.parquet` on the arm) hold the same values under the same names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from smallenough.events import ArmStarted, AttemptFinished, Plan, Scored, SessionStarted, StepFinished, TrialFinished
from smallenough.metrics import EfficiencyWeights, trial_metrics
from smallenough.records import Arm, Ask, Json, Outcome, Score, Suite, Usage
from smallenough.tracking.masking import masked
from smallenough.tracking.parts import ArmTotals
from smallenough.tracking.runs import RunRecord, RunStatus, Series, numbers, record_of, tags, texts
from smallenough.trial import Trial

SESSION, ARM, RESOURCES = "session", "arm", "resources"
TRIALS, ATTEMPTS, SAMPLES = "trials.parquet", "attempts.parquet", "samples.parquet"
TRIAL, ATTEMPT = "trial.json", "attempt.json"

TRIAL_TAGS = (
    *("session", "arm", "model", "provider", "strategy", "suite", "task", "category", "outcome"),
    *("answer", "expected"),
)
"""Columns of the trials table that are tags of the trial's run."""
TRIAL_NUMBERS = ("repeat", "level", "chosen", "seed", "baseline", "steps")
"""Columns of the trials table that are parameters of the trial's run."""
ATTEMPT_TAGS = ("session", "arm", "model", "strategy", "suite", "task", "category", "role", "outcome")
_TOLD_APART = ("name", "provider", "adapter")
"""What parameters tell of a model under names of their own."""
ATTEMPT_NUMBERS = ("repeat", "attempt", "parent", "temperature", "top_p", "max_tokens", "seed", "cached")


@dataclass(frozen=True, slots=True)
class Context:
    """What every run of a session needs to say about itself."""

    started: SessionStarted
    suite: Suite

    @property
    def plan(self) -> Plan:
        """The session's plan."""
        return self.started.plan

    def arm(self, name: str) -> Arm:
        """An arm of the plan."""
        return next(arm for arm in self.plan.arms if arm.name == name)

    def baseline(self) -> Arm:
        """The arm that the others are compared with: the one that says so, else the first."""
        return next((arm for arm in self.plan.arms if arm.baseline), self.plan.arms[0])


# ---------------------------------------------------------------------------------------------- session, arm


def session_run(context: Context, status: RunStatus, end: float | None, metrics: Mapping[str, float]) -> RunRecord:
    """The run of a session."""
    started, plan = context.started, context.plan
    params = {
        "suite": plan.suite,
        "suite_digest": plan.suite_digest,
        "suite_version": context.suite.version,
        "suite_source": context.suite.source,
        "protocol": context.suite.protocol,
        "tasks": len(plan.task_ids),
        "repeats": plan.repeats,
        "arms": len(plan.arms),
        "baseline": context.baseline().name,
        "seed": plan.seed,
        "concurrency": plan.concurrency,
        "sandbox": plan.sandbox,
        "scorers": ",".join(plan.scorers) if plan.scorers else None,
        **{f"limit_{name}": value for name, value in asdict(plan.limits).items()},
        "timeout_seconds": plan.timeout,
        **{f"efficiency_{name}": value for name, value in asdict(EfficiencyWeights.of(plan.weights)).items()},
        "sample_interval_seconds": plan.sample_interval,
        **{f"price_{name}": value for name, value in plan.prices.items()},
        "urls": ",".join(plan.urls),
        "scored_from": plan.scored_from,
        **started.provenance,
    }
    return RunRecord(
        SESSION,
        None,
        "session",
        f"{started.session} {plan.suite}",
        status,
        started.time,
        end,
        tags("session", SESSION, session=started.session, suite=plan.suite, scored_from=plan.scored_from),
        texts(params),
        metrics,
        artifacts={"plan.json": masked(json.dumps(asdict(plan), indent=2, ensure_ascii=False)).encode()},
        dataset=_dataset(context),
    )


def _dataset(context: Context) -> dict[str, str]:
    suite = context.suite
    profile = {"tasks": len(suite.tasks), "categories": sorted({task.category for task in suite.tasks})}
    return {
        "name": suite.name,
        "digest": suite.digest,
        "source_type": "smallenough",
        "source": json.dumps({"source": suite.source, "version": suite.version}),
        "profile": json.dumps(profile),
    }


def arm_run(
    context: Context,
    started: ArmStarted,
    status: RunStatus,
    end: float | None,
    metrics: Mapping[str, float],
    artifacts: Mapping[str, bytes],
    totals: ArmTotals | None = None,
    series: Series = (),
) -> RunRecord:
    """The run of an arm. Its series are MLflow's system metrics, of the model's processes.

    What may change when an interrupted arm goes on stands in tags, since MLflow's parameters can't change.
    """
    arm, info = context.arm(started.arm), started.model
    known = {"energy_provenance": totals.usage.energy_provenance, "killed_parts": totals.killed} if totals else {}
    record = record_of(ARM, arm.name)
    params = {
        "model": arm.model,
        "provider": arm.provider,
        "size_class": arm.size_class,
        "baseline": arm.name == context.baseline().name,
        "strategy": arm.strategy,
        **{f"strategy_{name}": value for name, value in arm.options.items()},
        **{name: value for name, value in asdict(arm.sampling).items() if value not in (None, ())},
        "prompt_templates": started.prompts,
        "concurrency": context.plan.concurrency,
        "scored_from": context.plan.scored_from,
        **{f"model_{name}": value for name, value in asdict(info).items() if name not in _TOLD_APART},
        **{f"adapter_{name}": value for name, value in (asdict(info.adapter) if info.adapter else {}).items()},
        "further_models": [asdict(other) for other in started.further] or None,
    }
    return RunRecord(
        record,
        SESSION,
        "arm",
        arm.name,
        status,
        started.time,
        end,
        {
            **tags("arm", record, **identity(context, arm), scored_from=context.plan.scored_from, **known),
            "mlflow.note.content": f"{arm.model}, {arm.strategy}",
        },
        texts(params),
        metrics,
        artifacts,
        series,
        _dataset(context),
    )


def identity(context: Context, arm: Arm) -> dict[str, str]:
    """What every run below a session says of itself."""
    return {
        "session": context.started.session,
        "arm": arm.name,
        "model": arm.model,
        "provider": arm.provider,
        "strategy": arm.strategy,
        "suite": context.plan.suite,
    }


def resources_run(
    context: Context, name: str, totals: ArmTotals, start: float, end: float, samples: bytes | None
) -> RunRecord:
    """The run that holds an arm's resource samples, the sampler's settings and the totals."""
    arm = context.arm(name)
    record = record_of(RESOURCES, arm.name)
    counted = {key: value for key, value in totals.monitor.items() if key not in ("interval", "reasons")}
    unread = "; ".join(f"{probe}: {reason}" for probe, reason in totals.monitor["reasons"].items())[:5000]
    return RunRecord(
        record,
        record_of(ARM, arm.name),
        "resources",
        f"{arm.name} resources",
        "FINISHED",
        start,
        end,
        tags("resources", record, **identity(context, arm), killed_parts=totals.killed, unread=unread or None),
        texts({"interval_seconds": totals.monitor.get("interval")}),
        {**usage_metrics(totals.usage), **numbers({**counted, "idle_cpu_rate": totals.idle_cpu_rate})},
        {SAMPLES: samples} if samples is not None else {},
    )


def usage_metrics(usage: Usage | None) -> dict[str, float]:
    """A usage as metrics; what was not measured is left out."""
    if usage is None:
        return {}
    return numbers(
        {name: value for name, value in asdict(usage).items() if name != "seconds" and not name.endswith("_provenance")}
    )


# --------------------------------------------------------------------------------------------- trial, attempt


def trial_row(context: Context, trial: Trial, finished: TrialFinished) -> dict[str, Json]:
    """A finished trial as a row of the trials table: what its run says in tags, parameters and metrics."""
    arm, task = context.arm(trial.key.arm), trial.task
    label, chosen = task.kind == "label", finished.chosen
    return {
        **identity(context, arm),
        "task": task.id,
        "category": task.category,
        "outcome": finished.outcome,
        "answer": trial.step(chosen).code if label and chosen is not None else None,
        "expected": task.reference if label else None,
        "repeat": trial.key.repeat,
        "level": task.level,
        "chosen": finished.chosen,
        "seed": trial.seed,
        "baseline": arm.name == context.baseline().name,
        "steps": len(trial.actions) - len(trial.scorers),
        **trial_metrics(trial, finished, context.plan.weights),
    }


def trial_run(row: Mapping[str, Json], trial: Trial, start: float, finished: TrialFinished | None) -> RunRecord:
    """The run of a trial, with `trial.json`: the task, the answer that was chosen, what became of it.

    Args:
        row: what `trial_row` made, or the identity alone while the trial goes on.
        trial: the trial.
        start: when it began.
        finished: how it ended; None: it goes on.
    """
    key = trial.key
    record = record_of("trial", key)
    status: RunStatus = "RUNNING" if finished is None else "FAILED" if finished.failure else "FINISHED"
    metrics = {name: value for name, value in row.items() if name not in (*TRIAL_TAGS, *TRIAL_NUMBERS)}
    return RunRecord(
        record,
        record_of(ARM, key.arm),
        "trial",
        f"{key.task} {key.repeat}" if key.repeat else key.task,
        status,
        start,
        finished.time if finished else None,
        tags("trial", record, repeat=key.repeat, **{name: row.get(name) for name in TRIAL_TAGS}),
        texts({name: row.get(name) for name in TRIAL_NUMBERS}),
        numbers(metrics),
        {TRIAL: _json(_answer(trial, finished))} if finished else {},
    )


def _answer(trial: Trial, finished: TrialFinished) -> dict[str, Json]:
    task, chosen = trial.task, None if finished.chosen is None else trial.step(finished.chosen)
    return {
        "task": task.id,
        "prompt": task.prompt,
        "public_tests": [test.code for test in task.public_tests],
        **({"labels": task.labels, "expected": task.reference} if task.kind == "label" else {}),
        "outcome": finished.outcome,
        "chosen": finished.chosen,
        "response": chosen.response if chosen else None,
        "code": chosen.code if chosen else None,
        "failure": asdict(finished.failure) if finished.failure else None,
    }


def attempt_row(context: Context, trial: Trial, index: int, scored: Scored | None) -> dict[str, Json]:
    """A finished attempt as a row of the attempts table."""
    arm, task, action = context.arm(trial.key.arm), trial.task, trial.actions[index]
    attempt, check = trial.attempts[index], trial.checks.get(index)
    assert isinstance(action, Ask)
    sampling = action.sampling.over(arm.sampling)
    public = check.evaluation if check else None
    hidden = scored.hidden if scored else None
    failed = public.first_failure if public else None
    return {
        **{name: value for name, value in identity(context, arm).items() if name != "provider"},
        "model": action.model or arm.model,
        "task": task.id,
        "category": task.category,
        "role": action.role,
        "outcome": _attempt_outcome(attempt, check, hidden.passed if hidden else None),
        "repeat": trial.key.repeat,
        "attempt": index,
        "parent": action.parent,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "max_tokens": sampling.max_tokens,
        "seed": sampling.seed,
        "cached": 1.0 if attempt.completion and attempt.completion.cached else None,
        "note": action.note or None,
        "error": next((one.error for one in (attempt.failure, check.failure if check else None, failed) if one), None),
        "solved": None if hidden is None or hidden.passed is None else float(hidden.passed),
        "public_passed_ratio": public.ratio if public else None,
        "tests_passed_ratio": hidden.ratio if hidden else None,
        "syntax_valid": None if public is None or public.syntax_valid is None else float(public.syntax_valid),
        **_completion(attempt),
        **({} if attempt.usage is None else usage_metrics(attempt.usage)),
        **(scores(scored.scores) if scored else {}),
    }


def _attempt_outcome(attempt: AttemptFinished, check: StepFinished | None, solved: bool | None) -> Outcome:
    if attempt.failure:
        return "model_failed"
    if check and check.failure:
        return "sandbox_failed"
    return "unscored" if solved is None else "solved" if solved else "unsolved"


def _completion(attempt: AttemptFinished) -> dict[str, Json]:
    completion = attempt.completion
    if completion is None or completion.cached:
        return {}
    return {
        "latency_seconds": completion.seconds,
        "time_to_first_token_seconds": completion.first_token_seconds,
        "load_seconds": completion.load_seconds,
        "prompt_seconds": completion.prompt_seconds,
        "generate_seconds": completion.generate_seconds,
        "tokens_in": completion.tokens_in,
        "tokens_out": completion.tokens_out,
        "reasoning_tokens": completion.reasoning_tokens,
        "tokens_per_second": completion.tokens_per_second,
        "retries": completion.retries,
    }


def scores(given: tuple[Score, ...]) -> dict[str, float | None]:
    """Scores by name."""
    return {score.name: score.value for score in given}


def attempt_run(row: Mapping[str, Json], trial: Trial, index: int, scored: Scored | None, *, final: bool) -> RunRecord:
    """The run of an attempt, with `attempt.json`: prompt, response, code, test output.

    Not `final`: the trial goes on, and the hidden tests have not been run. Final and not `scored`: a scorer asked it,
    or another failure ended the trial first.
    """
    attempt, check, action = trial.attempts[index], trial.checks.get(index), trial.actions[index]
    assert isinstance(action, Ask)
    lost = scored is None and index not in trial.scorers
    record = record_of("attempt", trial.key, index)
    identity = (*ATTEMPT_TAGS, *ATTEMPT_NUMBERS, "note", "error")
    usage = attempt.usage
    provenance = {
        name: value for name, value in (asdict(usage).items() if usage else ()) if name.endswith("_provenance")
    }
    body = {
        "messages": [asdict(message) for message in action.messages],
        "sampling": {name: row.get(name) for name in ("temperature", "top_p", "max_tokens", "seed")},
        "choices": asdict(action.choices) if action.choices else None,
        "completion": asdict(attempt.completion) if attempt.completion else None,
        "failure": asdict(attempt.failure) if attempt.failure else None,
        "check_failure": asdict(check.failure) if check and check.failure else None,
        "code": check.code if check else None,
        "public": asdict(check.evaluation) if check and check.evaluation else None,
        "hidden": asdict(scored.hidden) if scored and scored.hidden else None,
        "scores": [asdict(score) for score in scored.scores] if scored else [],
        "usage": asdict(usage) if usage else None,
    }
    return RunRecord(
        record,
        record_of("trial", trial.key),
        "attempt",
        f"{index} {action.role}" + (f" · {action.note}" if action.note else ""),
        "RUNNING" if not final else "FAILED" if attempt.failure else "KILLED" if lost else "FINISHED",
        attempt.started,
        attempt.time if final else None,
        {
            **tags(
                "attempt",
                record,
                repeat=trial.key.repeat,
                attempt=index,
                note=row.get("note"),
                error=row.get("error"),
                **{name: row.get(name) for name in ATTEMPT_TAGS},
            ),
        },
        texts(
            {
                **{name: row.get(name) for name in ATTEMPT_NUMBERS},
                **provenance,
                "server": attempt.completion.server if attempt.completion else None,
            }
        ),
        numbers({name: value for name, value in row.items() if name not in identity}),
        {ATTEMPT: _json(body)},
    )


def _json(value: Json) -> bytes:
    text = json.dumps(value, indent=1, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace")
