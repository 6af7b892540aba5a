"""What shall be trained: settings, base models and data are looked up and checked before any process is started."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from smallenough.config import Located, Place, read_yaml, words
from smallenough.errors import Faults, InputError, MissingPackage, ModelError
from smallenough.machine import free_bytes
from smallenough.models import weights
from smallenough.models.catalogue import defaults_for
from smallenough.models.weights import Weights
from smallenough.prompts import Prompts
from smallenough.records import ModelInfo, SizeClass, Suite
from smallenough.sessions.named import split_model
from smallenough.sessions.suites import open_suite
from smallenough.tasks.select import select
from smallenough.tracking.store import Store
from smallenough.training.data import Row, data_digest, rows, split
from smallenough.training.folder import Plan, TrainingFolder
from smallenough.training.messages import Counted
from smallenough.training.process import TrainingProcess
from smallenough.training.settings import TrainingFile, TrainingSettings
from smallenough.wording import size

PROVIDER = "huggingface"

_PACKAGES = ("torch", "transformers", "peft", "accelerate")


@dataclass(frozen=True)
class Job:
    """One adapter that shall be trained: everything that can be looked up without starting a process was."""

    plan: Plan
    base: Weights
    rows: tuple[Row, ...]
    validation: tuple[Row, ...]
    settings: TrainingSettings
    folder: TrainingFolder


@dataclass(frozen=True)
class Outlook:
    """What a job comes to."""

    job: Job
    counted: Counted
    device: str


def settings_of(path: Path | None, said: Mapping[str, Any]) -> TrainingFile:
    """What a training file and flags say together; a flag goes before the file.

    Args:
        path: the file; None: there is none.
        said: what flags say, by the file's keys.

    Raises:
        InputError: the file can't be read, or something said can't be meant; names every place.
    """
    located = read_yaml(path) if path else None
    held = dict(located.values) if located else {}
    try:
        return TrainingFile.model_validate({**held, **said})
    except ValidationError as error:
        places = [one["loc"] for one in error.errors(include_url=False)]
        told = zip(places, words(error, TrainingFile), strict=True)
        raise InputError("\n".join(_placed(place, text, located, said) for place, text in told)) from error


def _placed(place: Place, text: str, located: Located | None, said: Mapping[str, Any]) -> str:
    """A fault with where it was said."""
    name = str(place[0]) if place else ""
    if name in said:
        flag = "--model" if name == "models" else f"--{name.replace('_', '-')}"
        return f"{flag}: {text.partition(': ')[2]}"
    return f"{located.origin(place)}: {text}" if located and name in located.values else text.removeprefix(": ")


def jobs(form: TrainingFile, store: Store) -> list[Job]:
    """What shall be trained, checked.

    Raises:
        InputError: something is wrong; all faults at once.
        ModelError: a base model's files are damaged.
    """
    faults = Faults()
    wanted = ("bitsandbytes", *_PACKAGES) if form.load_in_4bit else _PACKAGES
    for package in wanted:
        if find_spec(package) is None:
            faults.note(MissingPackage(package, "train"))
    names = tuple(dict.fromkeys(_bare(model) for model in form.models))
    bases = {name: faults.catch(partial(_base, name)) for name in names}
    data = faults.catch(partial(_data, form, store))
    found = [
        faults.catch(partial(_job, form, name, base, data, _output(form, store, name, len(names) > 1)))
        for name, base in bases.items()
        if base and data
    ]
    faults.report()
    return [job for job in found if job]


def outlook(job: Job) -> Outlook:
    """What a job comes to, without training it.

    Raises:
        InputError: data, settings and model don't suit one another.
        ModelError: the model can't be trained.
    """
    with TrainingProcess() as process:
        ready, counted = process.prepare(job.base.folder, job.rows, job.validation, job.settings)
    check(job, counted)
    return Outlook(job, counted, ready.device)


def _bare(model: str) -> str:
    provider, name = split_model(model)
    return name if provider == PROVIDER else model


def _base(name: str) -> Weights:
    found = weights.find(name)
    if found.adapter is not None:
        raise InputError(f"{name} is an adapter itself; train one of its base model, {found.adapter.base}")
    if found.in_4bit:
        raise InputError(f"{name}: name the model without {weights.IN_4BIT}, and give --load-in-4bit")
    return found


def _data(form: TrainingFile, store: Store) -> tuple[Suite, Suite | None]:
    """The tasks to learn, and those to validate on."""
    suite = select(open_suite(form.suite, store), limit=form.limit)
    if form.validation_share is not None:
        return split(suite, form.validation_share, form.seed)
    held = open_suite(form.validation, store) if form.validation is not None else None
    both = {task.prompt for task in suite.tasks} & {task.prompt for task in held.tasks} if held else set()
    if both:
        raise InputError(
            f"{len(both)} tasks of suite {suite.name!r} are in the validation {form.validation!r} too, so that it would"
            " measure what was learned; take another, or --validation-share"
        )
    return suite, held


def _job(form: TrainingFile, name: str, base: Weights, data: tuple[Suite, Suite | None], output: Path) -> Job:
    suite, held = data
    info = ModelInfo(name, PROVIDER, parameters=base.parameters)
    prompt_class: SizeClass = form.prompt_class or defaults_for(name, info).size_class
    problems = [task.problem for part in (suite, held) if part for task in part.tasks]
    prompts = Prompts.load(prompt_class).only(problems)
    learned = rows(suite, prompts)
    validation = rows(held, prompts) if held else ()
    plan = Plan(
        base=name,
        base_digest=base.digest,
        suite=form.suite,
        suite_digest=suite.digest,
        validation=form.validation or (f"{form.validation_share:g} of the suite" if held else None),
        prompt_class=prompt_class,
        prompts_digest=prompts.digest,
        data_digest=data_digest(learned, validation),
        settings=form.settings.model_dump(mode="json"),
    )
    folder = TrainingFolder(output)
    folder.check(plan)
    return Job(plan, base, learned, validation, form.settings, folder)


def _output(form: TrainingFile, store: Store, name: str, several: bool) -> Path:
    """The folder of a model's adapter."""
    short = re.sub(r"[^A-Za-z0-9._-]+", "-", name if not Path(name).is_dir() else Path(name).name).strip("-.")
    if form.output is not None:
        return form.output.absolute() / short if several else form.output.absolute()
    suite = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(form.suite).stem if "/" in form.suite else form.suite).strip("-.")
    return store.folder / "adapters" / f"{short}-{suite}"


def check(job: Job, counted: Counted) -> None:
    """Sees that what was counted can be trained.

    Raises:
        InputError: rows are too long, or none is left.
        ModelError: the disk is too small.
    """
    if counted.too_long and not job.settings.skip_long:
        named = ", ".join(counted.too_long[:5]) + (", …" if len(counted.too_long) > 5 else "")
        raise InputError(
            f"{len(counted.too_long)} of {len(job.rows) + len(job.validation)} rows are longer than max_length"
            f" {job.settings.max_length} ({named}); the longest has {counted.longest_of_all} tokens: give"
            f" --max-length {counted.longest_of_all}, or leave them out with --skip-long"
        )
    if not counted.rows:
        raise InputError(f"no row is left to learn: all are longer than max_length {job.settings.max_length}")
    try:
        free = free_bytes(job.folder.path)
    except OSError as error:
        raise InputError(f"{job.folder.path}: {error.strerror or error}; name another folder with --output") from error
    if free < counted.disk_bytes:
        raise ModelError(
            f"{job.folder.path}: the adapter and its checkpoints need {size(counted.disk_bytes)}, and {size(free)} are"
            " free; free some, or name a folder on another disk with --output"
        )
