"""Searches for the options with which a model solves most, within a limit on what a trial costs.

Candidates are drawn by Optuna's TPE sampler (Bergstra et al. 2011) and tried on the tasks that are held out for it,
each in a session of its own. What breaks the limit loses against everything that keeps it, the more the further it is
over. A search that was broken off goes on where it was: what was tried is kept beside the journals.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from smallenough.config import RangePart, SearchPart
from smallenough.errors import InputError, Interrupted, MissingPackage, ModelUnavailable, TrackingError
from smallenough.events import Event, Plan
from smallenough.records import Json, Suite, digest, replace
from smallenough.sessions import experiment
from smallenough.sessions.experiment import SessionResult
from smallenough.sessions.prepare import Settings, Wish, prepare
from smallenough.sessions.wishes import check_parameter, point
from smallenough.tracking import reader
from smallenough.tracking.search_run import SearchRun
from smallenough.tracking.store import Store

if TYPE_CHECKING:
    import optuna


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
    """

    wish: Wish
    part: SearchPart
    suite: Suite
    settings: Settings
    store: Store

    @property
    def identity(self) -> str:
        """The same for the same model, tasks, space and limit, so that a search goes on."""
        shared = [self.wish.model, self.wish.strategies, self.suite.digest, [task.id for task in self.suite.tasks]]
        more = [self.part.model_dump(mode="json", exclude={"candidates"}), self.settings.seed, self.settings.repeats]
        return digest([*shared, *more])[:12]

    @property
    def file(self) -> Path:
        """Where it is kept what was tried."""
        return self.store.folder / "search" / f"{self.identity}.log"

    def candidate(self, values: Mapping[str, Json]) -> Wish:
        """The wish with these values for what varies."""
        found = point(values.items())
        strategies = tuple((name, {**own, **found.options.get(name, {})}) for name, own in self.wish.strategies)
        return replace(self.wish, strategies=strategies, sampling=found.sampling.over(self.wish.sampling))

    def run(self, begin: Begin, say: Callable[[str], None] = lambda _: None) -> Iterator[Candidate]:
        """Tries candidates until there are enough; those of before come first.

        Raises:
            MissingPackage: optuna is not installed.
            InputError: a candidate can't be run.
            Interrupted: the user stopped it; what was tried is kept.
            InfrastructureError: a server, the sandbox or the journal fails.
        """
        study = self._study()
        tracked = self._tracked(say)
        done = [trial for trial in study.trials if trial.user_attrs.get("session")]
        candidates = [self._told(number, trial) for number, trial in enumerate(done[: self.part.candidates], 1)]
        yield from list(candidates)
        for number in range(len(candidates) + 1, self.part.candidates + 1):
            trial = study.ask()
            values = {name: _suggest(trial, name, space) for name, space in self.part.space.items()}
            result = self._tried(values, begin)
            solved, cost = self._measured(result.session)
            trial.set_user_attr("session", result.session)
            trial.set_user_attr("solved", solved)
            trial.set_user_attr("cost", cost)
            study.tell(trial, self._worth(solved, cost))
            candidates.append(found := self._told(number, study.trials[trial.number]))
            self._track(tracked, candidates, say)
            yield found

    def _tried(self, values: Mapping[str, Json], begin: Begin) -> SessionResult:
        settings = replace(self.settings, experiment=f"{self.settings.experiment}-search")
        prepared = prepare(self.suite, [self.candidate(values)], settings)
        with begin(prepared.plan) as watching:
            result = experiment.run(prepared, self.store, watching.observe, watching.say)
        result.writer.wait()  # so that it takes no time from the next one
        if result.status == "interrupted":
            raise Interrupted(f"the search was stopped; the same command goes on, with what {self.file} keeps")
        if result.status == "failed" or result.failed:
            why = result.reason or f"{result.failed} trials failed for no fault of the model"
            raise ModelUnavailable(f"session {result.session}: {why}; mend that, and give the same command again")
        return result

    def _measured(self, session: str) -> tuple[float, float | None]:
        trials = reader.read_journal(self.store, session).trials
        cost = trials[self.part.cost].mean() if self.part.cost in trials else None
        return float(trials["solved"].mean()), None if cost is None or cost != cost else float(cost)

    def _within(self, cost: float | None) -> bool:
        return self.part.most is None or (cost is not None and cost <= self.part.most)

    def _worth(self, solved: float, cost: float | None) -> float:
        """What the sampler maximizes: the share solved; below 0, by how much the limit is broken."""
        if self._within(cost):
            return solved
        return -1.0 if cost is None or not self.part.most else -(cost / self.part.most)

    def _told(self, number: int, trial: optuna.trial.FrozenTrial) -> Candidate:
        told = trial.user_attrs
        return Candidate(
            number, trial.params, told["solved"], told["cost"], self._within(told["cost"]), told["session"]
        )

    def _study(self) -> optuna.Study:
        try:
            import optuna
            from optuna.storages import JournalStorage
            from optuna.storages.journal import JournalFileBackend
        except ImportError as error:
            raise MissingPackage("optuna", "search") from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a part of it is new
            storage = JournalStorage(JournalFileBackend(str(self.file)))
        return optuna.create_study(
            study_name=self.identity,
            storage=storage,
            sampler=optuna.samplers.TPESampler(seed=self.settings.seed),
            direction="maximize",
            load_if_exists=True,
        )

    def _tracked(self, say: Callable[[str], None]) -> SearchRun | None:
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
            return SearchRun(self.store, self.settings.experiment, self.identity, params)
        except TrackingError as error:
            say(f"the search itself is not tracked: {error}")
            return None

    def _track(self, run: SearchRun | None, candidates: list[Candidate], say: Callable[[str], None]) -> None:
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


def best(candidates: list[Candidate]) -> Candidate:
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


def searched(wishes: tuple[Wish, ...], part: SearchPart | None) -> Wish:
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
    (wish,) = wishes
    for name, space in part.space.items():
        for value in space if isinstance(space, tuple) else (space.low, space.high):
            check_parameter(name, value, dict(wish.strategies))
        if isinstance(space, RangePart) and not space.low < space.high:
            raise InputError(f"search.space.{name}: low has to be below high")
    return wish


def _suggest(trial: optuna.Trial, name: str, space: RangePart | tuple[Any, ...]) -> Json:
    if isinstance(space, tuple):
        found: Json = trial.suggest_categorical(name, list(space))
        return found
    if isinstance(space.low, int) and isinstance(space.high, int):
        return trial.suggest_int(name, space.low, space.high, log=space.log)
    return trial.suggest_float(name, float(space.low), float(space.high), log=space.log)
