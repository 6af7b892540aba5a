"""Arms on tasks whose answers are labels: accuracy, precision, recall, F1, confusion, and rare labels against common.

Precision, recall and F1 are those of scikit-learn with the classes that are expected somewhere and `zero_division=0`;
an answer that is no label is an error of its class and no prediction. Macro means are over classes, micro ones over
answers. Hierarchical scores are sums over answers (see `hierarchy`). Shares of answers (accuracy, invalid answers) have
Wilson's interval, as the solved rate has; the others BCa bootstraps over tasks, where the macro mean of a resample is
over the classes that it holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from smallenough.analysis.statistics import RESAMPLES, Floats, Indices, Interval, Proportion, clustered_proportion
from smallenough.analysis.statistics.resampling import bca_interval, cluster_weights, summed
from smallenough.errors import InputError
from smallenough.hierarchy import credit
from smallenough.records import Hierarchy
from smallenough.tracking.columns import CLASSES, FREQUENCY_SHARES, LABELS, typed

FREQUENCIES = ("unseen", "rare", "common")
"""How often a label occurs in training: never; as often as the median of those that occur, or less; more often."""

NO_LABEL = "(none)"
"""In a confusion matrix, an answer that is none of the labels."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A measure with its interval."""

    value: float
    interval: Interval | None
    """None: there is no spread to resample."""


