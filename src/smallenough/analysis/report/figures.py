"""The figures of a report, each with what stands above and below it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from smallenough.analysis import budgets, equal_budgets, pareto, plots
from smallenough.analysis.budgets import Budgets
from smallenough.analysis.costs import COSTS
from smallenough.analysis.report.content import Content
from smallenough.analysis.wording import listed
from smallenough.records import Json

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


MOST_WORDS = 6
"""Sentences that stand openly below a figure; of more, only what they begin with."""


_SHARED = (
    "The resident size, which the system tells at any time, counts pages that processes share once for each of them;"
    " peaks in the tables are of the proportional size, where the system tells that."
)


@dataclass(frozen=True, slots=True)
class Shown:
    """One figure."""

    key: str
    section: str
    title: str
    drawn: Json
    """As Plotly's JSON; None: there is nothing to draw, and `words` say why."""
    height: int
    words: tuple[str, ...]

    @property
    def leads(self) -> tuple[str, ...]:
        """What many sentences begin with, each once and how often; empty: they are few enough to be read."""
        if len(self.words) <= MOST_WORDS:
            return ()
        counts = Counter(line.partition(": ")[0] for line in self.words)
        return tuple(f"{lead} ({count} times)" if count > 1 else lead for lead, count in counts.items())


def figures(content: Content) -> tuple[Shown, ...]:
    """All figures, in the order in which they are shown."""
    return (*_size(content), *_costs(content), *_labels(content), *_resources(content))


@dataclass(frozen=True, slots=True)
class Words:
    """What is said of one cost."""

    section: str
    title: str
    words: tuple[str, ...]


def words(content: Content) -> tuple[Words, ...]:
    """What the figures of costs and budgets say in words."""
    fronts = (Words("front", f"Success and {COSTS[one.cost].title}", pareto.sentences(one)) for one in content.fronts)
    spent = (
        Words("budgets", f"Success by {COSTS[one.cost].title} spent", _at_budgets(content, one))
        for one in content.budgets
    )
    return (*fronts, *spent)


def _at_budgets(content: Content, one: Budgets) -> tuple[str, ...]:
    return (*equal_budgets.sentences(content.equal[one.cost], content.currency), *budgets.sentences(one))


def unmeasured(content: Content) -> str:
    """What is not drawn since it was not measured; empty: everything was."""
    names = [COSTS[name].title for name in content.unmeasured]
    return f"Not measured for any arm, and so not drawn: {', '.join(names)}." if names else ""


def _size(content: Content) -> Iterator[Shown]:
    found = content.findings
    unknown = [label for label, size in plots.model_sizes(found).items() if size is None]
    said = [f"The size of {listed(unknown)} is not known: it has no place here."] if unknown else []
    cascades = [row.arm for row in found.comparison.rows if row.strategy == "cascade"]
    if cascades:
        said.append("A cascade counts with the parameters of all its models.")
    sizes = [size for size in plots.model_sizes(found).values() if size]
    if len(set(sizes)) < len(sizes):
        said.append("Arms of one size stand side by side at its mark.")
    if plots.tuned_from(found):
        said.append("A dotted line leads from a model as it is to the same one fine-tuned.")
    yield _shown("size", "size", "", plots.size_against_success(found), said)


def _costs(content: Content) -> Iterator[Shown]:
    drawn = (
        *(plots.success_against_cost(content.findings, one) for one in content.fronts),
        *(plots.success_at_budgets(content.findings, one) for one in content.budgets),
    )
    costs = [*(one.cost for one in content.fronts), *(one.cost for one in content.budgets)]
    for figure, cost, said in zip(drawn, costs, words(content), strict=True):
        yield _shown(f"{said.section}-{cost}", said.section, said.title, figure, said.words)


def _labels(content: Content) -> Iterator[Shown]:
    for measure, (across, _, _) in plots.F1_AGAINST.items():
        drawn = plots.f1_against(content.findings, measure)
        if drawn is not None:
            yield _shown(f"f1-{measure}", "labels", f"Macro F1 and {across}", drawn, ())


def _resources(content: Content) -> Iterator[Shown]:
    for series in plots.SERIES:
        drawn = plots.resource_series(content.findings, content.samples, series)
        if drawn is not None:
            said = [_SHARED] if series.columns == "resident_bytes" else []
            yield _shown(f"series-{series.columns}", "resources", series.title, drawn, said)


def _shown(key: str, section: str, title: str, drawn: Figure | None, said: Sequence[str]) -> Shown:
    height = 0 if drawn is None else int(drawn.layout.height)
    return Shown(key, section, title, None if drawn is None else _plain(drawn), height, tuple(said))


def _plain(drawn: Figure) -> Json:
    """The figure as plain values, without a legend of its own: a report has one for all of its figures."""
    drawn.update_layout(showlegend=False)
    return json.loads(drawn.to_json())
