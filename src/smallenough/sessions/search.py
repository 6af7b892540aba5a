"""Searches for the options with which a model solves most, within a limit on what a trial costs.

Candidates are drawn by Optuna's TPE sampler (Bergstra et al. 2011) and tried on the tasks that are held out for it,
each in a session of its own. What breaks the limit loses against everything that keeps it, the more the further it is
over. Each draw depends on the seed and on what was tried before it alone, and that is kept in a file: a search that was
broken off goes on as if it had not been.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pandas as pd
import portalocker

from smallenough.config import RangePart, SearchPart
from smallenough.errors import InputError, Interrupted, JournalError, MissingPackage, ModelUnavailable, TrackingError
from smallenough.events import Event, Plan
from smallenough.records import Json, Suite, digest, replace
from smallenough.sessions import experiment
from smallenough.sessions.estimate import Estimate, estimate, together
from smallenough.sessions.experiment import SessionResult
from smallenough.sessions.prepare import Prepared, prepare
from smallenough.sessions.settings import Settings, Wish
from smallenough.sessions.upkeep import on_disk
from smallenough.sessions.wishes import point
from smallenough.tracking import reader
from smallenough.tracking.search_run import SearchRun
from smallenough.tracking.store import Store

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True, slots=True)
class Candidate:
    """A combination that was tried."""

    number: int
    """From 1, in the order in which they were tried."""
    values: Mapping[str, Json]
    solved: float
    """Share of the trials that were solved."""
    cost: float | None
    """Mean of what a trial took; None: not measured."""
    within: bool
    """Whether that keeps the limit."""
    session: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a search comes to, before it begins."""

    plan: Plan
    """Of a candidate that has the options as they are."""
    tried: int
    """Candidates that need not be tried again."""
    estimate: Estimate
    """Of the other candidates and of the comparison, as if each had the options as they are."""


class Watching(Protocol):
    """What sees a session."""

    def observe(self, event: Event) -> None:
        """Gets every event."""

    def say(self, text: str) -> None:
        """Gets what a person should know meanwhile."""


Begin = Callable[[Plan], AbstractContextManager[Watching]]
"""Gets the plan of a session that begins; gives what watches it."""


