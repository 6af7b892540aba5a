"""Whether an answer's functions and classes say what they do."""

from __future__ import annotations

import ast

from smallenough.protocols import AskModel
from smallenough.records import Answer, Score, Task


class DocumentedScorer:
    """The share of functions and classes with a docstring."""

    name = "documented"
    version = "1"

    def score(self, task: Task, answer: Answer, ask: AskModel | None = None) -> list[Score]:
        """One score, from 0 to 1; None, which is not measured: there is no code that parses, or nothing to document."""
        return [Score("documented_ratio", _ratio(answer.step.code), f"{self.name}/{self.version}")]


def _ratio(code: str | None) -> float | None:
    try:
        tree = ast.parse(code or "")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    found = [ast.get_docstring(node) is not None for node in ast.walk(tree) if isinstance(node, kinds)]
    return sum(found) / len(found) if found else None
