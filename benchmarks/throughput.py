"""How much longer a tracked, scored and isolated session takes than the barest loop that could do its work.

    python -m benchmarks.throughput [--tasks 500] [--rounds 3] [--json]

Both sides send the same prompts to the same local server, which answers in 20 ms, 16 at once. Ours is a whole session:
bubblewrap, public and hidden tests apart, scorers, resource monitor, journal, and the writer that fills a local MLflow
store beside it. The references were run before, as for every session of a suite but the first; that time is told
apart. The bare loop is the `ollama` package in 16 threads, and for each answer one `python -c` with all the task's
asserts. It is started by `python -m`, from the repository's root.

Target: the session's wall time is at most twice the bare loop's. When MLflow holds everything is told apart. The
verdicts of all runs are compared, and the tasks on which they differ are named: a slow task can be stopped by its limit
on wall time when the machine is busy. Where more than a few differ from what the answers deserve, nothing is reported.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import ollama

from benchmarks import common
from smallenough.events import Event
from smallenough.records import Suite, Task
from smallenough.sessions import experiment
from smallenough.sessions.prepare import prepare
from smallenough.sessions.references import reference_seconds
from smallenough.sessions.settings import Settings
from smallenough.tracking.behind import WriterState
from smallenough.tracking.store import Store

CONCURRENCY = 16
DELAY = 0.02
TARGET = 2.0
_TIMEOUT = 30.0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--tasks", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    suite = common.tasks(options.tasks)
    if options.side:
        print(json.dumps(SIDES[options.side](suite, options.url)))
        return 0
    result = measure(suite, options.rounds)
    print(json.dumps(result, indent=2)) if options.json else show(result)
    return 0


def measure(suite: Suite, rounds: int) -> dict[str, Any]:
    count = len(suite.tasks)
    with tempfile.TemporaryDirectory() as folder, common.server(suite, Path(folder), DELAY) as url:

        def side(name: str, _round: int) -> dict[str, Any]:
            return common.child("throughput", "--side", name, "--url", url, "--tasks", count)

        told = common.alternate(rounds, [(name, partial(side, name)) for name in SIDES])
    for name, runs in told.items():
        for one in runs:
            common.check_solved(name, one["solved_tasks"], suite)
    disputed = _disputed(told)
    ratios = common.ratios(told["session"], told["bare loop"])
    return {
        "suite": suite.name,
        "tasks": count,
        "disputed": disputed,
        "sides": told,
        "ratios": ratios,
        "ratio": common.median(ratios),
        "ratios_tracked": common.ratios(
            [{"seconds": one["tracked_seconds"]} for one in told["session"]], told["bare loop"]
        ),
        "target": TARGET,
        "met": common.median(ratios) <= TARGET,
    }


def _disputed(told: dict[str, list[dict[str, Any]]]) -> list[str]:
    """The tasks that some runs took for solved, and others did not."""
    found = [set[str](one.pop("solved_tasks")) for runs in told.values() for one in runs]
    return sorted(set[str].union(*found) - set[str].intersection(*found))


def show(result: dict[str, Any]) -> None:
    rows = []
    for name, runs in result["sides"].items():
        seconds = [one["seconds"] for one in runs]
        rows.append([name, common.spread(seconds), f"{result['tasks'] / common.median(seconds):.1f}"])
    tracked = [one["tracked_seconds"] for one in result["sides"]["session"]]
    references = [one["references"] for one in result["sides"]["session"]]
    rows.append(["session, until MLflow holds all", common.spread(tracked), ""])
    common.show(
        f"{result['tasks']} tasks of {result['suite']}, {CONCURRENCY} at once, answers in {DELAY * 1000:.0f} ms",
        ["", "seconds, median (least to most)", "tasks a second"],
        rows,
        [
            f"session / bare loop: {common.spread(result['ratios'])}; at most {TARGET}: {common.met(result['met'])}",
            f"until MLflow holds all / bare loop: {common.spread(result['ratios_tracked'])}",
            f"the references, once for a suite: {common.spread(references)} s",
            f"verdicts that are not the same in every run of both: {', '.join(result['disputed']) or 'none'}",
        ],
    )


# -------------------------------------------------------------------------------------------------------- the sides


def session(suite: Suite, url: str) -> dict[str, Any]:
    """A whole session by smallenough."""
    solved: list[str] = []

    def observe(event: Event) -> None:
        if event.kind == "trial_finished" and event.outcome == "solved":
            solved.append(event.key.task)

    with tempfile.TemporaryDirectory() as folder:
        store = Store.resolve(None, Path(folder, "mlruns"))
        settings = Settings(experiment="throughput", concurrency=CONCURRENCY, urls=(url,))
        ready = prepare(suite, [common.WISH], settings)
        started = time.perf_counter()
        memory = store.folder / "references.json"
        reference_seconds(ready.suite, ready.sandbox, ready.plan.limits, memory)
        references = time.perf_counter() - started
        started, spent = time.perf_counter(), time.process_time()
        result = experiment.run(ready, store, observe)
        seconds, spent = time.perf_counter() - started, time.process_time() - spent
        if result.status != "completed" or result.writer.wait():
            raise SystemExit(f"session {result.status}: {result.reason}; writer: {result.writer.returncode}")
        tracked = time.perf_counter() - started
        state = WriterState.read(result.folder)
    assert state is not None
    told = {"seconds": seconds, "tracked_seconds": tracked, "cpu_seconds_itself": spent, "references": references}
    return {**told, "runs_written": state.runs, "solved_tasks": solved}


def bare(suite: Suite, url: str) -> dict[str, Any]:
    """The loop that one would write without smallenough."""
    client, prompts = ollama.Client(url), common.asked(suite)

    def solved(prompt: str, task: Task) -> bool:
        reply = client.chat(common.MODEL, [{"role": "user", "content": prompt}])
        code = (reply.message.content or "").split("```python\n")[1].split("```")[0]
        tests = [part for test in task.public_tests + task.hidden_tests for part in (test.setup, test.code)]
        alias = f"{task.alias} = {task.entry_point}" if task.alias else ""
        program = "\n".join([code, alias, task.setup, *tests])
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=_TIMEOUT)
        return done.returncode == 0

    started = time.perf_counter()
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        verdicts = list(pool.map(solved, prompts, suite.tasks))
    seconds = time.perf_counter() - started
    return {
        "seconds": seconds,
        "solved_tasks": [task.id for task, yes in zip(suite.tasks, verdicts, strict=True) if yes],
    }


SIDES: dict[str, Callable[[Suite, str], dict[str, Any]]] = {"session": session, "bare loop": bare}


if __name__ == "__main__":
    sys.exit(main())
