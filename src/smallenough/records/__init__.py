"""The frozen values that flow through smallenough.

Pure values: no identity, no storage, no behaviour beyond what derives from their own fields. `None` means
'not measured' or 'not known' everywhere; it is never replaced by 0. All of them are imported from here, and each
module has those of one subject.
"""

from dataclasses import replace

from smallenough.records.execution import Evaluation, Execution, Limits, Program, TestResult
from smallenough.records.inference import (
    Adapter,
    Answers,
    Choices,
    Completion,
    Message,
    ModelInfo,
    Request,
    Sampling,
)
from smallenough.records.plain import Json, digest
from smallenough.records.tasks import Hierarchy, Kind, Problem, Suite, Task, Test
from smallenough.records.trial import Action, Answer, Arm, Ask, Outcome, Propose, Role, Score, SizeClass, Step, TrialKey
from smallenough.records.usage import Provenance, Usage

__all__ = [
    "Action",
    "Adapter",
    "Answer",
    "Answers",
    "Arm",
    "Ask",
    "Choices",
    "Completion",
    "Evaluation",
    "Execution",
    "Hierarchy",
    "Json",
    "Kind",
    "Limits",
    "Message",
    "ModelInfo",
    "Outcome",
    "Problem",
    "Program",
    "Propose",
    "Provenance",
    "Request",
    "Role",
    "Sampling",
    "Score",
    "SizeClass",
    "Step",
    "Suite",
    "Task",
    "Test",
    "TestResult",
    "TrialKey",
    "Usage",
    "digest",
    "replace",
]
