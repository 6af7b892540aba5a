"""Reads sessions back: from the tracking store, or, while that can't be reached, from the journals, and says so.

What comes back are three frames, a row a trial, an attempt and an arm, whose columns are those of `layout`. An arm's
tables are read where they lie as artifacts; where they are missing (the arm is not complete, or someone removed them),
they are rebuilt from the runs, with the same values.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from smallenough import journal
from smallenough.errors import InputError, JournalError, TrackingError, UnknownName
from smallenough.tracking import layout
from smallenough.tracking import store as stores
from smallenough.tracking.runs import TAG, Kind, RunRecord
from smallenough.tracking.sinks import mapped
from smallenough.tracking.store import Store
from smallenough.tracking.translate import Translator

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

_PAGE = 1000
_PRICE = "price_"
_WORDS = {"RUNNING": "running", "FINISHED": "completed", "KILLED": "interrupted", "FAILED": "failed"}
"""What MLflow's words for a run's status mean for a session."""


@dataclass(frozen=True)
class Tables:
    """What was read."""

    trials: pd.DataFrame
    attempts: pd.DataFrame
    arms: pd.DataFrame
    sessions: tuple[str, ...]
    experiments: tuple[str, ...] = ()
    """Ids of the experiments that the sessions belong to; empty: read from journals."""
    notes: tuple[str, ...] = ()
    """What a person should know about where this comes from."""
    prices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What the machine costs by the sessions' own word, by session, as their parameters say it; without, no entry."""


@dataclass
class _Rows:
    trials: list[pd.DataFrame] = field(default_factory=list)
    attempts: list[pd.DataFrame] = field(default_factory=list)
    arms: list[dict[str, Any]] = field(default_factory=list)
    prices: dict[str, dict[str, str]] = field(default_factory=dict)

    def note_prices(self, session: str, params: Mapping[str, str]) -> None:
        """Keeps what a session's parameters say of them."""
        if found := {name[len(_PRICE) :]: value for name, value in params.items() if name.startswith(_PRICE)}:
            self.prices[session] = found


def read(store: Store, sessions: Sequence[str] = (), experiment: str | None = None) -> Tables:
    """Reads sessions.

    Args:
        store: where they are tracked.
        sessions: their ids, or beginnings of ids, or `last`; none: every session of the experiment.
        experiment: name of an MLflow experiment; None with no sessions: the newest session.

    Raises:
        UnknownName: no such session or experiment; names the nearest.
        InputError: there are no sessions yet.
        TrackingError: the store can't be reached, and there is no journal of what is asked for here.
    """
    if store.database is not None and not store.database.exists():  # to read makes no store
        if not journal.sessions(store.journals):
            _choose([], sessions, experiment)  # says so
        return _from_journals(store, sessions, experiment, f"{store.database} does not exist yet")
    try:
        client = stores.connect(store)
        runs = _session_runs(client, store, experiment)
    except TrackingError as error:
        return _from_journals(store, sessions, experiment, str(error))
    known = {run.data.tags[f"{TAG}session"]: run for run in runs}
    wanted = _choose(list(known), sessions, experiment)
    rows = _Rows()
    with mapped(store.uri):
        for name in wanted:
            _read_session(client, known[name], rows)
    experiments = tuple(dict.fromkeys(known[name].info.experiment_id for name in wanted))
    notes = tuple(note for name in wanted for note in _not_begun(known[name], rows))
    return _tables(rows, wanted, experiments, notes)


def _session_runs(client: MlflowClient, store: Store, experiment: str | None) -> list[Run]:
    """The runs of sessions, the newest first."""
    with mapped(store.uri):
        found = list(client.search_experiments())
        if experiment is not None:
            if experiment not in {one.name for one in found}:
                raise UnknownName("experiment", experiment, [one.name for one in found])
            found = [one for one in found if one.name == experiment]
        return search(client, [one.experiment_id for one in found], "session")


def search(client: MlflowClient, experiments: list[str], kind: Kind, **tags: str) -> list[Run]:
    """Runs of a kind, by tags, the newest first."""
    return search_all(client, experiments, kind=kind, **tags)


