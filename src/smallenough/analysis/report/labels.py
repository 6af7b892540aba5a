"""Arms on tasks whose answers are labels, as tables of text."""

from __future__ import annotations

from collections.abc import Sequence

from smallenough.analysis.classification import NO_LABEL, Classified, Estimate, FrequencyShare
from smallenough.analysis.report.branching import ArmTable
from smallenough.analysis.wording import interval_share
from smallenough.wording import NOTHING, percent

_SHOWN = 5
"""Confusions of an arm that are told."""


def tables(found: Sequence[Classified], frequencies: Sequence[FrequencyShare] = ()) -> tuple[ArmTable, ...]:
    """What there is to tell; empty tables are left out.

    Args:
        found: the arms.
        frequencies: the same by how often labels were learned; empty: not known.
    """
    told = (
        ArmTable(
            "Right and wrong labels",
            "Macro means are over labels, each counting as much as another; an answer that is none of the labels is"
            " wrong, and invalid. hF credits answers that are near in the hierarchy.",
            ("Arm", "Accuracy [95%]", "Macro F1 [95%]", "Macro precision", "Macro recall", "hF [95%]", "Invalid [95%]"),
            tuple(map(_measures, found)),
        ),
        ArmTable(
            "What is taken for what",
            f"Each arm's most frequent confusions, {_SHOWN} at most.",
            ("Arm", "Right label", "Answered", "Times", "Of its tasks"),
            tuple(row for one in found for row in _confusions(one)),
        ),
        ArmTable(
            "Common labels against rare ones",
            "By how many rows of the training have the label: rare is the median of those that occur, or less.",
            ("Arm", "In training", "Labels", "Rows of each", "Tasks", "Accuracy [95%]"),
            tuple(map(_frequency, frequencies)),
        ),
    )
    return tuple(one for one in told if one.rows)


def _measures(one: Classified) -> tuple[str, ...]:
    def share(name: str, *, interval: bool = True) -> str:
        return _share(one.measures[name], interval=interval)

    return (
        one.arm,
        share("accuracy"),
        share("macro_f1"),
        share("macro_precision", interval=False),
        share("macro_recall", interval=False),
        share("hierarchical_f1"),
        share("invalid_rate"),
    )


def _frequency(one: FrequencyShare) -> tuple[str, ...]:
    rows = f"{one.fewest:,}" if one.fewest == one.most else f"{one.fewest:,} to {one.most:,}"
    return one.arm, one.frequency, str(one.classes), rows, str(one.tasks), interval_share(one.accuracy)


def _share(found: Estimate | None, *, interval: bool) -> str:
    if found is None:
        return NOTHING
    ends = found.interval
    behind = f" [{percent(ends.low)}–{percent(ends.high)}]" if interval and ends else ""
    return f"{percent(found.value)}%{behind}"


def _confusions(one: Classified) -> list[tuple[str, ...]]:
    """The most frequent pairs of a right label and another answer."""
    pairs = [
        (int(times), str(expected), str(answer))
        for expected, row in one.confusion.iterrows()
        for answer, times in row.items()
        if expected != answer and times
    ]
    support = {own.name: own.support for own in one.classes}
    return [
        (one.arm, expected, "no label" if answer == NO_LABEL else answer, str(times), str(support[expected]))
        for times, expected, answer in sorted(pairs, key=lambda pair: (-pair[0], pair[1:]))[:_SHOWN]
    ]
