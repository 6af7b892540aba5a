"""Progress of a training on a terminal: steps, loss, rate and time left."""

from __future__ import annotations

import time

from rich.progress import TaskID

from smallenough.cli.drawn import EVERY, Drawn
from smallenough.training.messages import Counted, Ended, Loaded, Ready, Report, Stepped, Validated
from smallenough.wording import duration, number, size

_SETTLED = 3
"""Steps from which on a rate says something: the first one also sets up what later ones use."""


class TrainingProgress(Drawn):
    """Shows reports as they come. On a terminal a line is drawn over, elsewhere one is written now and then.

    Args:
        name: what is trained.
        quiet: show nothing.
    """

    def __init__(self, name: str, *, quiet: bool = False) -> None:
        super().__init__(quiet=quiet)
        self._name = name
        self._counted: Counted | None = None
        self._device = ""
        self._steps = self._tokens = self._first = 0
        self._seconds = self._first_seconds = 0.0
        self._loss: float | None = None
        self._validation: float | None = None
        self._said = time.monotonic()
        self._bar: TaskID | None = None

    def observe(self, report: Report) -> None:
        """Takes a report in."""
        match report:
            case Ready():
                self._device = report.device
            case Counted():
                self._counted = report
                self.say(
                    f"{self._name}: {report.rows} rows, {report.tokens:,} tokens, {report.steps} steps, on"
                    f" {self._device} in {report.precision}, about {size(report.memory_bytes)} of memory"
                )
            case Loaded():
                total = self._counted.steps if self._counted else None
                self._bar = self.bars.add_task(self._name, total=total, completed=report.step, told="")
                self._steps = report.step
                if report.step:
                    self.say(f"{self._name}: goes on after step {report.step}")
            case Stepped():
                self._count(report)
            case Validated():
                self._validation = report.loss
                self._show()
            case Ended():
                self._show(last=True)
            case _:
                pass

    def _count(self, report: Stepped) -> None:
        self._steps, self._loss = report.step, report.loss
        self._tokens += report.tokens
        self._seconds += report.seconds
        self._first += 1
        if self._first == 1:
            self._first_seconds = report.seconds
        if self._bar is not None:
            self.bars.update(self._bar, completed=report.step, told=self._told())
        self._show()

    def _show(self, *, last: bool = False) -> None:
        if self.console.is_terminal or not (last or time.monotonic() - self._said > EVERY):
            return
        self._said = time.monotonic()
        total = f"/{self._counted.steps}" if self._counted else ""
        self.say(f"{self._name}: step {self._steps}{total}, {self._told()}")

    def _told(self) -> str:
        parts = [f"loss {number(self._loss)}"]
        if self._validation is not None:
            parts.append(f"validation {number(self._validation)}")
        left = self._counted.steps - self._steps if self._counted else 0
        if self._first >= _SETTLED and self._seconds:
            parts.append(f"{number(self._tokens / self._seconds)} tokens/s")
            if left:
                each = (self._seconds - self._first_seconds) / (self._first - 1)
                parts.append(f"{duration(left * each)} left")
        return ", ".join(parts)
