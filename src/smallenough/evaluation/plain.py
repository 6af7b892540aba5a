"""Plain data from a sandbox: decoding what the driver wrote, and showing it.

Decoding trusts nothing: whatever is not exactly what the driver writes is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Any

from smallenough.records import Json

_MAX_DEPTH = 110
_MAX_COLLISIONS = 1000
"""Keys of one hash in one set or dict: more take quadratic time, and only an attack has them."""
_MAX_EXPONENT = 400


class Malformed(Exception):
    """Not what the driver writes."""


@dataclass(frozen=True, slots=True, eq=False)
class Opaque:
    """Stands for an object that is no plain data. It equals nothing; of the object, only the truth value is known."""

    type_name: str
    truth: bool

    def __bool__(self) -> bool:
        return self.truth

    def __repr__(self) -> str:
        return f"<object of type {self.type_name}>"


def decode(data: Json, depth: int = 0) -> Any:
    """The value that the driver encoded as `data`.

    Raises:
        Malformed: the driver did not write this.
    """
    if data is None or data is True or data is False:
        return data
    if not isinstance(data, list) or not data or not isinstance(data[0], str) or depth > _MAX_DEPTH:
        raise Malformed
    tag, parts = data[0], data[1:]
    try:
        if tag in _ATOMS:
            return _ATOMS[tag](*parts)
        if tag == "Q":
            numerator, denominator = (decode(part, depth + 1) for part in parts)
            return Fraction(numerator, denominator)
        items = [decode(part, depth + 1) for part in parts]
        if tag == "d":
            if len(items) % 2:
                raise Malformed
            _check_keys(items[::2])
            return dict(zip(items[::2], items[1::2], strict=True))
        if tag in "SF":
            _check_keys(items)
        return _CONTAINERS[tag](items)
    except (TypeError, ValueError, KeyError, ArithmeticError, InvalidOperation) as error:
        raise Malformed from error


def text(data: Json) -> str:
    """The string that the driver wrote in hexadecimal."""
    try:
        return bytes.fromhex(data).decode("utf-8", "surrogatepass")
    except (TypeError, ValueError) as error:
        raise Malformed from error


def shown(value: object, limit: int = 200) -> str:
    """`value` as Python would print it, cut in the middle to `limit` characters."""
    try:
        full = repr(value)
    except (ValueError, RecursionError):  # an int of thousands of digits, a nest of hundreds of levels
        full = f"<{type(value).__name__} that is too large to print>"
    if len(full) <= limit:
        return full
    head = limit * 2 // 3
    return f"{full[:head]} … {full[len(full) - (limit - head - 3) :]}"


def _check_keys(keys: Sequence[Hashable]) -> None:
    if len(keys) > _MAX_COLLISIONS and Counter(map(hash, keys)).most_common(1)[0][1] > _MAX_COLLISIONS:
        raise Malformed


def _decimal(data: str) -> Decimal | Opaque:
    value = Decimal(text(data))
    return value if not value.is_finite() or abs(value.adjusted()) < _MAX_EXPONENT else Opaque("Decimal", True)


_ATOMS: dict[str, Any] = {
    "e": lambda: ...,
    "i": lambda digits: int(digits, 16),
    "f": float.fromhex,
    "c": lambda real, imaginary: complex(float.fromhex(real), float.fromhex(imaginary)),
    "s": text,
    "b": bytes.fromhex,
    "D": _decimal,
    "o": lambda name, truth: Opaque(text(name), truth is True),
}
_CONTAINERS: dict[str, Any] = {"l": list, "t": tuple, "S": set, "F": frozenset}
