"""A session from start to finish: journal, writer, runner; and going on with one that was interrupted."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from smallenough import journal
from smallenough.clock import now
from smallenough.errors import Faults, InputError, JournalError
from smallenough.events import (
    ArmStarted,
    Plan,
    ReferencesTimed,
    SessionResumed,
    SessionStarted,
    Status,
    TrialFinished,
    TrialReopened,
)
from smallenough.journal import Journal
from smallenough.metrics import MetricsCollector
from smallenough.models.cached import CachedClient, PredictionCache
from smallenough.prompts import Prompts
from smallenough.protocols import ModelClient
from smallenough.records import Json, ModelInfo, Suite
from smallenough.resources.hardware import BUSY, busy
from smallenough.runner.arm import Control, Observe
from smallenough.runner.session import SessionRunner
from smallenough.runner.work import Bench, InTurn
from smallenough.sessions.interrupt import interruptible
from smallenough.sessions.named import further_models, load_prompts, make_client, make_strategy, sandbox_for
from smallenough.sessions.prepare import Prepared
from smallenough.sessions.provenance import provenance
from smallenough.sessions.references import reference_seconds
from smallenough.tracking import writer
from smallenough.tracking.store import Store
from smallenough.trial import Progress


@dataclass(frozen=True, slots=True)
class SessionResult:
    """How a session ended."""

    session: str
    status: Status
    folder: Path
    writer: subprocess.Popen[bytes]
    """The process that writes MLflow; it ends by itself when all is written or the store can't be reached."""
    reason: str = ""
    """Why it did not complete; empty: it did."""
    failed: int = 0
    """Trials that ended in an infrastructure failure; a resume does them again."""
    broken_off: bool = False
    """Whether it was stopped at once: then nothing shall be waited for."""


PREDICTIONS = "predictions"
"""The folder of kept answers, in the store's."""

StartWriter = Callable[[Path, Store], "subprocess.Popen[bytes]"]


def run(
    prepared: Prepared,
    store: Store,
    observe: Observe = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
    start_writer: StartWriter = writer.start,
) -> SessionResult:
    """Runs a prepared session, with MLflow being written beside it.

    Args:
        prepared: what to run.
        store: where to track it.
        observe: gets every event.
        say: gets what a person should know meanwhile.
        start_writer: starts what follows the session's folder; another than the writer leaves the store to `flush`.

    Raises:
        InputError: a reference solution fails.
        InfrastructureError: the sandbox or the journal fails.
    """
    references = _references(prepared, store, say)
    with interruptible(say) as control:
        session = journal.new_id(store.journals)
        with Journal.create(store.journals, session, prepared.suite) as book:
            book.begin(SessionStarted(session, prepared.plan, _circumstances(prepared, say), now()))
            book.append(ReferencesTimed(references, now()))
            process = start_writer(book.folder, store)
            ready = _caching(prepared, store)
            status, failed = _carry_out(ready, book, Progress(references=references), control, observe)
        writer.step_forward(process)
        return SessionResult(session, status, book.folder, process, control.reason, failed, control.breaking_off())


Begun = Mapping[str, ArmStarted]
"""How each arm that has begun did so, by its name: with which models and prompts."""

PrepareAgain = Callable[[Plan, Suite, Begun], Prepared]


def resume(
    folder: Path,
    store: Store,
    observe: Observe = lambda _: None,
    say: Callable[[str], None] = lambda _: None,
    prepared_again: PrepareAgain | None = None,
) -> SessionResult:
    """Goes on with a session that was interrupted; what was done is neither lost nor done again.

    Args:
        folder: the session's folder.
        store: where to track it.
        observe: gets every event that is new.
        say: gets what a person should know meanwhile.
        prepared_again: how clients and strategies are made from the plan, the tasks, and the models and prompts as
            they were when the session began; None: by the names in the plan.

    Raises:
        InputError: it is complete, it is being run, or a model or a prompt template has changed since.
        InfrastructureError: the journal, a server or the sandbox fails.
    """
    with interruptible(say) as control, Journal(folder) as book:
        if book.repaired:
            say(f"the journal's last line was torn by a crash; it was put aside in {book.repaired}")
        progress, plan, before = _read(folder)
        if len(progress.finished) == plan.trials and not progress.failed:
            raise InputError(f"session {folder.name} is complete: there is nothing to resume")
        prepared = (prepared_again or prepare_again)(plan, journal.read_suite(folder), before)
        if progress.references is None:
            progress.references = _references(prepared, store, say)
            book.append(ReferencesTimed(progress.references, now()))
        book.append(SessionResumed(now()))
        for key in list(progress.failed):
            book.append(reopened := TrialReopened(key, now()))
            progress.apply(reopened)
        process = writer.start(folder, store)
        status, failed = _carry_out(_caching(prepared, store), book, progress, control, observe)
    writer.step_forward(process)
    return SessionResult(folder.name, status, folder, process, control.reason, failed, control.breaking_off())


def standing(folder: Path) -> tuple[Plan, list[TrialFinished]]:
    """A session's plan, and the trials that a resume has not to do.

    Raises:
        JournalError: there is no readable journal.
    """
    _, plan, _ = _read(folder)
    ended = {event.key: event for _, event in journal.read(folder) if isinstance(event, TrialFinished)}
    return plan, [event for event in ended.values() if event.failure is None]


