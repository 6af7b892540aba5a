"""What the benchmarks share: tasks with answers, the server that gives them, children, and the table.

Each side of a comparison runs in a fresh process (`child`) whose imports are done before its clock starts, so that
neither finds the other's caches or pays for the other's memory.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from smallenough.models.replay import ReplayClient
from smallenough.prompts import Prompts
from smallenough.records import Arm, Ask, Completion, ModelInfo, Request, Suite, Task, Test
from smallenough.sandboxes.bubblewrap import BubblewrapSandbox
from smallenough.sessions.named import make_strategy
from smallenough.sessions.prepare import Prepared, lay_down
from smallenough.sessions.settings import Settings, Wish
from smallenough.tasks.basics import BasicsSource
from smallenough.tasks.mbpp import VARIABLE, MbppSource
from smallenough.tracking.store import Store

MODEL = "smollm2:135m"
"""What the server pretends to be."""

WISH = Wish(MODEL, (("single", {}),), size_class="small")
"""The one arm that sessions run. Its class is set, so that `asked` knows the prompts before there is a server."""

_ROOT = Path(__file__).resolve().parents[1]
_MBPP_IDS = "11-510"


def tasks(count: int) -> Suite:
    """`count` tasks with tests and references: MBPP where a file of it is named, else `basics`, again and again.

    Tasks that compare what is printed are left out: their tests are not plain asserts.
    """
    source = MbppSource(ids=_MBPP_IDS) if os.environ.get(VARIABLE) else BasicsSource()
    suite = source.load()
    plain = [task for task in suite.tasks if all(test.output is None for test in task.public_tests + task.hidden_tests)]
    kept = [plain[number % len(plain)] for number in range(count)]
    return replace(suite, tasks=tuple(replace(task, id=f"{task.id}#{number}") for number, task in enumerate(kept)))


def answer(number: int, task: Task) -> str:
    """What the server answers to the task at that place in the suite: its reference, every third time a wrong one."""
    code = task.reference if number % 3 else f"def {task.entry_point}(*given):\n    return given"
    return f"Here is the function:\n\n```python\n{code}\n```\n"


def expected(suite: Suite) -> set[str]:
    """The tasks that are answered by their reference, and so are solved."""
    return {task.id for number, task in enumerate(suite.tasks) if number % 3}


def check_solved(side: str, solved: Sequence[str], suite: Suite) -> None:
    """Refuses a measurement of work that was not done.

    A few slow tasks may be stopped by their limits on a busy machine; wrong answers to a prompt that two tasks share
    may be right.

    Raises:
        SystemExit: more than 2% of the tasks came out otherwise than their answers are.
    """
    wrong = expected(suite) ^ set(solved)
    if len(wrong) > 0.02 * len(suite.tasks):
        some = ", ".join(sorted(wrong)[:5])
        raise SystemExit(f"{side}: {len(wrong)} verdicts are not those of the answers given ({some} …): not measured")


def asked(suite: Suite) -> list[str]:
    """What a session sends for each task, by the prompts in force."""
    prompts = Prompts.load("small")
    strategy = make_strategy(Arm("", MODEL, "single", size_class="small"), prompts)
    found = []
    for task in suite.tasks:
        (action,) = strategy.next(task.problem, [], 0)
        assert isinstance(action, Ask)
        (message,) = action.messages
        found.append(message.content)
    return found


@contextmanager
def server(suite: Suite, folder: Path, delay: float) -> Iterator[str]:
    """The URL of a server, in a process of its own, that answers the suite's tasks after `delay` seconds."""
    answers: dict[str, str] = {}
    for number, (prompt, task) in enumerate(zip(asked(suite), suite.tasks, strict=True)):
        answers.setdefault(prompt, answer(number, task))
    # The longest first: a shorter prompt may stand within a longer one.
    lines = [json.dumps({"match": match, "answer": answers[match]}) for match in sorted(answers, key=len, reverse=True)]
    path = folder / "answers.jsonl"
    path.write_text("\n".join(lines), "utf-8")
    command = [sys.executable, str(_ROOT / "tests/servers/faulty.py"), "--delay", str(delay), "--answers", str(path)]
    with subprocess.Popen([*command, "--model", MODEL], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def doubles(count: int) -> Suite:
    """`count` tasks `double_0` … for the replay client, too easy to be wrong for want of wit."""

    def task(name: str) -> Task:
        tests = Test(f"assert {name}(2) == 4"), Test(f"assert {name}(-3) == -6")
        reference = f"def {name}(n):\n    return 2 * n"
        return Task(
            name, f"Write {name}(n).", name, public_tests=tests[:1], hidden_tests=tests[1:], reference=reference
        )

    return Suite("doubles", tuple(task(f"double_{number}") for number in range(count)))


def replayed(
    suite: Suite, arms: Sequence[Arm], *, experiment: str, concurrency: int, repeats: int, runnable: int
) -> Prepared:
    """A session on `doubles` that can begin: every `runnable`-th task is answered right, the others with no Python.

    What does not parse is evaluated without a sandbox, so that thousands of trials take minutes and not an hour.
    """

    def answered(request: Request) -> Completion:
        found = re.search(r"double_(\d+)", " ".join(message.content for message in request.messages))
        assert found
        end = "" if int(found[1]) % runnable else ":"
        text = f"```python\ndef double_{found[1]}(n){end}\n    return 2 * n\n```"
        return Completion(text, tokens_in=20, tokens_out=20, finish="stop", started=time.time(), seconds=0.01)

    infos = {arm.model: ModelInfo(arm.model, "replay", digest="d1") for arm in arms}
    prompts = {arm.name: Prompts.load(arm.size_class) for arm in arms}
    return Prepared(
        lay_down(suite, tuple(arms), Settings(experiment=experiment, concurrency=concurrency, repeats=repeats)),
        suite,
        {"replay": ReplayClient(answered, infos)},
        BubblewrapSandbox(),
        {arm.name: infos[arm.model] for arm in arms},
        {arm.name: make_strategy(arm, prompts[arm.name]) for arm in arms},
        prompts,
    )


def memory(name: str) -> int:
    """A figure of this process in bytes. `getrusage` would also tell the peak of the process that started it."""
    found = re.search(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024


def no_writer(_folder: Path, _store: Store) -> subprocess.Popen[bytes]:
    """In place of the writer: a process that ends at once and writes nothing."""
    return subprocess.Popen([sys.executable, "-S", "-c", "pass"])


def child(module: str, *arguments: object) -> dict[str, Any]:
    """What one side of the benchmark `module` tells: the JSON object that it prints last.

    Raises:
        SystemExit: it failed.
    """
    command = [sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "MLFLOW_DISABLE_TELEMETRY": "true"}
    done = subprocess.run(command, cwd=_ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed with exit code {done.returncode}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def alternate(
    rounds: int, sides: Sequence[tuple[str, Callable[[int], dict[str, Any]]]]
) -> dict[str, list[dict[str, Any]]]:
    """Runs every side once a round, in an order that turns from round to round; what each told, by its name."""
    told: dict[str, list[dict[str, Any]]] = {name: [] for name, _ in sides}
    for number in range(rounds):
        turn = number % len(sides)
        for name, run in [*sides[turn:], *sides[:turn]]:
            print(f"round {number + 1} of {rounds}: {name} …", file=sys.stderr, flush=True)
            told[name].append(run(number))
    return told


def ratios(ours: Sequence[dict[str, Any]], theirs: Sequence[dict[str, Any]], key: str = "seconds") -> list[float]:
    """By round, the one figure over the other."""
    return [one[key] / other[key] for one, other in zip(ours, theirs, strict=True)]


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """The median, and the smallest and the largest."""
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def show(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], notes: Sequence[str]) -> None:
    """Prints a table, and what it comes to below it."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for position, column in enumerate(columns):
        table.add_column(column, justify="left" if position == 0 else "right", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False)
    console.print(table)
    for note in notes:
        console.print(note, soft_wrap=True)


def met(reached: bool) -> str:
    """How the table says it."""
    return "target met" if reached else "TARGET MISSED"
