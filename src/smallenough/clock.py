"""The time of day by which a session's events are told: it does not jump when the system's clock is set."""

from __future__ import annotations

import time

_ORIGIN = time.time() - time.monotonic()


def now() -> float:
    """Seconds since the epoch, by the system's clock when this process started, and steadily onward from there."""
    return _ORIGIN + time.monotonic()
