"""Splits an assertion by its syntax tree: what the solution computes goes inside, what is expected stays outside.

`assert sorted(f([3, 1])) == [1, 3]` becomes the expression `sorted(f([3, 1]))`, which is evaluated in the sandbox and
comes back as plain data, and the condition `… == [1, 3]`, which is judged outside. Arguments are input, and go inside
whatever they are. An assertion whose expectation can't stay outside (it stands in a set-up, in a loop, in the class
of an object) is not split.
"""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass
from functools import lru_cache

from smallenough.evaluation.judge import BINARY, COMPARISONS, FUNCTIONS, MATH, UNARY, hole
from smallenough.records import Test
from smallenough.syntax import defined_names, parse

_AROUND = frozenset(
    {"all", "any", "ascii", "bytes", "callable", "dict", "enumerate", "filter", "format", "frozenset", "getattr"}
    | {"hasattr", "hash", "iter", "len", "list", "map", "max", "min", "next", "repr", "reversed", "set", "sorted"}
    | {"str", "sum", "tuple", "zip"}
)
"""Builtins that go inside with what they are applied to, since that may be an iterator or an object."""
_CONVERSIONS = frozenset({"abs", "bool", "complex", "float", "int", "round"})
"""Builtins that go inside only with an object of a class under test; numbers are judged outside."""
_KEYWORDS = frozenset({"abs_tol", "rel_tol", "reverse", "default", "start", "ndigits", "strict"})
_COMPARING = frozenset({"__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__contains__"})
_SINGLETONS = (None, True, False, ...)


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """A split assertion."""

    sources: tuple[str, ...]
    """The expressions to evaluate in the sandbox."""
    condition: ast.expr
    """What must hold, with holes where the expressions' values belong."""


class _Unsplittable(Exception):
    """The expectation can't be kept outside."""


@lru_cache(maxsize=8192)
def split(code: str, roots: frozenset[str], setup: str = "", of_class: bool = False) -> Split | None:
    """Splits the assertion `code`.

    Args:
        code: one assertion, or several, one after the other.
        roots: the names that stand for the solution in it: the entry point and its alias.
        setup: the code that runs before; what it derives from the solution belongs to the solution.
        of_class: whether the entry point is a class, whose instances must be compared by themselves.

    Returns:
        None where it can't be split; then it has to run whole, beside the solution.
    """
    try:
        body, before = parse(code).body, parse(setup).body
        conditions = [statement.test for statement in body if isinstance(statement, ast.Assert)]
        if not conditions or len(conditions) != len(body):
            return None
        splitter = _Splitter(roots, before, of_class)
        done = [splitter.outside(condition, truth=True) for condition in conditions]
    except (SyntaxError, RecursionError, _Unsplittable):
        return None
    condition = done[0] if len(done) == 1 else ast.BoolOp(op=ast.And(), values=done)
    return Split(tuple(splitter.sources), condition)


