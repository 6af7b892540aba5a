"""Progress of a session on a terminal: a line an arm, with rate, solved so far and time left."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from smallenough.cli.common import counted
from smallenough.events import ArmFinished, ArmStarted, AttemptFinished, Event, Plan, TrialFinished
from smallenough.records import Completion, TrialKey
from smallenough.wording import duration

_EVERY = 15.0
"""Seconds between two lines where the output is no terminal."""

_SETTLED = 5.0
"""Seconds from which on a rate says something: a resumed trial may end at once, since its answer had come before."""


class SessionProgress:
    """Shows events as they come. On a terminal the lines are drawn over, elsewhere one is written now and then.

    Args:
        plan: what the session does.
        before: trials that had ended before, and are not done again.
        quiet: show nothing.
    """

    def __init__(self, plan: Plan, before: Sequence[TrialFinished] = (), *, quiet: bool = False) -> None:
        self._each = len(plan.task_ids) * plan.repeats
        self._done = Counter(event.key.arm for event in before)
        self._solved = Counter(event.key.arm for event in before if event.outcome == "solved")
        self._answered: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._fresh: Counter[str] = Counter()
        self._cached: Counter[str] = Counter()
        self._started: dict[str, float] = {}
        self._said = 0.0
        self._console = Console(file=sys.stderr, quiet=quiet)
        self._bars: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[told]}"),
            console=self._console,
            disable=quiet or not self._console.is_terminal,
        )

    def __enter__(self) -> SessionProgress:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Shows a line above the progress."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=not self._console.is_terminal)

    def observe(self, event: Event) -> None:
        """Takes an event in."""
        match event:
            case ArmStarted():
                self._started[event.arm] = time.monotonic()
                self._bars[event.arm] = self._progress.add_task(
                    event.arm, total=self._each, completed=self._done[event.arm], told=""
                )
            case AttemptFinished(completion=Completion(cached=True)):
                self._cached[event.key.arm] += 1
            case TrialFinished():
                self._count(event.key, event)
            case ArmFinished():
                self._show(event.arm, last=True)
            case _:
                pass

    def _count(self, key: TrialKey, event: TrialFinished) -> None:
        self._done[key.arm] += 1
        self._fresh[key.arm] += 1
        self._solved[key.arm] += event.outcome == "solved"
        self._answered[key.arm] += event.outcome == "unscored"
        self._failed[key.arm] += event.failure is not None
        self._progress.update(self._bars[key.arm], advance=1, told=self._told(key.arm))
        going_on = self._done[key.arm] < self._each  # else the arm's end is told at once
        if going_on and not self._console.is_terminal and time.monotonic() - self._said > _EVERY:
            self._show(key.arm)

    def _show(self, arm: str, *, last: bool = False) -> None:
        if self._console.is_terminal and not last:
            return
        self._said = time.monotonic()
        if not self._console.is_terminal:
            self.say(f"{arm}: {self._done[arm]}/{self._each} {self._told(arm)}")

    def _told(self, arm: str) -> str:
        fresh, seconds = self._fresh[arm], time.monotonic() - self._started[arm]
        answered, solved = self._answered[arm], self._solved[arm]
        parts = [f"{answered} answered"] if answered and not solved else [f"{solved} solved"]
        if self._failed[arm]:
            parts.append(f"{self._failed[arm]} failed")
        if self._cached[arm]:
            parts.append(f"{counted(self._cached[arm], 'answer')} from the cache")
        left = self._each - self._done[arm]
        if fresh and seconds > _SETTLED:
            parts.append(f"{60 * fresh / seconds:.1f}/min")
        if not left:
            parts.append(f"in {duration(round(seconds, 1))}")
        elif fresh and seconds > _SETTLED:
            parts.append(f"{duration(left * seconds / fresh)} left")
        return ", ".join(parts)
