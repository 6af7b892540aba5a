"""Progress of a session on a terminal: a line an arm, with rate, solved so far and time left."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from smallenough.events import ArmFinished, ArmStarted, Event, Plan, TrialFinished
from smallenough.records import TrialKey

_EVERY = 15.0
"""Seconds between two lines where the output is no terminal."""


class SessionProgress:
    """Shows events as they come. On a terminal the lines are drawn over, elsewhere one is written now and then.

    Args:
        plan: what the session does.
        done: trials that had ended before, by arm.
        quiet: show nothing.
    """

    def __init__(self, plan: Plan, done: Mapping[str, int] | None = None, *, quiet: bool = False) -> None:
        self._each = len(plan.task_ids) * plan.repeats
        self._done = {arm.name: (done or {}).get(arm.name, 0) for arm in plan.arms}
        self._solved = dict.fromkeys(self._done, 0)
        self._failed = dict.fromkeys(self._done, 0)
        self._fresh = dict.fromkeys(self._done, 0)
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
        self._console.print(text, highlight=False, markup=False)

    def observe(self, event: Event) -> None:
        """Takes an event in."""
        if isinstance(event, ArmStarted):
            self._started[event.arm] = time.monotonic()
            self._bars[event.arm] = self._progress.add_task(
                event.arm, total=self._each, completed=self._done[event.arm], told=""
            )
        elif isinstance(event, TrialFinished):
            self._count(event.key, event)
        elif isinstance(event, ArmFinished):
            self._show(event.arm, last=True)

    def _count(self, key: TrialKey, event: TrialFinished) -> None:
        self._done[key.arm] += 1
        self._fresh[key.arm] += 1
        self._solved[key.arm] += event.outcome == "solved"
        self._failed[key.arm] += event.failure is not None
        self._progress.update(self._bars[key.arm], advance=1, told=self._told(key.arm))
        if not self._console.is_terminal and time.monotonic() - self._said > _EVERY:
            self._show(key.arm)

    def _show(self, arm: str, *, last: bool = False) -> None:
        if self._console.is_terminal and not last:
            return
        self._said = time.monotonic()
        if not self._console.is_terminal:
            self.say(f"{arm}: {self._done[arm]}/{self._each} {self._told(arm)}")

    def _told(self, arm: str) -> str:
        fresh, seconds = self._fresh[arm], time.monotonic() - self._started[arm]
        parts = [f"{self._solved[arm]} solved"]
        if self._failed[arm]:
            parts.append(f"{self._failed[arm]} failed")
        if fresh and seconds > 0:
            parts.append(f"{60 * fresh / seconds:.1f}/min")
            left = (self._each - self._done[arm]) * seconds / fresh
            parts.append(f"{duration(left)} left" if left else f"in {duration(seconds)}")
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """Seconds as a person says them: `45 s`, `3 min 20 s`, `2 h 05 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
