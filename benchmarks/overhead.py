"""How much longer a session's trials take because they are tracked, and how fast the writer drains a journal.

    python -m benchmarks.overhead [--tasks 200] [--rounds 3] [--json]

A local server answers in 500 ms, 16 requests at once. The same session runs with the writer filling a local MLflow
store beside it, and without any writer; what counts is the time from its start to the end of its last trial. The
journal is written either way: it is the session's own record, without which nothing could be resumed.
It is started by `python -m`, from the repository's root.

Target: tracked, at most 1.05 times as long. Apart from that, the journal of the last session without a writer is
written into a fresh store, once into a local one and once through a real `mlflow server` on this machine: runs a
second, from a process that has imported MLflow and found the store already.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import common
from smallenough import journal
from smallenough.events import Event
from smallenough.records import Suite
from smallenough.sessions import experiment
from smallenough.sessions.prepare import prepare
from smallenough.sessions.settings import Settings
from smallenough.tracking import behind, writer
from smallenough.tracking import store as stores
from smallenough.tracking.store import Store

CONCURRENCY = 16
DELAY = 0.5
TARGET = 1.05
SIDES = ("tracked", "untracked")
_START_SECONDS = 90.0


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--side", choices=(*SIDES, "drain"), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side == "drain":
        print(json.dumps(drain(options.folder, options.url)))
        return 0
    suite = common.tasks(options.tasks)
    if options.side:
        print(json.dumps(session(suite, options.url, options.folder, tracked=options.side == "tracked")))
        return 0
    result = measure(suite, options.rounds)
    print(json.dumps(result, indent=2)) if options.json else show(result)
    return 0


def measure(suite: Suite, rounds: int) -> dict[str, Any]:
    count = len(suite.tasks)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with common.server(suite, folder, DELAY) as url:

            def side(kind: str, number: int) -> dict[str, Any]:
                place = folder / f"{kind}-{number}"
                arguments = ("--side", kind, "--url", url, "--folder", place, "--tasks", count)
                told = common.child("overhead", *arguments)
                common.check_solved(kind, told.pop("solved_tasks"), suite)
                return told

            told = common.alternate(rounds, [(kind, partial(side, kind)) for kind in SIDES])
        drained = _drained(folder, folder / f"untracked-{rounds - 1}")
    ratios = common.ratios(told["tracked"], told["untracked"])
    met = common.median(ratios) <= TARGET
    return {
        "suite": suite.name,
        "tasks": count,
        "sides": told,
        "ratios": ratios,
        "ratio": common.median(ratios),
        "target": TARGET,
        "met": met,
        "drained": drained,
    }


def show(result: dict[str, Any]) -> None:
    rows = [[kind, common.spread([one["seconds"] for one in runs])] for kind, runs in result["sides"].items()]
    notes = [
        f"tracked / untracked: {common.spread(result['ratios'], 3)}; at most {TARGET}: {common.met(result['met'])}"
    ]
    for store, told in result["drained"].items():
        rate = told["runs"] / told["seconds"]
        notes.append(f"writer alone, {store}: {told['runs']} runs in {told['seconds']:.1f} s, {rate:.0f} a second")
    behind = [one["behind_seconds"] for one in result["sides"]["tracked"]]
    notes.append(f"after the session's end, MLflow held everything in {common.spread(behind, 1)} s")
    common.show(
        f"{result['tasks']} tasks of {result['suite']}, {CONCURRENCY} at once, answers in {DELAY * 1000:.0f} ms",
        ["", "seconds to the end of the last trial"],
        rows,
        notes,
    )


# --------------------------------------------------------------------------------------------------------- sessions


def session(suite: Suite, url: str, folder: Path, *, tracked: bool) -> dict[str, Any]:
    """A session into a store of its own in `folder`."""
    ends: list[float] = []
    solved: list[str] = []

    def observe(event: Event) -> None:
        if event.kind == "trial_finished":
            ends.append(event.time)
            if event.outcome == "solved":
                solved.append(event.key.task)

    settings = Settings(experiment="overhead", concurrency=CONCURRENCY, urls=(url,))
    ready = prepare(suite, [common.WISH], settings)
    start = writer.start if tracked else common.no_writer
    started = time.time()
    result = experiment.run(ready, Store.resolve(None, folder), observe, start_writer=start)
    ended = time.time()
    if result.status != "completed" or result.writer.wait():
        raise SystemExit(f"session {result.status}: {result.reason}; writer: {result.writer.returncode}")
    return {"seconds": max(ends) - started, "behind_seconds": time.time() - ended, "solved_tasks": solved}


# --------------------------------------------------------------------------------------------------------- draining


def _drained(folder: Path, store: Path) -> dict[str, dict[str, Any]]:
    """What writing the one session in `store` tells, by kind of store."""
    server = folder / "server"
    shutil.copytree(store, server)
    arguments = ("drain", "--folder")
    print("the writer alone: local store …", file=sys.stderr, flush=True)
    found = {"local store": common.child("overhead", "--side", *arguments, store)}
    print("the writer alone: mlflow server …", file=sys.stderr, flush=True)
    with mlflow_server(folder) as url:
        found["mlflow server"] = common.child("overhead", "--side", *arguments, server, "--url", url)
    return found


def drain(folder: Path, url: str | None) -> dict[str, Any]:
    """Writes the session in `folder` into MLflow: at `url`, or else into the local store there."""
    store = Store.resolve(url, folder)
    (found,) = journal.sessions(store.journals)
    stores.connect(store).search_experiments()
    started = time.perf_counter()
    writer.write(found.folder, store, follow=False)
    seconds = time.perf_counter() - started
    state = behind.WriterState.read(found.folder, store)
    if state is None or behind.left(found.folder, store):
        raise SystemExit("the writer left something")
    return {"runs": state.runs, "seconds": seconds, "slow": state.slow}


@contextmanager
def mlflow_server(folder: Path) -> Iterator[str]:
    """The URL of a real tracking server on this machine, with a store of its own in `folder`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
        *("--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder / "artifacts")),
    ]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        _until_healthy(url, process, folder / "server.log")
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _until_healthy(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"mlflow server did not start: {log.read_text()[-500:]}")


if __name__ == "__main__":
    sys.exit(main())
