"""Parsing Python that a model wrote: whatever the text is, the outcome is a tree or a SyntaxError.

Parsing runs nothing. The interpreter's own limits (nesting, memory, numbers of many digits) count as syntax errors
too, since no program can come of such a text.
"""

from __future__ import annotations

import ast
import threading
import warnings

MAX_CHARS = 100_000
"""Longer sources are refused: parsing takes memory of several hundred times their length."""

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

PARSING = threading.RLock()
"""Held while a tree is made. Python 3.10 to 3.12 count the depth of trees for all threads together, so that two that
parse at once can fail with a SystemError (python/cpython#106905); warning filters belong to the whole process too.
Libraries that parse by themselves are called under it."""


def parse(source: str) -> ast.Module:
    """The syntax tree of `source`.

    Raises:
        SyntaxError: it is not Python, or no interpreter of this version could take it.
    """
    if len(source) > MAX_CHARS:
        raise SyntaxError(f"the code is longer than {MAX_CHARS} characters")
    try:
        with PARSING:
            if "\\" not in source:
                return ast.parse(source)
            with warnings.catch_warnings():  # a doubtful escape ("\d") makes the parser warn
                warnings.simplefilter("ignore")
                return ast.parse(source)
    except (ValueError, MemoryError, RecursionError) as error:
        raise SyntaxError(str(error) or "too deeply nested") from error


def defined_names(body: list[ast.stmt]) -> set[str]:
    """The names that the statements bind at their own level: definitions, imports, assignments."""
    names: set[str] = set()
    for statement in body:
        if isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
            names.add(statement.name)
        elif isinstance(statement, (ast.Import, ast.ImportFrom)):
            names.update(_imported(statement))
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


def free_names(tree: ast.AST) -> set[str]:
    """The names that `tree` reads and no function in it binds for itself; rather one too many than one too few."""
    found: set[str] = set()
    waiting: list[tuple[list[ast.AST], frozenset[str]]] = [([tree], frozenset())]
    while waiting:
        nodes, bound = waiting.pop()
        scope = _Scope(nodes)
        found |= scope.read - bound
        waiting.extend((list(node.body), bound) for node in scope.classes)
        for inner, parameters in scope.inner:
            waiting.append((inner, bound | parameters | _Scope(inner).bound))
    return found


class _Scope:
    """What the nodes of one scope read and bind by themselves, and the scopes inside."""

    def __init__(self, nodes: list[ast.AST]) -> None:
        self.read: set[str] = set()
        self.bound: set[str] = set()
        self.inner: list[tuple[list[ast.AST], frozenset[str]]] = []
        self.classes: list[ast.ClassDef] = []
        outside: set[str] = set()
        waiting = list(nodes)
        while waiting:
            node = waiting.pop()
            if isinstance(node, (*FUNCTIONS, ast.Lambda)):
                waiting.extend(self._function(node))
            elif isinstance(node, ast.ClassDef):
                self.bound.add(node.name)
                self.classes.append(node)
                waiting.extend([*node.decorator_list, *node.bases, *node.keywords])
            elif isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
                first, *others = node.generators
                waiting.append(first.iter)
                elements: list[ast.AST] = [node.key, node.value] if isinstance(node, ast.DictComp) else [node.elt]
                self.inner.append(([*elements, first.target, *first.ifs, *others], frozenset()))
            elif isinstance(node, (ast.Global, ast.Nonlocal)):
                outside.update(node.names)
            elif isinstance(node, (ast.Import, ast.ImportFrom)):
                self.bound.update(_imported(node))
            elif isinstance(node, ast.Name):
                (self.read if isinstance(node.ctx, ast.Load) else self.bound).add(node.id)
            else:
                waiting.extend(ast.iter_child_nodes(node))
        self.bound -= outside

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> list[ast.AST]:
        """Notes a function, and returns those of its parts that belong to the scope around it."""
        args = node.args
        every = [*args.posonlyargs, *args.args, *args.kwonlyargs, *filter(None, (args.vararg, args.kwarg))]
        around: list[ast.AST] = [*args.defaults, *filter(None, args.kw_defaults)]
        around += [arg.annotation for arg in every if arg.annotation]
        body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
        self.inner.append((body, frozenset(arg.arg for arg in every)))
        if not isinstance(node, ast.Lambda):
            self.bound.add(node.name)
            around += [*node.decorator_list, *filter(None, [node.returns])]
        return around


def _imported(node: ast.Import | ast.ImportFrom) -> set[str]:
    return {(alias.asname or alias.name).partition(".")[0] for alias in node.names}
