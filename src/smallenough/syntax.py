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


def normalised(source: str) -> str:
    """The syntax tree of `source` as text, without what says nothing of what it does.

    Comments, layout, documentation and the annotations of functions are left out; parameters and variables are
    numbered in the order in which they come, but for names that also stand elsewhere (as an attribute, as a keyword of
    a call): it is better to miss that two programs are the same than to take different ones for the same. Text that
    does not parse stands for itself.
    """
    try:
        tree = parse(source)
        return ast.dump(_Normal(tree).visit(tree))
    except (SyntaxError, RecursionError):
        return source


class _Normal(ast.NodeTransformer):
    """Leaves out documentation and annotations of functions, and numbers the variables of `tree`."""

    def __init__(self, tree: ast.Module) -> None:
        self._numbers: dict[str, str] = {}
        bound: set[str] = set()
        elsewhere: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.arg):
                bound.add(node.arg)
            elif isinstance(node, ast.Name):
                if isinstance(node.ctx, ast.Store):
                    bound.add(node.id)
            elif not isinstance(node, ast.Constant):
                for _, value in ast.iter_fields(node):
                    values = value if isinstance(value, list) else [value]
                    elsewhere.update(text for text in values if isinstance(text, str))
        self._renamed = bound - elsewhere

    def _number(self, name: str) -> str:
        return self._numbers.setdefault(name, f"<{len(self._numbers)}>") if name in self._renamed else name

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return ast.Name(self._number(node.id), node.ctx)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        return ast.arg(self._number(node.arg))

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
            first = node.body[0]
            documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            node.body = node.body[1:] if documented and len(node.body) > 1 else node.body
            if not isinstance(node, ast.ClassDef):
                node.returns = None
        return super().generic_visit(node)


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
