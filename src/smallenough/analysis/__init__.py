"""From what a tracking store holds to evidence: statistics, comparison, verdict, budgets, plots, report.

For notebooks, `smallenough.analysis` itself has all that is needed:

    from smallenough import analysis

    analysis.sessions()                      # the sessions as a data frame
    analysis.trials("last")                  # one row a trial; attempts(), arms() likewise
    analysis.columns("trials")               # what each column holds, its type and unit
    found = analysis.compare("last")         # a table, and the verdict
    found.comparison.to_frame()              # every number of it
    analysis.labels("last")                  # of tasks whose answers are labels: accuracy, F1; classes(), confusion()

The modules behind it are pure functions of frames and numbers: nothing in them but `load` reads a store, and nothing
draws on a terminal.
"""

from __future__ import annotations

from smallenough.analysis.load import (
    arms,
    attempts,
    classes,
    columns,
    compare,
    confusion,
    frequencies,
    labels,
    read,
    sessions,
    trials,
)

__all__ = [
    "arms",
    "attempts",
    "classes",
    "columns",
    "compare",
    "confusion",
    "frequencies",
    "labels",
    "read",
    "sessions",
    "trials",
]
