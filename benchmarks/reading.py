"""How long it takes from a study of 10,000 runs in a local store to its comparison, and whether memory stays flat.

    python -m benchmarks.reading [--runs 1000,10000] [--rounds 3] [--profile] [--json]

For each size, one session of five arms is run with the replay client and written into a store of its own by the real
writer: each trial is a run, and each attempt. Then, in fresh processes whose imports are done: `read` reads the
session's tables; `compare` reads them and compares the arms, as `smallenough compare` does (nothing is logged); and
`mlflow.search_runs` reads the same experiment, which is what one would compare by hand from. One task in twenty is
answered with code that runs in the sandbox; the others with code that does not parse, which is evaluated without it, so
that a study is made in minutes.
It is started by `python -m`, from the repository's root.

Targets, for the largest study: the comparison within 0.5 s; its peak memory, over that of the process before, at most
20 MB more than for the smallest. With `--profile`, where the time goes is told as well.
"""

from __future__ import annotations

import argparse
import cProfile
import importlib
import json
import pstats
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import common
from smallenough.records import Arm
from smallenough.sessions import experiment
from smallenough.tracking.store import Store

ARMS = tuple(Arm(f"m{number} single", f"m{number}", "single", provider="replay") for number in range(5))
REPEATS = 5
EXPERIMENT = "reading"
SECONDS, BYTES = 0.5, 20_000_000
SIDES = ("read", "compare", "search_runs")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--runs", default="1000,10000", help="sizes, with commas between them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true", help="also tell where the time goes")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--folder", type=Path, help="keep the stores there, and use those that are there already")
    parser.add_argument("--side", choices=("make", "profile", *SIDES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side == "make":
        print(json.dumps(make(options.folder, int(options.runs))))
    elif options.side == "profile":
        print(json.dumps(profiled(options.folder)))
    elif options.side:
        print(json.dumps(timed(options.side, options.folder)))
    else:
        sizes = sorted({int(size) for size in options.runs.split(",")})
        result = measure(sizes, options.rounds, options.folder, profile=options.profile)
        print(json.dumps(result, indent=2)) if options.json else show(result)
    return 0


def measure(sizes: list[int], rounds: int, kept: Path | None, *, profile: bool) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        told = [_size(size, rounds, (kept or Path(name)) / str(size), profile=profile) for size in sizes]
    first, last = (common.median([one["grown_bytes"] for one in told[at]["sides"]["compare"]]) for at in (0, -1))
    seconds = common.median([one["seconds"] for one in told[-1]["sides"]["compare"]])
    return {"sizes": told, "quick": seconds <= SECONDS, "flat": last - first <= BYTES, "more_bytes": last - first}


def _size(runs: int, rounds: int, folder: Path, *, profile: bool) -> dict[str, Any]:
    if not folder.exists():
        print(f"a study of {runs} runs …", file=sys.stderr, flush=True)
        common.child("reading", "--side", "make", "--runs", runs, "--folder", folder)

    def side(kind: str, _: int) -> dict[str, Any]:
        return common.child("reading", "--side", kind, "--folder", folder)

    sides = common.alternate(rounds, [(kind, partial(side, kind)) for kind in SIDES])
    ratios = common.ratios(sides["search_runs"], sides["compare"])
    where = common.child("reading", "--side", "profile", "--folder", folder)["where"] if profile else []
    return {"runs": sides["search_runs"][0]["rows"], "sides": sides, "ratios": ratios, "where": where}


def show(result: dict[str, Any]) -> None:
    rows = [
        [
            f"{size['runs']:,}",
            kind,
            common.spread([one["seconds"] for one in size["sides"][kind]], 3),
            common.spread([one["grown_bytes"] / 1e6 for one in size["sides"][kind]], 1),
        ]
        for size in result["sizes"]
        for kind in SIDES
    ]
    notes = [
        f"{size['runs']:,} runs: search_runs / compare {common.spread(size['ratios'], 1)}" for size in result["sizes"]
    ]
    more = result["more_bytes"] / 1e6
    notes += [
        f"the largest study within {SECONDS} s: {common.met(result['quick'])}",
        f"memory, largest over smallest: {more:+.1f} MB, at most 20: {common.met(result['flat'])}",
    ]
    notes += [f"{size['runs']:,} runs: {line}" for size in result["sizes"] for line in size["where"]]
    columns = ["runs", "", "seconds", "peak memory over that before, MB"]
    common.show("A study read from a local store", columns, rows, notes)


# ---------------------------------------------------------------------------------------------------------- one side


def make(folder: Path, runs: int) -> dict[str, Any]:
    """Runs a session of about so many runs, and has it written."""
    suite = common.doubles(runs // (2 * len(ARMS) * REPEATS))
    ready = common.replayed(suite, ARMS, experiment=EXPERIMENT, concurrency=8, repeats=REPEATS, runnable=20)
    result = experiment.run(ready, Store.resolve(None, folder))
    if result.status != "completed" or result.writer.wait():
        raise SystemExit(f"session {result.status}: {result.reason}; writer: {result.writer.returncode}")
    return {"session": result.session}


def timed(side: str, folder: Path) -> dict[str, Any]:
    """Reads the study once, and tells how long that took, and by how much memory grew meanwhile."""
    read = _reader(side, folder)
    before, begun = common.memory("VmHWM"), time.perf_counter()
    rows = read()
    seconds = time.perf_counter() - begun
    return {"seconds": seconds, "rows": rows, "grown_bytes": common.memory("VmHWM") - before}


def profiled(folder: Path) -> dict[str, Any]:
    """The functions in which the comparison spends the most time, by the time within them and what they call."""
    read, profile = _reader("compare", folder), cProfile.Profile()
    profile.runcall(read)
    functions: dict[Any, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]  # not told by its stubs
    own = [(where, told[3]) for where, told in functions.items() if "/smallenough/" in where[0]]
    slowest = sorted(own, key=lambda one: -one[1])[:15]
    return {
        "where": [f"{s:.3f} s {path.split('/smallenough/')[-1]}:{line} {name}" for (path, line, name), s in slowest]
    }


def _reader(side: str, folder: Path) -> Callable[[], int]:
    """What reads the study and tells how many trials or runs it found; its imports are done."""
    store = Store.resolve(None, folder)
    for name in ("mlflow.store.tracking.sqlalchemy_store", "pyarrow.parquet", "scipy.stats"):
        importlib.import_module(name)  # else imported where it is used first
    if side == "search_runs":
        import mlflow

        mlflow.set_tracking_uri(store.uri)
        return lambda: len(mlflow.search_runs(experiment_names=[EXPERIMENT]))
    if side == "read":
        from smallenough.tracking import reader

        return lambda: len(reader.read(store, experiment=EXPERIMENT).trials)
    from smallenough.sessions.compare import compare_sessions

    return lambda: sum(
        row.counts.trials for row in compare_sessions(store, experiment=EXPERIMENT, log=False).comparison.rows
    )


if __name__ == "__main__":
    sys.exit(main())
