"""Saved completions scored again, with newer hidden tests or scorers, as a session of its own. No model is asked.

The new session's journal is the old one, event by event: what models were asked and answered, when, and what it took.
Only how its trials ended is decided anew, by the hidden tests and scorers of now, in the order of the old journal. So
scoring that was broken off goes on where it was, and where the old session has gone on since, so does the new one.
The public tests and the strategy's choice stay as they were: a strategy that chose otherwise would ask otherwise. A
trial that ended in an infrastructure failure stays so; it is the old session's to resume.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from smallenough import journal, plugins
from smallenough.clock import now
from smallenough.errors import InputError, JournalError
from smallenough.events import (
    Plan,
    ReferencesTimed,
    SessionFinished,
    SessionResumed,
    SessionStarted,
    TrialFinished,
)
from smallenough.journal import Journal, samples_file
from smallenough.metrics import MetricsCollector
from smallenough.records import Json, Suite
from smallenough.runner.arm import Observe
from smallenough.sessions.again import OWN, Again, Scoring, body, carry_out, outcomes
from smallenough.sessions.experiment import SessionResult, StartWriter
from smallenough.sessions.interrupt import interruptible
from smallenough.sessions.named import sandbox_for
from smallenough.sessions.provenance import provenance
from smallenough.sessions.references import reference_seconds
from smallenough.sessions.saved import Saved, Say, opened, tasks_for
from smallenough.tracking import writer
from smallenough.tracking.store import Store


@dataclass(frozen=True, slots=True)
class Change:
    """What scoring again came to for an arm."""

    arm: str
    trials: int
    """Trials that are scored, then and now."""
    before: int
    """Of them, those that were solved then."""
    solved: int
    """Of them, those that are solved now."""
    missing: int
    """Trials of the plan that are not scored: they have not ended, or infrastructure failed."""


@dataclass(frozen=True, slots=True)
class Rescored:
    """How scoring a session again ended."""

    result: SessionResult
    """Of the new session; its failed trials are those that the sandbox failed on."""
    scored_from: str
    """The session whose completions were scored."""
    changes: tuple[Change, ...]


def prepare(
    saved: Saved,
    store: Store,
    *,
    suite: str | None = None,
    scorers: tuple[str, ...] = (),
    sandbox: str | None = None,
    common: bool = False,
    say: Say = lambda _: None,
) -> Scoring:
    """Checks everything that scoring a session again needs.

    Args:
        saved: the session.
        store: where imported suites are, and what remembers references.
        suite: the tasks of now; None: see `tasks_for`.
        scorers: which measure the answers; empty: all that are installed.
        sandbox: where answers run; None: in one of the same name as then.
        common: whether tasks are left out that are missing or ask something else now.
        say: gets what a person should know.

    Raises:
        InputError: a name is unknown, the tasks don't suit the session, a reference fails, or no trial has ended.
        SandboxError: the sandbox does not work here.
        TrackingError: the store, where the suite is looked for, can't be read.
    """
    if not any(isinstance(event, TrialFinished) for _, event in journal.read(saved.folder)):
        raise InputError(f"session {saved.session}: no trial has ended; there is nothing to score")
    tasks = tasks_for(saved, suite, store, common=common, say=say)
    plan = replace(
        saved.plan,
        suite=tasks.name,
        suite_digest=tasks.digest,
        task_ids=tuple(task.id for task in tasks.tasks),
        sandbox=sandbox or saved.plan.sandbox,
        scorers=scorers or tuple(plugins.names("scorers")),
        scored_from=saved.session,
    )
    return _checked(saved, plan, tasks, store, say)


def _checked(saved: Saved, plan: Plan, tasks: Suite, store: Store, say: Say) -> Scoring:
    collector, box = MetricsCollector.installed(plan.scorers), sandbox_for(tasks, plan.sandbox)
    references = reference_seconds(tasks, box, plan.limits, store.folder / "references.json", say)
    return Scoring(saved, plan, tasks, box, collector, references)


def score(
    scoring: Scoring,
    store: Store,
    workers: int,
    observe: Observe = lambda _: None,
    say: Say = lambda _: None,
    start_writer: StartWriter = writer.start,
) -> Rescored:
    """Scores a session again, as a new one, with MLflow being written beside it.

    Args:
        scoring: what to score, and by what.
        store: where to track it.
        workers: trials that are scored at once.
        observe: gets the trials that end, and the arms that they belong to.
        say: gets what a person should know meanwhile.
        start_writer: starts what follows the session's folder; another than the writer leaves the store to `flush`.

    Raises:
        InfrastructureError: the journal fails.
    """
    with interruptible(say) as control:
        session = journal.new_id(store.journals)
        with Journal.create(store.journals, session, scoring.suite) as book:
            book.append(SessionStarted(session, scoring.plan, _provenance(scoring), now()))
            book.append(ReferencesTimed(scoring.references, now()))
            _copy_samples(scoring, book.folder)
            process = start_writer(book.folder, store)
            status, failed = carry_out(Again(scoring, book, control, observe), workers, 0)
        writer.step_forward(process)
        result = SessionResult(session, status, book.folder, process, control.reason, failed, control.breaking_off())
        return Rescored(result, scoring.saved.session, _changes(scoring.saved.folder, book.folder))


def go_on(
    folder: Path,
    store: Store,
    workers: int,
    observe: Observe = lambda _: None,
    say: Say = lambda _: None,
    start_writer: StartWriter = writer.start,
) -> Rescored:
    """Goes on with scoring that was broken off, or with a session that has gone on since it was scored again.

    Args:
        folder: of the session that is scored from another.
        store: where both are tracked.
        workers: trials that are scored at once.
        observe: gets the trials that end, and the arms that they belong to.
        say: gets what a person should know meanwhile.
        start_writer: as `score` takes it.

    Raises:
        InputError: there is nothing to go on with; or something that it needs is gone.
        InfrastructureError: the journal, the store or the sandbox fails.
    """
    with interruptible(say) as control, Journal(folder) as book:
        if book.repaired:
            say(f"the journal's last line was torn by a crash; it was put aside in {book.repaired}")
        plan, done, closed = _standing(folder)
        with opened(store, plan.scored_from, say) as saved:
            if closed and sum(1 for _ in body(saved, plan)) == done:
                raise InputError(
                    f"session {folder.name} has all that session {saved.session} has come to: there is nothing to "
                    "resume; where that one is not complete, go on with it first"
                )
            scoring = _checked(saved, plan, journal.read_suite(folder), store, say)
            book.append(SessionResumed(now()))
            _copy_samples(scoring, folder)
            process = start_writer(folder, store)
            status, failed = carry_out(Again(scoring, book, control, observe), workers, done)
            changes = _changes(saved.folder, folder)
    writer.step_forward(process)
    result = SessionResult(folder.name, status, folder, process, control.reason, failed, control.breaking_off())
    return Rescored(result, saved.session, changes)


def _changes(old: Path, new: Path) -> tuple[Change, ...]:
    """What scoring the session in `old` again as that in `new` came to, an entry an arm."""
    plan, _, _ = _standing(new)
    before, after = outcomes(old), outcomes(new)
    found = []
    for arm in plan.arms:
        keys = [key for key in after if key.arm == arm.name and key in before]
        solved, then = (sum(of[key] == "solved" for key in keys) for of in (after, before))
        missing = len(plan.task_ids) * plan.repeats - len(keys)
        found.append(Change(arm.name, len(keys), before=then, solved=solved, missing=missing))
    return tuple(found)


def _standing(folder: Path) -> tuple[Plan, int, bool]:
    """Of a session scored again: its plan, how many events it has of the old one's, whether it ended in good order."""
    plan, done, closed = None, 0, False
    for _, event in journal.read(folder):
        plan = event.plan if isinstance(event, SessionStarted) else plan
        done += not isinstance(event, OWN)
        closed = isinstance(event, SessionFinished)
    if plan is None:
        raise JournalError(f"{folder}: the session never began; remove the folder")
    return plan, done, closed


# ---------------------------------------------------------------------------------------- from the old session


def _copy_samples(scoring: Scoring, folder: Path) -> None:
    """Copies the resource samples; where tasks are left out there are none, since they are of all."""
    if scoring.plan.task_ids != scoring.saved.plan.task_ids:
        return
    for position in range(len(scoring.plan.arms)):
        source = samples_file(scoring.saved.folder, position)
        if source.exists():
            try:
                shutil.copyfile(source, samples_file(folder, position))
            except OSError as error:
                raise JournalError(f"{error.filename or folder}: {error.strerror or error}") from error


def _provenance(scoring: Scoring) -> dict[str, Json]:
    """Where the completions come from; and, as `scoring_…`, what is otherwise where they are scored."""
    enforced = {f"sandbox_{name}": value for name, value in scoring.sandbox.describe().items()}
    before, here = scoring.saved.started.provenance, {**provenance(), **enforced}
    return {**before, **{f"scoring_{name}": value for name, value in here.items() if before.get(name) != value}}