def _carry_out(
    prepared: Prepared, book: Journal, progress: Progress, control: Control, observe: Observe
) -> tuple[Status, int]:
    """Runs what is left; how it ended, and how many trials an infrastructure failure ended.

    Raises:
        JournalError: the journal can't be written; says how to go on.
    """
    try:
        return _run_rest(prepared, book, progress, control, observe)
    except JournalError as error:
        session = book.folder.name
        raise JournalError(f"{error}; mend that, and go on with it: smallenough resume {session}") from error


def _run_rest(
    prepared: Prepared, book: Journal, progress: Progress, control: Control, observe: Observe
) -> tuple[Status, int]:
    bench = Bench(
        prepared.plan,
        prepared.suite,
        book,
        prepared.clients,
        InTurn(prepared.sandbox),
        MetricsCollector.installed(prepared.plan.scorers),
        progress.references or {},
    )
    try:
        runner = SessionRunner(
            bench,
            prepared.strategies,
            prepared.models,
            prepared.prompts,
            progress,
            control,
            observe,
            prepared.further,
        )
        return runner.run(), runner.failures
    finally:
        prepared.close()


def _caching(prepared: Prepared, store: Store) -> Prepared:
    """With clients that keep answers and take what was kept, where the plan says so."""
    if not prepared.plan.cache:
        return prepared
    cache = PredictionCache(store.folder / PREDICTIONS)
    clients: dict[str, ModelClient] = {}
    for provider, client in prepared.clients.items():
        arms = [arm.name for arm in prepared.plan.arms if arm.provider == provider]
        infos = [info for name in arms for info in (prepared.models[name], *prepared.further.get(name, ()))]
        clients[provider] = CachedClient(client, cache, {info.name: info for info in infos})
    return replace(prepared, clients=clients)


def _references(prepared: Prepared, store: Store, say: Callable[[str], None]) -> dict[str, float]:
    memory = store.folder / "references.json"
    return reference_seconds(prepared.suite, prepared.sandbox, prepared.plan.limits, memory, say)


def _read(folder: Path) -> tuple[Progress, Plan, Begun]:
    """What a journal says: how far the session is, its plan, and how each arm began."""
    progress, plan = Progress(), None
    begun: dict[str, ArmStarted] = {}
    for _, event in journal.read(folder):
        progress.apply(event)
        match event:
            case SessionStarted():
                plan = event.plan
            case ArmStarted():
                begun.setdefault(event.arm, event)
            case _:
                pass
    if plan is None:
        raise JournalError(f"{folder}: the session never began; remove the folder")
    return progress, plan, begun


def prepare_again(plan: Plan, suite: Suite, before: Begun) -> Prepared:
    """Makes what a plan names, and checks that models and prompts are still the same.

    Raises:
        InputError: a model or a prompt template has changed since, or something named is gone.
        InfrastructureError: no server answers, or the sandbox does not work here.
    """
    faults = Faults()
    sandbox = faults.catch(lambda: sandbox_for(suite, plan.sandbox))
    clients: dict[str, ModelClient] = {}
    models, further, prompts = {}, {}, {}
    for arm in plan.arms:
        if arm.provider not in clients:
            clients[arm.provider] = make_client(arm.provider, plan.urls)
        client = clients[arm.provider]
        info = faults.catch(partial(client.describe, arm.model))
        others = faults.catch(partial(further_models, arm, client))
        says = faults.catch(partial(load_prompts, arm, suite))
        if info is None or others is None or says is None:
            continue
        models[arm.name], further[arm.name], prompts[arm.name] = info, others, says
        for what in _changed(before.get(arm.name), (info, *others), says):
            told = f"{what} changed since the session began; undo that, or start a new session"
            faults.note(InputError(told))
    faults.report()
    assert sandbox is not None
    strategies = {arm.name: make_strategy(arm, prompts[arm.name]) for arm in plan.arms}
    return Prepared(plan, suite, clients, sandbox, models, strategies, prompts, further)


def _changed(before: ArmStarted | None, models: Sequence[ModelInfo], prompts: Prompts) -> Iterator[str]:
    """What is no longer as it was when an arm began."""
    if before is None:
        return
    for old, new in zip((before.model, *before.further), models, strict=False):
        if old.digest != new.digest:
            yield f"model {new.name} has"
    if before.prompts != prompts.digest:
        yield f"the prompt templates of {before.arm!r} have"


# ---------------------------------------------------------------------------------------------- circumstances


def _circumstances(prepared: Prepared, say: Callable[[str], None]) -> dict[str, Json]:
    """The provenance of a session about to begin, with what its sandbox enforces and how busy the machine is."""
    pids = [pid for client in prepared.clients.values() for pid in client.processes() or ()]
    share = busy(pids=pids)
    if share > BUSY:
        say(f"others use {share:.0%} of this machine's CPU time: timings will be longer than on a quiet one")
    enforced = {f"sandbox_{name}": value for name, value in prepared.sandbox.describe().items()}
    return {**provenance(), **enforced, "busy_share": round(share, 3)}
