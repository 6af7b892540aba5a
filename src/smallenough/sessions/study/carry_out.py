"""A study, stage by stage: each model is measured in a session of its own, each small one trained in between.

One model is in memory at a time, in a process of its own, and what the machine has free is noted before and after. A
study that was broken off goes on: what is complete is found again by its plan, and not done twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from smallenough import journal
from smallenough.errors import InputError, Interrupted
from smallenough.events import Event, Plan, SessionStarted, TrialFinished
from smallenough.models.weights import IN_4BIT
from smallenough.options import parse_spec
from smallenough.records import Sampling, Suite
from smallenough.resources.hardware import MemoryInUse, memory_in_use
from smallenough.sessions import experiment, training_jobs
from smallenough.sessions.experiment import SessionResult
from smallenough.sessions.prepare import Prepared, prepare
from smallenough.sessions.settings import Settings, Wish
from smallenough.sessions.study.form import StudyFile, StudyModel
from smallenough.sessions.study.names import ModelType, Training, result_key, short_names
from smallenough.sessions.suites import open_suite
from smallenough.sessions.train import Trained, train
from smallenough.sessions.training_jobs import PROVIDER, Job
from smallenough.tasks.select import select
from smallenough.tracking.store import Store
from smallenough.training.messages import Report
from smallenough.training.settings import TrainingFile

Say = Callable[[str], None]


class Watching(Protocol):
    """Shows how far a study is."""

    def session(
        self, plan: Plan, before: Sequence[TrialFinished]
    ) -> AbstractContextManager[tuple[Callable[[Event], None], Say]]:
        """What gets the events of a session, and what a person should know."""
        ...

    def training(self, job: Job) -> AbstractContextManager[tuple[Callable[[Report], None], Say]]:
        """What gets the reports of a training, and what a person should know."""
        ...

    def written(self, result: SessionResult) -> None:
        """Waits until a session is in MLflow."""
        ...


@dataclass(frozen=True)
class Measured:
    """One model in one state, after it was measured."""

    key: str
    """Of the results."""
    kind: ModelType
    model: StudyModel
    training: Training
    session: str
    arms: tuple[str, ...]
    """By strategy, in the order of the study."""
    before: MemoryInUse
    """Before anything of it was loaded."""
    after: MemoryInUse
    """After its process had ended."""
    trained: Trained | None = None
    """What made it; None: it is as it is."""


@dataclass(frozen=True)
class Study:
    """A study whose file, suites and trainings were checked.

    Args:
        form: the file.
        store: where everything is tracked.
        suite: the tasks that decide, already selected.
        jobs: the trainings, by the small model's name.
        folder: where the adapters are.
    """

    form: StudyFile
    store: Store
    suite: Suite
    jobs: dict[str, Job]
    folder: Path

    def keys(self) -> dict[str, str]:
        """The short name of each model, by its name."""
        models = [*self.form.llm_models, *self.form.slm_models]
        return dict(
            zip([one.name for one in models], short_names([(one.name, one.size) for one in models]), strict=True)
        )

    def carry_out(self, watching: Watching, say: Say) -> Iterator[Measured]:
        """Goes through all stages; each model as it is known.

        Raises:
            Interrupted: it was stopped; the same call goes on.
            InputError: a model is not there, or can't be asked so.
            InfrastructureError: a model's server, the sandbox or a training fails.
        """
        for model in self.form.llm_models:
            asked = f"{PROVIDER}:{model.name}{IN_4BIT if model.load_in_4bit else ''}"
            yield self._measure("LLM", model, "zero-shot", asked, watching)
        for model in self.form.slm_models:
            yield self._measure("SLM", model, "zero-shot", f"{PROVIDER}:{model.name}", watching)
            job = self.jobs[model.name]
            with watching.training(job) as (watch, told):
                trained = train(job, self.store, self.form.experiment.name, watch, told)
            say(f"{model.name}: trained, in {trained.folder}")
            found = self._measure("SLM", model, "lora_finetuned", trained.model, watching)
            yield replace(found, trained=trained)

    def _measure(
        self, kind: ModelType, model: StudyModel, training: Training, asked: str, watching: Watching
    ) -> Measured:
        """Measures a model in a session of its own, or goes on with one that was broken off."""
        key = result_key(kind, self.keys()[model.name], training)
        before = memory_in_use()
        with closing(self._prepared(model, asked, baseline=model is self._first())) as prepared:
            result = self._session(prepared, watching)
        return Measured(
            key=key,
            kind=kind,
            model=model,
            training=training,
            session=result,
            arms=tuple(arm.name for arm in prepared.plan.arms),
            before=before,
            after=memory_in_use(),
        )

    def _first(self) -> StudyModel:
        return (*self.form.llm_models, *self.form.slm_models)[0]

    def _prepared(self, model: StudyModel, asked: str, *, baseline: bool) -> Prepared:
        form = self.form
        specs = tuple(parse_spec(text) for text in model.strategies or form.strategies)
        wish = Wish(asked, specs, sampling=Sampling(max_tokens=form.max_tokens), baseline=baseline)
        settings = Settings(
            experiment=form.experiment.name, seed=form.seed, concurrency=form.concurrency, timeout=form.timeout
        )
        return prepare(self.suite, [wish], settings)

    def _session(self, prepared: Prepared, watching: Watching) -> str:
        """Runs what is not complete of a session; its id."""
        found = self._begun(prepared.plan)
        before = experiment.standing(found)[1] if found else []
        if found and len(before) == prepared.plan.trials:
            return found.name
        with watching.session(prepared.plan, before) as (observe, say):
            if found:
                result = experiment.resume(found, self.store, observe, say)
            else:
                result = experiment.run(prepared, self.store, observe, say)
        if result.status != "completed":
            raise Interrupted(f"session {result.session} {result.status}; the same command goes on from there")
        watching.written(result)
        return result.session

    def _begun(self, plan: Plan) -> Path | None:
        """The newest session of this very plan; None: it has not begun."""
        for one in journal.sessions(self.store.journals):
            first = next((event for _, event in journal.read(one.folder) if isinstance(event, SessionStarted)), None)
            if first is not None and first.plan == plan:
                return one.folder
        return None


def study(form: StudyFile, store: Store) -> Study:
    """A study, checked before any model is loaded.

    Raises:
        InputError: a suite or a model is not there, or training and test share tasks; all faults of the trainings at
            once.
        ModelError: a base model's files are damaged.
    """
    suite = select(open_suite(form.data.test, store), limit=form.max_eval_samples)
    folder = store.folder / "adapters" / form.experiment.name
    jobs = {model.name: _job(form, model, folder, store) for model in form.slm_models}
    _check_apart(form, suite, store)
    return Study(form, store, suite, jobs, folder)


def _job(form: StudyFile, model: StudyModel, folder: Path, store: Store) -> Job:
    wanted = TrainingFile(
        **{**form.training.model_dump(), "load_in_4bit": model.load_in_4bit or form.training.load_in_4bit},
        models=(model.name,),
        suite=form.data.train,
        validation=form.data.validation,
        output=folder / short_names([(model.name, model.size)])[0],
        experiment=form.experiment.name,
    )
    (job,) = training_jobs.jobs(wanted, store)
    return job


def _check_apart(form: StudyFile, suite: Suite, store: Store) -> None:
    """Sees that no task of the test is learned.

    Raises:
        InputError: some are.
    """
    asked = {task.prompt for task in suite.tasks}
    for name in filter(None, (form.data.train, form.data.validation)):
        both = sum(task.prompt in asked for task in open_suite(name, store).tasks)
        if both:
            raise InputError(
                f"{both} tasks of the test suite {form.data.test!r} are in {name!r} too, so that the test would"
                " measure what was learned by heart; take suites that share no task"
            )
