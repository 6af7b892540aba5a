"""A report: what was found, as one HTML file, as Markdown and as JSON, with its tables."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from smallenough.analysis.report import html as page
from smallenough.analysis.report import markdown as words
from smallenough.analysis.report import plain
from smallenough.analysis.report.content import Content, gather
from smallenough.analysis.report.grid import Grid, grid, trials_of

__all__ = ["Content", "Grid", "Report", "gather", "grid", "trials_of"]


@dataclass(frozen=True)
class Report:
    """What a report tells, and how it is called."""

    content: Content
    made: str
    """When it was made, and by what."""

    @property
    def title(self) -> str:
        """What it is about: `5 arms on 65 tasks of basics`."""
        frames = self.content.frames
        suites = ", ".join(sorted(set(frames.trials["suite"])))
        return f"{_count(len(frames.labels), 'arm')} on {_count(len(self.content.grid.rows), 'task')} of {suites}"

    @property
    def origin(self) -> str:
        """What it was made of, when, and by what."""
        sessions = self.content.findings.tables.sessions
        named = ", ".join(sessions) if len(sessions) <= 3 else f"{', '.join(sessions[:3])} and {len(sessions) - 3} more"
        return f"{'Session' if len(sessions) == 1 else 'Sessions'} {named} · {self.made}"

    @cached_property
    def html(self) -> str:
        """One file that needs no network."""
        return _writable(page.render(self.content, self.title, self.origin))

    @cached_property
    def markdown(self) -> str:
        """Words and tables; figures and answers are in the HTML alone."""
        return _writable(words.render(self.content, self.title, self.origin))

    @cached_property
    def json(self) -> str:
        """All numbers, null for 'not measured'."""
        return _writable(plain.to_json(self.content, self.title, self.origin))

    def tables(self) -> dict[str, str]:
        """Every table that has rows, as CSV by file name: units in the columns' names, empty for 'not measured'."""
        return {
            f"{name}.csv": frame.to_csv(index=False, lineterminator="\n")
            for name, frame in plain.frames(self.content).items()
            if len(frame)
        }


def _writable(text: str) -> str:
    """Text without halves of characters, which models may write and no file can hold."""
    return text.encode("utf-8", "replace").decode()


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"
