"""Whether the runner's memory stays flat, however many trials a session has.

    python -m benchmarks.memory [--trials 100,1000,10000] [--where] [--json]

Answers come from the replay client, so that nothing but the runner grows. Each size runs in a fresh process: ten tasks,
two arms (single and branching), and as many repeats as it takes, so that the suite is the same size. One task in ten
is answered with code that runs in the sandbox; the others with code that does not parse, which is evaluated without
it, so that 10,000 trials take minutes and not an hour. The writer is not started: it is a process of its own.
It is started by `python -m`, from the repository's root.

Target: with the most trials, peak and final memory are within 10% or 20 MB of those with the fewest. With `--where`,
Python's own allocations are traced as well, and the places that hold the most more than before the first trial are
named; tracing itself takes memory, so the figures of such a run are not those of the target.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path
from typing import Any

from benchmarks import common
from smallenough.events import Event
from smallenough.records import Arm
from smallenough.sessions import experiment
from smallenough.tracking.store import Store

TASKS = 10
CONCURRENCY = 8
ARMS = (
    Arm("m single", "m", "single", provider="replay", baseline=True),
    Arm("m branching", "m", "branching", {"max_depth": 1, "width": 2}, provider="replay"),
)
SHARE, BYTES = 0.10, 20_000_000


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--trials", default="100,1000,10000", help="sizes, with commas between them")
    parser.add_argument("--where", action="store_true", help="also name the places that hold memory")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--side", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(session(options.side, trace=options.where)))
        return 0
    sizes = sorted({int(size) for size in options.trials.split(",")})
    told = []
    for size in sizes:
        print(f"{size} trials …", file=sys.stderr, flush=True)
        told.append(common.child("memory", "--side", size, *(["--where"] if options.where else [])))
    result = {"sizes": told, "met": _flat(told[0], told[-1], "peak") and _flat(told[0], told[-1], "final")}
    print(json.dumps(result, indent=2)) if options.json else show(result)
    return 0


def _flat(least: dict[str, Any], most: dict[str, Any], name: str) -> bool:
    grown = most[f"{name}_bytes"] - least[f"{name}_bytes"]
    return bool(grown <= max(SHARE * least[f"{name}_bytes"], BYTES))


def show(result: dict[str, Any]) -> None:
    first, last = result["sizes"][0], result["sizes"][-1]
    rows = [
        [
            f"{one['trials']:,}",
            *(f"{one[f'{name}_bytes'] / 1e6:.1f}" for name in ("before", "peak", "final")),
            f"{one['seconds']:.0f}",
            f"{one['sandbox_runs']:,}",
        ]
        for one in result["sizes"]
    ]
    grown = {name: last[f"{name}_bytes"] - first[f"{name}_bytes"] for name in ("peak", "final")}
    notes = [
        f"{last['trials']:,} trials over {first['trials']:,}: peak {grown['peak'] / 1e6:+.1f} MB "
        f"({last['peak_bytes'] / first['peak_bytes']:.2f} times), final {grown['final'] / 1e6:+.1f} MB "
        f"({last['final_bytes'] / first['final_bytes']:.2f} times); at most 10% or 20 MB: {common.met(result['met'])}"
    ]
    notes += [f"held at {one['trials']:,}: {line}" for one in result["sizes"] for line in one.get("where", ())]
    common.show(
        "Resident memory of the runner's process, MB",
        ["trials", "before", "peak", "at the end", "seconds", "sandbox runs"],
        rows,
        notes,
    )


# ---------------------------------------------------------------------------------------------------------- one size


def session(trials: int, *, trace: bool) -> dict[str, Any]:
    """A session of so many trials in this process."""
    repeats = max(1, trials // (TASKS * len(ARMS)))
    seen = {"trial_finished": 0, "sandbox_runs": 0}

    def observe(event: Event) -> None:
        if event.kind == "trial_finished":
            seen["trial_finished"] += 1
            if event.failure:
                raise SystemExit(f"{event.key}: {event.failure}")
            seen["sandbox_runs"] += sum(one.hidden.runs for one in event.scored if one.hidden)
        elif event.kind == "step_finished" and event.evaluation:
            seen["sandbox_runs"] += event.evaluation.runs

    with tempfile.TemporaryDirectory() as folder:
        store = Store.resolve(None, Path(folder, "mlruns"))
        ready = common.replayed(
            common.doubles(TASKS), ARMS, experiment="memory", concurrency=CONCURRENCY, repeats=repeats, runnable=TASKS
        )
        gc.collect()
        before, begun = common.memory("VmRSS"), time.perf_counter()
        if trace:
            tracemalloc.start(8)
        first = tracemalloc.take_snapshot() if trace else None
        result = experiment.run(ready, store, observe, start_writer=common.no_writer)
        seconds = time.perf_counter() - begun
        gc.collect()
        places = _grown(first, tracemalloc.take_snapshot()) if first else []
        final, peak = common.memory("VmRSS"), common.memory("VmHWM")
        result.writer.wait()
    if result.status != "completed" or seen["trial_finished"] != ready.plan.trials:
        raise SystemExit(f"session {result.status}: {result.reason}; {seen} of {ready.plan.trials}")
    told = {"trials": ready.plan.trials, "seconds": seconds, "sandbox_runs": seen["sandbox_runs"]}
    return {**told, "before_bytes": before, "peak_bytes": peak, "final_bytes": final, "where": places}


def _grown(before: tracemalloc.Snapshot, after: tracemalloc.Snapshot) -> list[str]:
    """The ten places that hold the most more than before."""
    own = (tracemalloc.Filter(False, tracemalloc.__file__),)
    found = after.filter_traces(own).compare_to(before.filter_traces(own), "lineno")
    return [
        f"{one.size_diff / 1e3:+.0f} kB in {one.count_diff:+d} blocks: {'/'.join(place.filename.split('/')[-3:])}:"
        f"{place.lineno}"
        for one in found[:10]
        for place in one.traceback
    ]


if __name__ == "__main__":
    sys.exit(main())