def split_check(source: str, entry_point: str) -> list[Test] | None:
    """The assertions of a HumanEval `check(candidate)`, each as a test of `entry_point`.

    Returns:
        None where `check` holds anything but assertions that can be split, its documentation aside.
    """
    try:
        module = parse(source)
    except SyntaxError:
        return None
    checks = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == "check"]
    imports = [node for node in module.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    others = [node for node in module.body if node not in checks and node not in imports and not _is_idle(node)]
    if len(checks) != 1 or others or len(checks[0].args.args) != 1:
        return None
    parameter = checks[0].args.args[0].arg
    setup = "\n".join(ast.unparse(node) for node in imports)
    tests: list[Test] = []
    for statement in checks[0].body:
        if _is_idle(statement):
            continue
        if not isinstance(statement, ast.Assert):
            return None
        bare = ast.Assert(test=_renamed(statement.test, parameter, entry_point))
        code = ast.unparse(ast.fix_missing_locations(bare))
        if split(code, frozenset({entry_point}), setup) is None:
            return None
        tests.append(Test(code, setup))
    return tests or None


def _is_idle(node: ast.stmt) -> bool:
    """Documentation, `pass`, a bare name, HumanEval's METADATA."""
    if isinstance(node, ast.Assign):
        return all(isinstance(target, ast.Name) and target.id == "METADATA" for target in node.targets)
    return isinstance(node, ast.Pass) or (
        isinstance(node, ast.Expr) and isinstance(node.value, (ast.Constant, ast.Name))
    )


def _renamed(node: ast.expr, old: str, new: str) -> ast.expr:
    node = copy.deepcopy(node)
    for part in ast.walk(node):
        if isinstance(part, ast.Name) and part.id == old:
            part.id = new
    return node


class _Splitter:
    """Takes assertions of one set-up apart, and collects what goes inside."""

    def __init__(self, roots: frozenset[str], setup: list[ast.stmt], of_class: bool) -> None:
        self.sources: list[str] = []
        self.of_class = of_class
        self.entry = roots
        self.roots = set(roots)
        self.instances: set[str] = set()
        self._derive(setup)
        plain_imports = [node for node in setup if _is_math_import(node)]
        self.taken = defined_names([node for node in setup if node not in plain_imports]) | self.roots

    def _derive(self, setup: list[ast.stmt]) -> None:
        """Adds the names that the set-up computes with the help of the solution."""
        changed = True
        while changed:
            changed = False
            for node in setup:
                new = defined_names([node]) - self.roots
                if new and self.mentions(node):
                    self.roots |= new
                    changed = True
                    if isinstance(node, ast.Assign) and self.is_instance(node.value):
                        self.instances |= new

    def mentions(self, node: ast.AST) -> bool:
        """Whether the solution has a part in `node`."""
        return any(isinstance(part, ast.Name) and part.id in self.roots for part in ast.walk(node))

    def is_instance(self, node: ast.expr) -> bool:
        """Whether `node` is an object of the class under test, as far as can be seen."""
        match node:
            case ast.Call(func=ast.Name(id=name)):
                return self.of_class and name in self.entry
            case ast.Name(id=name):
                return name in self.instances or (self.of_class and name in self.entry)
            case ast.BinOp(left=left, right=right):
                return self.is_instance(left) or self.is_instance(right)
            case ast.UnaryOp(op=op, operand=operand):
                return not isinstance(op, ast.Not) and self.is_instance(operand)
            case _:
                return False

    def inside(self, node: ast.expr) -> bool:
        """Whether `node` is all the solution's doing: a chain of calls from it, or a plain builtin around one."""
        match node:
            case ast.Name(id=name):
                return name in self.roots
            case ast.Attribute(value=base, attr=attr):
                return attr not in _COMPARING and (self.inside(base) or self.inside_operation(base))
            case ast.Subscript(value=base):
                return self.inside(base) or self.inside_operation(base)
            case ast.Starred(value=value):
                return self.inside(value)
            case ast.Call(func=ast.Name(id=name), args=args) if name not in self.roots:
                around = name in _AROUND or (name in _CONVERSIONS and bool(args) and self.is_instance(args[0]))
                return around and name not in self.taken and self.inside_arguments(args)
            case ast.Call(func=ast.Attribute(value=ast.Constant(value=str()), attr="join" | "format"), args=args):
                return self.inside_arguments(args)
            case ast.Call(func=function):
                return self.inside(function)
            case ast.ListComp(elt=element) | ast.SetComp(elt=element) | ast.GeneratorExp(elt=element):
                sources = all(self.inside(part.iter) or not self.mentions(part.iter) for part in node.generators)
                return sources and not _has_expectation(element) and not any(part.ifs for part in node.generators)
            case _:
                return False

    def inside_operation(self, node: ast.expr) -> bool:
        """Whether `node` is an operator applied to what is inside, as in `(cls(1) + cls(2)).x`."""
        match node:
            case ast.BinOp(left=left, right=right):
                parts = [left, right]
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Invert(), operand=operand):
                parts = [operand]
            case _:
                return False
        return all(self.inside(part) or self.inside_operation(part) or not self.mentions(part) for part in parts)

    def inside_arguments(self, args: list[ast.expr]) -> bool:
        """Whether some arguments are inside, and the others have nothing to do with the solution."""
        involved = [arg for arg in args if self.mentions(arg)]
        return bool(involved) and all(self.inside(arg) or self.inside_operation(arg) for arg in involved)

    def outside(self, node: ast.expr, truth: bool = False) -> ast.expr:
        """`node` as it is judged outside, with holes for what goes inside; `truth`: only its truth value matters.

        Raises:
            _Unsplittable: some of it can neither go inside nor be judged outside.
        """
        if self.mentions(node) and self.inside(node):
            if self.is_instance(node) and not truth:
                raise _Unsplittable
            self.sources.append(ast.unparse(node))
            return hole(len(self.sources) - 1)
        match node:
            case ast.Constant():
                return node
            case ast.List() | ast.Tuple() | ast.Set():
                return type(node)(elts=[self.outside(item) for item in node.elts])
            case ast.Dict(keys=keys, values=values) if all(keys):
                return ast.Dict([self.outside(key) for key in keys if key], [self.outside(item) for item in values])
            case ast.Compare():
                return self.comparison(node)
            case ast.Subscript(value=base, slice=index):
                return ast.Subscript(value=self.outside(base), slice=self.index(index), ctx=ast.Load())
            case ast.Call(func=function, args=args) if all(word.arg in _KEYWORDS for word in node.keywords):
                keywords = [ast.keyword(arg=word.arg, value=self.outside(word.value)) for word in node.keywords]
                return ast.Call(self.known(function), [self.outside(arg) for arg in args], keywords)
            case ast.Attribute():
                return self.known(node)
            case _:
                return self.operation(node, truth)

    def operation(self, node: ast.expr, truth: bool) -> ast.expr:
        """Operators, of which some pass on that only the truth value matters."""
        match node:
            case ast.BoolOp(op=op, values=parts):
                return ast.BoolOp(op=op, values=[self.outside(part, truth) for part in parts])
            case ast.UnaryOp(op=op, operand=operand) if type(op) in UNARY:
                return ast.UnaryOp(op=op, operand=self.outside(operand, isinstance(op, ast.Not)))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
                return ast.BinOp(left=self.outside(left), op=op, right=self.outside(right))
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return ast.IfExp(self.outside(test, truth=True), self.outside(body), self.outside(orelse))
            case _:
                raise _Unsplittable

    def index(self, node: ast.expr) -> ast.expr:
        """A subscript's index."""
        if isinstance(node, ast.Slice):
            parts = (self.outside(part) if part else None for part in (node.lower, node.upper, node.step))
            return ast.Slice(*parts)
        return self.outside(node)

    def comparison(self, node: ast.Compare) -> ast.expr:
        """A comparison; by identity only with what there is one of."""
        operands = [node.left, *node.comparators]
        by_identity = any(isinstance(op, (ast.Is, ast.IsNot)) for op in node.ops)
        single = any(
            isinstance(part, ast.Constant) and any(part.value is one for one in _SINGLETONS) for part in operands
        )
        if (by_identity and not (single and len(operands) == 2)) or any(type(op) not in COMPARISONS for op in node.ops):
            raise _Unsplittable
        left, *others = (self.outside(part, truth=by_identity) for part in operands)
        return ast.Compare(left=left, ops=node.ops, comparators=others)

    def known(self, node: ast.expr) -> ast.expr:
        """A function or a number that is known outside under the same name."""
        match node:
            case ast.Name(id=name) if name in FUNCTIONS and name not in self.taken:
                return node
            case ast.Attribute(value=ast.Name(id="math"), attr=name) if name in MATH and "math" not in self.taken:
                return node
            case _:
                raise _Unsplittable


def _is_math_import(node: ast.stmt) -> bool:
    if isinstance(node, ast.Import):
        return all(alias.name == "math" and alias.asname is None for alias in node.names)
    return (
        isinstance(node, ast.ImportFrom)
        and node.module == "math"
        and all(alias.name == "isclose" and alias.asname is None for alias in node.names)
    )


def _has_expectation(node: ast.expr) -> bool:
    """Whether an element of a comprehension may hold an expected value."""
    holding = (ast.Compare, ast.BoolOp, ast.BinOp, ast.IfExp, ast.JoinedStr, ast.NamedExpr)
    return any(isinstance(part, holding) for part in ast.walk(node))
