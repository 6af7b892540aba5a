"""Judges an assertion outside the sandbox, over the plain data that came back from it.

Only what `split` lets through is known here: literals, comparisons, arithmetic, a few functions without effects. Every
operation is bounded, so that no value that a solution returns makes the judge slow or large.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from smallenough.evaluation.plain import shown

_MAX_ITEMS = 1_000_000
_MAX_BITS = 100_000


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a test did not pass: the class of the failure, and the failure in words."""

    error: str
    message: str
    line: int | None = None
    """Line of the solution that it came from."""


class Faulted(Exception):
    """The assertion needs a value that could not be computed."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.error)
        self.fault = fault


@dataclass(frozen=True, slots=True)
class Judgement:
    """What an assertion came to."""

    fault: Fault | None
    """None: it holds."""
    expected: str | None = None
    actual: str | None = None


def hole(index: int) -> ast.Name:
    """The node that stands for the value of expression `index`. No Python source contains such a name."""
    return ast.Name(id=f"<{index}>", ctx=ast.Load())


def is_hole(node: ast.AST) -> bool:
    """Whether `node` stands for a value from the sandbox."""
    return isinstance(node, ast.Name) and node.id.startswith("<")


def judge(condition: ast.expr, values: Sequence[Any], sources: Sequence[str]) -> Judgement:
    """Whether `condition` holds, where `values` are those of the expressions `sources` (a `Fault`: it has none)."""
    if isinstance(condition, ast.BoolOp) and isinstance(condition.op, ast.And):
        for part in condition.values:
            judgement = judge(part, values, sources)
            if judgement.fault:
                return judgement
        return Judgement(None)
    try:
        if evaluate(condition, values):
            return Judgement(None)
        return _failure(condition, values, sources)
    except Faulted as error:
        return Judgement(error.fault, expected=_expectation(condition, values))
    except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError, MemoryError) as error:
        actual = _only_value(condition, values)
        return Judgement(
            Fault(type(error).__name__, str(error)), expected=_expectation(condition, values), actual=actual
        )


def evaluate(node: ast.expr, values: Sequence[Any]) -> Any:
    """The value of an expression that `split` has let through.

    Raises:
        Faulted: it needs a value that could not be computed.
        TypeError, ValueError, ArithmeticError, LookupError: as Python would.
    """
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name():
            return _named(node, values)
        case ast.List() | ast.Tuple() | ast.Set() | ast.Dict():
            return _display(node, values)
        case ast.BoolOp(op=op, values=parts):
            return _bool_op(op, parts, values)
        case ast.UnaryOp(op=op, operand=operand):
            return UNARY[type(op)](evaluate(operand, values))
        case ast.BinOp(left=left, op=op, right=right):
            return _binary(op, evaluate(left, values), evaluate(right, values))
        case ast.Compare():
            return _compare(node, values)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return evaluate(body if evaluate(test, values) else orelse, values)
        case _:
            return _application(node, values)


def _named(node: ast.Name, values: Sequence[Any]) -> Any:
    if not is_hole(node):
        return FUNCTIONS[node.id]
    value = values[int(node.id[1:-1])]
    if isinstance(value, Fault):
        raise Faulted(value)
    return value


def _display(node: ast.List | ast.Tuple | ast.Set | ast.Dict, values: Sequence[Any]) -> Any:
    if isinstance(node, ast.Dict):
        pairs = zip(node.keys, node.values, strict=True)
        return {evaluate(key, values): evaluate(value, values) for key, value in pairs if key is not None}
    kind = {ast.List: list, ast.Tuple: tuple, ast.Set: set}[type(node)]
    return kind(evaluate(item, values) for item in node.elts)


def _application(node: ast.expr, values: Sequence[Any]) -> Any:
    match node:
        case ast.Call(func=function, args=args, keywords=keywords):
            positional = [evaluate(arg, values) for arg in args]
            named = {str(keyword.arg): evaluate(keyword.value, values) for keyword in keywords}
            return evaluate(function, values)(*positional, **named)
        case ast.Attribute(attr=name):
            return getattr(math, name)
        case ast.Subscript(value=base, slice=index):
            return evaluate(base, values)[evaluate(index, values)]
        case ast.Slice(lower=lower, upper=upper, step=step):
            return slice(*(evaluate(part, values) if part else None for part in (lower, upper, step)))
        case _:
            raise TypeError(f"{type(node).__name__} cannot be judged")


def _bool_op(op: ast.boolop, parts: Sequence[ast.expr], values: Sequence[Any]) -> Any:
    result = None
    for part in parts:
        result = evaluate(part, values)
        if bool(result) is isinstance(op, ast.Or):
            break
    return result


def _compare(node: ast.Compare, values: Sequence[Any]) -> bool:
    left = evaluate(node.left, values)
    for op, comparator in zip(node.ops, node.comparators, strict=True):
        right = evaluate(comparator, values)
        if not COMPARISONS[type(op)](left, right):
            return False
        left = right
    return True


def _binary(op: ast.operator, left: Any, right: Any) -> Any:
    match op:
        case ast.Mult() if isinstance(left, int) and isinstance(right, int):
            too_large = left.bit_length() + right.bit_length() > 2 * _MAX_BITS
        case ast.Mult():
            times = [value for value in (left, right) if isinstance(value, int)]
            sized = [value for value in (left, right) if hasattr(value, "__len__")]
            too_large = bool(times and sized) and times[0] * len(sized[0]) > _MAX_ITEMS
        case ast.Pow() if isinstance(left, int) and isinstance(right, int):
            too_large = left.bit_length() * abs(right) > _MAX_BITS
        case ast.Pow():
            too_large = not (isinstance(left, (int, float, complex)) and isinstance(right, (int, float, complex)))
        case ast.LShift():
            too_large = isinstance(right, int) and right > _MAX_BITS
        case ast.Mod() | ast.FloorDiv() if isinstance(left, int) and isinstance(right, int):
            too_large = left.bit_length() * right.bit_length() > _MAX_BITS**2
        case ast.Mod():
            too_large = isinstance(left, (str, bytes))
        case _:
            too_large = False
    if too_large:
        raise ValueError("the assertion's arithmetic is too large to be judged")
    return BINARY[type(op)](left, right)


def _bounded_range(*args: int) -> range:
    result = range(*args)
    if len(result) > _MAX_ITEMS:
        raise ValueError("the range is too long to be judged")
    return result


BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
    ast.RShift: operator.rshift,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Invert: operator.invert,
    ast.Not: operator.not_,
}
COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda left, right: left in right,
    ast.NotIn: lambda left, right: left not in right,
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for functions in (
        (abs, all, any, ascii, bool, bytes, complex, dict, divmod, enumerate, float, frozenset, int, len, list, max),
        (min, ord, repr, reversed, round, set, sorted, str, sum, tuple, zip, math.isclose),
    )
    for function in functions
} | {"range": _bounded_range}
MATH = frozenset(
    {
        "ceil",
        "copysign",
        "cos",
        "degrees",
        "e",
        "exp",
        "fabs",
        "floor",
        "fmod",
        "fsum",
        "gcd",
        "hypot",
        "inf",
        "isclose",
    }
    | {
        "isfinite",
        "isinf",
        "isnan",
        "isqrt",
        "log",
        "log10",
        "log2",
        "nan",
        "pi",
        "radians",
        "sin",
        "sqrt",
        "tan",
        "tau",
    }
    | {"trunc"}
)


# ------------------------------------------------------------------------------------------- telling the failure


def _failure(condition: ast.expr, values: Sequence[Any], sources: Sequence[str]) -> Judgement:
    """What to tell of an assertion that does not hold."""
    sides = _sides(condition)
    if sides and isinstance(condition, ast.Compare) and isinstance(condition.ops[0], (ast.Eq, ast.Is)):
        expected, actual = (shown(evaluate(side, values)) for side in sides)
        return Judgement(Fault("AssertionError", f"expected {expected}, got {actual}"), expected, actual)
    seen = [
        f"{shown(source, 80)[1:-1]} is {shown(value)}"
        for source, value in list(zip(sources, values, strict=True))[:3]
        if not isinstance(value, Fault)
    ]
    message = "the assertion does not hold" + (": " + ", ".join(seen) if seen else "")
    expected_truth = "a true value" if is_hole(condition) else None
    return Judgement(Fault("AssertionError", message), expected_truth, _only_value(condition, values))


def _sides(condition: ast.expr) -> tuple[ast.expr, ast.expr] | None:
    """Of a comparison of something computed with something given: the given side, and the computed one."""
    if not isinstance(condition, ast.Compare) or len(condition.ops) != 1:
        return None
    sides = (condition.left, condition.comparators[0])
    computed = [any(map(is_hole, ast.walk(side))) for side in sides]
    if computed == [True, False]:
        return sides[1], sides[0]
    return (sides[0], sides[1]) if computed == [False, True] else None


def _expectation(condition: ast.expr, values: Sequence[Any]) -> str | None:
    sides = _sides(condition)
    if sides and isinstance(condition, ast.Compare) and isinstance(condition.ops[0], (ast.Eq, ast.Is)):
        return shown(evaluate(sides[0], values))
    return None


def _only_value(condition: ast.expr, values: Sequence[Any]) -> str | None:
    holes = {node.id for node in ast.walk(condition) if isinstance(node, ast.Name) and is_hole(node)}
    if len(holes) != 1:
        return None
    value = values[int(holes.pop()[1:-1])]
    return None if isinstance(value, Fault) else shown(value)