@dataclass(frozen=True)
class Search:
    """What is looked for, and where.

    Args:
        wish: one model with one strategy.
        part: the space, and how it is searched.
        suite: the tasks that candidates are tried on.
        settings: how to run.
        store: where to track.
        compared: the tasks on which the best is compared with the options as they were.
    """

    wish: Wish
    part: SearchPart
    suite: Suite
    settings: Settings
    store: Store
    compared: Suite | None = None

    def outlook(self) -> Outlook:
        """What is left of the search, and of the comparison after it. Nothing is written.

        Raises:
            MissingPackage: optuna is not installed.
            InputError: the model can't be run.
            InfrastructureError: no server answers, or the sandbox does not work here.
        """
        _optuna()
        with closing(prepare(self.suite, [self.wish], self.settings)) as prepared:
            plan, path = prepared.plan, self._path(self._identity(prepared))
        tried = min(len(Book(path).read()), self.part.candidates)
        left = [replace(plan, repeats=plan.repeats * (self.part.candidates - tried))]
        if self.compared:
            ids = tuple(task.id for task in self.compared.tasks)
            left.append(replace(plan, task_ids=ids, repeats=plan.repeats * 2))
        found = together(*(estimate(one, self.store.journals) for one in left))
        return Outlook(
            plan, tried, replace(found, basis=found.basis and f"{found.basis}, with the options as they are")
        )

    def of_version(self, version: int | None) -> Search:
        """The same on the tasks as they were imported."""
        compared = self.compared and replace(self.compared, version=version)
        return replace(self, suite=replace(self.suite, version=version), compared=compared)

    def candidate(self, values: Mapping[str, Json]) -> Wish:
        """The wish with these values for what varies."""
        found = point(values.items())
        strategies = tuple((name, {**own, **found.options.get(name, {})}) for name, own in self.wish.strategies)
        return replace(self.wish, strategies=strategies, sampling=found.sampling.over(self.wish.sampling))

    def run(self, begin: Begin, say: Callable[[str], None] = lambda _: None) -> Iterator[Candidate]:
        """Tries candidates until there are enough; those of before come first.

        Raises:
            MissingPackage: optuna is not installed.
            InputError: the model can't be run, or another process is at this very search.
            Interrupted: the user stopped it; what was tried is kept.
            InfrastructureError: a server, the sandbox, the journal or the disk fails.
        """
        _optuna()
        with closing(prepare(self.suite, [self.wish], self.settings)) as prepared:
            identity = self._identity(prepared)
        with _kept_in(self._path(identity)) as book:
            candidates = [self._judged(number, **one) for number, one in enumerate(book.read(), 1)]
            candidates = candidates[: self.part.candidates]
            run = self._tracked(identity, say)
            for count in range(1, len(candidates) + 1):  # one may have been tried and not tracked
                self._track(run, candidates[:count], say)
            yield from list(candidates)
            while len(candidates) < self.part.candidates:
                values = self._drawn(candidates)
                result = self._tried(values, begin)
                found = {"values": values, "session": result.session, **self._measured(result.session)}
                book.append(found)
                candidates.append(self._judged(len(candidates) + 1, **found))
                self._track(run, candidates, say)
                yield candidates[-1]

    def _path(self, identity: str) -> Path:
        """Where it is kept what was tried."""
        return self.store.folder / "search" / f"{identity}.jsonl"

    def _identity(self, prepared: Prepared) -> str:
        """The same for all that decides what candidates come to, so that only such a search is gone on with."""
        plan: dict[str, Any] = {**asdict(prepared.plan), "experiment": "", "prices": {}}
        models = [asdict(info) for info in prepared.models.values()]
        # What neither knew when earlier searches began is no part of it where it says nothing.
        if not plan["cache"]:
            del plan["cache"]
        for arm in plan["arms"]:
            if arm["options"].get("answers") == "free":
                del arm["options"]["answers"]
        for info in models:
            del info["answers"]
            if info["adapter"] is None:
                del info["adapter"]
        prompts = [prompts.digest for prompts in prepared.prompts.values()]
        return digest([plan, models, prompts, self.part.model_dump(mode="json", exclude={"candidates"})])[:12]

    def _drawn(self, candidates: Sequence[Candidate]) -> dict[str, Json]:
        optuna = _optuna()
        space = {name: _distribution(part) for name, part in self.part.space.items()}
        seed = int(digest([self.settings.seed, len(candidates)])[:8], 16)
        study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
        for one in candidates:
            worth = self._worth(one)
            study.add_trial(optuna.trial.create_trial(params=dict(one.values), distributions=space, value=worth))
        drawn: dict[str, Json] = study.ask(fixed_distributions=space).params
        return drawn

    def _tried(self, values: Mapping[str, Json], begin: Begin) -> SessionResult:
        settings = replace(self.settings, experiment=f"{self.settings.experiment}-search")
        prepared = prepare(self.suite, [self.candidate(values)], settings)
        with closing(prepared), begin(prepared.plan) as watching, _again():
            result = experiment.run(prepared, self.store, watching.observe, watching.say)
        result.writer.wait()  # so that it takes no time from the next one
        if result.status == "interrupted":
            raise Interrupted("the search was stopped; the same command goes on with it")
        if result.status == "failed" or result.failed:
            why = result.reason or f"{result.failed} trials failed for no fault of the model"
            raise ModelUnavailable(f"session {result.session}: {why}; mend that, and give the same command again")
        return result

    def _measured(self, session: str) -> dict[str, float | None]:
        trials = reader.read_journal(self.store, session).trials
        means = {name: trials[name].mean() if name in trials else None for name in ("solved", self.part.cost)}
        solved, cost = (None if value is None or pd.isna(value) else float(value) for value in means.values())
        if solved is None:
            raise InputError("the tasks have no tests that decide, so that nothing can be searched for on them")
        return {"solved": solved, "cost": cost}

    def _judged(self, number: int, **told: Any) -> Candidate:
        most, cost = self.part.most, told["cost"]
        return Candidate(number, within=most is None or (cost is not None and cost <= most), **told)

    def _worth(self, one: Candidate) -> float:
        """What the sampler maximizes: the share solved; below 0, by how much the limit is broken."""
        if one.within:
            return one.solved
        return -1.0 if one.cost is None or not self.part.most else -(one.cost / self.part.most)

    def _tracked(self, identity: str, say: Callable[[str], None]) -> SearchRun | None:
        strategy, options = self.wish.strategies[0]
        params = {
            "model": self.wish.model,
            "strategy": strategy,
            **{f"strategy_{name}": value for name, value in options.items()},
            "suite": self.suite.name,
            "suite_digest": self.suite.digest,
            "tasks": [task.id for task in self.suite.tasks],
            "search": self.part.model_dump(mode="json"),
            "seed": self.settings.seed,
        }
        try:
            return SearchRun(self.store, self.settings.experiment, identity, params)
        except TrackingError as error:
            say(f"the search itself is not tracked: {error}")
            return None

    def _track(self, run: SearchRun | None, candidates: Sequence[Candidate], say: Callable[[str], None]) -> None:
        """Logs the last candidate, and the best one so far."""
        if run is None:
            return
        found, cost = candidates[-1], self.part.cost
        metrics = {"solved": found.solved, cost: found.cost, "within_limit": float(found.within)}
        try:
            run.candidate(found.number, found.values, metrics, found.session)
            if any(one.within for one in candidates):
                first = best(candidates)
                run.best(found.number, {"solved": first.solved, cost: first.cost}, first.values)
            if len(candidates) == self.part.candidates:
                run.end()
        except TrackingError as error:
            say(f"candidate {found.number} is not tracked: {error}")