@dataclass(frozen=True, slots=True)
class ClassResult:
    """One arm on one class."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int
    """Answers to tasks of this class."""
    predicted: int
    """Answers that name it."""


@dataclass(frozen=True, slots=True)
class Classified:
    """One arm on tasks whose answers are labels."""

    arm: str
    tasks: int
    trials: int
    measures: Mapping[str, Estimate | None]
    """By the names of `LABEL_MEASURES`; None: it has no meaning here."""
    classes: tuple[ClassResult, ...]
    confusion: pd.DataFrame
    """Answers counted: a row an expected label, a column an answered one, `(none)` last."""


@dataclass(frozen=True, slots=True)
class FrequencyShare:
    """One arm on the tasks whose labels are about as frequent in training."""

    arm: str
    frequency: str
    classes: int
    tasks: int
    fewest: int
    """Training rows of the rarest of these labels."""
    most: int
    accuracy: Proportion | None


def labelled(trials: pd.DataFrame) -> pd.DataFrame:
    """The trials whose answers are labels and that were not failed by infrastructure, what is right spelled alike."""
    if not {"answer", "expected", "exact_match"} <= set(trials.columns):
        return trials.iloc[:0].assign(answer=None, expected=None)
    known = trials[trials["expected"].notna() & trials["exact_match"].notna() & trials["solved"].notna()].copy()
    right = known["exact_match"].astype("Float64").fillna(0).astype(bool)
    known["answer"] = known["answer"].astype(object).where(~right, known["expected"].astype(object))
    return known


def classify(
    trials: pd.DataFrame, arms: Sequence[str], *, confidence: float = 0.95, resamples: int = RESAMPLES
) -> tuple[Classified, ...]:
    """Every arm on the classes that any of the trials expects; nothing where no answer is a label.

    Args:
        trials: as `frames.prepare` gives them, with `answer`, `expected` and `exact_match`.
        arms: the arms' labels, in the order in which they shall come.
        confidence: of the intervals.
        resamples: of the bootstrap.
    """
    known = labelled(trials)
    classes = tuple(sorted(map(str, known["expected"].unique())))
    found = []
    for arm in arms:
        own = known[known["label"] == arm]
        if len(own):
            found.append(_classified(arm, own, classes, confidence, resamples))
    return tuple(found)


def by_frequency(
    trials: pd.DataFrame, arms: Sequence[str], training: Mapping[str, int], confidence: float = 0.95
) -> tuple[FrequencyShare, ...]:
    """Every arm on labels that are common in training, rare, and not there.

    Args:
        trials: as for `classify`.
        arms: the arms' labels.
        training: how many training rows have each label.
        confidence: of the intervals.

    Raises:
        InputError: no label of the trials is in the training rows, so that they are another task's.
    """
    known = labelled(trials)
    counts = {str(name): int(training.get(str(name), 0)) for name in known["expected"].unique()}
    present = [count for count in counts.values() if count > 0]
    if counts and not present:
        raise InputError("no label of these tasks is in the training rows; name the suite that was trained on")
    middle = float(np.median(present)) if present else 0.0
    groups = {name: _frequency(count, middle) for name, count in counts.items()}
    return tuple(_frequency_shares(known, arms, counts, groups, confidence))


def to_frame(found: Sequence[Classified]) -> pd.DataFrame:
    """One row an arm; see `columns.LABELS`."""
    rows = [
        {"arm": one.arm, "tasks": one.tasks, "trials": one.trials}
        | {key: value for name, estimate in one.measures.items() for key, value in _cells(name, estimate).items()}
        for one in found
    ]
    return typed(pd.DataFrame(rows), LABELS)


def classes_frame(found: Sequence[Classified], training: Mapping[str, int] | None = None) -> pd.DataFrame:
    """One row an arm and class, with how many training rows it has, where that is known; see `columns.CLASSES`."""
    rows = [
        {"arm": one.arm, **asdict(own), "in_training": None if training is None else int(training.get(own.name, 0))}
        for one in found
        for own in one.classes
    ]
    return typed(pd.DataFrame(rows).rename(columns={"name": "class"}), CLASSES)


def frequencies_frame(found: Sequence[FrequencyShare]) -> pd.DataFrame:
    """One row an arm and frequency; see `columns.FREQUENCY_SHARES`."""
    rows = [
        {name: getattr(one, name) for name in ("arm", "frequency", "classes", "tasks", "fewest", "most")}
        | _cells("accuracy", Estimate(one.accuracy.rate, one.accuracy.interval) if one.accuracy else None)
        for one in found
    ]
    return typed(pd.DataFrame(rows), FREQUENCY_SHARES)


# ---------------------------------------------------------------------------------------------------------- counting


@dataclass(frozen=True)
class _Counts:
    """What is counted of each task: a row a task. All measures are functions of sums of these rows."""

    right: Floats
    """One column a class."""
    expected: Floats
    predicted: Floats
    whole: Floats
    """Columns: answers, those right, those that are no label; hierarchical nodes: shared, answered, right."""

    @cached_property
    def table(self) -> Floats:
        """All side by side."""
        return np.hstack([self.right, self.expected, self.predicted, self.whole])

    def measures(self, sums: Floats) -> dict[str, Floats]:
        """Every measure of sums of rows: one value a row of `sums`."""
        count = self.right.shape[1]
        right, expected, predicted = (sums[:, start : start + count] for start in range(0, 3 * count, count))
        answers, hits, invalid, shared, answered, wanted = sums[:, 3 * count :].T
        present = expected > 0
        precision, recall = _over(right, predicted), _over(right, expected)
        f1 = _over(2 * right, expected + predicted)
        all_right, all_predicted, all_expected = right.sum(axis=1), predicted.sum(axis=1), expected.sum(axis=1)
        return {
            "accuracy": _over(hits, answers),
            "macro_precision": _mean(precision, present),
            "macro_recall": _mean(recall, present),
            "macro_f1": _mean(f1, present),
            "micro_precision": _over(all_right, all_predicted),
            "micro_recall": _over(all_right, all_expected),
            "micro_f1": _over(2 * all_right, all_predicted + all_expected),
            "invalid_rate": _over(invalid, answers),
            "hierarchical_precision": _over(shared, answered),
            "hierarchical_recall": _over(shared, wanted),
            "hierarchical_f1": _over(2 * shared, answered + wanted),
        }


def _classified(arm: str, own: pd.DataFrame, classes: tuple[str, ...], confidence: float, resamples: int) -> Classified:
    place = {name: number for number, name in enumerate(classes)}
    expected = np.array([place[str(name)] for name in own["expected"]], dtype=np.int64)
    answer = np.array([-1 if pd.isna(name) else place.get(str(name), -1) for name in own["answer"]], dtype=np.int64)
    tasks = np.unique(own["task_number"].to_numpy(dtype=np.int64), return_inverse=True)[1].astype(np.int64)
    counts = _counts(own, expected, answer, len(classes), tasks)
    hierarchical = bool(counts.whole[:, 5].sum())
    measures = {
        name: one if hierarchical or not name.startswith("hierarchical") else None
        for name, one in _estimates(counts, confidence, resamples).items()
    }
    shares = {"accuracy": answer == expected, "invalid_rate": own["answer"].isna().to_numpy(dtype=bool)}
    for name, share in shares.items():
        if found := clustered_proportion(share, tasks, confidence):
            measures[name] = Estimate(found.rate, found.interval)
    return Classified(
        arm, len(counts.right), len(own), measures, _class_results(counts, classes), _confusion(own, classes)
    )


def _counts(own: pd.DataFrame, expected: Indices, answer: Indices, classes: int, tasks: Indices) -> _Counts:
    each = np.eye(classes)
    named = np.where((answer >= 0)[:, None], each[answer], 0.0)
    wanted = each[expected]
    no_label = own["answer"].isna().to_numpy(dtype=np.float64)
    ones = np.ones(len(own))
    hits = (answer == expected).astype(np.float64)
    whole = np.column_stack([ones, hits, no_label, _nodes(own)])
    return _Counts(*(summed(table, tasks) for table in (named * wanted, wanted, named, whole)))


def _nodes(own: pd.DataFrame) -> Floats:
    """Of each answer the hierarchical nodes that it shares, its own, and the right label's; 0 where there are none."""
    if "hierarchical_f1" not in own.columns or own["hierarchical_f1"].isna().all():
        return np.zeros((len(own), 3))
    kind: Hierarchy = "path" if own["expected"].astype(str).str.contains("/", regex=False).any() else "icd10"
    pairs = zip(own["answer"], own["expected"], strict=True)
    return np.array(
        [credit(None if pd.isna(answer) else str(answer), str(right), kind) for answer, right in pairs], float
    )


