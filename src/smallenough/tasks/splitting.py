"""Sets tests apart where a suite brings none hidden.

A suite such as MBPP shows all of its assertions. With the protocol `split`, the first one or two of a task are
shown and the rest decide; with `standard`, all are shown and all decide, as published figures have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from smallenough.errors import UnknownName
from smallenough.records import Test

SuiteProtocol: TypeAlias = Literal["split", "standard"]

PROTOCOLS: dict[SuiteProtocol, str] = {
    "split": "the first test of a task is shown (the first two, of four or more), the others are hidden and decide",
    "standard": "all tests are shown and all decide, as in published figures",
}


def check_protocol(protocol: str) -> SuiteProtocol:
    """`protocol`, if there is such a one.

    Raises:
        UnknownName: there is none of that name.
    """
    for known in PROTOCOLS:
        if known == protocol:
            return known
    raise UnknownName("protocol", protocol, PROTOCOLS)


def divide(tests: Sequence[Test], protocol: SuiteProtocol) -> tuple[tuple[Test, ...], tuple[Test, ...]]:
    """The public and the hidden ones of `tests`.

    A single test is hidden with `split`, since a task without one that decides can't be solved. With `standard`,
    every test is in both.
    """
    if protocol == "standard":
        return tuple(tests), tuple(tests)
    shown = 0 if len(tests) < 2 else 1 if len(tests) < 4 else 2
    return tuple(tests[:shown]), tuple(tests[shown:])
