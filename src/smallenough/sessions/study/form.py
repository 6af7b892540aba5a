"""The form of a study's file: every key, its type, its bounds, its default and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from smallenough.config import read_yaml
from smallenough.config.faults import told
from smallenough.config.form import Count, ExperimentPart, Name, Part, Seconds
from smallenough.errors import InputError
from smallenough.sessions.study.migrate import is_old_study
from smallenough.training.settings import TrainingSettings


class StudyModel(Part):
    """One model of a study."""

    name: Name
    """A name of the catalogue, a folder, or OWNER/NAME on the Hugging Face hub."""
    size: Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?[MB]$")] | None = None
    """Its parameters as people say it: `8B`."""
    description: str = ""
    load_in_4bit: bool = False
    """Hold its weights in 4 bits (bitsandbytes, on a CUDA GPU): those of a large model while it is measured, of a small
    one while it is trained; it is measured whole."""
    strategies: tuple[Name, ...] = ()
    """How it is asked, each with its options: `single:answers=likelihood`; by default as the study says."""


class DataPart(Part):
    """Which suites the models learn from and are measured on."""

    train: Name
    """Whose references are learned."""
    validation: Name | None = None
    """On whose references the loss is measured while training; the best adapter on them is kept."""
    test: Name
    """On which every model is measured. Neither of the others may hold its tasks."""


class StudyFile(Part):
    """Large models as they are against small ones that are fine-tuned."""

    experiment: ExperimentPart = ExperimentPart(name="study")
    llm_models: tuple[StudyModel, ...] = ()
    """The references, as they are; the first one is the baseline."""
    slm_models: Annotated[tuple[StudyModel, ...], Field(min_length=1)]
    """The small ones: measured as they are, fine-tuned, and measured again."""
    data: DataPart
    strategies: Annotated[tuple[Name, ...], Field(min_length=1)] = ("single",)
    """How a model is asked that says nothing else; the first one gives its metrics in the results."""
    max_eval_samples: Count | None = None
    """So many tasks of the test suite at most, spread evenly over its categories."""
    max_tokens: Count | None = None
    """Tokens that an answer may take; by default the model's own."""
    concurrency: Count | None = None
    """Requests in flight at once; by default one."""
    timeout: Seconds = 300.0
    """Seconds that an inference may take."""
    seed: int = 0
    """Of sampling; a training has its own."""
    training: TrainingSettings = TrainingSettings()
    """How the small models are fine-tuned."""

    @model_validator(mode="after")
    def _distinct(self) -> StudyFile:
        names = [model.name for model in (*self.llm_models, *self.slm_models)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} stands here twice; a model is a large or a small one")
        return self


def is_study(path: Path) -> bool:
    """Whether a file is of a study, of today's form or the earlier one; False: it is not, or can't be read."""
    try:
        values = read_yaml(path).values
    except InputError:
        return False
    return bool({"llm_models", "slm_models"} & set(values)) or is_old_study(values)


def study_of(path: Path, said: Mapping[str, Any]) -> StudyFile:
    """What a study's file and flags say together; a flag goes before the file.

    Args:
        path: the file.
        said: what flags say, by the file's keys.

    Raises:
        InputError: it can't be read, or something in it can't be meant; names every place.
    """
    located = read_yaml(path)
    if is_old_study(located.values):
        raise InputError(f"{path} is of an earlier form; convert it with: smallenough config migrate {path}")
    try:
        return StudyFile.model_validate({**located.values, **said})
    except ValidationError as error:
        raise InputError("\n".join(told(error, located, StudyFile))) from error
