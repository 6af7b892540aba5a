"""Leaves out of a solution what is not part of it: usage examples, tests, calls of `input`, the main block.

A statement goes only when nothing that stays needs a name that it binds. Lines that stay are not touched.
"""

from __future__ import annotations

import ast

from smallenough.syntax import defined_names, free_names, parse

_USAGE = frozenset({"print", "pprint", "input", "main", "exit", "quit"})
_TEST_TOOLS = frozenset({"pytest", "unittest", "doctest", "timeit", "hypothesis"})
_MAX_ROUNDS = 20
"""How long a chain of statements that need one another is followed; of a longer one, everything stays."""
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def trimmed(source: str, tree: ast.Module, entry_point: str | None) -> str:
    """`source`, whose syntax tree is `tree`, without the statements that only use or test the solution."""
    usage = _USAGE | {entry_point} if entry_point else _USAGE
    doubtful = {id(node) for node in tree.body if _is_usage(node, usage, entry_point)}
    for _ in range(_MAX_ROUNDS):
        kept = [node for node in tree.body if id(node) not in doubtful]
        needed = set().union(*map(free_names, kept))
        wanted = {
            id(node)
            for node in tree.body
            if id(node) in doubtful and not _is_main_block(node) and defined_names([node]) & needed
        }
        if not wanted:
            doubtful |= {id(node) for node in kept if _is_unused_tool(node, needed)}
            return _without(source, tree, doubtful) if doubtful else source.strip("\n")
        doubtful -= wanted
    return source.strip("\n")


def _is_usage(node: ast.stmt, usage: frozenset[str], entry_point: str | None) -> bool:
    if isinstance(node, ast.Assert) or _is_main_block(node):
        return True
    if isinstance(node, _DEFINITIONS):
        tests = ("test_", "Test") if isinstance(node, ast.ClassDef) else ("test_",)
        return node.name != entry_point and node.name.startswith(tests)
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return False
    if isinstance(node, (ast.Assign, ast.AnnAssign)) and entry_point in defined_names([node]):
        return False
    return any(_is_usage_call(part, usage) for part in _executed(node))


def _executed(node: ast.AST) -> list[ast.AST]:
    """The nodes that run when the statement does: bodies of functions that it defines are left out."""
    found: list[ast.AST] = []
    waiting = [node]
    while waiting:
        part = waiting.pop()
        found.append(part)
        if not isinstance(part, (*_DEFINITIONS, ast.Lambda)):
            waiting.extend(ast.iter_child_nodes(part))
    return found


def _is_usage_call(node: ast.AST, usage: frozenset[str]) -> bool:
    if isinstance(node, ast.Assert):
        return True
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    if isinstance(function, ast.Attribute):
        return isinstance(function.value, ast.Name) and function.value.id in _TEST_TOOLS
    return isinstance(function, ast.Name) and (function.id in usage or function.id.startswith("test_"))


def _is_main_block(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Compare)
        and any(isinstance(part, ast.Name) and part.id == "__name__" for part in ast.walk(node.test))
        and not node.orelse
    )


def _is_unused_tool(node: ast.stmt, needed: set[str]) -> bool:
    if not isinstance(node, (ast.Import, ast.ImportFrom)):
        return False
    module = node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name
    return module.partition(".")[0] in _TEST_TOOLS and not defined_names([node]) & needed


def _without(source: str, tree: ast.Module, unwanted: set[int]) -> str:
    """`source` without the lines of the unwanted statements, unless a wanted one shares a line with them."""
    kept_lines = {line for node in tree.body if id(node) not in unwanted for line in _lines(node)}
    gone: set[int] = set()
    for node in tree.body:
        if id(node) in unwanted and kept_lines.isdisjoint(_lines(node)):
            gone.update(_lines(node))
    text = "\n".join(line for number, line in enumerate(source.split("\n"), 1) if number not in gone).strip("\n")
    try:
        parse(text)
    except SyntaxError:
        return source.strip("\n")
    return text


def _lines(node: ast.stmt) -> range:
    decorators = node.decorator_list if isinstance(node, _DEFINITIONS) else []
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return range(first, (node.end_lineno or node.lineno) + 1)
