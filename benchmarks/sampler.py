"""What the sampler itself costs, and how well its CPU seconds agree with the kernel's accounting.

    python benchmarks/sampler.py [--seconds 20] [--window 5] [--json]

A supervisor process with children of several kinds (long and busy, short-lived, with children of their own, idle with
much memory) is watched at 100 ms, as a model's server is. Cost: CPU time of the whole watching process, which does
nothing else, over the wall time. Agreement: in each window the supervisor starts children, waits for them and tells
what the kernel says of itself and of them (`getrusage`); the monitor says what the attempt over that window consumed.
The command fails when a target is missed: cost at most 1% of one core, agreement within 2% in windows of 5 s or more.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import IO, Any

from smallenough.resources.monitor import ResourceMonitor, probes_for
from smallenough.resources.samples import Sample

BURN = "import sys, time\nend = time.process_time() + float(sys.argv[1])\nwhile time.process_time() < end: pass"

SUPERVISOR = f"""
import resource, subprocess, sys, time
burn = {BURN!r}
nested = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1], '0.4'])"
start = lambda code, *more: subprocess.Popen([sys.executable, "-c", code, *more])
idle = [start("import time\\nx = bytearray(200_000_000)\\ntime.sleep(3600)") for _ in range(2)]

def long(seconds):
    return [start(burn, str(0.9 * seconds))]

def short(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        start(burn, "0.15").wait()
    return []

def nest(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        start(nested, burn).wait()
    return []

def used():
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in spent)

print("ready", flush=True)
for line in sys.stdin:
    kind, seconds = line.split()
    begun = time.monotonic()
    before = used()
    for child in globals()[kind](float(seconds)):
        child.wait()
    time.sleep(max(0.0, begun + float(seconds) - time.monotonic()))
    print(used() - before, flush=True)
for child in idle:
    child.kill()
    child.wait()
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=20.0, help="how long the cost is measured, each time")
    parser.add_argument("--window", type=float, default=5.0, help="seconds of each window of the agreement")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as supervisor:
        assert supervisor.stdin is not None
        assert supervisor.stdout is not None
        supervisor.stdout.readline()
        ask = _asker(supervisor.stdin, supervisor.stdout)
        result: dict[str, Any] = {
            "idle_tree": cost(supervisor.pid, lambda: time.sleep(options.seconds)),
            "busy_tree": cost(supervisor.pid, lambda: ask("long", options.seconds)),
            "windows": agreement(supervisor.pid, ask, options.window),
        }
        supervisor.stdin.close()
    costs = [result["idle_tree"]["core_percent"], result["busy_tree"]["core_percent"]]
    errors = [abs(window["difference_percent"]) for window in result["windows"]]
    result["passed"] = max(costs) <= 1.0 and max(errors) <= 2.0
    print(json.dumps(result, indent=2) if options.json else _text(result))
    return 0 if result["passed"] else 1


def _asker(to: IO[str], back: IO[str]) -> Callable[[str, float], float]:
    def ask(kind: str, seconds: float) -> float:
        to.write(f"{kind} {seconds}\n")
        to.flush()
        return float(back.readline())

    return ask


def cost(pid: int, work: Callable[[], object]) -> dict[str, float]:
    """What watching the tree costs while `work` waits."""
    with tempfile.TemporaryFile("w") as file:

        def keep(sample: Sample) -> None:
            file.write(json.dumps(sample.row()) + "\n")

        monitor = ResourceMonitor(probes_for([pid]), interval=0.1, sink=keep)
        begun, spent = time.monotonic(), time.process_time()
        monitor.start()
        work()
        totals = monitor.stop()
    seconds, spent = time.monotonic() - begun, time.process_time() - spent
    return {
        "seconds": seconds,
        "core_percent": 100 * spent / seconds,
        "samples": totals.samples,
        "missed": totals.missed,
        "pss_reads": totals.pss_reads,
        "peak_memory_bytes": totals.usage.peak_memory_bytes or 0,
    }


def agreement(pid: int, ask: Callable[[str, float], float], seconds: float) -> list[dict[str, Any]]:
    """The monitor's CPU seconds beside the kernel's, for each kind of children."""
    monitor = ResourceMonitor(probes_for([pid]), interval=0.1)
    monitor.start()
    found = []
    for kind in ("long", "short", "nest"):
        with monitor.attempt() as window:
            kernel = ask(kind, seconds)
        measured = window.usage.cpu_seconds
        assert measured is not None
        found.append(
            {
                "children": kind,
                "seconds": window.usage.seconds,
                "kernel_cpu_seconds": kernel,
                "monitor_cpu_seconds": measured,
                "difference_percent": 100 * (measured - kernel) / kernel,
            }
        )
    monitor.stop()
    return found


def _text(result: dict[str, Any]) -> str:
    lines = []
    for name in ("idle_tree", "busy_tree"):
        told = result[name]
        lines.append(
            f"{name}: {told['core_percent']:.2f}% of one core over {told['seconds']:.0f} s at 100 ms; "
            f"{told['samples']} samples, {told['missed']} missed, {told['pss_reads']} readings of proportional set size"
        )
    for window in result["windows"]:
        lines.append(
            f"children {window['children']}: kernel {window['kernel_cpu_seconds']:.3f} CPU s, "
            f"monitor {window['monitor_cpu_seconds']:.3f}, {window['difference_percent']:+.2f}% "
            f"over {window['seconds']:.1f} s"
        )
    lines.append("passed" if result["passed"] else "FAILED: the targets are 1% of one core, and 2%")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
