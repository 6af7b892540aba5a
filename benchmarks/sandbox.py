"""What it costs to start a program in each sandbox, beside the bare interpreter, interleaved in one run.

    python benchmarks/sandbox.py [--rounds 50] [--threads 16]

One at a time: milliseconds from the call to the result, median and 95th percentile. All threads at once: milliseconds
of wall time for each program, which is what a busy experiment pays.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from smallenough import plugins
from smallenough.errors import InfrastructureError
from smallenough.protocols import Sandbox
from smallenough.records import Limits, Program
from smallenough.sandboxes import _stage

LIMITS = Limits()


def bare(*options: str) -> Callable[[], None]:
    def start() -> None:
        subprocess.run([_stage.interpreter(), *options, "-c", "pass"], capture_output=True, check=True)

    return start


def sandboxed(sandbox: Sandbox) -> Callable[[], None]:
    def start() -> None:
        done = sandbox.run(Program("pass"), LIMITS)
        if done.exit_code != 0:
            raise SystemExit(f"{sandbox.name}: {done.stderr.decode()}")

    return start


def milliseconds(start: Callable[[], None]) -> float:
    before = time.perf_counter()
    start()
    return (time.perf_counter() - before) * 1000


def milliseconds_each(start: Callable[[], None], threads: int, runs: int) -> float:
    before = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(start) for _ in range(runs)]:
            done.result()
    return (time.perf_counter() - before) * 1000 / runs


def main() -> None:
    parser = argparse.ArgumentParser(description="start-up cost of the sandboxes")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--threads", type=int, default=16)
    options = parser.parse_args()
    ways = {"python -c pass": bare(), "python -I -S -c pass": bare("-I", "-S")}
    for name in plugins.names("sandboxes"):
        try:
            ways[f"sandbox {name}"] = sandboxed(plugins.load("sandboxes", name)())
        except InfrastructureError as error:
            print(f"sandbox {name}: not measured: {error}", file=sys.stderr)
    single: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, start in ways.items():
            single[name].append(milliseconds(start))
    print(f"{'':24}{'median ms':>12}{'95% ms':>10}{f'ms each, {options.threads} threads':>24}")
    for name, start in ways.items():
        together = milliseconds_each(start, options.threads, options.rounds * 4)
        late = statistics.quantiles(single[name], n=20)[-1]
        print(f"{name:24}{statistics.median(single[name]):12.1f}{late:10.1f}{together:24.1f}")


if __name__ == "__main__":
    main()
