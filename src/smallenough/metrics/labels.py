"""What can be said of an answer that is a label: right, nearly right, or no label at all."""

from __future__ import annotations

from smallenough.hierarchy import credit
from smallenough.labels import same
from smallenough.protocols import AskModel
from smallenough.records import Answer, Score, Task

NAMES = ("exact_match", "invalid_answer", "hierarchical_precision", "hierarchical_recall", "hierarchical_f1")


class LabelsScorer:
    """Exact match, whether the answer is no label, and hierarchical credit (see `hierarchy`).

    Hierarchical scores are those of tasks whose labels lie within one another. A task's precision is not measured where
    nothing was answered; its recall and F1 are 0 there.
    """

    name = "labels"
    version = "1"

    def score(self, task: Task, answer: Answer, ask: AskModel | None = None) -> list[Score]:
        """The scores of one step; None for what is no label task, and for what has no right answer."""
        values = _values(task, answer.step.code) if task.kind == "label" and task.reference is not None else {}
        return [Score(name, values.get(name), f"{self.name}/{self.version}") for name in NAMES]


def _values(task: Task, label: str | None) -> dict[str, float | None]:
    reference = task.reference or ""
    right = label is not None and same(label, reference, task)
    found: dict[str, float | None] = {"exact_match": float(right), "invalid_answer": float(label is None)}
    if task.hierarchy:
        shared = credit(reference if right else label, reference, task.hierarchy)
        found |= {
            "hierarchical_precision": shared.precision,
            "hierarchical_recall": shared.recall,
            "hierarchical_f1": shared.f1,
        }
    return found
