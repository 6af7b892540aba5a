"""The way in for Python: run models on tasks, compare them, and get everything back as data frames.

    from smallenough import ExperimentRunner

    runner = ExperimentRunner("basics", limit=13)
    runner.run_batch_experiments(["mistral", "smollm2:135m"], ["single", "branching:width=1"])
    runner.compare_models()

Everything is what the command line does, tracked in the same place: `smallenough ui`, `resume` and `compare` work on
sessions that were run from here, and the other way round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from smallenough.analysis.findings import Findings, Terms
from smallenough.cli.ending import wait_for_writer
from smallenough.cli.progress import SessionProgress
from smallenough.errors import InputError
from smallenough.options import parse_spec
from smallenough.records import Json, Sampling, Suite
from smallenough.sessions import experiment
from smallenough.sessions.compare import compare_sessions
from smallenough.sessions.experiment import SessionResult
from smallenough.sessions.places import store_in_force
from smallenough.sessions.prepare import prepare
from smallenough.sessions.settings import Settings, Wish
from smallenough.sessions.suites import open_suite
from smallenough.tasks.select import select
from smallenough.tracking import reader
from smallenough.tracking.reader import Tables
from smallenough.tracking.store import Store

if TYPE_CHECKING:
    import pandas as pd


class ExperimentRunner:
    """Runs sessions on one suite, and reads them back from the tracking store.

    Args:
        suite: a suite, the name of one (`basics`, `humaneval`, an imported one), or a file of tasks.
        settings: how to run: experiment, repeats, seed, concurrency, sandbox, servers, …
        limit: so many tasks at most, spread evenly over the categories; None: all.
        store: where to track; None: as everywhere, by `MLFLOW_TRACKING_URI`, else config/experiment_config.yaml, else
            `mlruns/` in this folder.
        progress: whether progress is shown on standard error.

    Attributes:
        suite: the tasks, selected.
        sessions: ids of the sessions that this runner has run, in order.

    Raises:
        InputError: the suite's file is not as it should be; names file, line and mend.
        UnknownName: no such suite; names the nearest.
    """

    def __init__(
        self,
        suite: Suite | str = "basics",
        settings: Settings | None = None,
        *,
        limit: int | None = None,
        store: Store | str | Path | None = None,
        progress: bool = True,
    ) -> None:
        named = Store.resolve(None, Path(store)) if isinstance(store, str | Path) else store
        self.store = named or store_in_force()
        self.settings = settings or Settings()
        given = suite if isinstance(suite, Suite) else open_suite(suite, self.store)
        self.suite = select(given, limit=limit)
        self.sessions: list[str] = []
        self._progress = progress

    def run_single_experiment(
        self, model: str, strategy: str = "single", sampling: Sampling | None = None
    ) -> SessionResult:
        """Runs one arm as a session of its own.

        Args:
            model: `NAME` (Ollama's) or `PROVIDER:NAME`.
            strategy: its name, with options if wanted: `branching:feedback=off,width=1`.
            sampling: what shall differ from the model's defaults.

        Returns:
            How the session ended. An interrupted one can be resumed on the command line.

        Raises:
            InputError: something named does not exist or has the wrong form; all faults at once.
            InfrastructureError: no server answers, or the sandbox or the journal fails.
        """
        return self.run_batch_experiments([Wish(model, (parse_spec(strategy),), sampling=sampling or Sampling())])

    def run_batch_experiments(
        self, models: Sequence[str | Wish], strategies: Sequence[str] = ("single",)
    ) -> SessionResult:
        """Runs every model with every strategy as the arms of one session, on the same tasks with the same seeds.

        Args:
            models: names, the baseline first; or `Wish`es, which bring their own strategies and sampling.
            strategies: what each named model is run with.

        Returns:
            How the session ended.

        Raises:
            InputError: something named does not exist or has the wrong form; all faults at once.
            InfrastructureError: no server answers, or the sandbox or the journal fails.
        """
        for name, given in (("models", models), ("strategies", strategies)):
            if isinstance(given, str):
                raise InputError(f"{name} is a list; write [{given!r}]")
        specs: tuple[tuple[str, Mapping[str, Json]], ...] = tuple(map(parse_spec, strategies))
        wishes = [model if isinstance(model, Wish) else Wish(model, specs) for model in models]
        if wishes and not any(wish.baseline for wish in wishes):
            wishes[0] = replace(wishes[0], baseline=True)
        prepared = prepare(self.suite, wishes, self.settings)
        with closing(prepared), SessionProgress(prepared.plan, quiet=not self._progress) as progress:
            result = experiment.run(prepared, self.store, progress.observe, progress.say)
        self.sessions.append(result.session)
        wait_for_writer(result, quiet=not self._progress)
        return result

    def compare_models(self, sessions: Sequence[str] = (), *, baseline: str | None = None) -> Findings:
        """Compares arms, read back from the tracking store.

        Args:
            sessions: which; none: those of this runner, or, if there are none yet, the whole experiment.
            baseline: the arm to compare with; None: the one that the first session names.

        Returns:
            The comparison: a table in a notebook, `comparison.to_frame()` as a data frame. It is also kept in MLflow.

        Raises:
            UnknownName: no such session or arm.
            InputError: there is nothing to compare.
            TrackingError: the store can't be read, and the journals are elsewhere.
        """
        chosen, whole = self._chosen(sessions)
        return compare_sessions(self.store, chosen, whole, Terms(baseline=baseline))

    def get_experiment_summary(self) -> pd.DataFrame:
        """All arms of all sessions of the experiment, one row each, the newest session first.

        Returns:
            Columns `session`, `arm`, `model`, `strategy`, `suite`, `trials`, `solved`, `unsolved`, `failed`
            (infrastructure), `solved_rate` (of those that were scored, 0 to 1), and what the arm consumed
            (`wall_seconds`, `cpu_seconds`, `peak_memory_bytes`, `energy_joules`; NA: not measured).

        Raises:
            UnknownName: the experiment has no session yet.
            TrackingError: the store can't be read, and the journals are elsewhere.
        """
        return _summary(reader.read(self.store, (), self.settings.experiment))

    def read(self, sessions: Sequence[str] = ()) -> Tables:
        """The trials, attempts and arms of sessions as data frames, for analyses of one's own.

        Args:
            sessions: which; none: those of this runner, or, if there are none yet, the whole experiment.

        Raises:
            UnknownName: no such session.
            TrackingError: the store can't be read, and the journals are elsewhere.
        """
        return reader.read(self.store, *self._chosen(sessions))

    def _chosen(self, sessions: Sequence[str]) -> tuple[Sequence[str], str | None]:
        chosen = sessions or self.sessions
        return chosen, None if chosen else self.settings.experiment


_CONSUMED = ("wall_seconds", "cpu_seconds", "peak_memory_bytes", "energy_joules")


def _summary(tables: Tables) -> pd.DataFrame:
    if tables.arms.empty:
        raise InputError("no arm has been run in this experiment yet")
    keys = ["session", "arm"]
    outcomes = tables.trials.groupby(keys, sort=False)["outcome"].value_counts().unstack(fill_value=0)
    found = tables.arms.set_index(keys)
    counts = outcomes.reindex(found.index, fill_value=0)
    frame = found.reindex(columns=["model", "strategy", "suite"]).copy()
    frame["trials"] = counts.sum(axis=1)
    for outcome in ("solved", "unsolved"):
        frame[outcome] = counts.get(outcome, 0)
    frame["failed"] = counts[[name for name in counts if str(name).endswith("_failed")]].sum(axis=1)
    scored = frame["solved"] + frame["unsolved"]
    frame["solved_rate"] = (frame["solved"] / scored).where(scored > 0).astype("Float64")
    for name in _CONSUMED:
        frame[name] = found[name].astype("Float64") if name in found else None
    return frame.reset_index()
