"""Experiment files: YAML that holds values, never logic.

Every key is checked; an unknown one is an error that names the nearest known one. All faults of a file are reported
at once, each with its place.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from smallenough.errors import InputError
from smallenough.records import Json, SizeClass

_MOST_BYTES = 2**20


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExperimentPart(_Part):
    """What the experiment is called."""

    name: str = "smallenough"
    """Name of the MLflow experiment."""


class SuitePart(_Part):
    """Where the tasks come from."""

    source: str = "basics"
    """A task source (`basics`, `mbpp`, `humaneval`, `jsonl`), or the name of an imported suite."""
    path: Path | None = None
    ids: str | None = None
    """The tasks to take, as `11-510` or `1,5,7-9`."""
    protocol: Literal["split", "standard"] | None = None
    categories: tuple[str, ...] = ()
    limit: Annotated[int, Field(gt=0)] | None = None


class ModelPart(_Part):
    """A model to compare; what is not said is the model's default."""

    name: str
    size_class: SizeClass | None = None
    strategies: tuple[str, ...] | None = None
    """In place of the experiment's."""
    baseline: bool = False
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, Field(gt=0)] | None = None
    context: Annotated[int, Field(gt=0)] | None = None


class ExperimentFile(_Part):
    """An experiment file, validated."""

    experiment: ExperimentPart = ExperimentPart()
    suite: SuitePart = SuitePart()
    models: tuple[ModelPart, ...] = ()
    strategies: tuple[str, ...] = ("single",)
    """As on the command line: `NAME` or `NAME:KEY=VALUE,…`."""
    repeats: Annotated[int, Field(gt=0)] = 1
    seed: int = 0
    concurrency: Annotated[int, Field(gt=0)] | None = None
    """Requests in flight at the same time; None: one a server."""
    timeout: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 300.0
    """Seconds that one inference may take."""
    sandbox: str = "bubblewrap"
    urls: tuple[str, ...] = ()
    weights: Mapping[str, float] = Field(default_factory=dict)
    """Weights of the efficiency score."""
    fail_on_error: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    """End the session after so many infrastructure failures: below 1 a fraction of all trials, else a count."""


def load_experiment(path: Path) -> ExperimentFile:
    """The experiment that a file describes.

    Raises:
        InputError: the file can't be read, is not YAML, or holds what is not understood; names every place.
    """
    content = _yaml(path)
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected keys such as 'models:' at the top, and found {type(content).__name__}")
    try:
        return ExperimentFile.model_validate(content)
    except ValidationError as error:
        lines = [f"{path}: {_fault(dict(one))}" for one in error.errors(include_url=False)]
        raise InputError("\n".join(lines)) from error


def _yaml(path: Path) -> Json:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"{path}: larger than {_MOST_BYTES} bytes, so it is no experiment file")
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise InputError(f"{path}{place}: {error.problem}") from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"{path}: not YAML: {error}") from error
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from error


def _fault(error: Mapping[str, Any]) -> str:
    """One of pydantic's errors, in words."""
    place = ".".join(map(str, error["loc"]))
    if error["type"] != "extra_forbidden":
        return f"{place}: {error['msg']}"
    model: Any = ExperimentFile
    for part in error["loc"][:-1]:
        if isinstance(part, str):
            model = {"experiment": ExperimentPart, "suite": SuitePart, "models": ModelPart}.get(part, model)
    near = difflib.get_close_matches(str(error["loc"][-1]), list(model.model_fields), n=1)
    known = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(model.model_fields)}"
    return f"{place}: unknown key; {known}"
