"""What can be said of code without running it: complexity by radon, findings by pyflakes, lines of code by radon.

Code that does not parse, or is so long or so deeply nested that the libraries can't take it, is not measured.
"""

from __future__ import annotations

from collections.abc import Callable

from pyflakes.checker import Checker  # type: ignore[import-untyped]  # pyflakes has no types of its own
from radon.complexity import cc_visit_ast
from radon.raw import analyze

from smallenough.errors import ScorerError
from smallenough.protocols import AskModel
from smallenough.records import Answer, Score, Task
from smallenough.syntax import PARSING, parse

_MAX_CHARS = 50_000
"""Longer code would take longer than a moment."""


class StaticScorer:
    """Cyclomatic complexity, lint findings and lines of code of an answer."""

    name = "static"
    version = "1"

    def score(self, task: Task, answer: Answer, ask: AskModel | None = None) -> list[Score]:
        """The scores of one step's code; None where there is none that parses, or the answer is a label.

        Raises:
            ScorerError: a library failed on code that parses.
        """
        code = answer.step.code
        if code is not None and (task.kind == "label" or not _parses(code)):
            code = None
        return [
            Score(name, None if code is None else self._measured(measure, code), f"{self.name}/{self.version}")
            for name, measure in _MEASURES.items()
        ]

    def _measured(self, measure: Callable[[str], int], code: str) -> float | None:
        try:
            return float(measure(code))
        except (RecursionError, MemoryError):
            return None
        except Exception as error:
            raise ScorerError(f"{measure.__name__.strip('_')} failed on this code: {error}") from error


def _parses(code: str) -> bool:
    if len(code) > _MAX_CHARS:
        return False
    try:
        parse(code)
    except SyntaxError:
        return False
    return True


def _complexity(code: str) -> int:
    """Of the most complex function or class; of code without any, the least there is."""
    return max((block.complexity for block in cc_visit_ast(parse(code))), default=1)


def _lint_findings(code: str) -> int:
    with PARSING:  # pyflakes parses annotations that are strings
        return len(Checker(parse(code), filename="solution").messages)


def _lines_of_code(code: str) -> int:
    return int(analyze(code).sloc)


_MEASURES: dict[str, Callable[[str], int]] = {
    "complexity": _complexity,
    "lint_findings": _lint_findings,
    "lines_of_code": _lines_of_code,
}
