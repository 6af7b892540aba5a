"""How each number of a report came about: the method in a sentence, and where it is from."""

from __future__ import annotations

from dataclasses import dataclass

from smallenough.analysis.report.content import Content
from smallenough.analysis.statistics import RESAMPLES


@dataclass(frozen=True, slots=True)
class Method:
    """One method."""

    name: str
    text: str
    source: str
    """Where it is from; empty: nowhere but here."""


_SOLVED = Method(
    "What counts as solved",
    "Hidden tests decide, which no strategy sees. Infrastructure failures (a server, the sandbox, a scorer) are"
    " counted apart and have no part in rates. What was not measured is left out, never taken as 0.",
    "",
)
_GOOD_ENOUGH = Method(
    "Good enough",
    "An arm is good enough when a one-sided paired test of non-inferiority shows that it is not worse than the"
    " baseline by more than the margin, at a level corrected over the arms by Holm's method.",
    "T. Tango (1998), as above",
)
_FRONT = Method(
    "The front",
    "An arm is on the front when no other solves at least as much for at most as much, one of both better."
    " The share is that of resamples of the common tasks, drawn for all arms together, in which it is.",
    "B. Efron (1979), “Bootstrap methods: another look at the jackknife”, Annals of Statistics 7",
)
_BUDGETS = Method(
    "Equal budgets",
    "Each trial is stopped at the budget: if it fits as a whole it has its answer, else the best attempt"
    " that fits, as the public tests tell. Where two arms are set side by side, what exceeds the"
    " budget by up to 5% still fits. What attempts in parallel cost is added up: a budget of work,"
    " not of waiting. Bands are pointwise, by resampling whole tasks.",
    "",
)
_OPERATIONS = Method(
    "Operations",
    "2 × parameters × tokens, read and written: those of a dense transformer's forward pass, its attention apart.",
    "J. Kaplan et al. (2020), “Scaling laws for neural language models”, arXiv:2001.08361, section 2.1",
)
_TOOK = Method(
    "What arms took",
    "CPU time and memory of the model's own processes, from their counters; peak memory as proportional set"
    " size where the system tells it. Where attempts overlap, the arm's total is measured, and the shares of"
    " its attempts are apportioned by tokens.",
    "",
)
_REPEATS = Method(
    "Repeats",
    "pass@k is the chance that one of k answers to a task is right, pass^k that all of them are: unbiased, from all"
    " repeats of a task, the mean over the tasks with k repeats, with BCa bootstrap intervals.",
    "M. Chen et al. (2021), “Evaluating large language models trained on code”, arXiv:2107.03374; S. Yao et al. (2024),"
    " “τ-bench”, arXiv:2406.12045",
)


_LABELS = Method(
    "Labels",
    "Precision, recall and F1 over the labels that any task expects; macro means are over labels. An answer that is"
    " none of the labels is an error of its class and no prediction. Hierarchical precision and recall count a label"
    " with all that it lies within. BCa bootstrap intervals over tasks.",
    "S. Kiritchenko et al. (2006), “Learning and evaluation in the presence of class hierarchies”, Canadian AI;"
    " C. N. Silla and A. A. Freitas (2011), Data Mining and Knowledge Discovery 22",
)


def methods(content: Content) -> tuple[Method, ...]:
    """The methods of the numbers that the report has."""
    comparison = content.findings.comparison
    found = [_SOLVED, *_intervals(f"{100 * comparison.confidence:g}%"), _GOOD_ENOUGH]
    if any(row.pass_at_k for row in comparison.rows):
        found.append(_REPEATS)
    if content.findings.labels:
        found.append(_LABELS)
    if content.fronts:
        found.append(_FRONT)
    if content.budgets:
        found.append(_BUDGETS)
    if "operations" not in content.unmeasured:
        found.append(_OPERATIONS)
    return (*found, _TOOK)


def _intervals(confidence: str) -> tuple[Method, ...]:
    return (
        Method(
            "Solved rates",
            f"Wilson's {confidence} interval; where tasks are repeated, by the effective number of trials, from the"
            " design effect of tasks as clusters.",
            "E. B. Wilson (1927), “Probable inference, the law of succession, and statistical inference”, JASA 22;"
            " L. Kish (1965), “Survey Sampling”",
        ),
        Method(
            "Differences of costs",
            f"Paired by task and repeat; {confidence} BCa bootstrap intervals from {RESAMPLES:,} resamples of whole"
            " tasks; Wilcoxon's signed-rank test on tasks' means, corrected over the arms by Holm's method.",
            "B. Efron (1987), “Better bootstrap confidence intervals”, JASA 82; F. Wilcoxon (1945), Biometrics"
            " Bulletin 1; S. Holm (1979), Scandinavian Journal of Statistics 6",
        ),
        Method(
            "Differences of success",
            f"Paired by task and repeat; a score interval ({confidence}) of the same statistic as the test of"
            " non-inferiority, which is one-sided, and McNemar's exact test on the tasks that one arm solves more often"
            " than the other.",
            "T. Tango (1998), “Equivalence test and confidence interval for the difference in proportions for the"
            " paired-sample design”, Statistics in Medicine 17; Q. McNemar (1947), Psychometrika 12",
        ),
    )
