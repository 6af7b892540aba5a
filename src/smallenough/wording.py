"""Numbers as a person reads them: two or three digits that mean something, and a unit.

What was not measured is a dash, never 0. A number that is not 0 is never shown as 0, and a share that is not all is
never shown as 100%.
"""

from __future__ import annotations

import math

NOTHING = "–"
"""Stands for what was not measured, or is not defined."""

_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_OPERATIONS = ((1e18, "EFLOP"), (1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP"), (1e3, "kFLOP"))
_JOULES = ((1e6, "MJ"), (1e3, "kJ"))


def number(value: float | None) -> str:
    """Three digits, or all of a larger number: `0.0124`, `12.4`, `1,234`."""
    if value is None:
        return NOTHING
    if value == 0:
        return "0"
    if abs(value) < 1e-4:
        return signed(f"{value:.1e}")
    if float(f"{abs(value):.3g}") >= 100:
        return signed(f"{value:,.0f}")
    decimals = 2 - math.floor(math.log10(float(f"{abs(value):.3g}")))
    text = f"{value:.{decimals}f}"
    return signed(text.rstrip("0").rstrip("."))


def duration(seconds: float | None) -> str:
    """Seconds with the unit that suits them: `12 ms`, `1.8 s`, `2 min 5 s`, `1 h 3 min`."""
    if seconds is None:
        return NOTHING
    if seconds < 0:
        return "−" + duration(-seconds)
    if seconds == 0:
        return "0 s"
    if seconds < 0.9995:
        return f"{_digits(seconds * 1e3)} ms"
    if seconds < 119.5:
        return f"{_digits(seconds)} s"
    whole = round(seconds)
    if whole < 7200:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    minutes = round(seconds / 60)
    return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")


def size(value: float | None) -> str:
    """Bytes in decimal units: `1.2 GB`."""
    return NOTHING if value is None else _scaled(value, _BYTES, "B")


def energy(joules: float | None) -> str:
    """Joules: `12 J`, `3.4 kJ`."""
    return NOTHING if joules is None else _scaled(joules, _JOULES, "J")


def money(value: float | None, currency: str) -> str:
    """An amount of money: `0.0124 EUR`."""
    return NOTHING if value is None else f"{number(value)} {currency}".rstrip()


def operations(value: float | None) -> str:
    """Floating-point operations: `1.2 TFLOP`."""
    return NOTHING if value is None else _scaled(value, _OPERATIONS, "FLOP")


def share(value: float | None) -> str:
    """A share of 1 in percent: `62%`."""
    return NOTHING if value is None else f"{percent(value)}%"


def percent(value: float) -> str:
    """Percent without the sign: whole, unless that would make it look like none or all."""
    hundredths = 100 * value
    whole = round(hundredths)
    if (whole == 0 and value != 0) or (whole == 100 and value != 1):
        finer = f"{hundredths:.1f}"
        if finer in ("0.0", "-0.0"):
            return "<0.1" if value > 0 else ">−0.1"
        return ">99.9" if finer == "100.0" and value < 1 else signed(finer)
    return signed(f"{whole:d}")


def signed(text: str) -> str:
    """A minus as it is printed."""
    return text.replace("-", "−") if text.startswith("-") else text


def _digits(value: float) -> str:
    """Two digits, or all that stand before the point."""
    if value >= 9.95:
        return f"{value:,.0f}"
    if value >= 0.95:
        return f"{value:.1f}"
    return f"{value:.2g}"


def _scaled(value: float, units: tuple[tuple[float, str], ...], smallest: str) -> str:
    if value < 0:
        return "−" + _scaled(-value, units, smallest)
    for index, (factor, unit) in enumerate(units):
        rounded_up = index > 0 and value / factor >= 999.5
        if rounded_up:
            return f"{_digits(value / units[index - 1][0])} {units[index - 1][1]}"
        if value >= factor:
            return f"{_digits(value / factor)} {unit}"
    return f"{_digits(value)} {smallest}" if value else f"0 {smallest}"
