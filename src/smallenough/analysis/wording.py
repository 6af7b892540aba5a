"""The words of statistics: shares and differences with their intervals, p-values. Plain numbers are in `wording`."""

from __future__ import annotations

from collections.abc import Sequence

from smallenough.analysis.statistics import Difference, OddsRatio, PassRate, Proportion
from smallenough.wording import NOTHING, number, percent, signed


def interval_share(found: Proportion | None) -> str:
    """A share with its interval: `62% [51–72]`."""
    if found is None:
        return NOTHING
    low, high = found.interval.low, found.interval.high
    return f"{percent(found.rate)}% [{percent(low)}–{percent(high)}]"


def pass_rate(found: PassRate) -> str:
    """A pass@k or pass^k with its interval, and in how many tasks it is not known: `62% [51–72], 3 tasks too few`."""
    ends = f" [{percent(found.interval.low)}–{percent(found.interval.high)}]" if found.interval else ""
    gap = f", {found.too_few} tasks too few" if found.too_few else ""
    return f"{percent(found.estimate)}%{ends}{gap}"


def points(found: Difference | None) -> str:
    """A difference of shares in percentage points, with its interval: `−12 [−20, −4]`."""
    if found is None:
        return NOTHING
    text = _points(found.estimate)
    if found.interval is None:
        return text
    return f"{text} [{_points(found.interval.low)}, {_points(found.interval.high)}]"


def odds_ratio(found: OddsRatio | None) -> str:
    """An odds ratio with its interval: `3 [0.9, 13]`; no upper end where the other side has none: `9 [0.7, ∞)`."""
    if found is None:
        return NOTHING
    high = "∞)" if found.high is None else f"{number(found.high)}]"
    return f"{number(found.estimate)} [{number(found.low)}, {high}"


def p_value(value: float | None) -> str:
    """A p-value to three decimals: `0.031`, `<0.001`."""
    if value is None:
        return NOTHING
    return "<0.001" if value < 0.001 else f"{value:.3f}"


def _points(value: float) -> str:
    """Percentage points: whole, unless that would hide the sign."""
    if value == 0:
        return "0"
    if round(100 * value) == 0:
        return number(float(f"{100 * value:.1g}"))
    return signed(f"{100 * value:.0f}")


def listed(names: Sequence[str]) -> str:
    """Names as they are told one after the other: `'a', 'b'`."""
    return ", ".join(repr(name) for name in names)
