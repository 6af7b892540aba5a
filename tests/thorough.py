"""How much is generated and simulated: everything with `--slow`, a part of it without, so that CI stays quick."""

from __future__ import annotations

import os

VARIABLE = "SMALLENOUGH_TEST_THOROUGH"
"""Set by `--slow`, before a test module is imported."""

_PART = 4


def examples(count: int) -> int:
    """So many of `count` examples."""
    return count if os.environ.get(VARIABLE) else max(5, count // _PART)