def _estimates(counts: _Counts, confidence: float, resamples: int) -> dict[str, Estimate]:
    table = counts.table
    total = table.sum(axis=0)
    values = counts.measures(total[None, :])
    drawn = [counts.measures(weights @ table) for weights in cluster_weights(len(table), resamples, 0)]
    without = counts.measures(total[None, :] - table) if len(table) > 1 else None
    return {
        name: Estimate(
            float(value[0]),
            None
            if without is None
            else bca_interval(
                float(value[0]), np.concatenate([part[name] for part in drawn]), without[name], confidence
            ),
        )
        for name, value in values.items()
    }


def _class_results(counts: _Counts, classes: tuple[str, ...]) -> tuple[ClassResult, ...]:
    right, expected, predicted = (table.sum(axis=0) for table in (counts.right, counts.expected, counts.predicted))
    precision, recall, f1 = _over(right, predicted), _over(right, expected), _over(2 * right, expected + predicted)
    return tuple(
        ClassResult(
            name,
            float(precision[place]),
            float(recall[place]),
            float(f1[place]),
            int(expected[place]),
            int(predicted[place]),
        )
        for place, name in enumerate(classes)
        if expected[place] or predicted[place]
    )


def _confusion(own: pd.DataFrame, classes: tuple[str, ...]) -> pd.DataFrame:
    answers = own["answer"].astype(object).where(own["answer"].notna(), NO_LABEL)
    further = sorted(set(answers) - {*classes, NO_LABEL})
    table = pd.crosstab(own["expected"].astype(object), answers)
    found = table.reindex(index=list(classes), columns=[*classes, *further, NO_LABEL], fill_value=0)
    return found.rename_axis(index="expected", columns="answer")


def _over(above: Floats, below: Floats) -> Floats:
    """Quotients; 0 where there is nothing to divide by, as scikit-learn's `zero_division=0`."""
    return np.asarray(np.divide(above, below, out=np.zeros_like(above, dtype=np.float64), where=below > 0))


def _mean(values: Floats, present: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Floats:
    """The mean of each row over the classes that are present in it."""
    return _over((values * present).sum(axis=1), present.sum(axis=1).astype(np.float64))


# --------------------------------------------------------------------------------------------------------- frequency


def _frequency(count: int, middle: float) -> str:
    return "unseen" if count == 0 else "rare" if count <= middle else "common"


def _frequency_shares(
    known: pd.DataFrame,
    arms: Sequence[str],
    counts: Mapping[str, int],
    groups: Mapping[str, str],
    confidence: float,
) -> Iterator[FrequencyShare]:
    for frequency in FREQUENCIES:
        names = [name for name, group in groups.items() if group == frequency]
        for arm in arms if names else ():
            own = known[(known["label"] == arm) & known["expected"].isin(names)]
            right = own["exact_match"].to_numpy(dtype=np.float64)
            tasks = own["task_number"].to_numpy(dtype=np.int64)
            rows = [counts[name] for name in names]
            share = clustered_proportion(right, tasks, confidence) if len(own) else None
            yield FrequencyShare(arm, frequency, len(names), len(np.unique(tasks)), min(rows), max(rows), share)


def _cells(name: str, estimate: Estimate | None) -> dict[str, float | None]:
    interval = estimate.interval if estimate else None
    return {
        name: estimate.value if estimate else None,
        f"{name}_low": interval.low if interval else None,
        f"{name}_high": interval.high if interval else None,
    }
