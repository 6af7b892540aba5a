"""Evaluation of solutions on tests, with what the tests expect kept outside of the process that runs the solution."""

from smallenough.evaluation.evaluate import evaluate, evaluate_groups
from smallenough.evaluation.references import ReferenceRun, run_reference_times
from smallenough.evaluation.split import split_check

__all__ = ["ReferenceRun", "evaluate", "evaluate_groups", "run_reference_times", "split_check"]
