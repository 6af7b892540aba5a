"""What of a training can be set: the form of its file, whose keys are the command's flags too.

The text under each field is what `--help` shows.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from smallenough.config.form import Amount, Count, Folder, Name, Part
from smallenough.records import SizeClass

Fraction = Annotated[float, Field(ge=0, lt=1)]


class TrainingSettings(Part):
    """How a model is trained; the same settings, data and base give the same adapter."""

    rank: Count = 16
    """Rank of the adapter's matrices."""
    alpha: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 32.0
    """The adapter's weight is alpha / rank."""
    dropout: Fraction = 0.0
    """Share of the adapter's inputs that a step leaves out."""
    target_modules: Annotated[tuple[Name, ...], Field(strict=False)] = ()
    """Layers that get an adapter, by the end of their names, as `q_proj`; by default every linear one but the last."""
    learning_rate: Annotated[float, Field(gt=0, le=1)] = 5e-4
    """At its highest, after warming up."""
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """How the learning rate falls after warming up: to 0 in a line or a half cosine, or not at all."""
    warmup: Fraction = 0.05
    """Share of all steps in which the learning rate rises."""
    weight_decay: Amount = 0.0
    """Of AdamW."""
    clip: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 1.0
    """The largest norm that a step's gradient may have; a larger one is scaled down to it."""
    epochs: Count = 3
    """How often each row is seen."""
    steps: Count | None = None
    """So many steps instead of epochs; broken off or gone round as the rows are fewer."""
    batch: Count = 16
    """Rows that are computed together: what memory depends on."""
    accumulation: Count = 1
    """Batches to a step: a step sees batch times accumulation rows."""
    max_length: Count = 1024
    """Tokens of the longest row, prompt and answer; longer ones are told, and never cut."""
    skip_long: bool = False
    """Leave out the rows that are longer, instead of refusing to begin."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """What is computed in; `auto` is bfloat16 where the machine computes with it natively, else float32."""
    gradient_checkpointing: bool = False
    """Keep less in memory, and compute it again: about a third slower."""
    load_in_4bit: bool = False
    """Hold the base model's weights in 4 bits (bitsandbytes, on a CUDA GPU)."""
    validate_every: Count | None = None
    """Steps between two validations; by default one an epoch."""
    patience: Count | None = None
    """Stop after so many validations without a better loss; by default train to the end."""
    checkpoint_every: Count | None = None
    """Steps between two checkpoints; by default one a minute."""
    seed: int = 0
    """Of the adapter's first weights, the rows' order and dropout."""


class TrainingFile(TrainingSettings):
    """A training: which base models, on which tasks, how, and where the adapters go."""

    models: Annotated[tuple[Name, ...], Field(min_length=1)] = ("smollm2:135m",)
    """Base models of the embedded engine, one after the other: `smollm2:135m`, a folder, OWNER/NAME of the hub."""
    suite: Name = "basics"
    """The tasks whose references are learned: `basics`, an imported suite, or a file."""
    validation: Name | None = None
    """Tasks of another suite, on whose references the loss is measured; the best adapter on them is kept."""
    validation_share: Annotated[float, Field(gt=0, lt=1)] | None = None
    """In place of that: the share of the suite's own tasks to hold out, chosen by their ids and the seed."""
    limit: Count | None = None
    """So many tasks at most, spread evenly over the categories."""
    prompt_class: SizeClass | None = None
    """Whose prompts are learned: `small`, `large` or `base`; by default those that the base model gets."""
    output: Folder | None = None
    """Folder of the adapter; with several models, each has one below it.  By default `adapters/NAME` in the store."""
    experiment: Name = "smallenough"
    """Name of the MLflow experiment."""

    @model_validator(mode="after")
    def _one_validation(self) -> TrainingFile:
        if self.validation is not None and self.validation_share is not None:
            raise ValueError("validation and validation_share say the same thing; leave one of them out")
        if self.patience is not None and self.validation is None and self.validation_share is None:
            raise ValueError("patience needs a validation or a validation_share to look at; give one")
        return self

    @property
    def settings(self) -> TrainingSettings:
        """The part that a training of one model needs."""
        return TrainingSettings.model_validate({name: getattr(self, name) for name in TrainingSettings.model_fields})