def search_all(client: MlflowClient, experiments: list[str], **tags: str) -> list[Run]:
    """Runs of every kind, by tags, the newest first."""
    query = " and ".join(f"tags.`{TAG}{name}` = {_quoted(value)}" for name, value in tags.items())
    found: list[Run] = []
    token = None
    while experiments:
        page = client.search_runs(
            experiments, query, max_results=_PAGE, order_by=["attributes.start_time DESC"], page_token=token
        )
        found += page
        token = page.token
        if not token:
            break
    return found


def _quoted(value: str) -> str:
    """A value in a query: MLflow takes either quote, and has no way to escape one."""
    return f'"{value}"' if "'" in value else f"'{value}'"


def _choose(known: list[str], sessions: Sequence[str], experiment: str | None) -> list[str]:
    """The ids that are meant, of those known (the newest first)."""
    if not sessions:
        if not known:
            where = f"experiment {experiment!r} has" if experiment else "there are"
            raise InputError(f"{where} no sessions yet; start one with: smallenough run --model NAME")
        return known if experiment else known[:1]
    chosen = []
    for name in sessions:
        matches = known[:1] if name == "last" else [one for one in known if one == name or one.startswith(name)]
        matches = [name] if name in matches else matches
        if not matches:
            raise UnknownName("session", name, known)
        if len(matches) > 1:
            raise InputError(f"several sessions begin with {name!r}: {', '.join(matches[:5])}")
        chosen += matches
    return list(dict.fromkeys(chosen))


# ------------------------------------------------------------------------------------------------ from the store


def _read_session(client: MlflowClient, session: Run, rows: _Rows) -> None:
    name = session.data.tags[f"{TAG}session"]
    rows.note_prices(name, session.data.params)
    experiment = [session.info.experiment_id]
    arms = search(client, experiment, "arm", session=name)
    for arm in sorted(arms, key=lambda run: run.info.start_time):
        told = arm.data.tags[f"{TAG}arm"]
        trials = _artifact(client, arm, layout.TRIALS)
        if trials is None:
            trials = _rebuild(client, experiment, "trial", layout.TRIAL_TAGS, layout.TRIAL_NUMBERS, name, told)
        attempts = _artifact(client, arm, layout.ATTEMPTS)
        if attempts is None:
            attempts = _rebuild(client, experiment, "attempt", layout.ATTEMPT_TAGS, layout.ATTEMPT_NUMBERS, name, told)
        rows.trials.append(trials)
        rows.attempts.append(attempts)
        row = _arm_row(arm.data.tags, arm.data.params, arm.data.metrics, arm.info.status)
        rows.arms.append({**row, "run_id": arm.info.run_id})


def _not_begun(session: Run, rows: _Rows) -> list[str]:
    """Says how many of a session's arms there is nothing of."""
    name, planned = session.data.tags[f"{TAG}session"], int(session.data.params["arms"])
    begun = sum(row["session"] == name for row in rows.arms)
    word = _WORDS[session.info.status]
    return [] if begun == planned else [f"session {name} is {word}: {planned - begun} of its arms have not begun"]


def _arm_row(
    tags: Mapping[str, str], params: Mapping[str, str], metrics: Mapping[str, float], status: str
) -> dict[str, Any]:
    """A row of the arms, from what its run says; the same from either source."""
    return {
        **{name: tags[f"{TAG}{name}"] for name in ("session", "arm", "model", "strategy", "suite")},
        "status": _WORDS[status],
        "energy_provenance": tags.get(f"{TAG}energy_provenance"),
        "killed_parts": float(tags.get(f"{TAG}killed_parts", "nan")),
        **{name: float(params.get(name, "nan")) for name in ("concurrency", "model_parameters")},
        **{name: value for name, value in metrics.items() if not name.startswith("system/")},
    }


def _artifact(client: MlflowClient, arm: Run, name: str) -> pd.DataFrame | None:
    """A table of an arm that is complete; None: it is not, or the table is missing."""
    from mlflow.exceptions import MlflowException

    if arm.info.status != "FINISHED":
        return None
    with tempfile.TemporaryDirectory() as folder:
        try:
            return pd.read_parquet(client.download_artifacts(arm.info.run_id, name, folder))
        except (MlflowException, OSError, ValueError):  # what Arrow finds damaged is a ValueError
            return None


