"""Numbers as a person reads them: two or three digits that mean something, and a unit.

What was not measured is a dash, never 0. A number that is not 0 is never shown as 0, and a share that is not all is
never shown as 100%.
"""

from __future__ import annotations

import math

from smallenough.analysis.statistics import Difference, Proportion

NOTHING = "–"
"""Stands for what was not measured, or is not defined."""

_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_JOULES = ((1e6, "MJ"), (1e3, "kJ"))


def number(value: float | None) -> str:
    """Three digits, or all of a larger number: `0.0124`, `12.4`, `1,234`."""
    if value is None:
        return NOTHING
    if value == 0:
        return "0"
    if abs(value) < 1e-4:
        return _signed(f"{value:.1e}")
    if float(f"{abs(value):.3g}") >= 100:
        return _signed(f"{value:,.0f}")
    decimals = 2 - math.floor(math.log10(float(f"{abs(value):.3g}")))
    text = f"{value:.{decimals}f}"
    return _signed(text.rstrip("0").rstrip("."))


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


def share(value: float | None) -> str:
    """A share of 1 in percent: `62%`."""
    return NOTHING if value is None else f"{_percent(value)}%"


def interval_share(found: Proportion | None) -> str:
    """A share with its interval: `62% [51–72]`."""
    if found is None:
        return NOTHING
    low, high = found.interval.low, found.interval.high
    return f"{_percent(found.rate)}% [{_percent(low)}–{_percent(high)}]"


def points(found: Difference | None) -> str:
    """A difference of shares in percentage points, with its interval: `−12 [−20, −4]`."""
    if found is None:
        return NOTHING
    text = _points(found.estimate)
    if found.interval is None:
        return text
    return f"{text} [{_points(found.interval.low)}, {_points(found.interval.high)}]"


def p_value(value: float | None) -> str:
    """A p-value to three decimals: `0.031`, `<0.001`."""
    if value is None:
        return NOTHING
    return "<0.001" if value < 0.001 else f"{value:.3f}"


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


def _percent(value: float) -> str:
    """Percent without the sign: whole, unless that would make it look like none or all."""
    percent = 100 * value
    whole = round(percent)
    if (whole == 0 and value != 0) or (whole == 100 and value != 1):
        finer = f"{percent:.1f}"
        if finer in ("0.0", "-0.0"):
            return "<0.1" if value > 0 else ">−0.1"
        return ">99.9" if finer == "100.0" and value < 1 else _signed(finer)
    return _signed(f"{whole:d}")


def _points(value: float) -> str:
    """Percentage points: whole, unless that would hide the sign."""
    if value == 0:
        return "0"
    if round(100 * value) == 0:
        return number(float(f"{100 * value:.1g}"))
    return _signed(f"{100 * value:.0f}")


def _signed(text: str) -> str:
    """A minus as it is printed."""
    return text.replace("-", "−") if text.startswith("-") else text
