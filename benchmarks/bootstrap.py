"""How long the intervals of all arms take, beside plain `scipy.stats.bootstrap`, on one core.

    python -m benchmarks.bootstrap [--tasks 1000] [--arms 8] [--resamples 10000] [--rounds 3] [--json]

Both sides make the BCa interval of each arm's mean difference from the baseline, in seconds a task. Ours resamples the
tasks once for all arms; scipy is called once an arm, with a statistic that is vectorised, as its documentation shows.
Each side runs in a fresh process whose imports are done, held to one core where the system can do that. Where an end of
an interval differs by more than a tenth of the interval's width, nothing is reported: the draws are not the same, the
data are. It is started by `python -m`, from the repository's root.

Target: 10,000 resamples of 1,000 tasks for 8 arms within 2 CPU seconds. Seconds on the clock are told too.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import bootstrap

from benchmarks import common
from smallenough.analysis.statistics import Floats, mean_intervals

TARGET = 2.0
_APART = 0.1


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--arms", type=int, default=8)
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        print(json.dumps(run(options.side, options.tasks, options.arms, options.resamples)))
        return 0
    result = measure(options.tasks, options.arms, options.resamples, options.rounds)
    print(json.dumps(result, indent=2)) if options.json else show(result)
    return 0 if result["met"] else 1


def measure(tasks: int, arms: int, resamples: int, rounds: int) -> dict[str, Any]:
    def side(name: str, _round: int) -> dict[str, Any]:
        return common.child("bootstrap", "--side", name, "--tasks", tasks, "--arms", arms, "--resamples", resamples)

    told = common.alternate(rounds, [(name, partial(side, name)) for name in SIDES])
    _check_agreement(told)
    ratios = common.ratios(told["ours"], told["scipy"], "cpu_seconds")
    return {
        "tasks": tasks,
        "arms": arms,
        "resamples": resamples,
        "sides": told,
        "ratios": ratios,
        "target": TARGET,
        "met": common.median([one["cpu_seconds"] for one in told["ours"]]) <= TARGET,
    }


def show(result: dict[str, Any]) -> None:
    rows = [
        [name, *(common.spread([one[key] for one in runs]) for key in ("cpu_seconds", "seconds"))]
        for name, runs in result["sides"].items()
    ]
    common.show(
        f"{result['resamples']} resamples of {result['tasks']} tasks, {result['arms']} arms, one core",
        ["", "CPU seconds, median (least to most)", "seconds on the clock"],
        rows,
        [
            f"ours / scipy: {common.spread(result['ratios'])} in CPU seconds",
            f"ours within {TARGET:g} CPU seconds: {common.met(result['met'])}",
        ],
    )


def run(name: str, tasks: int, arms: int, resamples: int) -> dict[str, Any]:
    """One side, on one core; its intervals, and what they took."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    differences = made_up(tasks, arms)
    clock, processor = time.perf_counter(), time.process_time()
    intervals = SIDES[name](differences, resamples)
    return {
        "seconds": time.perf_counter() - clock,
        "cpu_seconds": time.process_time() - processor,
        "intervals": intervals,
    }


def made_up(tasks: int, arms: int) -> Floats:
    """Seconds of each arm less those of the baseline: one row a task, one column an arm."""
    generator = np.random.default_rng(0)
    task = generator.lognormal(0, 0.8, (tasks, 1))
    seconds = task * generator.lognormal(0, 0.4, (tasks, arms + 1)) * np.linspace(2, 1, arms + 1)
    return np.asarray(seconds[:, 1:] - seconds[:, :1], dtype=np.float64)


def ours(differences: Floats, resamples: int) -> list[tuple[float, float]]:
    found = mean_intervals(differences, resamples=resamples)
    return [(each.low, each.high) for each in found if each]


def scipys(differences: Floats, resamples: int) -> list[tuple[float, float]]:
    found = [
        bootstrap((column,), np.mean, method="BCa", n_resamples=resamples, rng=number).confidence_interval
        for number, column in enumerate(differences.T)
    ]
    return [(float(each.low), float(each.high)) for each in found]


def _check_agreement(told: dict[str, list[dict[str, Any]]]) -> None:
    """Takes the intervals out of what was told, and refuses what differs by more than the draws can do."""
    found = [np.array(one.pop("intervals")) for runs in told.values() for one in runs]
    width = found[0][:, 1] - found[0][:, 0]
    for other in found[1:]:
        if other.shape != found[0].shape or (np.abs(other - found[0]) > _APART * width[:, None]).any():
            raise SystemExit("the sides' intervals differ by more than their draws: nothing is reported")


SIDES = {"ours": ours, "scipy": scipys}


if __name__ == "__main__":
    raise SystemExit(main())
