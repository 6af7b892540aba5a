"""Parsing Python that a model wrote: whatever the text is, the outcome is a tree or a SyntaxError.

Parsing runs nothing. The interpreter's own limits (nesting, memory, numbers of many digits) count as syntax errors
too, since no program can come of such a text.
"""

from __future__ import annotations

import ast
import threading
import warnings

MAX_CHARS = 200_000
"""Longer sources are refused: parsing takes memory of several hundred times their length."""

_FILTERS = threading.Lock()


def parse(source: str) -> ast.Module:
    """The syntax tree of `source`.

    Raises:
        SyntaxError: it is not Python, or no interpreter of this version could take it.
    """
    if len(source) > MAX_CHARS:
        raise SyntaxError(f"the code is longer than {MAX_CHARS} characters")
    try:
        if "\\" not in source:
            return ast.parse(source)
        # A doubtful escape ("\d") makes the parser warn. Warning filters belong to the whole process, so they are
        # touched only where such a warning can come, and by one thread at a time.
        with _FILTERS, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(source)
    except (ValueError, MemoryError, RecursionError) as error:
        raise SyntaxError(str(error) or "too deeply nested") from error


def defined_names(body: list[ast.stmt]) -> set[str]:
    """The names that the statements bind at their own level: definitions, imports, assignments."""
    names: set[str] = set()
    for statement in body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(statement.name)
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            names.update((alias.asname or alias.name).partition(".")[0] for alias in statement.names)
        else:
            names.update(
                node.id
                for node in ast.walk(statement)
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
            )
    return names


def used_names(tree: ast.AST) -> set[str]:
    """Every name that is read somewhere in `tree`, annotations included."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
