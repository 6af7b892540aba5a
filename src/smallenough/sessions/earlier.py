"""What earlier sessions tell of one to come: how often arms disagree, how alike repeats are, what trials take.

Of several pairs of arms the one is taken that needs the most tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from smallenough.analysis.frames import choose_baseline, pair, prepare
from smallenough.analysis.money import Prices
from smallenough.analysis.statistics import Proportion, clustered_proportion, intraclass_correlation
from smallenough.sessions.plan import ASSUMED_CORRELATION, ASSUMED_DISCORDANCE, Basis, Known
from smallenough.sessions.rates import tracked
from smallenough.tracking import reader
from smallenough.tracking.sessions_table import read_sessions
from smallenough.tracking.store import Store
from smallenough.tracking.tables import Tables

_MOST_SESSIONS = 5
"""So many of the newest sessions are looked through."""


@dataclass(frozen=True, slots=True)
class Seen:
    """An arm beside the baseline of its session."""

    session: str
    suite: str
    arm: str
    baseline: str
    disagree: Proportion
    """Trials at which one of the two solves the task, and the other does not."""
    tasks: int
    """That both were scored at."""
    correlation: float | None
    """How alike the differences of a task's repeats are; None: there are no repeats, or they tell nothing."""


def read(store: Store, sessions: Sequence[str], experiment: str | None, suite: str | None) -> Tables | None:
    """The sessions to learn from: those that are named; else the newest, where there are some on that suite, completed.

    Args:
        store: where they are tracked.
        sessions: ids, beginnings of ids, or `last`.
        experiment: name of an MLflow experiment.
        suite: name of the suite that shall be used.

    Returns:
        Their tables; None: nothing is named, and there are no sessions.

    Raises:
        UnknownName: no such session or experiment.
        InputError: the experiment has no sessions.
        TrackingError: the store can't be read, and the journals are elsewhere.
    """
    if sessions or experiment:
        return reader.read(store, sessions, experiment)
    known = read_sessions(store)
    known = known[(known["arms"] > 1) & (known["trials"] > 0)]
    for better in (known["suite"] == suite, known["status"] == "completed"):
        known = known[better] if better.any() else known
    names = [str(name) for name in known["session"][:_MOST_SESSIONS]]
    return reader.read(store, names) if names else None


def seen(tables: Tables) -> Iterator[Seen]:
    """Every arm beside its session's baseline, where both were scored at a task; the newest session first."""
    for session in tables.sessions:
        trials, arms = (frame[frame["session"] == session] for frame in (tables.trials, tables.arms))
        if trials.empty:
            continue
        frames = prepare(trials, arms)
        base = choose_baseline(frames, None)
        for label in frames.labels:
            pairs = pair(frames, label, base, "solved")
            disagree = clustered_proportion((pairs.arm != pairs.baseline).astype(float), pairs.tasks)
            if label == base or disagree is None:
                continue
            yield Seen(
                session,
                str(trials["suite"].iloc[0]),
                label,
                base,
                disagree,
                len(set(pairs.tasks.tolist())),
                intraclass_correlation(pairs.arm - pairs.baseline, pairs.tasks),
            )


def basis(tables: Tables | None, *, named: bool, discordance: float | None = None) -> Basis:
    """What a plan rests on.

    Args:
        tables: of the sessions to learn from, the newest first; None: there are none.
        named: whether someone named them: then all of them count, else the newest that tells.
        discordance: the share of tasks at which arms disagree, where someone said it.
    """
    known = list(seen(tables)) if tables else []
    repeated = [one for one in known if one.correlation is not None]
    found = Basis(_discordance(known, discordance, named=named), _correlation(repeated, named=named))
    if tables is None:
        return found
    # What disagreed is what shall be run again; else the newest session tells, sooner with several arms than with one.
    rates = {session: rates for session in tables.sessions if (rates := tracked(tables, session))}
    order = sorted(rates, key=lambda one: (one != found.discordance.session, len(rates[one]) < 2))
    for session in order[:1]:
        count = len(rates[session])
        what = f"session {session}" + (f", the mean of its {count} arms" if count > 1 else "")
        at_once = tables.arms.loc[tables.arms["session"] == session, "concurrency"].max()
        what += "" if pd.isna(at_once) or at_once == 1 else f", {at_once:g} requests in flight"
        prices = Prices.recorded(tables.prices(session))
        found = replace(found, rates=tuple(rates[session].values()), rates_source=what, prices=prices)
    return found


def _discordance(known: Sequence[Seen], given: float | None, *, named: bool) -> Known:
    if given is not None:
        return Known(given, "as it was said")
    if not known:
        return Known(ASSUMED_DISCORDANCE, "assumed, since no session with two arms tells")
    group = _group(known, named=named)
    most = max(group, key=lambda one: one.disagree.rate)
    return Known(
        most.disagree.rate, _told(most, group), measured=True, interval=most.disagree.interval, session=most.session
    )


def _correlation(repeated: Sequence[Seen], *, named: bool) -> Known:
    if not repeated:
        return Known(ASSUMED_CORRELATION, "assumed, since no session with repeats tells")
    group = _group(repeated, named=named)
    most = max(group, key=lambda one: one.correlation or 0.0)
    return Known(most.correlation or 0.0, _told(most, group), measured=True, session=most.session)


def _group(known: Sequence[Seen], *, named: bool) -> Sequence[Seen]:
    """All of them; where nobody named sessions, those of the newest."""
    return known if named else [one for one in known if one.session == known[0].session]


def _told(one: Seen, group: Sequence[Seen]) -> str:
    most = f", the most of {len(group)} pairs" if len(group) > 1 else ""
    return f"{one.arm!r} and {one.baseline!r} in session {one.session}, {one.tasks} tasks of {one.suite}{most}"