def best(candidates: Sequence[Candidate]) -> Candidate:
    """The one that solves most of those that keep the limit; of equals, the cheapest, then the first.

    Raises:
        InputError: none keeps the limit.
    """
    within = [one for one in candidates if one.within]
    if not within:
        cheapest = min((one.cost for one in candidates if one.cost is not None), default=None)
        told = f"the cheapest took {cheapest:.3g} a trial" if cheapest is not None else "their cost was not measured"
        raise InputError(f"no candidate keeps the limit; {told}: raise search.most, or widen the space")
    return min(within, key=lambda one: (-one.solved, one.cost if one.cost is not None else 0.0, one.number))


def searched(wishes: Sequence[Wish], part: SearchPart | None) -> Wish:
    """The one arm that a search varies.

    Raises:
        InputError: there is none, or several; or there is nothing to vary.
    """
    if part is None:
        raise InputError(
            "nothing to search: give `search: {space: …}` in the experiment file, and name that by --config"
        )
    if len(wishes) != 1 or len(wishes[0].strategies) != 1:
        arms = sum(len(wish.strategies) for wish in wishes)
        raise InputError(f"a search is for one model with one strategy, and {arms} arms are named")
    return wishes[0]


class Book:
    """What was tried, a line of JSON each; a last line that was torn is put right by the next one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> list[dict[str, Any]]:
        """What was tried, in its order.

        Raises:
            JournalError: the file can't be read.
        """
        try:
            lines = self._path.read_bytes().split(b"\n") if self._path.exists() else []
            return [json.loads(line) for line in lines[:-1]]
        except (OSError, ValueError) as error:
            raise JournalError(f"{self._path}: {error}; remove it, and what was tried is tried again") from error

    def append(self, one: Mapping[str, Any]) -> None:
        """Adds what was tried last; it is on the disk then.

        Raises:
            JournalError: the folder can't be written.
        """
        whole = b"".join(json.dumps(line).encode() + b"\n" for line in [*self.read(), one])
        fresh = self._path.with_suffix(".new")
        with _again():
            try:
                fresh.write_bytes(whole)
                on_disk(fresh)
                fresh.replace(self._path)
                on_disk(self._path.parent)
            except OSError as error:
                raise JournalError(f"{self._path}: {error.strerror or error}") from error
            finally:
                fresh.unlink(missing_ok=True)


@contextlib.contextmanager
def _again() -> Iterator[None]:
    """Says how a search goes on that a full disk broke off: not with the session of the candidate, as others do."""
    try:
        yield
    except JournalError as error:
        first = error.__cause__ if isinstance(error.__cause__, JournalError) else error
        raise JournalError(
            f"{first}; nothing that was tried is lost: mend that, and give the same command again"
        ) from error


@contextlib.contextmanager
def _kept_in(path: Path) -> Iterator[Book]:
    """What was tried; nobody else goes on with it meanwhile."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = portalocker.Lock(
            path.with_suffix(".lock"), mode="a", timeout=0, flags=portalocker.LOCK_EX | portalocker.LOCK_NB
        )
        lock.acquire()
    except portalocker.LockException as error:
        raise InputError("another process is at this very search; wait for it, or end it") from error
    except OSError as error:
        with _again():
            raise JournalError(f"{error.filename or path}: {error.strerror or error}") from error
    try:
        yield Book(path)
    finally:
        lock.release()


def _distribution(space: RangePart | tuple[Any, ...]) -> BaseDistribution:
    kinds = _optuna().distributions
    if isinstance(space, tuple):
        kind, bounds = kinds.CategoricalDistribution, {"choices": space}
    elif isinstance(space.low, int) and isinstance(space.high, int):
        kind, bounds = kinds.IntDistribution, space.model_dump()
    else:
        kind, bounds = kinds.FloatDistribution, space.model_dump()
    found: BaseDistribution = kind(**bounds)
    return found


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise MissingPackage("optuna", "search") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
