"""What can be wrong with a training, within its process."""

from __future__ import annotations

from typing import ClassVar

from smallenough.training.messages import Fault


class TrainingFault(Exception):
    """There will be no adapter; the text says why."""

    fault: ClassVar[Fault]


class BadInput(TrainingFault):
    """What was asked for does not suit the model."""

    fault = "input"


class BadLoss(TrainingFault):
    """The loss is no number."""

    fault = "loss"
