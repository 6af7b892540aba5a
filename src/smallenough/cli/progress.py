"""Progress of a session on a terminal: a line an arm, with rate, solved so far and time left."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence

from rich.progress import TaskID

from smallenough.cli.common import counted
from smallenough.cli.drawn import EVERY, Drawn
from smallenough.events import ArmFinished, ArmStarted, AttemptFinished, Event, Plan, TrialFinished
from smallenough.records import Completion, TrialKey
from smallenough.wording import duration

_SETTLED = 5.0
"""Seconds from which on a rate says something: a resumed trial may end at once, since its answer had come before."""


class SessionProgress(Drawn):
    """Shows events as they come. On a terminal the lines are drawn over, elsewhere one is written now and then.

    Args:
        plan: what the session does.
        before: trials that had ended before, and are not done again.
        quiet: show nothing.
    """

    def __init__(self, plan: Plan, before: Sequence[TrialFinished] = (), *, quiet: bool = False) -> None:
        super().__init__(quiet=quiet)
        self._each = len(plan.task_ids) * plan.repeats
        self._done = Counter(event.key.arm for event in before)
        self._solved = Counter(event.key.arm for event in before if event.outcome == "solved")
        self._answered: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._fresh: Counter[str] = Counter()
        self._cached: Counter[str] = Counter()
        self._started: dict[str, float] = {}
        self._said = 0.0
        self._tasks: dict[str, TaskID] = {}

    def observe(self, event: Event) -> None:
        """Takes an event in."""
        match event:
            case ArmStarted():
                self._started[event.arm] = time.monotonic()
                self._tasks[event.arm] = self.bars.add_task(
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
        self.bars.update(self._tasks[key.arm], advance=1, told=self._told(key.arm))
        going_on = self._done[key.arm] < self._each  # else the arm's end is told at once
        if going_on and not self.console.is_terminal and time.monotonic() - self._said > EVERY:
            self._show(key.arm)

    def _show(self, arm: str, *, last: bool = False) -> None:
        if self.console.is_terminal and not last:
            return
        self._said = time.monotonic()
        if not self.console.is_terminal:
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
