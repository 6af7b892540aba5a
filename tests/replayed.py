"""Sessions that need no model: answers by a rule, everything else real. Shared by tests; also runs as a program.

`python tests/replayed.py STORE [--resume SESSION] [--tasks N] [--concurrency N] [--delay S]` runs or resumes one such
session, so that a test can kill it.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from pathlib import Path

from smallenough.models.replay import ReplayClient
from smallenough.prompts import Prompts
from smallenough.records import Arm, Completion, ModelInfo, Request, Suite, Task, Test
from smallenough.sandboxes.bubblewrap import BubblewrapSandbox
from smallenough.sessions import experiment
from smallenough.sessions.named import make_strategy
from smallenough.sessions.prepare import Prepared, lay_down
from smallenough.sessions.settings import Settings
from smallenough.tracking.store import Store

ARMS = (
    Arm("m single", "m", "single", provider="replay", baseline=True),
    Arm("m branching", "m", "branching", {"max_depth": 1, "width": 2}, provider="replay"),
)
INFO = ModelInfo("m", "replay", digest="d1", parameters=135_000_000)


def suite(count: int) -> Suite:
    """Tasks `double_0` …: a third is solved at once, a third only after feedback, a third never."""
    return Suite(
        "doubles",
        tuple(
            Task(
                f"double_{number}",
                f"Write double_{number}(n), which returns n doubled.",
                f"double_{number}",
                public_tests=(Test(f"assert double_{number}(2) == 4"),),
                hidden_tests=(Test(f"assert double_{number}(-3) == -6"), Test(f"assert double_{number}(0) == 0")),
                reference=f"def double_{number}(n):\n    return 2 * n",
                category=f"c{number % 2}",
                level=number % 3 + 1,
            )
            for number in range(count)
        ),
    )


def answer(request: Request, delay: float = 0.0) -> Completion:
    """Right at once, right when told what failed, or wrong, by the task's number."""
    if delay:
        time.sleep(delay)
    found = re.search(r"double_(\d+)", request.messages[-1].content) or re.search(
        r"double_(\d+)", request.messages[0].content
    )
    assert found
    number = int(found[1])
    told = any("wrong" in message.content or "failed" in message.content for message in request.messages)
    right = number % 3 == 0 or (number % 3 == 1 and told)
    text = f"```python\ndef double_{number}(n):\n    return {'2 * n' if right else 'n + 7'}\n```"
    started = time.time()
    return Completion(
        text,
        tokens_in=len(request.messages[-1].content) // 4,
        tokens_out=20,
        finish="stop",
        started=started,
        seconds=0.5,
        first_token_seconds=0.1,
        generate_seconds=0.4,
        server="replay",
    )


def prepared(
    count: int, *, concurrency: int = 1, delay: float = 0.0, arms: Sequence[Arm] = ARMS, repeats: int = 1
) -> Prepared:
    """A session that can begin."""
    tasks = suite(count)
    prompts = {arm.name: Prompts.load(arm.size_class) for arm in arms}
    return Prepared(
        lay_down(tasks, tuple(arms), Settings(experiment="replayed", concurrency=concurrency, repeats=repeats)),
        tasks,
        {"replay": ReplayClient(lambda request: answer(request, delay), {"m": INFO})},
        BubblewrapSandbox(),
        {arm.name: INFO for arm in arms},
        {arm.name: make_strategy(arm, prompts[arm.name]) for arm in arms},
        prompts,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("store", type=Path)
    parser.add_argument("--uri")
    parser.add_argument("--resume")
    parser.add_argument("--tasks", type=int, default=6)
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("--delay", type=float, default=0.0)
    given = parser.parse_args()
    store = Store.resolve(given.uri, given.store)
    ready = prepared(given.tasks, concurrency=given.concurrency, delay=given.delay)
    if given.resume:
        result = experiment.resume(store.journals / given.resume, store, prepared_again=lambda *_: ready)
    else:
        result = experiment.run(ready, store)
    print(result.session, result.status, result.writer.wait())


if __name__ == "__main__":
    main()