def _rebuild(
    client: MlflowClient,
    experiments: list[str],
    kind: Kind,
    tags: Sequence[str],
    numbers: Sequence[str],
    session: str,
    arm: str,
) -> pd.DataFrame:
    """A table from the runs of an arm that are complete, the oldest first."""
    runs = [run for run in search(client, experiments, kind, session=session, arm=arm) if run.info.status != "RUNNING"]
    rows = []
    for run in sorted(runs, key=lambda run: (run.info.end_time, run.data.tags[f"{TAG}record"])):
        texts = {name: run.data.tags.get(f"{TAG}{name}") for name in (*tags, "note", "error")}
        values = {name: json.loads(run.data.params[name]) for name in numbers if name in run.data.params}
        rows.append({**texts, **values, **run.data.metrics})
    return pd.DataFrame(rows)


# --------------------------------------------------------------------------------------------- from the journals


def read_journal(store: Store, session: str) -> Tables:
    """Reads one session from its journal alone, also while MLflow is behind.

    Raises:
        TrackingError: there is no readable journal.
    """
    rows = _Rows()
    _read_journal(store.journals / session, rows)
    return _tables(rows, [session], (), ())


def _from_journals(store: Store, sessions: Sequence[str], experiment: str | None, reason: str) -> Tables:
    found = journal.sessions(store.journals)
    known = [one.session for one in found if experiment is None or one.experiment == experiment]
    if not known:
        raise TrackingError(f"{reason}; and no journal of it lies in {store.journals}")
    wanted = _choose(known, sessions, experiment)
    rows = _Rows()
    for name in wanted:
        _read_journal(store.journals / name, rows)
    return _tables(rows, wanted, (), (f"the tracking store can't be reached ({reason}): read from the journals",))


def _read_journal(folder: Path, rows: _Rows) -> None:
    translator = Translator(journal.read_suite(folder), folder)
    arms: dict[str, RunRecord] = {}
    try:
        for _, event in journal.read(folder):
            for run in translator.take(event):
                if run.kind == layout.ARM:
                    arms[run.record] = run
                elif run.kind == "session":
                    rows.note_prices(folder.name, run.params)
    except JournalError as error:
        raise TrackingError(str(error)) from error
    trials, attempts = translator.rows()
    rows.trials.append(pd.DataFrame(trials))
    rows.attempts.append(pd.DataFrame(attempts))
    for run in arms.values():
        rows.arms.append(_arm_row(run.tags, run.params, run.metrics, run.status))


# ------------------------------------------------------------------------------------------------------- frames


def _tables(rows: _Rows, wanted: list[str], experiments: tuple[str, ...], notes: tuple[str, ...]) -> Tables:
    trials = _typed(rows.trials, (*layout.TRIAL_TAGS,))
    if len(trials):
        for name in ("solved", "first_attempt_solved", "syntax_valid"):
            trials[name] = (
                trials[name].astype("boolean") if name in trials else pd.Series(pd.NA, trials.index, "boolean")
            )
        trials["baseline"] = trials["baseline"].astype("boolean")
    attempts = _typed(rows.attempts, (*layout.ATTEMPT_TAGS, "note", "error"))
    return Tables(trials, attempts, pd.DataFrame(rows.arms), tuple(wanted), experiments, notes, rows.prices)


def _typed(frames: list[pd.DataFrame], texts: Sequence[str]) -> pd.DataFrame:
    """One frame with text in the columns named, and nullable numbers in the others."""
    filled = [frame for frame in frames if len(frame)]
    if not filled:
        return pd.DataFrame()
    frame = pd.concat(filled, ignore_index=True)
    frame = frame.astype({name: "string" if name in texts else "Float64" for name in frame.columns})
    for name in ("repeat", "level", "attempt", "parent", "chosen"):
        if name in frame:
            frame[name] = frame[name].astype("Int64")
    return frame
