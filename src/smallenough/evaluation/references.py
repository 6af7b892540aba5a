"""Runs the reference solutions of a suite: each must pass its tests, and its run time is what others compare with.

References are trusted, so many share one process, and as many processes run at once as there are processors; one that
fails there is run again by itself, and that counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from smallenough.evaluation.evaluate import Planned, evaluate, imports_of, plan, result_of
from smallenough.evaluation.process import Solution, run_jobs
from smallenough.machine import usable_cores
from smallenough.protocols import Sandbox
from smallenough.records import Evaluation, Limits, Task, Test

_CHUNK = 50
_PATIENCE = 4
"""A reference may take so many times as long as a solution: that the machine is slow or busy does not make it wrong."""


class ReferenceRun(NamedTuple):
    """What became of one reference solution."""

    evaluation: Evaluation
    """On the public tests, then the hidden ones."""
    seconds: float | None
    """Time of the calls in the tests that decide (hidden, else public); None: it did not pass them all."""


def run_reference_times(
    tasks: Sequence[Task], sandbox: Sandbox, limits: Limits | None = None
) -> Mapping[str, ReferenceRun]:
    """Runs each task's reference on all of the task's tests.

    Args:
        tasks: those without a reference, and those whose reference is a label, are left out of the reply.
        sandbox: where the references run.
        limits: what one process may use.

    Raises:
        SandboxError: the sandbox failed.
    """
    bounds = limits or Limits()
    patient = replace(bounds, cpu_seconds=bounds.cpu_seconds * _PATIENCE, wall_seconds=bounds.wall_seconds * _PATIENCE)
    given = [task for task in tasks if task.reference is not None and task.kind != "label"]
    chunks = [given[start : start + _CHUNK] for start in range(0, len(given), _CHUNK)]
    with ThreadPoolExecutor(usable_cores()) as pool:
        try:
            parts = list(pool.map(partial(_run_chunk, sandbox=sandbox, limits=patient), chunks))
        except BaseException:  # Ctrl-C waits for what runs, and for no more
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return {name: run for part in parts for name, run in part.items()}


def _run_chunk(tasks: Sequence[Task], sandbox: Sandbox, limits: Limits) -> dict[str, ReferenceRun]:
    done: dict[str, ReferenceRun] = {}
    waiting = tasks
    while waiting:
        evaluations = _run_together(waiting, sandbox, limits)
        # What the process had no time for comes again; the first task is always dealt with.
        reached = max((number for number, task in enumerate(waiting) if task.id in evaluations), default=0) + 1
        for task in waiting[:reached]:
            evaluation = evaluations.get(task.id)
            if evaluation is None or not evaluation.passed:
                evaluation = evaluate(task.reference, task.problem, task.setup, _tests(task), sandbox, limits)
            done[task.id] = ReferenceRun(evaluation, _deciding_seconds(task, evaluation))
        waiting = waiting[reached:]
    return done


def _run_together(tasks: Sequence[Task], sandbox: Sandbox, limits: Limits) -> dict[str, Evaluation]:
    """Those of the tasks' evaluations, by task id, that one process came to."""
    plans = [[plan(test, task.problem, task.setup) for test in _tests(task)] for task in tasks]
    run = run_jobs([[_solution(*pair) for pair in zip(tasks, plans, strict=True)]], sandbox, limits)
    evaluations: dict[str, Evaluation] = {}
    for number, (task, planned) in enumerate(zip(tasks, plans, strict=True)):
        replies = [run.replies.get((number, index)) for index in range(len(planned))]
        pairs = [(test, reply) for test, reply in zip(planned, replies, strict=True) if reply is not None]
        if len(pairs) == len(planned):
            results = tuple(result_of(test, reply, task.reference or "") for test, reply in pairs)
            evaluations[task.id] = Evaluation(results, syntax_valid=True, sandbox=run.execution.sandbox)
    return evaluations


def _solution(task: Task, plans: Sequence[Planned]) -> Solution:
    queries = tuple(planned.query(index) for index, planned in enumerate(plans))
    return Solution(task.reference or "", queries, imports_of(task.setup), task.setup, task.entry_point, task.alias)


def _tests(task: Task) -> tuple[Test, ...]:
    return task.public_tests + task.hidden_tests


def _deciding_seconds(task: Task, evaluation: Evaluation) -> float | None:
    results = evaluation.results[len(task.public_tests) :] or evaluation.results
    seconds = [result.seconds for result in results if result.seconds is not None]
    return sum(seconds) if evaluation.passed and len(seconds) == len(results) else None
