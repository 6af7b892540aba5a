"""Runs every hostile program, and a few plain ones, in the sandbox of whoever starts this; prints what went wrong."""

from __future__ import annotations

import json
import sys

from smallenough.records import Limits, Program
from smallenough.sandboxes.bubblewrap import BubblewrapSandbox
from tests.sandboxes.hostile import PROGRAMS

LIMITS = Limits(memory_bytes=256 * 2**20, disk_bytes=8 * 2**20)


def main() -> None:
    sandbox = BubblewrapSandbox()
    wrong = {}
    for name, source in PROGRAMS.items():
        done = sandbox.run(Program(source), LIMITS)
        if (done.exit_code, done.stopped) != (0, None):
            wrong[name] = done.stderr.decode()
    forks = sandbox.run(Program(FORKS), LIMITS)
    memory = sandbox.run(Program("held = []\nwhile True: held.append(bytearray(b'x') * 5_000_000)"), LIMITS)
    json.dump(
        {"wrong": wrong, "describe": sandbox.describe(), "forks": forks.stdout.decode(), "memory": memory.stopped},
        sys.stdout,
    )


FORKS = """
import os, time
count = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(60)
        count += 1
except OSError:
    print(count)
"""

if __name__ == "__main__":
    main()
